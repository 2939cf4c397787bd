/* Types of an app's API: from its OpenAPI document, as openapi-typescript writes its paths.
 *
 *   import type { paths } from "@tims/client/generated";
 *   declare module "@tims/client" {
 *     interface TimsApi extends paths {}
 *   }
 *
 * From then on useLive(`/api/messages/?chat=${chat}`) and useLive(`/api/messages/${id}/`) give messages, and writes take
 * and give what the document says of their method there. A path that the document does not have gives any row; a type in
 * <…> wins over both. */

import type { AnyRow, Row } from "./types";

/** Filled by the app: `paths` of its OpenAPI document. */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be added to
export interface TimsApi {}

type PathOf<U extends string> = U extends `${infer P}?${string}` ? P : U;

/** A path with its parameters left blank: both /api/chats/{id}/ and `/api/chats/${chat}/` are /api/chats/{}/. */
type Blank<P extends string> = P extends `${infer Piece}/${infer Rest}`
  ? `${BlankPiece<Piece>}/${Blank<Rest>}`
  : BlankPiece<P>;
type BlankPiece<S extends string> = string extends S ? "{}" : S extends `{${string}}` ? "{}" : S;

type ByShape = { [P in keyof TimsApi & string as Blank<P>]: TimsApi[P] };
type Operation<M extends string, U extends string> =
  Blank<PathOf<U>> extends infer P extends keyof ByShape
    ? ByShape[P] extends Record<Lowercase<M>, infer O>
      ? O
      : never
    : never;

/** What is sent of one answer or body; null: nothing. */
type Content<T> = T extends { content: infer C extends object }
  ? C extends Record<"application/json", infer J>
    ? J
    : C extends Record<"multipart/form-data", unknown>
      ? FormData
      : string
  : null;
type Successes<R> = R[keyof R & (200 | 201 | 202 | 204)];
type Answer<O> = O extends { responses: infer R } ? Content<Successes<R>> : never;
type Body<O> = O extends { requestBody?: infer B } ? Or<Content<NonNullable<B>>, null> : never;

type Or<T, Otherwise> = [T] extends [never] ? Otherwise : T;

type RowIn<D> = D extends { rows: readonly (infer R)[] } ? R : D;

/** The rows of a list's or a detail's URL. */
export type RowOf<U extends string> = Or<Extract<RowIn<Answer<Operation<"GET", U>>>, Row>, AnyRow>;
/** The JSON of a computed endpoint. */
export type ValueOf<U extends string> = Or<Answer<Operation<"GET", U>>, unknown>;
/** What may be sent by a method to a URL. */
export type BodyOf<M extends string, U extends string> = Or<
  Body<Operation<M, U>>,
  Record<string, unknown> | FormData
>;
/** What is answered then; null where the answer is empty. */
export type AnswerOf<M extends string, U extends string> = Or<Answer<Operation<M, U>>, unknown>;

/** No type was said in <…>. */
export type Unsaid = { readonly unsaid: unique symbol };
/** What the API says, unless a type was said. */
export type Told<T, Api, Otherwise> = [T] extends [Unsaid] ? Api : Otherwise;
