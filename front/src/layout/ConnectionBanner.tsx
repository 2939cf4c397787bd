/* The truth about the connection, one line below the bar: offline since when, from when what is shown is, how much
 * waits to be sent, and where to sign in again. Says nothing while all is well. */
import { type ConnectionTruth, useConnectionTruth, usePageAge } from "@tims/client";
import Link from "next/link";
import { useRouter } from "next/router";
import { useText } from "@/i18n";

const DAY_MS = 24 * 60 * 60 * 1000;

/** "10:42", or on another day "3 Nov, 10:42". */
function useMoment(): (ms: number) => string {
  const { t, format } = useText();
  return (ms) => {
    const date = new Date(ms);
    const time = format.time(date);
    const isToday = Date.now() - ms < DAY_MS && new Date().getDate() === date.getDate();
    return isToday ? time : t("ui.time", { day: format.day(date, { year: false }), time });
  };
}

function useWords({ state, since, waiting }: ConnectionTruth): string | null {
  const { t } = useText();
  const moment = useMoment();
  const age = usePageAge();
  const waits = waiting > 0 ? t("connection.waiting", { count: waiting }) : "";
  const words = (text: string) => [text, waits].filter(Boolean).join(" ");
  switch (state) {
    case "offline":
    case "reconnecting":
      return words(t(`connection.${state}`, { time: moment(age ?? since ?? Date.now()) }));
    case "updating":
      return words(t("connection.updating"));
    case "signInAgain":
      return words(t("connection.sign_in_again"));
    default:
      return waits || null;
  }
}

export function ConnectionBanner() {
  const { t } = useText();
  const truth = useConnectionTruth();
  const words = useWords(truth);
  const path = useRouter().asPath;
  const isBad = truth.state !== "live" && truth.state !== "updating";
  const colours = isBad ? "bg-warning text-warning-content" : "bg-base-300 text-base-content";
  return (
    <div role="status" aria-live="polite" data-connection={truth.state} className="empty:hidden">
      {words && (
        <p
          className={`${colours} flex flex-wrap justify-center gap-x-2 px-4 py-1 text-center text-xs font-medium`}
        >
          {words}
          {truth.state === "signInAgain" && (
            <Link href={`/login?next=${encodeURIComponent(path)}`} className="link font-semibold">
              {t("nav.sign_in")}
            </Link>
          )}
        </p>
      )}
    </div>
  );
}
