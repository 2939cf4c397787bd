/* Pictures on their way into a chat: chosen, maybe described, then sent one after the other, each a message of its own. They
 * stay until the server has them: what was refused can be sent again or taken away. */
import { ApiError, newId, type Problem, useClient } from "@tims/client";
import { useCallback, useEffect, useRef, useState } from "react";
import { type Prepared, prepare, type Refusal, Refused } from "./prepare";
import { uploading } from "./upload";

export const DRAFTS_MAX = 6;
const TIMEOUT_MS = 120_000;

export interface Draft extends Prepared {
  /** The message's id, so that sending twice is sending once. */
  id: string;
  /** To show it before it is sent. */
  url: string;
  alt: string;
  /** Stands below it. */
  text: string;
  status: "draft" | "sending" | "failed";
  /** 0 to 1. */
  progress: number;
  problem: Problem | null;
}

export interface Drafts {
  drafts: readonly Draft[];
  /** Why the last chosen ones were not all taken. */
  refusal: Refusal | "pictures.too_many" | null;
  add: (files: readonly Blob[]) => Promise<void>;
  describe: (id: string, alt: string) => void;
  remove: (id: string) => void;
  /** Sends what is not on its way; the text goes with the first. */
  send: (text: string) => void;
  retry: (id: string) => void;
}

function formOf(draft: Draft): FormData {
  const form = new FormData();
  form.set("id", draft.id);
  form.set("text", draft.text);
  form.set("alt", draft.alt);
  form.set("picture", draft.blob, "picture");
  return form;
}

export function useDrafts(chat: string): Drafts {
  const client = useClient();
  const [drafts, setDrafts] = useState<Draft[]>([]);
  const [refusal, setRefusal] = useState<Drafts["refusal"]>(null);
  const held = useRef(drafts);
  held.current = drafts;
  useEffect(() => () => held.current.forEach(({ url }) => void URL.revokeObjectURL(url)), []);

  const change = useCallback((id: string, to: Partial<Draft>) => {
    setDrafts((all) => all.map((one) => (one.id === id ? { ...one, ...to } : one)));
  }, []);
  const remove = useCallback((id: string) => {
    setDrafts((all) => {
      const gone = all.find((one) => one.id === id);
      if (gone) URL.revokeObjectURL(gone.url);
      return all.filter((one) => one !== gone);
    });
  }, []);

  const add = useCallback(async (files: readonly Blob[]) => {
    const room = DRAFTS_MAX - held.current.length;
    setRefusal(files.length > room ? "pictures.too_many" : null);
    for (const file of files.slice(0, Math.max(0, room))) {
      try {
        const made = await prepare(file);
        const url = URL.createObjectURL(made.blob);
        const fresh = { alt: "", text: "", status: "draft", progress: 0, problem: null } as const;
        setDrafts((all) => [...all, { ...made, ...fresh, id: newId(), url }]);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        setRefusal(error.why);
      }
    }
  }, []);

  const post = useCallback(
    async (draft: Draft) => {
      change(draft.id, { status: "sending", progress: 0, problem: null, text: draft.text });
      try {
        await client.api("POST", `/api/chats/${chat}/pictures/`, {
          body: formOf(draft),
          timeoutMs: TIMEOUT_MS,
          fetch: uploading((progress) => change(draft.id, { progress })),
        });
        remove(draft.id);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        change(draft.id, { status: "failed", problem: error.problem });
      }
    },
    [client, chat, change, remove],
  );

  const send = useCallback(
    async (text: string) => {
      const waiting = held.current.filter(({ status }) => status === "draft");
      const ready = waiting.map((draft, index) => ({ ...draft, text: index === 0 ? text : "" }));
      for (const { id } of ready) change(id, { status: "sending", progress: 0 });
      for (const draft of ready) await post(draft); // in their order
    },
    [change, post],
  );

  return {
    drafts,
    refusal,
    add,
    describe: (id, alt) => change(id, { alt }),
    remove,
    send: (text) => void send(text),
    retry: (id) => {
      const draft = drafts.find((one) => one.id === id);
      if (draft) void post(draft);
    },
  };
}
