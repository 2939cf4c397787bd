/* A chat as a text: a job on the server, whose progress comes over the socket like any row. */
import { useLive } from "@tims/client";
import { useState } from "react";
import { type Texting, useProblemText, useText } from "@/i18n";
import type { JobStatus } from "@/tasks/types";
import { useCall } from "@/ui/callApi";
import { Icon } from "@/ui/Icon";
import { Progress } from "@/ui/Progress";

interface Exported {
  messages: number;
  text: string;
}

function save(name: string, text: string) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}

function lineOf(job: JobStatus | null, t: Texting["t"]): string {
  if (job === null || job.state === "waiting") return job?.error ? t("export.again") : t("export.waiting");
  if (job.state === "running") return job.message || t("export.running");
  if (job.state === "done") return t("export.done", { count: (job.result as Exported).messages });
  if (job.state === "failed") return job.error || t("export.failed");
  return t("export.cancelled");
}

interface Export {
  job: string | null;
  problem: string | undefined;
  begin: () => void;
  close: () => void;
}

/** The job of this chat's export, once it was asked for. */
export function useExport(chat: string): Export {
  const [job, setJob] = useState<string | null>(null);
  const { run, problem } = useCall();
  const problemText = useProblemText();
  const begin = async () => {
    const answer = await run("POST", `/api/chats/${chat}/export/`);
    if (answer) setJob(answer.id);
  };
  return { job, problem: problemText.of(problem), begin: () => void begin(), close: () => setJob(null) };
}

/** The job's line below the head of its chat. */
export function ExportLine({ id, title, onClose }: { id: string; title: string; onClose: () => void }) {
  const { t } = useText();
  const job = useLive(`/api/tasks/${id}/`).row;
  const { run, sending } = useCall();
  const ended = job !== null && job.state !== "waiting" && job.state !== "running";
  return (
    <section
      aria-label={t("export.title")}
      className="border-base-content/8 bg-base-100 flex items-center gap-3 border-b px-3 py-2 md:px-5"
    >
      <div className="flex min-w-0 grow flex-col gap-1">
        <p className="truncate text-sm" aria-live="polite">
          {lineOf(job, t)}
        </p>
        <Progress label={t("export.progress")} value={job?.progress ?? 0} />
      </div>
      {job?.state === "done" && (
        <button
          type="button"
          className="btn btn-primary btn-sm"
          onClick={() => save(`${title}.txt`, (job.result as Exported).text)}
        >
          <Icon name="down" className="size-4" /> {t("export.save")}
        </button>
      )}
      {ended ? (
        <button
          type="button"
          className="btn btn-ghost btn-circle btn-sm"
          aria-label={t("export.close")}
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
      ) : (
        <button
          type="button"
          className="btn btn-ghost btn-sm"
          disabled={sending}
          onClick={() => void run("POST", `/api/tasks/${id}/cancel/`)}
        >
          {t("ui.cancel")}
        </button>
      )}
    </section>
  );
}
