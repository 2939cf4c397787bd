/* @tims/client: what an app uses. Names here are stable. */

export { type ApiAnswer, ApiError, type ApiOptions, fieldError } from "./api";
export {
  Client,
  createClient,
} from "./client";
export type { Present } from "./frames";
export { newId } from "./id";
export type { CacheStorage, Kept } from "./offline/storage";
export type { TabsPlatform } from "./offline/tabs";
export type { ConnectionTruth, TruthState } from "./offline/truth";
export type { ClientOptions, NativeModule, Session } from "./options";
export {
  isNative,
  liveSocketUrl,
  type ShellConfig,
  type TokenStore,
  type Transport,
} from "./platform/transport";
export type { Platform } from "./platform/types";
export { formatPosition, type Position, parsePosition } from "./position";
export {
  type ComputedResult,
  type LiveIds,
  type LiveList,
  type LiveResult,
  type LiveRow,
  type Mutate,
  PageProvider,
  type Presence,
  type Topic,
  useClient,
  useComputed,
  useConnection,
  useConnectionTruth,
  useLive,
  useLiveIds,
  useMutation,
  usePageAge,
  usePageData,
  usePageParams,
  usePageValue,
  usePresence,
  useRow,
  useTopic,
  useUser,
  useWrites,
} from "./react";
export type { JoinOptions, Said } from "./rooms";
export type { LiveState, PageState, RootState, TimsStore } from "./store";
export * from "./typed";
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
  OfflinePolicy,
  PageData,
  Problem,
  Row,
  User,
} from "./types";
export { canonicalUrl } from "./url";
export type { Fields, MutateOptions, MutationResult } from "./writes";
