/* Jobs that were given up, until somebody retries or removes them. */
import { useLive } from "@tims/client";
import { useText } from "@/i18n";
import { ClockTime, DayName } from "@/ui/Time";
import { Act, Item, Section } from "./parts";
import type { DeadJob } from "./types";

function Dead({ job }: { job: DeadJob }) {
  const { t } = useText();
  const url = `/api/tasks/dead/${job.id}/`;
  return (
    <Item
      title={
        <>
          {job.task} <span className="badge badge-error badge-sm badge-soft">{job.code}</span>
        </>
      }
      notes={
        <>
          <span className="text-base-content block">{job.error}</span>
          {job.queue} · <DayName iso={job.died_at} /> <ClockTime iso={job.died_at} /> ·{" "}
          {t("tasks.after", { count: job.attempt })}
          <details>
            <summary className="w-fit cursor-pointer">{t("tasks.arguments")}</summary>
            <code className="block max-h-40 overflow-auto text-xs break-all">{job.arguments}</code>
          </details>
        </>
      }
    >
      <div className="flex gap-2">
        <Act
          label={t("tasks.retry")}
          of={`${job.task} ${job.id}`}
          url={`${url}retry/`}
          className="btn-primary"
        />
        <Act label={t("tasks.remove")} of={`${job.task} ${job.id}`} method="DELETE" url={url} />
      </div>
    </Item>
  );
}

export function DeadList() {
  const { t } = useText();
  const dead = useLive("/api/tasks/dead/");
  return (
    <Section
      title={t("tasks.dead")}
      empty={t("tasks.no_dead")}
      source={dead}
      aside={
        dead.next && (
          <button type="button" className="btn btn-ghost btn-sm" onClick={() => void dead.loadMore()}>
            {t("tasks.more")}
          </button>
        )
      }
    >
      {dead.rows.map((job) => (
        <Dead key={job.id} job={job} />
      ))}
    </Section>
  );
}
