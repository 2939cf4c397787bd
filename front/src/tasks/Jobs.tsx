/* Jobs that run, and those to come. */
import { useComputed, useLive } from "@tims/client";
import { useText } from "@/i18n";
import { Progress } from "@/ui/Progress";
import { ShortTime } from "@/ui/Time";
import { Act, Item, Section } from "./parts";
import type { Job } from "./types";

function Cancel({ job }: { job: Job }) {
  const { t } = useText();
  return <Act label={t("tasks.cancel")} of={`${job.task} ${job.id}`} url={`/api/tasks/${job.id}/cancel/`} />;
}

/** Which jobs run is told once a second; how far a tracked one is, at once. */
export function Running() {
  const { t } = useText();
  const running = useComputed("/api/tasks/running/");
  const tracked = useLive("/api/tasks/?state=running");
  const statusOf = new Map(tracked.rows.map((row) => [row.id, row]));
  return (
    <Section title={t("tasks.running")} empty={t("tasks.nothing_runs")} source={running}>
      {(running.value?.rows ?? []).map((job) => {
        const status = statusOf.get(job.id);
        return (
          <Item
            key={job.id}
            title={job.task}
            notes={
              <>
                {job.queue}
                {job.worker && ` · ${t("tasks.on_worker", { worker: job.worker })}`}
                {job.attempt > 1 && ` · ${t("tasks.attempt", { number: job.attempt })}`}
                {status?.message && ` · ${status.message}`}
              </>
            }
          >
            {job.cancelled ? (
              <span className="badge badge-sm">{t("tasks.cancelling")}</span>
            ) : (
              <Cancel job={job} />
            )}
            {status && (
              <div className="basis-full">
                <Progress label={t("tasks.progress", { task: job.task })} value={status.progress} />
              </div>
            )}
          </Item>
        );
      })}
    </Section>
  );
}

export function Scheduled() {
  const { t } = useText();
  const scheduled = useComputed("/api/tasks/scheduled/");
  return (
    <Section title={t("tasks.to_come")} empty={t("tasks.nothing_to_come")} source={scheduled}>
      {(scheduled.value?.rows ?? []).map((job) => (
        <Item
          key={job.id}
          title={job.task}
          notes={
            <>
              {job.queue}
              {job.run_at && (
                <>
                  {" · "}
                  <ShortTime iso={job.run_at} />
                </>
              )}
              {job.attempt > 0 && ` · ${t("tasks.attempt", { number: job.attempt + 1 })}`}
            </>
          }
        >
          <Cancel job={job} />
        </Item>
      ))}
    </Section>
  );
}
