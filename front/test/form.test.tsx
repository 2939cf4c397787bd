// A form of the API: its fields with their labels, what is wrong at its field, who has the keyboard, what is sent.
import { createClient, PageProvider } from "@tims/client";
import type { Form } from "@tims/client/form";
import { forms } from "@tims/client/generated/forms";
import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { FormOf } from "@/form/AutoForm";
import { type Language, LanguageProvider } from "@/i18n";
import { en } from "@/i18n/en";
import { loadTexting } from "@/i18n/load";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

const DESK: Form = {
  method: "POST",
  path: "/api/rooms/{room}/desks/",
  fields: [
    { name: "display_name", kind: "text", required: true, maxLength: 5 },
    { name: "story", kind: "long", maxLength: 4000 },
    { name: "seats", kind: "number", integer: true, min: 1, max: 9 },
    { name: "open", kind: "boolean", default: true },
    { name: "shape", kind: "choice", choices: ["round", "square"], default: "square" },
    { name: "since", kind: "time", nullable: true },
    { name: "owner", kind: "reference", to: "/api/users/", label: "username", required: true },
    { name: "email", kind: "text", format: "email", nullable: true },
    { name: "key", kind: "text", format: "password" },
  ],
};

type Answer = () => Response | Promise<Response>;
interface Sent {
  method: string;
  url: string;
  body: unknown;
}

let root: Root;
let page: HTMLElement;
let sent: Sent[];
let answer: Answer;
let answers: unknown[];

const json = (status: number, body: unknown) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
const users = [
  { id: "u1", username: "ada" },
  { id: "u2", username: "ben" },
];
const pageData = {
  path: "/",
  route: "/",
  params: {},
  language: "en",
  user: null,
  position: "00112233445566aa-1",
  live: { "/api/users/": { rows: users, next: null, total: 2 } },
  values: {},
};

const request = async (url: unknown, options: RequestInit = {}) => {
  const { body } = options;
  sent.push({
    method: options.method ?? "GET",
    url: String(url),
    body: typeof body === "string" ? JSON.parse(body) : body,
  });
  return answer();
};
const nowhere = () => ({
  readyState: 0,
  send: () => undefined,
  close: () => undefined,
  onopen: null,
  onmessage: null,
  onclose: null,
  onerror: null,
});

async function show(
  props: Partial<Parameters<typeof FormOf>[0]> = {},
  language: Language = "en",
): Promise<void> {
  const client = createClient({
    pageData,
    fetch: request as typeof fetch,
    socket: nowhere,
    cache: null,
    tabs: null,
  });
  const form = { name: "createDesk", form: DESK, params: { room: "7" }, ...props };
  root = createRoot(page);
  await act(async () =>
    root.render(
      <LanguageProvider rendered={language}>
        <PageProvider client={client}>
          <FormOf {...form} onDone={(answered: unknown) => void answers.push(answered)} />
        </PageProvider>
      </LanguageProvider>,
    ),
  );
}

const input = (name: string) => {
  const found = page.querySelector<HTMLInputElement>(`[name="${name}"]`);
  if (!found) throw new Error(`no input ${name}`);
  return found;
};
const type = (name: string, text: string) =>
  act(async () => {
    input(name).value = text;
    input(name).dispatchEvent(new Event("input", { bubbles: true }));
  });
const submit = () => act(async () => page.querySelector<HTMLButtonElement>("button")?.click());
const errorOf = (name: string) => {
  const ids = input(name).getAttribute("aria-describedby")?.split(" ") ?? [];
  const error = ids.find((id) => id.endsWith("-error"));
  return error && document.getElementById(error)?.textContent;
};

beforeAll(async () => {
  await loadTexting("en");
  await loadTexting("de");
});
beforeEach(() => {
  page = document.body.appendChild(document.createElement("main"));
  sent = [];
  answers = [];
  answer = () => json(201, { id: "d1" });
});
afterEach(async () => {
  await act(async () => root.unmount());
  page.remove();
});

test("each field has the input that it needs, a label, and what it holds at first", async () => {
  await show({ values: { display_name: "Oak", seats: 4, owner: "u2", since: "2026-03-01T12:00:00Z" } });
  const kinds = DESK.fields.map(({ name }) => {
    const { tagName, type: kind, id } = input(name);
    expect(page.querySelector(`label[for="${id}"]`)?.textContent).not.toBe("");
    return `${name} ${tagName.toLowerCase()} ${kind}`;
  });
  expect(kinds).toEqual([
    "display_name input text",
    "story textarea textarea",
    "seats input number",
    "open input checkbox",
    "shape select select-one",
    "since input datetime-local",
    "owner select select-one",
    "email input email",
    "key input password",
  ]);
  expect(input("display_name").value).toBe("Oak");
  expect(input("open").checked).toBe(true);
  expect(input("shape").value).toBe("square");
  expect(input("since").value).toMatch(/^2026-0[23]-\d\dT\d\d:\d\d$/);
  expect(input("owner").value).toBe("u2");
  expect([...input("owner").querySelectorAll("option")].map((one) => one.textContent)).toEqual([
    "ada",
    "ben",
  ]);
  expect(input("display_name").required).toBe(true);
  expect(input("story").required).toBe(false);
});

test("what browsers should know of an input is said to every kind of it", async () => {
  const inputs = Object.fromEntries(
    DESK.fields.map(({ name }) => [name, { autoComplete: "off", title: `of ${name}` }]),
  );
  await show({ inputs });
  for (const { name } of DESK.fields) {
    expect(input(name).getAttribute("autocomplete"), name).toBe("off");
    expect(input(name).title).toBe(`of ${name}`);
  }
});

test("what is wrong is said at its fields before anything is sent, and the first has the keyboard", async () => {
  await show();
  await type("display_name", "Mahogany");
  await type("seats", "12");
  await submit();
  expect(sent).toEqual([]);
  expect(errorOf("display_name")).toBe("Is too long: at most 5.");
  expect(errorOf("seats")).toBe("May be at most 9.");
  expect(errorOf("owner")).toBe("Is needed.");
  expect(errorOf("email")).toBeUndefined();
  expect(input("display_name").getAttribute("aria-invalid")).toBe("true");
  expect(document.activeElement).toBe(input("display_name"));
  expect(page.querySelector("[role=alert]")?.textContent).toBe("");
  await type("display_name", "Oak");
  expect(errorOf("display_name")).toBeUndefined();
  expect(errorOf("seats")).toBe("May be at most 9.");
});

test("in the reader's language", async () => {
  await show({ only: ["display_name"] }, "de");
  await submit();
  expect(errorOf("display_name")).toBe("Wird gebraucht.");
  expect(page.querySelector("button")?.textContent).toBe("Speichern");
});

test("what is right is sent as the API takes it, its answer given on, and said to be done", async () => {
  await show();
  await type("display_name", " Oak ");
  await type("owner", "u1");
  await submit();
  const body = {
    display_name: "Oak",
    story: "",
    open: true,
    shape: "square",
    since: null,
    key: "",
    owner: "u1",
    email: null,
  };
  expect(sent).toEqual([{ method: "POST", url: "/api/rooms/7/desks/", body }]);
  expect(answers).toEqual([{ id: "d1" }]);
  expect(page.querySelector("[role=status]")?.textContent).toBe("Saved.");
  await type("display_name", "Elm");
  expect(page.querySelector("[role=status]")?.textContent).toBe("");
});

test("what the server finds stands at its field too; what is of no field above them", async () => {
  const problem = { code: "invalid", title: "Invalid", detail: "Something is wrong." };
  const wrong = { pointer: "/email", code: "unique", message: "Taken." };
  answer = () => json(422, { ...problem, errors: [wrong] });
  await show({ only: ["email"] });
  await type("email", "ada@example.org");
  await submit();
  expect(errorOf("email")).toBe("Somebody else has this already.");
  expect(document.activeElement).toBe(input("email"));
  expect(page.querySelector("[role=alert]")?.textContent).toBe("");
  expect(answers).toEqual([]);

  answer = () => json(422, { ...problem, errors: [{ ...wrong, pointer: "/owner" }] });
  await submit();
  expect(errorOf("email")).toBeUndefined();
  expect(page.querySelector("[role=alert]")?.textContent).toBe("Something in it is not right.");

  answer = () => Promise.reject(new TypeError("no network"));
  await submit();
  expect(page.querySelector("[role=alert]")?.textContent).toBe("The server cannot be reached.");
});

test("while it is on its way the button says so, keeps the keyboard and sends nothing more", async () => {
  let arrive: (response: Response) => void = () => undefined;
  answer = () => new Promise((resolve) => (arrive = resolve));
  await show({ only: ["email"], clears: true });
  await type("email", "ada@example.org");
  page.querySelector("button")?.focus();
  await submit();
  await submit();
  const button = page.querySelector("button");
  expect(sent).toHaveLength(1);
  expect(button?.getAttribute("aria-busy")).toBe("true");
  expect(document.activeElement).toBe(button);
  await act(async () => arrive(json(201, null)));
  expect(button?.getAttribute("aria-busy")).toBe("false");
  expect(input("email").value).toBe("");
});

test("files go in a form", async () => {
  const photo: Form = {
    method: "PUT",
    path: "/api/photo/",
    multipart: true,
    fields: [{ name: "photo", kind: "file", accept: ["image/png"], maxLength: 3, required: true }],
  };
  await show({ form: photo, params: {} });
  const put = (file: File) =>
    act(async () => Object.defineProperty(input("photo"), "files", { value: [file], configurable: true }));
  expect(input("photo").accept).toBe("image/png");
  await put(new File(["four"], "a.png", { type: "image/png" }));
  await submit();
  expect(errorOf("photo")).toBe("Is too long: at most 3.");
  await put(new File(["one"], "a.png", { type: "image/png" }));
  await submit();
  const body = sent[0]?.body as FormData;
  expect(await (body.get("photo") as File).text()).toBe("one");
});

test("every field of the app's own forms has words", () => {
  const missing = Object.entries(forms).flatMap(([name, { fields }]) =>
    fields.map((field) => `form.${name}.${field.name}`).filter((key) => !Object.hasOwn(en, key)),
  );
  expect(missing).toEqual([]);
});
