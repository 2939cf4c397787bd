/* The HTML around every page. The backend makes a nonce for each answer and says it in X-Nonce; the scripts carry it. */
import Document, { type DocumentContext, Head, Html, Main, NextScript } from "next/document";

export default class AppDocument extends Document<{ nonce?: string }> {
  static async getInitialProps(context: DocumentContext) {
    const props = await Document.getInitialProps(context);
    const nonce = context.req?.headers["x-nonce"];
    return { ...props, nonce: typeof nonce === "string" ? nonce : undefined };
  }

  render() {
    const { nonce } = this.props;
    return (
      <Html lang="en">
        <Head nonce={nonce}>
          <meta name="color-scheme" content="light dark" />
          <meta name="description" content="A live chat, rendered on the server, everywhere." />
          <link rel="icon" href="/icon.svg" type="image/svg+xml" />
          <link rel="manifest" href="/manifest.webmanifest" />
          <script src="/theme.js" nonce={nonce} />
        </Head>
        <body>
          <Main />
          <NextScript nonce={nonce} />
        </body>
      </Html>
    );
  }
}
