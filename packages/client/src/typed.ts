/* Types of an app's API: rows by path.
 *
 *   declare module "@tims/client" {
 *     interface TimsApi {
 *       "/api/messages/": Message;
 *       "/api/unread/": Unread;
 *     }
 *   }
 *
 * From then on useLive(`/api/messages/?chat=${chat}`) and useLive(`/api/messages/${id}/`) give Messages. A path that is
 * not named gives any row; a type in <…> wins over both. */

import type { AnyRow, Row } from "./types";

/** Filled by the app. */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be added to
export interface TimsApi {}

type PathOf<U extends string> = U extends `${infer P}?${string}` ? P : U;

/** What stands at a path, or at `path/{id}/` under it. */
type At<P extends string> = P extends keyof TimsApi ? TimsApi[P] : Under<P>;
type Under<P extends string> = {
  [K in keyof TimsApi & string]: P extends `${K}${infer Id}/`
    ? Id extends `${string}/${string}`
      ? never
      : TimsApi[K]
    : never;
}[keyof TimsApi & string];

type Or<T, Otherwise> = [T] extends [never] ? Otherwise : T;

/** The rows of a list's or a detail's URL. */
export type RowOf<U extends string> = Or<Extract<At<PathOf<U>>, Row>, AnyRow>;
/** The JSON of a computed endpoint. */
export type ValueOf<U extends string> = Or<At<PathOf<U>>, unknown>;
/** What may be sent to a URL. */
export type BodyOf<U extends string> = [At<PathOf<U>>] extends [never]
  ? Record<string, unknown>
  : Partial<RowOf<U>>;
