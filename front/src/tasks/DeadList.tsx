/* Jobs that were given up, until somebody retries or removes them. */
import { useLive } from "@tims/client";
import { ClockTime, DayName } from "@/ui/Time";
import { Act, Item, Section } from "./parts";
import type { DeadJob } from "./types";

function Dead({ job }: { job: DeadJob }) {
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
          {job.queue} · <DayName iso={job.died_at} /> <ClockTime iso={job.died_at} /> · after {job.attempt}{" "}
          {job.attempt === 1 ? "attempt" : "attempts"}
          <details>
            <summary className="w-fit cursor-pointer">Arguments</summary>
            <code className="block max-h-40 overflow-auto text-xs break-all">{job.arguments}</code>
          </details>
        </>
      }
    >
      <div className="flex gap-2">
        <Act label="Retry" of={`${job.task} ${job.id}`} url={`${url}retry/`} className="btn-primary" />
        <Act label="Remove" of={`${job.task} ${job.id}`} method="DELETE" url={url} />
      </div>
    </Item>
  );
}

export function DeadList() {
  const dead = useLive("/api/tasks/dead/");
  return (
    <Section
      title="Dead"
      empty="No job was given up."
      loading={dead.state === "loading"}
      aside={
        dead.next && (
          <button type="button" className="btn btn-ghost btn-sm" onClick={() => void dead.loadMore()}>
            More
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
