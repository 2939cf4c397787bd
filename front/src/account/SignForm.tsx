/* Signing in and making an account: real forms, which work without JavaScript by posting to the API (it answers with a
 * redirect); with JavaScript the API is called and its problems stand at their fields. */
import { ApiError, type Problem, useClient, usePageData } from "@tims/client";
import { register, safePath, signIn } from "@tims/client/platform";
import Link from "next/link";
import { useRouter } from "next/router";
import { type FormEvent, useEffect, useState } from "react";
import { useProblemText, useText } from "@/i18n";
import { Layout } from "@/layout/Layout";
import { Field, FormError } from "@/ui/Field";

/** Where to go afterwards: a path of this site, never another site. */
export function safeNext(next: unknown): string {
  return safePath(next) ?? "/chats";
}

const KINDS = {
  login: {
    title: "sign.in",
    action: "/api/auth/login/",
    other: "/register",
    question: "sign.new_here",
    answer: "sign.up",
  },
  register: {
    title: "sign.up",
    action: "/api/auth/register/",
    other: "/login",
    question: "sign.have_account",
    answer: "sign.in",
  },
} as const;

export function SignForm({ kind }: { kind: keyof typeof KINDS }) {
  const { t } = useText();
  const problemText = useProblemText();
  const texts = KINDS[kind];
  const title = t(texts.title);
  const router = useRouter();
  const client = useClient();
  usePageData(); // renders again when the exported shell has its data, and with it the token
  const [problem, setProblem] = useState<Problem | null>(null);
  const [sending, setSending] = useState(false);
  const [live, setLive] = useState(false);
  useEffect(() => setLive(true), []); // from here on the form is handled here; until then the browser posts it
  const next = safeNext(router.query.next);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const body = { username: "", password: "" } as Record<"username" | "password" | "email", string>;
    for (const name of ["username", "password", "email"] as const) {
      const value = form.get(name);
      if (typeof value === "string" && value !== "") body[name] = value;
    }
    setSending(true);
    setProblem(null);
    try {
      await (kind === "login" ? signIn : register)(client, body);
      if (client.platform.native) await router.replace(next);
      else window.location.assign(next);
    } catch (error) {
      setSending(false);
      if (error instanceof ApiError) setProblem(error.problem);
      else throw error;
    }
  }

  const known = ["username", "password", "email"].some((name) => problemText.field(problem, name));
  const code = router.query.error; // of a redirect back from the API, without JavaScript
  const refused = typeof code === "string" && code ? (problemText.code(code) ?? t("sign.refused")) : null;
  const message = problem ? (known ? null : problemText.of(problem)) : refused;
  return (
    <Layout title={title}>
      <div className="mx-auto flex max-w-sm flex-col gap-6 md:pt-8">
        <h1 className="text-3xl font-semibold tracking-tight">{title}</h1>
        <form
          method="post"
          action={texts.action}
          onSubmit={submit}
          className="surface flex flex-col gap-4 p-6"
          noValidate={live}
        >
          <FormError>{message}</FormError>
          <input type="hidden" name="csrf_token" value={client.state.csrf} readOnly />
          <input type="hidden" name="next" value={next} readOnly />
          <Field
            label={t("sign.name")}
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
            error={problemText.field(problem, "username")}
            hint={kind === "register" ? t("sign.name_hint") : undefined}
          />
          {kind === "register" && (
            <Field
              label={t("sign.email")}
              name="email"
              type="email"
              autoComplete="email"
              error={problemText.field(problem, "email")}
            />
          )}
          <Field
            label={t("sign.password")}
            name="password"
            type="password"
            autoComplete={kind === "login" ? "current-password" : "new-password"}
            required
            error={problemText.field(problem, "password")}
            hint={kind === "register" ? t("sign.password_hint") : undefined}
          />
          <button type="submit" className="btn btn-primary mt-2" disabled={sending} aria-busy={sending}>
            {title}
          </button>
        </form>
        <p className="text-soft text-center">
          {t(texts.question)}{" "}
          <Link
            href={`${texts.other}?next=${encodeURIComponent(next)}`}
            className="link text-primary font-medium"
          >
            {t(texts.answer)}
          </Link>
        </p>
      </div>
    </Layout>
  );
}
