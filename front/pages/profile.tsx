import { ApiError, type Problem, type User, useClient, useUser } from "@tims/client";
import { signOut, takeWho } from "@tims/client/platform";
import { type ChangeEvent, type FormEvent, useRef, useState } from "react";
import { useProblemText, useText } from "@/i18n";
import { Layout } from "@/layout/Layout";
import { nameOf, type Who } from "@/types";
import { Avatar } from "@/ui/Avatar";
import { useCall } from "@/ui/callApi";
import { Field, FormError } from "@/ui/Field";
import { Icon } from "@/ui/Icon";

const PICTURE_BYTES_MAX = 1024 * 1024;

function useTakeWho() {
  const client = useClient();
  return async (who: Who | undefined) => who && takeWho(client, who);
}

function Saved({ shown, children }: { shown: boolean; children: string }) {
  return (
    <p role="status" className="text-success text-sm font-medium empty:hidden">
      {shown ? children : null}
    </p>
  );
}

function Picture({ user }: { user: User }) {
  const { t } = useText();
  const problemText = useProblemText();
  const { run, sending, problem, done } = useCall<Who>();
  const take = useTakeWho();
  const input = useRef<HTMLInputElement>(null);
  async function upload(event: ChangeEvent<HTMLInputElement>) {
    const file = event.currentTarget.files?.[0];
    if (!file) return;
    const body = new FormData();
    body.set("avatar", file);
    take(await run("PUT", "/api/auth/me/avatar/", { body }));
    if (input.current) input.current.value = "";
  }
  return (
    <div className="flex items-center gap-5">
      <Avatar person={user} size="large" />
      <div className="flex min-w-0 flex-col items-start gap-2">
        <p className="text-2xl font-semibold break-words">{nameOf(user)}</p>
        <label
          className={`btn btn-sm ${sending ? "btn-disabled" : ""} focus-within:outline-primary focus-within:outline-2`}
        >
          <Icon name="camera" /> {t("profile.change_picture")}
          <input
            ref={input}
            type="file"
            name="avatar"
            accept="image/png,image/jpeg,image/webp"
            className="sr-only"
            onChange={upload}
            disabled={sending}
          />
        </label>
        <p className="text-soft text-sm">
          {t("profile.picture_hint", { megabytes: PICTURE_BYTES_MAX / 1024 / 1024 })}
        </p>
        <FormError>{problemText.of(problem)}</FormError>
        <Saved shown={done}>{t("profile.picture_saved")}</Saved>
      </div>
    </div>
  );
}

function NameForm({ user }: { user: User }) {
  const { t } = useText();
  const problemText = useProblemText();
  const { run, sending, problem, done } = useCall<Who>();
  const take = useTakeWho();
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const name = new FormData(event.currentTarget).get("display_name");
    take(await run("PATCH", "/api/auth/me/", { body: { display_name: String(name ?? "").trim() } }));
  }
  const wrong = problemText.field(problem, "display_name");
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <FormError>{wrong ? null : problemText.of(problem)}</FormError>
      <Field
        label={t("profile.name")}
        name="display_name"
        defaultValue={user.display_name}
        maxLength={60}
        autoComplete="name"
        error={wrong}
        hint={t("profile.name_hint", { username: user.username })}
      />
      <div className="flex items-center gap-4">
        <button type="submit" className="btn btn-primary" disabled={sending}>
          {t("ui.save")}
        </button>
        <Saved shown={done}>{t("ui.saved")}</Saved>
      </div>
    </form>
  );
}

function PasswordForm({ user }: { user: User }) {
  const { t } = useText();
  const problemText = useProblemText();
  const { run, sending, problem, done } = useCall<Who>();
  const take = useTakeWho();
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const body = { old: data.get("old"), new: data.get("new") };
    const who = await run("POST", "/api/auth/password/", { body });
    take(who); // the session is a new one, and so is its token
    if (who) form.reset();
  }
  const wrongOld = problemText.field(problem, "old");
  const wrongNew = problemText.field(problem, "new");
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <FormError>{wrongOld || wrongNew ? null : problemText.of(problem)}</FormError>
      <input
        type="text"
        name="username"
        autoComplete="username"
        defaultValue={user.username}
        hidden
        readOnly
      />
      <Field
        label={t("profile.password_now")}
        name="old"
        type="password"
        autoComplete="current-password"
        required
        error={wrongOld}
      />
      <Field
        label={t("profile.password_new")}
        name="new"
        type="password"
        autoComplete="new-password"
        required
        error={wrongNew}
        hint={t("sign.password_hint")}
      />
      <div className="flex items-center gap-4">
        <button type="submit" className="btn" disabled={sending}>
          {t("profile.password_change")}
        </button>
        <Saved shown={done}>{t("profile.password_saved")}</Saved>
      </div>
    </form>
  );
}

function SignOut() {
  const { t } = useText();
  const problemText = useProblemText();
  const client = useClient();
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  async function leave(everywhere: boolean) {
    setSending(true);
    setProblem(null);
    try {
      await signOut(client, everywhere);
      window.location.assign("/");
    } catch (error) {
      setSending(false);
      if (!(error instanceof ApiError)) throw error;
      setProblem(error.problem);
    }
  }
  return (
    <div className="flex flex-col gap-3">
      <FormError>{problemText.of(problem)}</FormError>
      <div className="flex flex-wrap gap-3">
        <button type="button" className="btn" disabled={sending} onClick={() => leave(false)}>
          <Icon name="leave" /> {t("profile.sign_out")}
        </button>
        <button
          type="button"
          className="btn btn-outline btn-error"
          disabled={sending}
          onClick={() => leave(true)}
        >
          {t("profile.sign_out_everywhere")}
        </button>
      </div>
      <p className="text-soft text-sm">{t("profile.sign_out_hint")}</p>
    </div>
  );
}

export default function ProfilePage() {
  const { t } = useText();
  const user = useUser();
  return (
    <Layout title={t("nav.profile")}>
      <div className="mx-auto flex max-w-xl flex-col gap-6">
        <h1 className="sr-only">{t("nav.profile")}</h1>
        {user && (
          <>
            <section className="surface flex flex-col gap-6 p-6">
              <Picture user={user} />
              <NameForm user={user} />
            </section>
            <section className="surface flex flex-col gap-4 p-6" aria-labelledby="password">
              <h2 id="password" className="text-lg font-semibold">
                {t("profile.password")}
              </h2>
              <PasswordForm user={user} />
            </section>
            <section className="surface flex flex-col gap-4 p-6" aria-labelledby="signing-out">
              <h2 id="signing-out" className="text-lg font-semibold">
                {t("profile.signing_out")}
              </h2>
              <SignOut />
            </section>
          </>
        )}
      </div>
    </Layout>
  );
}
