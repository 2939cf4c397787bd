import type { NextPageContext } from "next";
import Link from "next/link";
import { useRouter } from "next/router";
import { articleOf } from "@/articles";
import { useText } from "@/i18n";
import { DEFAULT_LANGUAGE } from "@/i18n/languages";
import { Layout } from "@/layout/Layout";
import { MissingPage } from "@/layout/MissingPage";
import { Icon } from "@/ui/Icon";

export default function ArticlePage() {
  const { t, language } = useText();
  const router = useRouter();
  const slug = router.query.slug;
  if (slug === undefined) return <Layout title={t("article.title")}>{null}</Layout>; // the exported shell, for a moment
  const article = articleOf(slug, language);
  if (!article) return <MissingPage />;
  return (
    <Layout title={article.title}>
      <article className="mx-auto max-w-2xl">
        <Link href="/" className="btn btn-ghost btn-sm -ms-3 font-medium">
          <Icon name="back" /> {t("article.all")}
        </Link>
        <h1 className="mt-4 text-4xl font-semibold tracking-tight">{article.title}</h1>
        <p className="text-soft mt-3 text-xl leading-relaxed">{article.summary}</p>
        <div
          className="article mt-8"
          // biome-ignore lint/security/noDangerouslySetInnerHtml: made from our own content/*.md while building
          dangerouslySetInnerHTML={{ __html: article.html }}
        />
      </article>
    </Layout>
  );
}

/** On the server: an unknown article is a 404 for machines, too. */
ArticlePage.getInitialProps = ({ query, res }: NextPageContext) => {
  if (res && query.slug !== undefined && !articleOf(query.slug, DEFAULT_LANGUAGE)) res.statusCode = 404;
  return {};
};
