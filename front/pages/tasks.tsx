import { useText } from "@/i18n";
import { Layout } from "@/layout/Layout";
import { Schedules, Workers } from "@/tasks/Around";
import { DeadList } from "@/tasks/DeadList";
import { Running, Scheduled } from "@/tasks/Jobs";
import { Queues } from "@/tasks/Queues";

export default function TasksPage() {
  const { t } = useText();
  return (
    <Layout title={t("tasks.title")}>
      <div className="mx-auto flex max-w-6xl flex-col gap-6">
        <h1 className="text-3xl font-semibold tracking-tight">{t("tasks.title")}</h1>
        <Queues />
        <div className="grid items-start gap-6 lg:grid-cols-2">
          <Running />
          <Workers />
          <Scheduled />
          <Schedules />
        </div>
        <DeadList />
      </div>
    </Layout>
  );
}
