/* What somebody has typed and not sent survives leaving the page and loading it anew: a new version, a lost script, a
 * finger on "reload".
 *
 * One way for all forms, which need not know of it: fields with a name that somebody typed into are kept by path and
 * name in session storage when their page is left, and filled again when they are there again and empty. Never
 * passwords; never for another person. */
import { usePageData, useUser } from "@tims/client";
import Router from "next/router";
import { useEffect } from "react";

const STORE = "typed";
const KINDS = new Set(["text", "search", "email", "url", "tel", "textarea"]);

type Field = HTMLInputElement | HTMLTextAreaElement;

interface Kept {
  user: string | null;
  /** By path, then by the field's name. */
  texts: Record<string, Record<string, string>>;
}

function read(user: string | null): Kept {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORE) ?? "null") as Kept | null;
    if (kept && kept.user === user && typeof kept.texts === "object") return kept;
  } catch {
    // storage is switched off, or it is not ours
  }
  return { user, texts: {} };
}

function write(kept: Kept): void {
  try {
    if (Object.keys(kept.texts).length === 0) sessionStorage.removeItem(STORE);
    else sessionStorage.setItem(STORE, JSON.stringify(kept));
  } catch {
    // switched off or full: then it is lost, as it would be without us
  }
}

function fieldOf(target: unknown): Field | null {
  const isField = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
  return isField && target.name !== "" && KINDS.has(target.type) ? target : null;
}

/** As if it were typed: React hears of it. */
function fill(field: Field, text: string): void {
  const prototype = field instanceof HTMLInputElement ? HTMLInputElement : HTMLTextAreaElement;
  Object.getOwnPropertyDescriptor(prototype.prototype, "value")?.set?.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

const pathOf = (url: string) => url.split(/[?#]/)[0] ?? "";

/** Keeps and fills for one person until the returned function is called. */
export function keepTyped(user: string | null): () => void {
  const typed = new Set<Field>();
  let kept = read(user);
  let path = window.location.pathname;
  const onInput = ({ target }: Event) => {
    const field = fieldOf(target);
    if (field) typed.add(field);
  };
  const keep = () => {
    const texts: Record<string, string> = { ...kept.texts[path] }; // of fields that were not there to be filled
    for (const field of typed) {
      if (!field.isConnected) {
        typed.delete(field); // its dialog was closed
        continue;
      }
      if (field.value.trim() === "") delete texts[field.name];
      else texts[field.name] = field.value;
    }
    kept = { user, texts: { ...kept.texts, [path]: texts } };
    if (Object.keys(texts).length === 0) delete kept.texts[path];
    write(kept);
  };
  const fillAll = () => {
    const texts = kept.texts[path] ?? {};
    for (const [name, text] of Object.entries(texts)) {
      const field = fieldOf(document.querySelector(`[name="${CSS.escape(name)}"]`));
      if (!field) continue;
      delete texts[name];
      if (field.value !== text && (field.value === "" || field.value === field.defaultValue))
        fill(field, text);
    }
    if (Object.keys(texts).length > 0) return;
    delete kept.texts[path];
    observer.disconnect();
    write(kept);
  };
  // Dialogs are opened later, and shells grow their fields.
  const observer = new MutationObserver(fillAll);
  const arrive = () => {
    observer.disconnect();
    if (!kept.texts[path]) return;
    observer.observe(document.body, { subtree: true, childList: true });
    fillAll();
  };
  const onArrival = (url: string) => {
    path = pathOf(url);
    arrive();
  };
  document.addEventListener("input", onInput);
  window.addEventListener("pagehide", keep);
  Router.events.on("routeChangeStart", keep);
  Router.events.on("routeChangeComplete", onArrival);
  write(kept); // another person's are gone
  arrive();
  return () => {
    observer.disconnect();
    document.removeEventListener("input", onInput);
    window.removeEventListener("pagehide", keep);
    Router.events.off("routeChangeStart", keep);
    Router.events.off("routeChangeComplete", onArrival);
  };
}

/** For the whole app, once it is known who is here. */
export function useTyped(): void {
  const page = usePageData();
  const user = useUser();
  const known = page !== null || user !== null;
  const id = user?.id ?? null;
  useEffect(() => (known ? keepTyped(id) : undefined), [known, id]);
}
