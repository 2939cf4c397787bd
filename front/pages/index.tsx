import { useUser } from "@tims/client";
import Link from "next/link";
import { articles } from "@/articles";
import { useText } from "@/i18n";
import { Layout } from "@/layout/Layout";

function Welcome() {
  const { t } = useText();
  const user = useUser();
  return (
    <section className="flex flex-col items-start gap-5 py-4 md:py-10">
      <h1 className="max-w-2xl text-4xl leading-tight font-semibold tracking-tight text-balance md:text-5xl">
        {t("home.title")}
      </h1>
      <p className="text-soft max-w-xl text-lg leading-relaxed">{t("home.text")}</p>
      <div className="flex flex-wrap gap-3">
        {user ? (
          <Link href="/chats" className="btn btn-primary">
            {t("home.open_chats")}
          </Link>
        ) : (
          <>
            <Link href="/login?next=%2Fchats" className="btn btn-primary">
              {t("sign.in")}
            </Link>
            <Link href="/register?next=%2Fchats" className="btn btn-outline">
              {t("sign.up")}
            </Link>
          </>
        )}
      </div>
    </section>
  );
}

function ArticleCards() {
  const { t, language } = useText();
  const list = Object.entries(articles[language]).sort(([, a], [, b]) => a.order - b.order);
  return (
    <section aria-labelledby="articles" className="flex flex-col gap-4">
      <h2 id="articles" className="text-xl font-semibold tracking-tight">
        {t("home.articles")}
      </h2>
      <ul className="grid gap-4 md:grid-cols-3">
        {list.map(([slug, article]) => (
          <li
            key={slug}
            className="surface hover:border-primary/50 relative flex flex-col gap-2 p-6 transition-colors"
          >
            <h3 className="text-lg font-semibold">
              <Link href={`/articles/${slug}`} className="after:rounded-box after:absolute after:inset-0">
                {article.title}
              </Link>
            </h3>
            <p className="text-soft leading-relaxed">{article.summary}</p>
            <p className="text-soft mt-auto pt-3 text-sm">
              {t("article.minutes", { count: article.minutes })}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

export default function HomePage() {
  const { t } = useText();
  return (
    <Layout title={t("nav.home")}>
      <div className="mx-auto flex max-w-5xl flex-col gap-10">
        <Welcome />
        <ArticleCards />
      </div>
    </Layout>
  );
}
