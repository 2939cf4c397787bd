/* Without a network, in place of what was never seen here: an honest word instead of a wheel that turns for ever, or of
 * "it is gone". It comes by itself when the server is there again. */
import type { Problem } from "@tims/client";
import { useText } from "@/i18n";

/** Nobody answers; nothing is known about what was asked for. */
export function isAway(problem: Problem | null): boolean {
  return problem !== null && (problem.status === 0 || [502, 503, 504].includes(problem.status));
}

export function Unkept() {
  const { t } = useText();
  return (
    <div role="status" className="flex h-full flex-col items-center justify-center gap-3 p-8 text-center">
      <p className="text-xl font-semibold">{t("unkept.title")}</p>
      <p className="text-soft max-w-md">{t("unkept.text")}</p>
    </div>
  );
}
