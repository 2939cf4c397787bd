/* The HTML around every page. The backend makes a nonce for each answer and says it in X-Nonce; the scripts carry it. */
import type { PageData } from "@tims/client";
import Document, { type DocumentContext, Head, Html, Main, NextScript } from "next/document";
import { DEFAULT_LANGUAGE, LANGUAGES, languageOf } from "@/i18n/languages";
import config from "../app.config.json";

interface RequestWithData {
  pageData?: PageData;
}

interface Extra {
  nonce?: string;
  language: string | null;
}

export default class AppDocument extends Document<Extra> {
  static async getInitialProps(context: DocumentContext) {
    const props = await Document.getInitialProps(context);
    const nonce = context.req?.headers["x-nonce"];
    const data = (context.req as RequestWithData | undefined)?.pageData;
    return {
      ...props,
      nonce: typeof nonce === "string" ? nonce : undefined,
      language: data?.language ?? null,
    };
  }

  render() {
    const { nonce, language } = this.props;
    const lang = languageOf(language) ?? DEFAULT_LANGUAGE;
    return (
      <Html lang={lang} dir={LANGUAGES[lang].direction} data-shell={language === null ? "" : undefined}>
        <Head nonce={nonce}>
          <meta name="color-scheme" content="light dark" />
          <meta name="description" content={config.description} />
          <meta name="theme-color" content={config.colours.light} media="(prefers-color-scheme: light)" />
          <meta name="theme-color" content={config.colours.dark} media="(prefers-color-scheme: dark)" />
          <meta name="mobile-web-app-capable" content="yes" />
          <meta name="apple-mobile-web-app-title" content={config.shortName} />
          <link rel="icon" href="/icons/favicon-32.png" sizes="32x32" type="image/png" />
          <link rel="icon" href="/icon.svg" type="image/svg+xml" />
          <link rel="apple-touch-icon" href="/icons/apple-touch-icon.png" />
          <link rel="manifest" href="/manifest.webmanifest" />
          {/* Nothing is painted of half a page: what has yet to be parsed would move what is anchored at the end. */}
          <link rel="expect" href="#page-end" blocking="render" />
          <script src="/theme.js" nonce={nonce} />
        </Head>
        <body>
          <Main />
          <div id="page-end" hidden />
          <NextScript nonce={nonce} />
        </body>
      </Html>
    );
  }
}
