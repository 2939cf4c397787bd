/* Who does the jobs, and when they are enqueued by themselves. */
import { useLive } from "@tims/client";
import { useText } from "@/i18n";
import { ClockTime, DayName } from "@/ui/Time";
import { Act, Item, Section } from "./parts";

export function Workers() {
  const { t } = useText();
  const workers = useLive("/api/tasks/workers/");
  return (
    <Section title={t("tasks.workers")} empty={t("tasks.no_workers")} source={workers}>
      {workers.rows.map((worker) => (
        <Item
          key={worker.id}
          title={worker.name}
          notes={
            <>
              {worker.queues.replaceAll(",", ", ")} · {t("tasks.since")} <DayName iso={worker.started_at} />{" "}
              <ClockTime iso={worker.started_at} />
            </>
          }
        >
          <span className="text-soft text-sm tabular-nums">
            {t("tasks.of", { running: worker.running, concurrency: worker.concurrency })}
          </span>
        </Item>
      ))}
    </Section>
  );
}

export function Schedules() {
  const { t } = useText();
  const schedules = useLive("/api/tasks/schedules/");
  return (
    <Section title={t("tasks.schedules")} empty={t("tasks.no_schedules")} source={schedules}>
      {schedules.rows.map((schedule) => {
        const url = `/api/tasks/schedules/${encodeURIComponent(schedule.name)}`;
        return (
          <Item
            key={schedule.id}
            title={
              <>
                {schedule.name}
                {schedule.paused && <span className="badge badge-warning badge-sm">{t("tasks.paused")}</span>}
              </>
            }
            notes={
              <>
                {schedule.spec} {schedule.zone}
                {schedule.next_due && (
                  <>
                    {" "}
                    · {t("tasks.next")} <DayName iso={schedule.next_due} />{" "}
                    <ClockTime iso={schedule.next_due} />
                  </>
                )}
              </>
            }
          >
            {schedule.paused ? (
              <Act
                label={t("tasks.resume")}
                of={schedule.name}
                url={`${url}/resume/`}
                className="btn-primary"
              />
            ) : (
              <Act label={t("tasks.pause")} of={schedule.name} url={`${url}/pause/`} />
            )}
          </Item>
        );
      })}
    </Section>
  );
}
