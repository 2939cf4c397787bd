/* The offline part: what survives a restart or the loss of the network. A chunk of its own, loaded after hydration, when
 * the first document is followed: nothing of it is needed for the first render.
 *
 * It owns the cache (cache.ts over storage.ts), the tabs that share a socket and a cache (tabs.ts, hub.ts), the lane of
 * writes (outbox.ts), and what people are told of the connection (truth.ts). It sees the client through `OfflineHost` alone; the client knows
 * of it what `Offline` shows. Where it cannot be loaded, the live path goes on without it. */

import type { ApiAnswer } from "../api";
import type { SocketLike } from "../connection";
import type { DocumentState } from "../documents";
import type { Session } from "../options";
import { actions, type Expired, type LiveState, type PageState, type TimsStore } from "../store";
import type { AnyRow, Mutation, User } from "../types";
import type { MutationResult } from "../writes";
import { Cache, ownerOf } from "./cache";
import { Outbox } from "./outbox";
import { loadPages } from "./paging";
import { browserStorage, type CacheStorage } from "./storage";
import { browserTabs, Tabs, type TabsPlatform } from "./tabs";
import { Truth } from "./truth";

/** What the offline part sees of the client. */
export interface OfflineHost {
  /** Names this client among the tabs of a browser. */
  readonly id: string;
  readonly store: TimsStore;
  readonly state: LiveState;
  /** A page, a cache or a sign-in has told who is here. */
  readonly isKnown: boolean;
  /** The cache has told who is here. */
  becomesKnown(): void;
  isFollowed(url: string): boolean;
  follow(url: string): () => void;
  /** A document that nobody follows, kept for coming back. */
  keep(url: string): void;
  /** Sends a write, once. */
  attempt(mutation: Mutation, content?: unknown): Promise<MutationResult<AnyRow>>;
  api<T>(method: string, url: string): Promise<ApiAnswer<T>>;
  /** See OutboxHost. */
  readonly isUnsure: boolean;
  whoAmI(): Promise<Session>;
  /** Who is here, as the backend says. */
  become(who: Session): void;
  /** Another tab says that somebody has signed in or out. */
  sessionEnded(): Promise<void>;
  random?: () => number;
}

/** With what was kept: documents are shown until the socket goes on from them; what is held and newer stays. */
function withKept(
  state: LiveState,
  kept: readonly DocumentState[],
  writes: readonly Mutation[],
): Pick<LiveState, "documents" | "mutations"> {
  const documents = { ...state.documents };
  for (const document of kept) {
    const held = documents[document.url];
    const isNewer = held?.epoch === document.epoch && held.position < document.position;
    if (held && held.position >= 0 && (held.status === "live" || !isNewer)) continue;
    documents[document.url] = { ...document, status: "stale", problem: null };
  }
  const mutations = { ...state.mutations };
  for (const mutation of writes) {
    if (mutation.key in mutations) continue;
    const isOpen = mutation.status === "sending" || mutation.status === "waiting";
    // What was on its way, nobody waits for any more: it is sent again, under its key.
    const again = { status: "waiting", tries: Math.max(1, mutation.tries) } as const;
    mutations[mutation.key] = isOpen ? { ...mutation, ...again } : mutation;
  }
  return { documents, mutations };
}

export interface OfflineOptions {
  cache?: CacheStorage | null;
  tabs?: TabsPlatform | null;
}

export class Offline {
  private readonly cache: Cache | null;
  private readonly platform: TabsPlatform | null;
  private tabs: { name: string; tabs: Tabs } | null = null;
  private restoring: Promise<void> | null = null;
  private isRestored = false;
  /** Somebody has signed out here: nothing is set aside. */
  private hasLeft = false;
  /** What a person had written whose session has ended. */
  private aside: { user: User; mutations: Mutation[] } | null = null;
  readonly outbox: Outbox;
  readonly truth: Truth;
  private readonly stopStepping: () => void;

  constructor(
    private readonly host: OfflineHost,
    options: OfflineOptions,
  ) {
    const storage = options.cache === undefined ? browserStorage() : options.cache;
    this.cache =
      storage &&
      new Cache({
        storage,
        tab: host.id,
        state: () => host.state,
        forward: (changes) => this.tabs?.tabs.save(changes) === true,
      });
    this.platform = options.tabs === undefined ? browserTabs() : options.tabs;
    this.outbox = new Outbox(host);
    this.truth = new Truth({
      get state() {
        return host.state;
      },
      get isBehind() {
        const isBehind = (status: string) => status === "loading" || status === "stale";
        return Object.values(host.state.documents).some(
          ({ url, status }) => isBehind(status) && host.isFollowed(url),
        );
      },
      subscribe: (listener) => host.store.subscribe(listener),
    });
    this.stopStepping = host.store.subscribe(() => this.cache?.step());
    globalThis.addEventListener?.("online", this.onOnline);
  }

  /** A socket that has outlived it does not come back, so nobody else says that it is over. */
  private readonly onOnline = () => this.outbox.hurry();

  get sharesSocket(): boolean {
    return this.platform !== null;
  }

  // --- the cache -----------------------------------------------------------------------------------------------

  /** Takes what the cache has kept, once. */
  restore(): Promise<void> {
    this.restoring ??= this.cache ? this.restoreFrom(this.cache) : Promise.resolve();
    return this.restoring;
  }

  private async restoreFrom(cache: Cache): Promise<void> {
    const { host } = this;
    const contents = await cache.load(host.isKnown ? host.state.user : undefined);
    this.isRestored = true;
    if (contents && "aside" in contents) {
      this.showAside(contents.aside, contents.writes);
      return;
    }
    // Who is here may have become known meanwhile.
    if (host.isKnown && !cache.isOf(host.state.user)) {
      const { user, writes } = contents ?? { user: null, writes: [] };
      const isExpired = host.state.user === null && user !== null && writes.length > 0;
      if (!isExpired || this.hasLeft) return cache.begin(host.state.user);
      await cache.setAside();
      this.showAside(user, writes.length);
      return;
    }
    if (contents) {
      const { user, documents, pages, writes } = contents;
      // Among tabs each has its own; those of tabs that are gone are for the one that leads, see adopt.
      const mutations = this.platform ? [] : writes.map(({ mutation }) => mutation);
      const change = host.isKnown ? {} : { user };
      host.store.dispatch(actions.restored({ ...change, ...withKept(host.state, documents, mutations) }));
      for (const url of Object.keys(host.state.documents)) this.lend(url);
      this.showPage(pages);
      host.becomesKnown();
      void this.outbox.send();
      const unseen = documents.map(({ url }) => url).filter((url) => !host.isFollowed(url));
      for (const url of unseen) host.keep(url);
      void this.checkKept(unseen.reverse());
    }
    cache.step(); // what was made before this part was there
  }

  private showAside(user: User, writes: number): void {
    this.aside = { user, mutations: [] };
    this.host.store.dispatch(actions.restored({ expired: { user, writes } }));
  }

  /** The page as it was, until a server answers. */
  private showPage(pages: PageState[]): void {
    const { pathname, search } = globalThis.location ?? {};
    if (this.host.state.page !== null || pathname === undefined) return;
    const page =
      pages.find(({ path }) => path === pathname + search) ?? pages.find(({ path }) => path === pathname);
    if (page) this.host.store.dispatch(actions.restored({ page }));
  }

  /** What was kept of a page is shown; where nothing was, nothing of the page before it. Nothing changes once another
   * page is wanted. */
  async showKept(path: string, isWanted: () => boolean): Promise<boolean> {
    const kept = (await this.cache?.pageOf(path)) ?? null;
    if (!isWanted()) return false;
    const { page } = this.host.state;
    const nothing = { path, route: "", params: {}, values: {}, position: "", asOf: null };
    if (kept || page?.path !== path) this.host.store.dispatch(actions.restored({ page: kept ?? nothing }));
    return kept !== null;
  }

  /** A detail that was never read is shown as the row that a list holds of it, until a server answers. */
  lend(url: string): void {
    const { documents } = this.host.state;
    const held = documents[url];
    const [, path, id] = /^(.*\/)([0-9a-f-]{36})\/$/.exec(url) ?? [];
    if (!held || held.position >= 0 || held.ids.length > 0 || id === undefined) return;
    const lists = Object.values(documents).filter((one) => one.url.split("?")[0] === path && one.rows[id]);
    const newest = lists.sort((a, b) => b.position - a.position)[0];
    const row = newest?.rows[id];
    if (!row) return;
    const lent = { ...held, detail: true, ids: [id], rows: { [id]: row }, asOf: newest.asOf };
    this.host.store.dispatch(actions.restored({ documents: { ...documents, [url]: lent } }));
  }

  /** What was kept and is not shown may be this person's no longer: it is gone on with once, one after the other. */
  private async checkKept(urls: string[]): Promise<void> {
    const { host } = this;
    const shown = Object.keys(host.state.documents).filter((url) => host.isFollowed(url));
    for (const url of shown) await this.answered(url); // what is shown comes first
    for (const url of urls) {
      if (!host.state.documents[url] || host.isFollowed(url)) continue;
      const leave = host.follow(url);
      await this.answered(url);
      leave();
    }
  }

  private answered(url: string): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        const status = this.host.state.documents[url]?.status ?? "error";
        // What was left meanwhile is asked for by nobody.
        if (status !== "live" && status !== "error" && this.host.isFollowed(url)) return;
        stop();
        resolve();
      };
      const stop = this.host.store.subscribe(look);
      look();
    });
  }

  /** Writes what the cache does not have yet; resolves when it is there. */
  save(): Promise<void> {
    return this.cache?.flush() ?? Promise.resolve();
  }

  /** Who is here is known, or another than before: what is kept is theirs from now on. */
  userIs(user: User | null, changed: boolean): void {
    if (changed) this.tabs?.tabs.sessionChanged();
    if (changed && user === null) this.hasLeft = true;
    const { aside } = this;
    this.aside = null;
    if (aside && aside.user.id === user?.id) void this.takeBack(aside.mutations);
    else if (aside || (this.isRestored && !this.cache?.isOf(user))) void this.cache?.begin(user);
  }

  /** The session has ended without a sign-out: nothing is shown any more, what was written waits for the same person. */
  setAside(csrf = this.host.state.csrf): void {
    const { store, state } = this.host;
    const { user } = state;
    if (user === null) return;
    const mutations = Object.values(state.mutations).filter(
      ({ status, offline }) => status !== "confirmed" && offline !== "onlineOnly",
    );
    this.aside = { user, mutations };
    const expired = { user, writes: mutations.length };
    void this.countAside(expired); // begins with writing what there is
    const nothing = { documents: {}, mutations: {}, rooms: {}, page: null, user: null };
    store.dispatch(actions.restored({ ...nothing, expired, csrf }));
  }

  /** How much waits for them; nothing, if that was a sign-out in another tab. */
  async countAside({ user, writes }: Expired): Promise<void> {
    const count = (await this.cache?.setAside()) ?? writes;
    if (this.aside?.user !== user) return; // somebody has signed in meanwhile
    if (count < 0) {
      this.aside = null;
      this.restoring = null; // whoever comes next begins with what is kept by then
      this.isRestored = false;
    }
    this.host.store.dispatch(actions.restored({ expired: count < 0 ? null : { user, writes: count } }));
  }

  private async takeBack(mutations: Mutation[]): Promise<void> {
    const kept = (await this.cache?.takeBack(this.platform ? this.host.id : undefined)) ?? [];
    this.host.store.dispatch(actions.restored(withKept(this.host.state, [], [...mutations, ...kept])));
    void this.outbox.send();
  }

  loadPages(url: string): Promise<void> {
    return loadPages(this.host, url);
  }

  // --- tabs ----------------------------------------------------------------------------------------------------

  /** The socket that the person's tabs share; null: this tab takes one of its own. */
  openSocket(url: string, make: () => SocketLike): SocketLike | null {
    if (!this.platform || !this.host.isKnown) return null;
    const name = `tims ${url} ${ownerOf(this.host.state.user)}`;
    if (this.tabs?.name !== name) this.joinTabs(name, this.platform, make);
    return this.tabs?.tabs.open() ?? null;
  }

  private joinTabs(name: string, platform: TabsPlatform, make: () => SocketLike): void {
    this.tabs?.tabs.close();
    const tabs = new Tabs(name, this.host.id, platform, make, {
      onLead: () => void this.cache?.lead().then((others) => others.map((tab) => tabs.watch(tab))),
      onLeader: () => void this.cache?.again(),
      onSave: (changes) => void this.cache?.write(changes),
      onTabGone: (tab) => void this.adopt(tab),
      onSession: () => void this.host.sessionEnded(),
    });
    this.tabs = { name, tabs };
  }

  /** Writes of a tab that is gone are this one's to send. */
  private async adopt(tab: string): Promise<void> {
    const mutations = (await this.cache?.writesOf(tab)) ?? [];
    if (mutations.length === 0) return;
    this.host.store.dispatch(actions.restored(withKept(this.host.state, [], mutations)));
    void this.outbox.send();
  }

  close(): void {
    void this.save();
    this.stopStepping();
    this.cache?.stop();
    this.outbox.close();
    globalThis.removeEventListener?.("online", this.onOnline);
    this.tabs?.tabs.close();
  }
}
