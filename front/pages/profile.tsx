import { ApiError, type Problem, type User, useClient, useUser } from "@tims/client";
import { signOut } from "@tims/client/platform";
import { type ChangeEvent, useRef, useState } from "react";
import { useTakeWho } from "@/account/useTakeWho";
import { AutoForm } from "@/form/AutoForm";
import { useProblemText, useText } from "@/i18n";
import { Layout } from "@/layout/Layout";
import { nameOf } from "@/types";
import { Avatar } from "@/ui/Avatar";
import { useCall } from "@/ui/callApi";
import { FormError, Saved } from "@/ui/Field";
import { Icon } from "@/ui/Icon";

const PICTURE_BYTES_MAX = 1024 * 1024;

function Picture({ user }: { user: User }) {
  const { t } = useText();
  const problemText = useProblemText();
  const { run, sending, problem, done } = useCall();
  const take = useTakeWho();
  const input = useRef<HTMLInputElement>(null);
  async function upload(event: ChangeEvent<HTMLInputElement>) {
    const file = event.currentTarget.files?.[0];
    if (!file) return;
    const body = new FormData();
    body.set("avatar", file);
    await take(await run("PUT", "/api/auth/me/avatar/", { body }));
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
  const take = useTakeWho();
  return (
    <Layout title={t("nav.profile")}>
      <div className="mx-auto flex max-w-xl flex-col gap-6">
        <h1 className="sr-only">{t("nav.profile")}</h1>
        {user && (
          <>
            <section className="surface flex flex-col gap-6 p-6">
              <Picture user={user} />
              <AutoForm
                operation="updateMe"
                only={["display_name"]}
                values={user}
                hints={{ display_name: t("profile.name_hint", { username: user.username }) }}
                inputs={{ display_name: { autoComplete: "name" } }}
                onDone={take}
              />
            </section>
            <section className="surface flex flex-col gap-4 p-6" aria-labelledby="password">
              <h2 id="password" className="text-lg font-semibold">
                {t("profile.password")}
              </h2>
              <AutoForm
                operation="changePassword"
                only={["old", "new"]}
                inputs={{
                  old: { autoComplete: "current-password" },
                  new: { autoComplete: "new-password" },
                }}
                submit={t("profile.password_change")}
                saved={t("profile.password_saved")}
                quiet
                clears
                onDone={take} // the session is a new one, and so is its token
              >
                {/* For who keeps passwords. */}
                <input type="text" autoComplete="username" defaultValue={user.username} hidden readOnly />
              </AutoForm>
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
