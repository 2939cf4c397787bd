/* The pictures that wait above the line where messages are written. */
import { useId } from "react";
import { useProblemText, useText } from "@/i18n";
import { Icon } from "@/ui/Icon";
import { Progress } from "@/ui/Progress";
import type { Draft, Drafts } from "./useDrafts";

const ALT_MAX = 300; // as the model says

function Failed({ draft, drafts }: { draft: Draft; drafts: Drafts }) {
  const { t } = useText();
  const problemText = useProblemText();
  return (
    <div role="alert" className="flex flex-col gap-1 text-sm">
      <p className="text-error font-medium">{problemText.of(draft.problem)}</p>
      <button type="button" className="btn btn-xs self-start" onClick={() => drafts.retry(draft.id)}>
        {t("chat.retry")}
      </button>
    </div>
  );
}

function DraftCard({ draft, drafts }: { draft: Draft; drafts: Drafts }) {
  const { t } = useText();
  const id = useId();
  return (
    <li className="border-base-content/12 rounded-field flex w-80 max-w-[85vw] shrink-0 gap-3 border p-2">
      <img
        src={draft.url}
        alt=""
        className="rounded-field bg-base-300 size-20 shrink-0 object-cover"
        width={draft.width}
        height={draft.height}
      />
      <div className="flex min-w-0 grow flex-col justify-center gap-1">
        {draft.status === "draft" && (
          <>
            <label htmlFor={id} className="text-xs font-medium">
              {t("pictures.alt")}
            </label>
            <input
              id={id}
              dir="auto"
              className="input input-sm w-full"
              value={draft.alt}
              maxLength={ALT_MAX}
              placeholder={t("pictures.alt_hint")}
              onChange={(event) => drafts.describe(draft.id, event.currentTarget.value)}
            />
          </>
        )}
        {draft.status === "sending" && (
          <>
            <p className="text-soft text-sm">{t("pictures.sending")}</p>
            <Progress label={t("pictures.sending")} value={draft.progress} />
          </>
        )}
        {draft.status === "failed" && <Failed draft={draft} drafts={drafts} />}
      </div>
      {draft.status !== "sending" && (
        <button
          type="button"
          className="btn btn-ghost btn-circle btn-xs"
          aria-label={t("pictures.remove")}
          onClick={() => drafts.remove(draft.id)}
        >
          <Icon name="close" className="size-4" />
        </button>
      )}
    </li>
  );
}

/** `away`: there is no connection, so that nothing can be sent now. */
export function DraftStrip({ drafts, away }: { drafts: Drafts; away: boolean }) {
  const { t } = useText();
  const waits = away && drafts.drafts.some(({ status }) => status === "draft");
  return (
    <div className="mx-auto max-w-3xl">
      <div role="status" className="text-soft text-sm empty:hidden">
        {drafts.refusal ? <p className="pb-2">{t(drafts.refusal)}</p> : null}
        {waits ? <p className="pb-2">{t("pictures.need_connection")}</p> : null}
      </div>
      {drafts.drafts.length > 0 && (
        <ul aria-label={t("pictures.chosen")} className="flex gap-2 overflow-x-auto pb-2">
          {drafts.drafts.map((draft) => (
            <DraftCard key={draft.id} draft={draft} drafts={drafts} />
          ))}
        </ul>
      )}
    </div>
  );
}
