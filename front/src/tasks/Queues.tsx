/* The queues: how full they are, and whether their jobs are begun. */
import { useLive } from "@tims/client";
import { useText } from "@/i18n";
import { Act, NoRows } from "./parts";
import type { Queue } from "./types";

const COUNTED_MAX = 10_000;

function useCountText(): (count: number) => string {
  const { format } = useText();
  return (count) => (count > COUNTED_MAX ? `${format.number(COUNTED_MAX)}+` : format.number(count));
}

function Count({ label, count, alarming = false }: { label: string; count: number; alarming?: boolean }) {
  const countText = useCountText();
  const colour = alarming && count > 0 ? "text-error" : "";
  return (
    <div>
      <dt className="text-soft text-xs">{label}</dt>
      <dd className={`text-lg leading-tight font-semibold tabular-nums ${colour}`}>{countText(count)}</dd>
    </div>
  );
}

function QueueCard({ queue }: { queue: Queue }) {
  const { t } = useText();
  const url = `/api/tasks/queues/${encodeURIComponent(queue.name)}`;
  return (
    <li className="surface flex flex-col gap-3 p-4" data-queue={queue.name}>
      <div className="flex min-h-8 items-center gap-2">
        <h3 className="min-w-0 grow truncate font-semibold">{queue.name}</h3>
        {queue.paused && (
          <span className="badge badge-warning badge-sm font-medium">{t("tasks.paused")}</span>
        )}
        {queue.paused ? (
          <Act label={t("tasks.resume")} of={queue.name} url={`${url}/resume/`} className="btn-primary" />
        ) : (
          <Act label={t("tasks.pause")} of={queue.name} url={`${url}/pause/`} />
        )}
      </div>
      <dl className="grid grid-cols-4 gap-x-2 gap-y-3">
        <Count label={t("tasks.waiting")} count={queue.waiting} />
        <Count label={t("tasks.running")} count={queue.running} />
        <Count label={t("tasks.later")} count={queue.later} />
        <Count label={t("tasks.blocked")} count={queue.blocked} />
        <Count label={t("tasks.done")} count={queue.done} />
        <Count label={t("tasks.failed")} count={queue.failed} />
        <Count label={t("tasks.dead")} count={queue.dead} alarming />
      </dl>
    </li>
  );
}

export function Queues() {
  const { t } = useText();
  const queues = useLive("/api/tasks/queues/");
  return (
    <section aria-labelledby="queues" aria-busy={queues.state === "loading"}>
      <h2 id="queues" className="sr-only">
        {t("tasks.queues")}
      </h2>
      {queues.rows.length === 0 ? (
        <NoRows source={queues} empty={t("tasks.no_queues")} className="surface p-6" />
      ) : (
        <ul className="grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
          {queues.rows.map((queue) => (
            <QueueCard key={queue.id} queue={queue} />
          ))}
        </ul>
      )}
    </section>
  );
}
