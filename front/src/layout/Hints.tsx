/* What floats over a page for a moment: a newer version is there; the app can be installed. Nothing moves for it. */
import { useUser } from "@tims/client";
import { useRouter } from "next/router";
import type { ReactNode } from "react";
import { useText } from "@/i18n";
import { hintSeen, install, useInstallWay, useWantsHint } from "@/pwa/install";
import { takeNewVersion, useNewVersion } from "@/pwa/worker";

function Hint({ text, children }: { text: string; children: ReactNode }) {
  return (
    <div className="bg-neutral text-neutral-content rounded-box pointer-events-auto flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-2 shadow-lg">
      <p className="grow text-sm font-medium">{text}</p>
      <div className="flex gap-2">{children}</div>
    </div>
  );
}

function UpdateHint() {
  const { t } = useText();
  if (!useNewVersion()) return null;
  return (
    <Hint text={t("update.here")}>
      <button type="button" className="btn btn-primary btn-sm" onClick={takeNewVersion}>
        {t("update.reload")}
      </button>
    </Hint>
  );
}

/** Once, to who is at home here, where it is in nobody's way. */
function InstallHint() {
  const { t } = useText();
  const user = useUser();
  const { pathname } = useRouter();
  const way = useInstallWay();
  const wanted = useWantsHint();
  if (way !== "browser" || !wanted || !user || pathname !== "/chats") return null;
  return (
    <Hint text={t("install.hint")}>
      <button type="button" className="btn btn-ghost btn-sm" onClick={hintSeen}>
        {t("install.later")}
      </button>
      <button
        type="button"
        className="btn btn-primary btn-sm"
        onClick={() => {
          hintSeen();
          void install();
        }}
      >
        {t("install.do")}
      </button>
    </Hint>
  );
}

export function Hints() {
  return (
    <div
      role="status"
      className="pointer-events-none fixed inset-x-3 top-[calc(4.5rem+env(safe-area-inset-top))] z-20 mx-auto flex max-w-lg flex-col gap-2"
    >
      <UpdateHint />
      <InstallHint />
    </div>
  );
}
