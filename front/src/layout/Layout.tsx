/* The frame of every page: a bar above, a dock below on phones, one main landmark between. */
import { useUser } from "@tims/client";
import Head from "next/head";
import Link from "next/link";
import { useRouter } from "next/router";
import type { ReactNode } from "react";
import { useUnread } from "@/chat/counts";
import { type PlainKey, useText } from "@/i18n";
import { nameOf } from "@/types";
import { Avatar } from "@/ui/Avatar";
import { Icon, type IconName } from "@/ui/Icon";
import { ConnectionBanner } from "./ConnectionBanner";
import { Hints } from "./Hints";

interface Place {
  href: string;
  label: PlainKey;
  icon: IconName;
  /** Paths that belong to it. */
  at: RegExp;
}

const HOME: Place = { href: "/", label: "nav.home", icon: "home", at: /^\/(articles\/.*)?$/ };
const CHATS: Place = { href: "/chats", label: "nav.chats", icon: "chats", at: /^\/chats?(\/|$)/ };
const PROFILE: Place = { href: "/profile", label: "nav.profile", icon: "person", at: /^\/profile/ };
const SIGN_IN: Place = { href: "/login", label: "nav.sign_in", icon: "person", at: /^\/(login|register)/ };
const TASKS: Place = { href: "/tasks", label: "nav.tasks", icon: "tasks", at: /^\/tasks/ };
const SETTINGS: Place = { href: "/settings", label: "nav.settings", icon: "palette", at: /^\/settings/ };

function isAt(place: Place, path: string): boolean {
  return place.at.test(path.split(/[?#]/)[0] ?? "");
}

function UnreadBadge({ count }: { count: number }) {
  const { t } = useText();
  if (count === 0) return null;
  return (
    <span className="badge badge-primary badge-sm font-semibold tabular-nums">
      {count > 99 ? "99+" : count}
      <span className="sr-only"> {t("nav.unread")}</span>
    </span>
  );
}

function TopBar({ path, unread, hiddenOnPhones }: { path: string; unread: number; hiddenOnPhones: boolean }) {
  const user = useUser();
  const { t } = useText();
  const link = (place: Place, beside?: ReactNode) => (
    <Link
      href={place.href}
      className={`btn btn-ghost btn-sm relative font-medium ${isAt(place, path) ? "bg-base-content/8" : ""}`}
      aria-current={isAt(place, path) ? "page" : undefined}
    >
      {t(place.label)}
      {beside && <span className="absolute start-full -top-1 -ms-3">{beside}</span>}
    </Link>
  );
  return (
    <header className={`border-base-content/8 bg-base-100 border-b ${hiddenOnPhones ? "max-md:hidden" : ""}`}>
      <div className="mx-auto flex h-14 max-w-6xl items-center gap-1 px-4">
        <Link
          href="/"
          className="me-auto flex items-center gap-2.5 rounded-lg font-semibold tracking-tight md:me-4"
        >
          <img src="/icon.svg" alt="" width="28" height="28" />
          {t("app.name")}
        </Link>
        <nav aria-label={t("nav.main")} className="flex items-center gap-1 max-md:hidden md:grow">
          {link(HOME)}
          {link(CHATS, user && <UnreadBadge count={unread} />)}
          {user?.staff && link(TASKS)}
          <span className="grow" />
          {link(SETTINGS)}
          {user ? (
            <Link
              href="/profile"
              className="btn btn-ghost btn-sm gap-2 ps-1 font-medium"
              aria-current={isAt(PROFILE, path) ? "page" : undefined}
            >
              <Avatar person={user} size="small" />
              <span className="max-w-40 truncate">
                <bdi>{nameOf(user)}</bdi>
              </span>
            </Link>
          ) : (
            <Link href="/login" className="btn btn-primary btn-sm">
              {t("nav.sign_in")}
            </Link>
          )}
        </nav>
      </div>
    </header>
  );
}

function Dock({ path, unread }: { path: string; unread: number }) {
  const user = useUser();
  const { t } = useText();
  const places = [HOME, CHATS, ...(user?.staff ? [TASKS] : []), user ? PROFILE : SIGN_IN, SETTINGS];
  return (
    <nav
      aria-label={t("nav.main")}
      className="border-base-content/8 bg-base-100 sticky bottom-0 z-10 grid auto-cols-fr grid-flow-col border-t pb-[env(safe-area-inset-bottom)] md:hidden"
    >
      {places.map((place) => {
        const here = isAt(place, path);
        return (
          <Link
            key={place.href}
            href={place.href}
            aria-current={here ? "page" : undefined}
            className={`relative flex h-14 flex-col items-center justify-center gap-0.5 text-[0.6875rem] font-medium ${here ? "text-primary" : "text-soft"}`}
          >
            <Icon name={place.icon} className="size-5.5" />
            {t(place.label)}
            {place === CHATS && (
              <span className="absolute start-1/2 top-1 ms-2">
                <UnreadBadge count={unread} />
              </span>
            )}
          </Link>
        );
      })}
    </nav>
  );
}

interface LayoutProps {
  title: string;
  children: ReactNode;
  /** The page fills the screen and scrolls inside (chats). */
  fill?: boolean;
  /** On phones nothing but the page itself (a conversation). */
  bare?: boolean;
}

export function Layout({ title, children, fill = false, bare = false }: LayoutProps) {
  const { t } = useText();
  const path = useRouter().asPath;
  const unread = useUnread().total;
  const heading = unread > 0 ? `(${unread}) ${title}` : title;
  return (
    <div className={`within-device flex flex-col ${fill ? "h-dvh" : "min-h-dvh"}`}>
      <Head>
        <title>{`${heading} · ${t("app.name")}`}</title>
      </Head>
      <a
        href="#main"
        className="btn btn-primary btn-sm sr-only z-20 focus:not-sr-only focus:absolute focus:m-2"
      >
        {t("nav.skip")}
      </a>
      <TopBar path={path} unread={unread} hiddenOnPhones={bare} />
      <ConnectionBanner />
      <main
        id="main"
        tabIndex={-1}
        className={`grow outline-none ${fill ? "min-h-0" : "px-4 py-8 md:py-12"}`}
      >
        {children}
      </main>
      {!bare && <Dock path={path} unread={unread} />}
      <Hints />
    </div>
  );
}
