import { useUser } from "@tims/client";
import Link from "next/link";
import { articles } from "@/articles";
import { Layout } from "@/layout/Layout";

function Welcome() {
  const user = useUser();
  return (
    <section className="flex flex-col items-start gap-5 py-4 md:py-10">
      <h1 className="max-w-2xl text-4xl leading-tight font-semibold tracking-tight text-balance md:text-5xl">
        Realtime apps, <span className="text-primary">rendered</span> and everywhere.
      </h1>
      <p className="text-soft max-w-xl text-lg leading-relaxed">
        A web stack with its backend in C. You write a struct, a rule about who may see it, and a React
        component. Lists update by themselves, pages arrive complete, and the same front end runs on phones.
      </p>
      <div className="flex flex-wrap gap-3">
        {user ? (
          <Link href="/chats" className="btn btn-primary">
            Open your chats
          </Link>
        ) : (
          <>
            <Link href="/login?next=%2Fchats" className="btn btn-primary">
              Sign in
            </Link>
            <Link href="/register?next=%2Fchats" className="btn btn-outline">
              Make an account
            </Link>
          </>
        )}
      </div>
    </section>
  );
}

function ArticleCards() {
  const list = Object.entries(articles).sort(([, a], [, b]) => a.order - b.order);
  return (
    <section aria-labelledby="articles" className="flex flex-col gap-4">
      <h2 id="articles" className="text-xl font-semibold tracking-tight">
        How it works
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
            <p className="text-soft mt-auto pt-3 text-sm">{article.minutes} min to read</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

export default function HomePage() {
  return (
    <Layout title="Home">
      <div className="mx-auto flex max-w-5xl flex-col gap-10">
        <Welcome />
        <ArticleCards />
      </div>
    </Layout>
  );
}
