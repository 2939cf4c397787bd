/* The queues: how full they are, and whether their jobs are begun. */
import { useLive } from "@tims/client";
import { Act } from "./parts";
import type { Queue } from "./types";

const COUNTED_MAX = 10_000;

function countText(count: number): string {
  return count > COUNTED_MAX ? "10,000+" : count.toLocaleString("en");
}

function Count({ label, count, alarming = false }: { label: string; count: number; alarming?: boolean }) {
  const colour = alarming && count > 0 ? "text-error" : "";
  return (
    <div>
      <dt className="text-soft text-xs">{label}</dt>
      <dd className={`text-lg leading-tight font-semibold tabular-nums ${colour}`}>{countText(count)}</dd>
    </div>
  );
}

function QueueCard({ queue }: { queue: Queue }) {
  const url = `/api/tasks/queues/${encodeURIComponent(queue.name)}`;
  return (
    <li className="surface flex flex-col gap-3 p-4" data-queue={queue.name}>
      <div className="flex min-h-8 items-center gap-2">
        <h3 className="min-w-0 grow truncate font-semibold">{queue.name}</h3>
        {queue.paused && <span className="badge badge-warning badge-sm font-medium">Paused</span>}
        {queue.paused ? (
          <Act label="Resume" of={queue.name} url={`${url}/resume/`} className="btn-primary" />
        ) : (
          <Act label="Pause" of={queue.name} url={`${url}/pause/`} />
        )}
      </div>
      <dl className="grid grid-cols-4 gap-x-2 gap-y-3">
        <Count label="Waiting" count={queue.waiting} />
        <Count label="Running" count={queue.running} />
        <Count label="Later" count={queue.later} />
        <Count label="Blocked" count={queue.blocked} />
        <Count label="Done" count={queue.done} />
        <Count label="Failed" count={queue.failed} />
        <Count label="Dead" count={queue.dead} alarming />
      </dl>
    </li>
  );
}

export function Queues() {
  const queues = useLive("/api/tasks/queues/");
  return (
    <section aria-labelledby="queues" aria-busy={queues.state === "loading"}>
      <h2 id="queues" className="sr-only">
        Queues
      </h2>
      {queues.rows.length === 0 ? (
        <p className="surface text-soft p-6 text-sm">No worker has been here yet: it makes the queues.</p>
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
