/* Signing in and making an account: real forms, which work without JavaScript by posting to the API (it answers with a
 * redirect); with JavaScript the API is called and its problems stand at their fields. */
import { ApiError, fieldError, type Problem, useClient, usePageData } from "@tims/client";
import { register, safePath, signIn } from "@tims/client/platform";
import Link from "next/link";
import { useRouter } from "next/router";
import { type FormEvent, useEffect, useState } from "react";
import { Layout } from "@/layout/Layout";
import { Field, FormError } from "@/ui/Field";

/** Where to go afterwards: a path of this site, never another site. */
export function safeNext(next: unknown): string {
  return safePath(next) ?? "/chats";
}

const TEXTS = {
  login: {
    title: "Sign in",
    action: "/api/auth/login/",
    other: "/register",
    question: "New here?",
    answer: "Make an account",
  },
  register: {
    title: "Make an account",
    action: "/api/auth/register/",
    other: "/login",
    question: "You have an account?",
    answer: "Sign in",
  },
};

/** What a redirect back from the API says by its code, without JavaScript. */
const REFUSED: Record<string, string> = {
  credentials: "The name or the password is wrong.",
  login_throttled: "Too many attempts. Wait a few minutes.",
  registration_throttled: "Too many new accounts from here. Wait an hour.",
  csrf_missing: "The form was too old. Try once more.",
  csrf_wrong: "The form was too old. Try once more.",
  unique: "Somebody else has this name.",
  min_length: "The name or the password is too short.",
  max_length: "The name or the password is too long.",
  similar: "The password is too much like the name.",
  common: "The password is too common.",
  registration_closed: "New accounts are not open.",
};

function refusal(code: unknown): string | null {
  if (typeof code !== "string" || code === "") return null;
  return Object.hasOwn(REFUSED, code)
    ? (REFUSED[code] ?? null)
    : "That did not work. Check what you typed and try again.";
}

export function SignForm({ kind }: { kind: keyof typeof TEXTS }) {
  const texts = TEXTS[kind];
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

  const known = ["username", "password", "email"].some((name) => fieldError(problem, name));
  const message = problem && !known ? problem.detail : refusal(router.query.error);
  return (
    <Layout title={texts.title}>
      <div className="mx-auto flex max-w-sm flex-col gap-6 md:pt-8">
        <h1 className="text-3xl font-semibold tracking-tight">{texts.title}</h1>
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
            label="Name"
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
            error={fieldError(problem, "username")}
            hint={kind === "register" ? "3 to 30 letters, digits, and . _ -" : undefined}
          />
          {kind === "register" && (
            <Field
              label="Email (if you like)"
              name="email"
              type="email"
              autoComplete="email"
              error={fieldError(problem, "email")}
            />
          )}
          <Field
            label="Password"
            name="password"
            type="password"
            autoComplete={kind === "login" ? "current-password" : "new-password"}
            required
            error={fieldError(problem, "password")}
            hint={kind === "register" ? "At least 8 characters; a sentence is best." : undefined}
          />
          <button type="submit" className="btn btn-primary mt-2" disabled={sending} aria-busy={sending}>
            {texts.title}
          </button>
        </form>
        <p className="text-soft text-center">
          {texts.question}{" "}
          <Link
            href={`${texts.other}?next=${encodeURIComponent(next)}`}
            className="link text-primary font-medium"
          >
            {texts.answer}
          </Link>
        </p>
      </div>
    </Layout>
  );
}
