/* The die of a chat: a websocket of the app's own, for what is neither a row nor said by a person. The server throws. */
import { useClient } from "@tims/client";
import { useCallback, useEffect, useRef, useState } from "react";

export interface Throw {
  user: string;
  pips: number;
}

const SHOWN_MS = 5_000;

export function readThrow(text: unknown): Throw | null {
  try {
    const { user, pips } = JSON.parse(String(text)) as Partial<Throw>;
    return typeof user === "string" && typeof pips === "number" ? { user, pips } : null;
  } catch {
    return null;
  }
}

/** What fell last, for a few seconds; and a way to throw. Where there is no cookie (native shells) there is no die. */
export function useDice(chat: string): { last: Throw | null; throwDie: (() => void) | null } {
  const { platform } = useClient();
  const socket = useRef<WebSocket | null>(null);
  const [isOpen, setOpen] = useState(false);
  const [last, setLast] = useState<Throw | null>(null);
  useEffect(() => {
    if (platform.native) return;
    const opened = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/chats/${chat}/dice/`);
    socket.current = opened;
    opened.onopen = () => setOpen(true);
    opened.onclose = () => setOpen(false);
    opened.onmessage = ({ data }) => setLast(readThrow(data));
    return () => opened.close();
  }, [platform, chat]);
  useEffect(() => {
    if (!last) return;
    const timer = setTimeout(() => setLast(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [last]);
  const throwDie = useCallback(() => socket.current?.send("throw"), []);
  return { last, throwDie: isOpen ? throwDie : null };
}
