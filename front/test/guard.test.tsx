// A script that is gone is answered with one load of the page, and an error that has another reason stays one.
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ScriptGuard } from "@/pwa/ScriptGuard";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

const lost = () => Object.assign(new Error("Failed to load chunk x.js"), { name: "ChunkLoadError" });
const reload = vi.fn();
beforeEach(() => {
  sessionStorage.clear();
  vi.stubGlobal("location", Object.assign(Object.create(window.location), { reload }));
});
afterEach(() => {
  vi.unstubAllGlobals();
  reload.mockReset();
});

function Broken({ error }: { error: Error }): null {
  throw error;
}

async function render(error: Error): Promise<unknown[]> {
  const errors: unknown[] = [];
  const root = createRoot(document.createElement("div"), { onCaughtError: () => undefined });
  const broken = createElement(ScriptGuard, null, createElement(Broken, { error }));
  try {
    await act(async () => root.render(broken));
  } catch (uncaught) {
    errors.push(uncaught);
  }
  await act(async () => root.unmount());
  return errors;
}

test("in a render: once, and not again right after", async () => {
  expect(await render(lost())).toEqual([]);
  expect(reload).toHaveBeenCalledTimes(1);
  expect(await render(lost())).toHaveLength(1);
  expect(reload).toHaveBeenCalledTimes(1);
});

test("another error is not the guard's", async () => {
  expect(await render(new Error("a bug"))).toHaveLength(1);
  expect(reload).not.toHaveBeenCalled();
});

test("in an import that nobody waited for", async () => {
  const root = createRoot(document.createElement("div"));
  await act(async () => root.render(createElement(ScriptGuard, null, "fine")));
  const event = (reason: unknown) => Object.assign(new Event("unhandledrejection"), { reason });
  window.dispatchEvent(event(new Error("a bug")));
  expect(reload).not.toHaveBeenCalled();
  window.dispatchEvent(event(lost()));
  expect(reload).toHaveBeenCalledTimes(1);
  await act(async () => root.unmount());
});
