// What failed without a network is tried again once the backend is there.
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, expect, test, vi } from "vitest";
import { useMarkRead } from "@/chat/Conversation";
import { usePeople } from "@/chat/usePeople";
import type { Message } from "@/types";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

const world = vi.hoisted(() => ({ status: "live", client: { api: vi.fn() }, me: null }));
vi.mock("@tims/client", async (original) => ({
  ...(await original<object>()),
  useClient: () => world.client,
  useConnection: () => ({ status: world.status }),
  useUser: () => world.me,
}));
vi.mock("@/i18n", () => ({ useText: () => ({ t: (key: string) => key }) }));

afterEach(() => world.client.api.mockReset());

/** How often the backend was asked once the hook has stood through each of these. */
async function asked(hook: () => void, statuses: string[]): Promise<number[]> {
  const Hook = () => {
    hook();
    return null;
  };
  const root = createRoot(document.createElement("div"));
  const counts: number[] = [];
  for (const status of statuses) {
    world.status = status;
    await act(async () => root.render(createElement(Hook)));
    counts.push(world.client.api.mock.calls.length);
  }
  await act(async () => root.unmount());
  return counts;
}

test("that a chat was read", async () => {
  world.client.api.mockRejectedValue(new Error("offline"));
  const [first, again] = await asked(() => useMarkRead("1", 2), ["waiting", "live"]);
  expect([first, again]).toEqual([1, 2]);
});

test("who wrote, until they are known", async () => {
  const messages = [{ id: "m1", sender: "u1" }] as Message[];
  const included = {};
  world.client.api.mockRejectedValueOnce(new Error("offline"));
  world.client.api.mockResolvedValue({ data: { rows: [{ id: "u1", username: "ann" }] } });
  const statuses = ["waiting", "live", "waiting", "live"];
  expect(await asked(() => usePeople(included, messages), statuses)).toEqual([1, 2, 2, 2]);
});
