/* Jobs that run, and those to come. */
import { useComputed, useLive } from "@tims/client";
import { Progress } from "@/ui/Progress";
import { ShortTime } from "@/ui/Time";
import { Act, Item, Section } from "./parts";
import type { Job } from "./types";

function Cancel({ job }: { job: Job }) {
  return <Act label="Cancel" of={`${job.task} ${job.id}`} url={`/api/tasks/${job.id}/cancel/`} />;
}

/** Which jobs run is told once a second; how far a tracked one is, at once. */
export function Running() {
  const { value, state } = useComputed("/api/tasks/running/");
  const tracked = useLive("/api/tasks/?state=running");
  const statusOf = new Map(tracked.rows.map((row) => [row.id, row]));
  return (
    <Section title="Running" empty="Nothing runs." loading={state === "loading"}>
      {(value?.rows ?? []).map((job) => {
        const status = statusOf.get(job.id);
        return (
          <Item
            key={job.id}
            title={job.task}
            notes={
              <>
                {job.queue}
                {job.worker && ` · on ${job.worker}`}
                {job.attempt > 1 && ` · attempt ${job.attempt}`}
                {status?.message && ` · ${status.message}`}
              </>
            }
          >
            {job.cancelled ? <span className="badge badge-sm">Cancelling</span> : <Cancel job={job} />}
            {status && (
              <div className="basis-full">
                <Progress label={`Progress of ${job.task}`} value={status.progress} />
              </div>
            )}
          </Item>
        );
      })}
    </Section>
  );
}

export function Scheduled() {
  const { value, state } = useComputed("/api/tasks/scheduled/");
  return (
    <Section title="To come" empty="No job waits for its time." loading={state === "loading"}>
      {(value?.rows ?? []).map((job) => (
        <Item
          key={job.id}
          title={job.task}
          notes={
            <>
              {job.queue} · <ShortTime iso={job.run_at} />
              {job.attempt > 0 && ` · attempt ${job.attempt + 1}`}
            </>
          }
        >
          <Cancel job={job} />
        </Item>
      ))}
    </Section>
  );
}
