/* @tims/client: what an app uses. Names here are stable. */

export { type ApiAnswer, ApiError, type ApiOptions, fieldError } from "./api";
export {
  Client,
  type ClientOptions,
  createClient,
  type Session,
} from "./client";
export { newId } from "./id";
export {
  detectPlatform,
  isNative,
  liveSocketUrl,
  localTokenStore,
  type Platform,
  type TokenStore,
} from "./platform";
export { formatPosition, type Position, parsePosition } from "./position";
export {
  type ComputedResult,
  type LiveResult,
  type Mutate,
  PageProvider,
  useClient,
  useComputed,
  useConnection,
  useLive,
  useMutation,
  usePageData,
  usePageParams,
  usePageValue,
  useUser,
} from "./react";
export { browserStorage, type CacheStorage, type Kept, MemoryStorage } from "./storage";
export type { LiveState, PageState, RootState, TimsStore } from "./store";
export type {
  AnyRow,
  ConnectionState,
  ConnectionStatus,
  FieldProblem,
  ListDocument,
  LiveDocument,
  LiveStatus,
  Mutation,
  MutationMethod,
  MutationStatus,
  PageData,
  Problem,
  Row,
  User,
} from "./types";
export { canonicalUrl } from "./url";
export type { MutateOptions, MutationResult } from "./writes";
