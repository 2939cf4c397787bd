// @vitest-environment happy-dom
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { createClient } from "../src/client";
import { useFile } from "../src/platform/file";
import { actions } from "../src/store";
import type { ConnectionStatus } from "../src/types";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

test("a device's file that could not be had is asked for again when the connection is back, and then no more", async () => {
  const client = createClient({ platform: { native: true }, cache: null, tabs: null });
  const fetched = vi.fn().mockRejectedValueOnce(new TypeError("offline"));
  fetched.mockImplementation(async () => new Response("x"));
  vi.stubGlobal("fetch", fetched);
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:1");
  const { result } = renderHook(() => useFile(client, "/api/pictures/1/file/"));
  const become = (status: ConnectionStatus) =>
    act(async () => void client.store.dispatch(actions.connectionChanged({ status })));
  await become("waiting");
  expect(result.current).toBeNull();
  await become("live");
  expect(result.current).toBe("blob:1");
  await become("waiting");
  await become("live");
  expect(fetched).toHaveBeenCalledTimes(2);
  client.close();
});
