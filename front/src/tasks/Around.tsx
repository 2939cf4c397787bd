/* Who does the jobs, and when they are enqueued by themselves. */
import { useLive } from "@tims/client";
import { ClockTime, DayName } from "@/ui/Time";
import { Act, Item, Section } from "./parts";

export function Workers() {
  const workers = useLive("/api/tasks/workers/");
  return (
    <Section
      title="Workers"
      empty="No worker is here. Start one: chat worker"
      loading={workers.state === "loading"}
    >
      {workers.rows.map((worker) => (
        <Item
          key={worker.id}
          title={worker.name}
          notes={
            <>
              {worker.queues.replaceAll(",", ", ")} · since <DayName iso={worker.started_at} />{" "}
              <ClockTime iso={worker.started_at} />
            </>
          }
        >
          <span className="text-soft text-sm tabular-nums">
            {worker.running} of {worker.concurrency}
          </span>
        </Item>
      ))}
    </Section>
  );
}

export function Schedules() {
  const schedules = useLive("/api/tasks/schedules/");
  return (
    <Section title="Schedules" empty="Nothing is scheduled." loading={schedules.state === "loading"}>
      {schedules.rows.map((schedule) => {
        const url = `/api/tasks/schedules/${encodeURIComponent(schedule.name)}`;
        return (
          <Item
            key={schedule.id}
            title={
              <>
                {schedule.name}
                {schedule.paused && <span className="badge badge-warning badge-sm">Paused</span>}
              </>
            }
            notes={
              <>
                {schedule.spec} {schedule.zone}
                {schedule.next_due && (
                  <>
                    {" "}
                    · next <DayName iso={schedule.next_due} /> <ClockTime iso={schedule.next_due} />
                  </>
                )}
              </>
            }
          >
            {schedule.paused ? (
              <Act label="Resume" of={schedule.name} url={`${url}/resume/`} className="btn-primary" />
            ) : (
              <Act label="Pause" of={schedule.name} url={`${url}/pause/`} />
            )}
          </Item>
        );
      })}
    </Section>
  );
}
