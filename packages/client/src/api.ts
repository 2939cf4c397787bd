/* api(): fetch with the stack's manners: JSON both ways, CSRF for cookie sessions, problem documents as typed errors,
 * positions of what was read or written. */

import type { Transport } from "./platform/transport";
import type { Problem } from "./types";

export class ApiError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.name = "ApiError";
    this.problem = problem;
  }
  get status(): number {
    return this.problem.status;
  }
  get code(): string {
    return this.problem.code;
  }
  /** The message for one field: fieldError("text") finds the pointer "/text". */
  fieldError(field: string): string | undefined {
    return fieldError(this.problem, field);
  }
}

export function fieldError(problem: Problem | null | undefined, field: string): string | undefined {
  return problem?.errors.find((error) => error.pointer === `/${field}`)?.message;
}

export interface ApiOptions<B = unknown> {
  /** JSON value, or FormData or a Blob for uploads. */
  body?: B;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Past it the call fails with status 0, code "timeout". Default 15 s. */
  timeoutMs?: number;
  idempotencyKey?: string;
  /** Carries the call in place of the browser's fetch: one that tells how far an upload is. */
  fetch?: typeof fetch;
}

export interface ApiAnswer<T> {
  status: number;
  data: T;
  /** "epoch-number", where the answer names one. */
  position: string | null;
}

export interface ApiContext {
  platform: Transport;
  csrf: () => string;
  fetch?: typeof fetch;
  /** Another number for each person who is here after another, or nobody. */
  session?: () => number;
}

const SESSION_CHANGED = "session_changed";

/** The answer was somebody else's: who asked has signed out, or in, meanwhile. */
export function isOfFormerSession(error: unknown): boolean {
  return error instanceof ApiError && error.code === SESSION_CHANGED;
}

/** Asks once more where somebody else is here by then: as they see it. */
export async function asNow<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isOfFormerSession(error)) throw error;
    return asNow(ask);
  }
}

/** The token of whoever is signed in now, in whichever tab that was: the backend keeps it in a cookie for us. */
export function csrfCookie(): string {
  const cookies = globalThis.document?.cookie ?? "";
  // The first form cannot be planted by a neighbouring site; it is what https sites have.
  const found = /(?:^|; )__Host-csrf=([^;]+)/.exec(cookies) ?? /(?:^|; )csrf=([^;]+)/.exec(cookies);
  return found?.[1] ?? "";
}

export function problemOf(status: number, code: string, detail: string): Problem {
  return { status, code, title: detail, detail, errors: [] };
}

export function problemFrom(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  return problemOf(0, "failed", error instanceof Error ? error.message : String(error));
}

function readProblem(response: Response, data: unknown): Problem {
  const known = typeof data === "object" && data !== null ? (data as Partial<Problem>) : {};
  const retryAfter = Number(response.headers.get("Retry-After"));
  return {
    status: response.status,
    code: known.code ?? `http_${response.status}`,
    title: known.title ?? response.statusText,
    detail: known.detail ?? known.title ?? `The server answered ${response.status}.`,
    errors: Array.isArray(known.errors) ? known.errors : [],
    request_id: known.request_id ?? response.headers.get("X-Request-Id") ?? undefined,
    retry_after_s: retryAfter > 0 ? retryAfter : undefined,
  };
}

function requestOf(context: ApiContext, method: string, options: ApiOptions): RequestInit {
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  const isForm = options.body instanceof Blob || options.body instanceof FormData; // they say themselves what they are
  if (options.body !== undefined && !isForm) headers["Content-Type"] = "application/json";
  if (options.idempotencyKey) headers["Idempotency-Key"] = options.idempotencyKey;
  const token = context.platform.token.get();
  if (token) headers.Authorization = `Bearer ${token}`;
  else if (method !== "GET" && method !== "HEAD" && context.csrf()) headers["X-CSRF-Token"] = context.csrf();
  const body =
    options.body === undefined
      ? undefined
      : isForm
        ? (options.body as FormData | Blob)
        : JSON.stringify(options.body);
  return { method, headers, body, credentials: context.platform.credentials };
}

function deadlineOf(options: ApiOptions): { signal: AbortSignal; timedOut: () => boolean; done: () => void } {
  const controller = new AbortController();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    controller.abort();
  }, options.timeoutMs ?? 15_000);
  const forward = () => controller.abort();
  if (options.signal?.aborted) forward();
  options.signal?.addEventListener("abort", forward);
  const done = () => {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", forward);
  };
  return { signal: controller.signal, timedOut: () => late, done };
}

/** Throws ApiError for every answer that is not 2xx, and with status 0 when there was none. What one person has asked is
 * neither answered to the next nor sent in their name: then it throws, too. */
export async function callApi<T>(
  context: ApiContext,
  method: string,
  url: string,
  options: ApiOptions = {},
): Promise<ApiAnswer<T>> {
  const deadline = deadlineOf(options);
  const session = context.session?.();
  const sameSession = () => {
    if (context.session?.() === session) return;
    throw new ApiError(problemOf(0, SESSION_CHANGED, "Somebody has signed in or out meanwhile."));
  };
  try {
    if (context.platform.ready) await context.platform.ready;
    sameSession();
    const token = context.platform.token.get();
    const target = url.startsWith("/") ? context.platform.apiBase + url : url;
    const send = options.fetch ?? context.fetch ?? fetch;
    const response = await send(target, { ...requestOf(context, method, options), signal: deadline.signal });
    sameSession();
    if (response.status === 401 && token && ![null, token].includes(context.platform.token.get()))
      return await callApi<T>(context, method, url, options); // renewed while it was on its way
    const text = await response.text();
    sameSession();
    const isJson = /[/+]json/.test(response.headers.get("Content-Type") ?? "");
    const data: unknown = isJson && text !== "" ? JSON.parse(text) : text === "" ? null : text;
    if (!response.ok) throw new ApiError(readProblem(response, data));
    return { status: response.status, data: data as T, position: response.headers.get("Tims-Position") };
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (deadline.timedOut())
      throw new ApiError(problemOf(0, "timeout", "The server took too long to answer."));
    if (options.signal?.aborted) throw new ApiError(problemOf(0, "cancelled", "The call was cancelled."));
    throw new ApiError(problemOf(0, "unreachable", "The server cannot be reached."));
  } finally {
    deadline.done();
  }
}
