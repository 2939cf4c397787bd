/* The client: one store, one connection, one API, for one page's life in the browser (or one render on the server). */

import {
  type ApiAnswer,
  type ApiContext,
  ApiError,
  type ApiOptions,
  asNow,
  callApi,
  csrfCookie,
  isOfFormerSession,
  problemFrom,
} from "./api";
import type { ConnectionEvents, LiveConnection, SocketLike } from "./connection";
import { ROWS_MAX } from "./documents";
import { newId } from "./id";
import { Joins } from "./joins";
import { againMs, watchOnceLoaded } from "./late";
import type { Offline, OfflineHost } from "./offline/index";
import type { ConnectionTruth } from "./offline/truth";
import { type ClientOptions, hasPast, type Session } from "./options";
import { listenToPage } from "./platform/pageEvents";
import { detectTransport, liveSocketUrl, type Transport } from "./platform/transport";
import { formatPosition } from "./position";
import { type JoinOptions, SAID_MS } from "./rooms";
import {
  actions,
  createStore,
  type LiveState,
  type PageState,
  type RootState,
  type TimsStore,
} from "./store";
import type { AnswerOf, BodyOf, Told, Unsaid } from "./typed";
import type { AnyRow, LiveDocument, MutationMethod, PageData, User } from "./types";
import { canonicalUrl } from "./url";
import { Views } from "./views";
import { type Fields, isNotNow, type MutateOptions, type MutationResult, Writes } from "./writes";

/** Unfollowed documents that are kept for coming back. */
const KEPT_MAX = 100;
/** A component that comes back within this time finds its subscription still there. */
const LINGER_MS = 5_000;
/** Without an answer from the socket by then, a document is read by REST. */
const REST_AFTER_MS = 2_000;
/** A cache that has not answered by then is not waited for. */
const RESTORE_MS = 1_000;

async function askBackend(client: Client): Promise<Session> {
  return (await client.api<Session>("GET", "/api/auth/me/")).data;
}

/** The connection's part of the package: a chunk of its own, which no render needs. */
let live: typeof import("./connection") | null = null;

/** Loads it; the clients that are made afterwards have their connection at once. */
export async function loadLive(): Promise<void> {
  live = await import("./connection");
}

export class Client {
  readonly store: TimsStore;
  readonly views: Views;
  /** What the page was rendered from. */
  readonly initialState: RootState;
  readonly platform: Transport;
  /** null: its part of the package is not there yet. */
  connection: LiveConnection | null = null;
  /** Names this client among the tabs of a browser. */
  readonly id = newId();
  private readonly writes: Writes;
  private offline: Offline | null = null;
  private loadingOffline: Promise<Offline | null> | null = null;
  private isRestored: boolean;
  private isClosed = false;
  /** A page, a cache or a sign-in has told who is here; before that nobody is known not to be. */
  private isKnown: boolean;
  /** The cookie's token when it was told who is here. */
  private ownCookie = "";
  /** Counts the people who were here, and the times that nobody was. */
  private session = 0;
  readonly options: ClientOptions;
  private readonly context: ApiContext;
  private readonly users = new Map<string, number>();
  private readonly lingering = new Map<string, ReturnType<typeof setTimeout>>();
  private readonly joins: Joins;
  private readonly idle: string[] = [];
  private readonly loading = new Map<string, Promise<void>>();
  private listening = false;
  /** Counts the pages that were asked for: the last one is shown. */
  private pageTurn = 0;
  /** The page that is wanted, and that no server has given. */
  private missedPage: string | null = null;

  constructor(options: ClientOptions = {}) {
    this.options = options;
    const transport = detectTransport(async (it) => (await options.native?.())?.openTransport(it));
    this.platform = Object.assign(transport, options.platform);
    this.store = createStore(options.pageData);
    this.initialState = this.store.getState();
    this.views = new Views(this.store);
    this.context = {
      platform: this.platform,
      csrf: () => this.csrf,
      fetch: options.fetch,
      session: () => this.session,
    };
    this.isKnown = Boolean(options.pageData);
    if (this.isKnown) this.ownCookie = csrfCookie();
    this.isRestored = !hasPast(this.options) && !this.platform.ready;
    this.writes = new Writes(
      this.store,
      (method, url, call) => this.api(method, url, call),
      () => this.lane(),
    );
    const client = this;
    this.joins = new Joins({
      store: this.store,
      get connection() {
        return client.connection;
      },
      whenReady: (work) => this.whenReady(work),
    });
    this.makeConnection();
  }

  get state(): LiveState {
    return this.store.getState().tims;
  }

  /** What proves that a write comes from our own page: the cookie's; where scripts see none, what we were told. */
  private get csrf(): string {
    return (this.platform.apiBase === "" && csrfCookie()) || this.state.csrf;
  }

  /** What it takes and gives is the API's (see typed.ts), or as `T` says. Throws ApiError. */
  api<T = Unsaid, const M extends string = string, const U extends string = string>(
    method: M,
    url: U,
    options?: ApiOptions<Told<T, BodyOf<M, U>, unknown>>,
  ): Promise<ApiAnswer<Told<T, AnswerOf<M, U>, T>>> {
    return callApi(this.context, method, url, options);
  }

  // --- the offline part ----------------------------------------------------------------------------------------

  /** null: it cannot be loaded now; it is tried again when it is needed again. */
  private loadOffline(): Promise<Offline | null> {
    this.loadingOffline ??= (this.options.offline ?? (() => import("./offline/index")))().then(
      (module) => {
        if (this.isClosed) return null;
        this.offline = new module.Offline(this.offlineHost(), this.options);
        void this.offline.outbox.send(); // what could not be sent without it
        return this.offline;
      },
      () => {
        this.loadingOffline = null;
        return null;
      },
    );
    return this.loadingOffline;
  }

  /** A write does not wait for what may never come. */
  private async lane(): Promise<Offline["outbox"] | null> {
    const late = new Promise<null>((resolve) => setTimeout(resolve, RESTORE_MS, null));
    const offline = this.offline ?? (await Promise.race([this.loadOffline(), late]));
    return offline?.outbox ?? null;
  }

  private offlineHost(): OfflineHost {
    const client = this;
    return {
      id: this.id,
      store: this.store,
      get state() {
        return client.state;
      },
      get isKnown() {
        return client.isKnown;
      },
      becomesKnown: () => {
        this.isKnown = true;
      },
      isFollowed: (url) => this.users.has(url),
      follow: (url) => this.follow(url),
      keep: (url) => this.keep(url),
      attempt: (mutation, content) => this.writes.attempt(mutation, content),
      api: (method, url) => callApi(this.context, method, url),
      get isUnsure() {
        const isAnothers = client.platform.apiBase === "" && csrfCookie() !== client.ownCookie;
        return client.platform.token.get() === null && (isAnothers || client.csrf === "");
      },
      whoAmI: () => this.whoAmI(),
      become: (who) => this.become(who),
      sessionEnded: () => this.sessionEnded(),
      random: this.options.random,
    };
  }

  /** Takes what the cache has kept, once; the first follower asks for it. Not before hydration: the server has none. */
  async restore(): Promise<void> {
    if (hasPast(this.options)) await (await this.loadOffline())?.restore();
  }

  /** Writes what the cache does not have yet; resolves when it is there. */
  save(): Promise<void> {
    return this.offline?.save() ?? Promise.resolve();
  }

  private openSocket(): SocketLike {
    const url = liveSocketUrl(this.platform);
    const make = () => this.options.socket?.(url) ?? (new WebSocket(url) as unknown as SocketLike);
    return this.offline?.openSocket(url, make) ?? make();
  }

  /** A socket that was opened before anybody knew for whom gives way to the one that the tabs share. */
  private becomesKnown(): void {
    if (this.isKnown) return;
    this.isKnown = true;
    this.shareSocket();
  }

  private shareSocket(): void {
    if (this.offline?.sharesSocket && this.connection?.isStarted) this.connection.restart();
  }

  // --- live documents ------------------------------------------------------------------------------------------

  /** Follows a URL until the returned function is called. The first one opens the connection. */
  follow(rawUrl: string): () => void {
    const url = canonicalUrl(rawUrl);
    clearTimeout(this.lingering.get(url));
    this.lingering.delete(url);
    const count = this.users.get(url) ?? 0;
    this.users.set(url, count + 1);
    if (count === 0) this.begin(url);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.leave(url);
    };
  }

  private begin(url: string): void {
    this.store.dispatch(actions.documentWanted(url));
    this.offline?.lend(url);
    this.listen();
    this.whenReady((connection) => {
      if (!this.users.has(url)) return;
      connection.start();
      connection.subscriptions.want(url);
    });
    if ((this.state.documents[url]?.position ?? -1) >= 0) return;
    setTimeout(() => {
      if (this.users.has(url) && this.state.documents[url]?.status === "loading") void this.read(url);
    }, REST_AFTER_MS);
  }

  private makeConnection(): LiveConnection | null {
    if (live)
      this.connection ??= new live.LiveConnection({
        url: () => liveSocketUrl(this.platform),
        token: () => this.platform.token.get(),
        events: this.events(),
        socket: () => this.openSocket(),
        backoff: { random: this.options.random },
      });
    return this.connection;
  }

  /** Until it is there; meanwhile documents are read by REST. */
  private async loadConnection(): Promise<LiveConnection> {
    for (let attempt = 1; ; attempt++) {
      await loadLive().catch(() => undefined);
      const connection = this.makeConnection();
      if (connection || this.isClosed) return connection ?? new Promise(() => undefined);
      this.store.dispatch(
        actions.connectionChanged({ status: "waiting", attempts: attempt, at_ms: Date.now() }),
      );
      await new Promise((resolve) => setTimeout(resolve, againMs(attempt)));
    }
  }

  /** Once the connection is there, and what was kept has been looked into. */
  private whenReady(work: (connection: LiveConnection) => void): void {
    const { connection } = this;
    if (connection) this.whenRestored(() => work(connection));
    else void this.loadConnection().then((made) => this.whenRestored(() => work(made)));
    if (!this.isRestored) void this.restore();
  }

  private whenRestored(work: () => void): void {
    if (this.isClosed) return;
    if (this.isRestored) {
      work();
      return;
    }
    let isLate = false;
    const restored = this.restore().then(() => {
      if (isLate) this.shareSocket();
    });
    const timer = new Promise((resolve) => setTimeout(resolve, RESTORE_MS)).then(() => {
      isLate = true;
    });
    const begun = Promise.race([restored, timer]).then(() => this.platform.ready);
    void begun.then(() => {
      this.isRestored = true;
      if (!this.isClosed) work();
    });
  }

  private leave(url: string): void {
    const count = (this.users.get(url) ?? 1) - 1;
    if (count > 0) {
      this.users.set(url, count);
      return;
    }
    this.users.delete(url);
    this.lingering.set(
      url,
      setTimeout(() => {
        this.lingering.delete(url);
        this.connection?.subscriptions.unwant(url);
        this.store.dispatch(actions.documentReleased({ url, at_ms: Date.now() }));
        this.views.forget(url);
        this.keep(url);
      }, LINGER_MS),
    );
  }

  private keep(url: string): void {
    const at = this.idle.indexOf(url);
    if (at >= 0) this.idle.splice(at, 1);
    this.idle.push(url);
    while (this.idle.length > KEPT_MAX) {
      const oldest = this.idle.shift();
      // What lingers is still followed, and is kept anew when it ends.
      if (oldest !== undefined && !this.users.has(oldest) && !this.lingering.has(oldest))
        this.store.dispatch(actions.documentDropped(oldest));
    }
  }

  // --- rooms ---------------------------------------------------------------------------------------------------

  /** Is at a detail until the returned function is called: seen there when one of those who have joined wants to be. */
  join(url: string, options: JoinOptions = {}): () => void {
    const leave = this.joins.join(url, options);
    this.listen();
    return leave;
  }

  /** To those who are in a room that was joined: the newest of a kind counts, nothing is kept. */
  publish(url: string, kind: string, data: unknown): void {
    this.connection?.rooms.publish(canonicalUrl(url), kind, data);
  }

  // --- reading by REST -----------------------------------------------------------------------------------------

  /** Reads a document by REST into the store. */
  async read(rawUrl: string): Promise<void> {
    const url = canonicalUrl(rawUrl);
    try {
      const answer = await asNow(() => this.api<LiveDocument>("GET", url));
      const { data: document, position } = answer;
      this.store.dispatch(actions.documentLoaded({ url, document, position, at_ms: Date.now() }));
    } catch (error) {
      const held = this.state.documents[url];
      if (held?.status === "live" || (held?.position ?? -1) >= 0) return;
      this.store.dispatch(actions.documentFailed({ url, problem: problemFrom(error) }));
    }
  }

  /** Older rows: by the socket where it follows the list (they are live then), else the next page by REST. */
  loadMore(rawUrl: string): Promise<void> {
    const url = canonicalUrl(rawUrl);
    const running = this.loading.get(url);
    if (running) return running;
    const work = this.loadMoreNow(url).finally(() => this.loading.delete(url));
    this.loading.set(url, work);
    return work;
  }

  private async loadMoreNow(url: string): Promise<void> {
    const document = this.state.documents[url];
    if (!document || document.detail || document.end === true || document.ids.length >= ROWS_MAX) return;
    const limit =
      document.ids.length + Math.max(20, Number(new URLSearchParams(url.split("?")[1]).get("limit")) || 50);
    if (this.connection?.subscriptions.follows(url)) {
      try {
        await this.connection.subscriptions.more(url, Math.min(limit, ROWS_MAX));
        return;
      } catch (error) {
        if (this.connection.subscriptions.follows(url)) throw error; // refused
        // the connection ended meanwhile: the next page comes by REST
      }
    }
    await (await this.loadOffline())?.loadPages(url);
  }

  /** The data of another page of the app, for navigation without a reload; where no server answers, as it was kept.
   * Throws ApiError. Once another page is asked for, an answer for this one changes nothing, nor is it thrown. */
  async loadPage(path: string): Promise<PageState | null> {
    const turn = ++this.pageTurn;
    this.missedPage = null;
    const isWanted = () => turn === this.pageTurn;
    try {
      const answer = await asNow(() =>
        this.api<PageData>("GET", `/page-data?path=${encodeURIComponent(path)}`),
      );
      if (isWanted()) this.takePage(answer.data);
    } catch (error) {
      if (!isWanted()) return this.state.page;
      const isAway = error instanceof ApiError && isNotNow(error.problem, false);
      if (isAway) this.missedPage = path;
      const isKept = isAway && (await (await this.loadOffline())?.showKept(path, isWanted));
      if (!isKept && isWanted()) throw error;
    }
    return this.state.page;
  }

  takePage(page: PageData): void {
    const { user } = this.state;
    this.ownCookie = csrfCookie();
    if (this.isKnown && page.user?.id !== user?.id) this.become(page);
    this.store.dispatch(actions.pageLoaded(page));
    this.becomesKnown();
    if (page.user !== null || !this.state.expired) this.offline?.userIs(page.user, false);
  }

  // --- session -------------------------------------------------------------------------------------------------

  /** After signing in or out: another person's data goes, the connection begins anew. */
  setSession(user: User | null, csrf?: string): void {
    const { expired } = this.state;
    const changed = this.state.user?.id !== user?.id || (expired !== null && user === null);
    if (changed) this.session++;
    this.ownCookie = csrfCookie();
    this.store.dispatch(actions.sessionChanged({ user, csrf }));
    if (!changed) this.becomesKnown();
    this.isKnown = true;
    this.offline?.userIs(user, changed);
    if (changed) this.beginAnew();
  }

  private beginAnew(): void {
    void this.restore(); // finds that what is kept is another's, if this part was not there yet
    this.idle.length = 0;
    if (this.listening) this.connection?.restart();
    for (const url of this.users.keys()) this.begin(url); // also what was refused to who was here before
    this.joins.again();
  }

  /** The session has ended, and nobody has signed out: what was written waits for the same person. */
  private expire(csrf?: string): void {
    if (!this.offline) {
      this.setSession(null, csrf); // what was kept earlier is found, and left alone, once that part is there
      return;
    }
    this.isKnown = true;
    this.session++;
    this.offline.setAside(csrf);
    this.beginAnew();
  }

  private whoAmI(): Promise<Session> {
    return (this.options.whoAmI ?? askBackend)(this);
  }

  /** The backend ended the session: show nothing private until we know who is here; do not hammer. */
  private async sessionEnded(): Promise<void> {
    let who: Session = { user: null };
    let known = true;
    try {
      who = await this.whoAmI();
    } catch (error) {
      if (isOfFormerSession(error)) return; // who is here now has been told
      known = error instanceof ApiError && error.status === 401;
    }
    if (known && who.user === null) this.platform.token.set(null);
    const same = this.state.user?.id === who.user?.id;
    this.become(who);
    if (same) setTimeout(() => this.users.size > 0 && this.connection?.start(), REST_AFTER_MS);
  }

  private become({ user, csrf }: Session): void {
    const { user: former, expired } = this.state;
    if (user === null && former !== null) this.expire(csrf);
    else if (user === null && expired) {
      this.store.dispatch(actions.restored({ csrf: csrf ?? this.state.csrf }));
      void this.offline?.countAside(expired); // nobody once more is no sign-out
    } else this.setSession(user, csrf);
  }

  // --- writes --------------------------------------------------------------------------------------------------

  /** Sends a write and shows it at once where it belongs. Never throws: a refusal is a result, its draft kept. */
  mutate<T = AnyRow>(
    method: MutationMethod,
    url: string,
    body: Fields | FormData | null = null,
    options: MutateOptions = {},
  ): Promise<MutationResult<T>> {
    return this.writes.mutate<T>(method, url, body, options);
  }

  /** Sends what waits or was refused once more, now, under its key, so that it happens once even if it did arrive. */
  async retry(key: string): Promise<MutationResult<AnyRow> | null> {
    return (await this.loadOffline())?.outbox.retry(key) ?? null;
  }

  /** Another draft of a write that waits or was refused. False: it is on its way, or done. Then retry(), if refused. */
  async edit(key: string, change: Fields): Promise<boolean> {
    return (await this.loadOffline())?.outbox.edit(key, change) ?? false;
  }

  /** Gives up a write that waits or was refused, and those about the row that it would have made; what they showed
   * goes. False: it is on its way, or done. */
  async discard(key: string): Promise<boolean> {
    return (await this.loadOffline())?.outbox.discard(key) ?? false;
  }

  /** Tells what is so of the connection, and each change of it, until the returned function is called. */
  watchTruth(listener: (truth: ConnectionTruth) => void): () => void {
    const never = new Promise<null>(() => undefined);
    return watchOnceLoaded(() => (this.isClosed ? never : this.loadOffline()), listener);
  }

  // --- the connection's events ---------------------------------------------------------------------------------

  /** The app has come back, or (`anew`) to another network: is the backend still there? */
  probe(anew = false): void {
    this.connection?.probe(anew);
  }

  private listen(): void {
    if (this.listening) return;
    this.listening = true;
    listenToPage({ probe: (anew) => this.probe(anew), save: () => void this.save() });
  }

  private events(): ConnectionEvents {
    const dispatch = (action: Parameters<TimsStore["dispatch"]>[0]) => this.store.dispatch(action);
    return {
      onStatus: (status, attempts) => {
        dispatch(actions.connectionChanged({ status, attempts, at_ms: Date.now() }));
        if (status !== "live") return;
        if (this.missedPage !== null) void this.loadPage(this.missedPage).catch(() => undefined);
        if (this.offline) this.offline.outbox.hurry();
        else if (Object.values(this.state.mutations).some((it) => it.status === "waiting"))
          void this.loadOffline(); // which then sends
      },
      onWelcome: ({ epoch, position, user }) => {
        if (this.isKnown && user !== (this.state.user?.id ?? null)) {
          this.connection?.stop(); // not the person whose page this is: signed in or out in another tab
          void this.sessionEnded();
        } else dispatch(actions.connectionChanged({ epoch, position }));
      },
      onSnap: (facts) => dispatch(actions.snapReceived(facts)),
      onResumed: (facts) => dispatch(actions.resumed(facts)),
      onTx: (facts) => dispatch(actions.txReceived(facts)),
      onPosition: (facts) => dispatch(actions.positionReached(facts)),
      onWindow: (facts) => dispatch(actions.windowReceived(facts)),
      onError: (facts) => dispatch(actions.documentFailed(facts)),
      onPresence: (facts) => dispatch(actions.presenceTold(facts)),
      onSaid: (facts) => {
        dispatch(actions.said(facts));
        setTimeout(() => dispatch(actions.saidPassed({ url: facts.url, now_ms: Date.now() })), SAID_MS);
      },
      onRoomError: (facts) => dispatch(actions.roomFailed(facts)),
      onSessionEnded: () => void this.sessionEnded(),
      held: (url) => {
        const document = this.state.documents[url];
        if (!document) return null;
        const { epoch, position, mixed, ids } = document;
        return { epoch, position: mixed ? -1 : position, rows: ids.length };
      },
    };
  }

  /** Where the store stands, as the backend writes positions; "" before the first connection. */
  get position(): string {
    const { epoch, position } = this.state.connection;
    return epoch === "" ? "" : formatPosition(epoch, position);
  }

  close(): void {
    this.isClosed = true;
    this.offline?.close();
    for (const timer of this.lingering.values()) clearTimeout(timer);
    this.lingering.clear();
    this.connection?.stop();
  }
}

export function createClient(options: ClientOptions = {}): Client {
  return new Client(options);
}
