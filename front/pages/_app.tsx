/* Around every page: the client with the page's data.
 *
 * Rendered on the server, the data came with the request. Navigating in the browser, it is asked for before the next
 * page shows. In the exported shell it is asked for once the shell stands. */
import { ApiError, type Client, createClient, type PageData, PageProvider } from "@tims/client";
import type { AppContext, AppProps } from "next/app";
import Head from "next/head";
import Router, { useRouter } from "next/router";
import { useEffect, useState } from "react";
import { LanguageProvider } from "@/i18n";
import { MissingPage } from "@/layout/MissingPage";
import { PlatformParts } from "@/platform";
import { ScriptGuard } from "@/pwa/ScriptGuard";
import { useTyped } from "@/pwa/typed";
import type { Who } from "@/types";
import "../styles/globals.css";

interface PageProps {
  pageData: PageData | null;
  /** The backend says that there is no such page, or not for this person. */
  missing?: boolean;
}

interface RequestWithData {
  pageData?: PageData;
}

let browserClient: Client | null = null; // one a tab; never used on the server

async function whoAmI(client: Client): Promise<Who> {
  return (await client.api("GET", "/api/auth/me/")).data;
}

function makeClient(pageData: PageData | null): Client {
  const client = createClient({ pageData, whoAmI, native: () => import("@tims/client/native") });
  if (typeof window !== "undefined") browserClient = client;
  return client;
}

/** A native shell has every page at hand; a loaded one would be the start, which then leads on. */
function toLogin(client: Client, path: string): void {
  const login = `/login?next=${encodeURIComponent(path)}`;
  if (client.platform.native) void Router.replace(login);
  else window.location.assign(login);
}

const yes = () => true;

/** What the page at `path` shows is in the store afterwards, where it can be had. A refusal is nobody's once the page is
 * not wanted any more. */
async function fetchPage(client: Client, path: string, isWanted = yes): Promise<PageProps> {
  try {
    await client.loadPage(path);
    return { pageData: null };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!isWanted()) return { pageData: null };
    if (error.status === 401) toLogin(client, path);
    return { pageData: null, missing: error.status === 403 || error.status === 404 };
  }
}

/** A native shell answers every address that it has no file for with index.html; this goes where it was meant. */
function useMeantAddress() {
  const router = useRouter();
  useEffect(() => {
    const meant = window.location.pathname;
    if (router.pathname === "/" && meant !== "/" && !meant.endsWith(".html")) {
      void router.replace(meant + window.location.search);
    }
  }, [router]);
}

function Typed() {
  useTyped();
  return null;
}

export default function App({ Component, pageProps, pageData, missing = false }: AppProps & PageProps) {
  const [client] = useState(() => makeClient(pageData));
  const [shellMissing, setShellMissing] = useState(false);
  const [rendered] = useState(() => pageData?.language ?? null);
  const router = useRouter();
  useMeantAddress();
  const isError = router.pathname === "/404" || router.pathname === "/_error" || router.pathname === "/500";
  useEffect(() => {
    if (client.state.page !== null) return;
    void client.restore(); // what was here last, should no server answer
    const path = isError ? "/" : Router.asPath; // an error page has no data; the bar wants to know who is signed in
    let isWanted = true;
    const left = () => {
      isWanted = false;
    };
    Router.events.on("routeChangeStart", left);
    void fetchPage(client, path, () => isWanted).then(
      ({ missing }) => isWanted && setShellMissing(!isError && missing === true),
    );
    return () => {
      left();
      Router.events.off("routeChangeStart", left);
    };
  }, [client, isError]);
  useEffect(() => {
    const left = () => setShellMissing(false);
    Router.events.on("routeChangeComplete", left);
    return () => Router.events.off("routeChangeComplete", left);
  }, []);
  return (
    <PageProvider client={client}>
      <Head>
        <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />
      </Head>
      <PlatformParts />
      <LanguageProvider rendered={rendered}>
        <Typed />
        <ScriptGuard>{missing || shellMissing ? <MissingPage /> : <Component {...pageProps} />}</ScriptGuard>
      </LanguageProvider>
    </PageProvider>
  );
}

App.getInitialProps = async ({ Component, ctx }: AppContext): Promise<PageProps> => {
  await Component.getInitialProps?.(ctx);
  if (typeof window === "undefined")
    return { pageData: (ctx.req as RequestWithData | undefined)?.pageData ?? null };
  return browserClient ? fetchPage(browserClient, ctx.asPath ?? "/") : { pageData: null };
};
