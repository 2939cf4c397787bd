/* Times. The server does not know where the reader is, so it renders UTC; the browser renders the same first and then
 * the reader's own time. */
import { useSyncExternalStore } from "react";

const never = () => () => {};

/** False on the server and while hydrating, then true. */
export function useHydrated(): boolean {
  return useSyncExternalStore(
    never,
    () => true,
    () => false,
  );
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const two = (value: number) => String(value).padStart(2, "0");

interface Parts {
  year: number;
  month: number;
  day: number;
  weekday: number;
  time: string;
}

export function partsOf(iso: string, local: boolean): Parts {
  const date = new Date(iso);
  return local
    ? {
        year: date.getFullYear(),
        month: date.getMonth(),
        day: date.getDate(),
        weekday: date.getDay(),
        time: `${two(date.getHours())}:${two(date.getMinutes())}`,
      }
    : {
        year: date.getUTCFullYear(),
        month: date.getUTCMonth(),
        day: date.getUTCDate(),
        weekday: date.getUTCDay(),
        time: `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`,
      };
}

export function dayKey(iso: string, local: boolean): string {
  const { year, month, day } = partsOf(iso, local);
  return `${year}-${two(month + 1)}-${two(day)}`;
}

/** "Today", "Yesterday", "Monday", "3 Nov", "3 Nov 2024". Without `now` (on the server) the full date. */
export function dayLabel(iso: string, local: boolean, now: Date | null): string {
  const { year, month, day, weekday } = partsOf(iso, local);
  const date = `${day} ${MONTHS[month]}`;
  if (!now) return `${date} ${year}`;
  const midnight = (at: Date) =>
    Math.round(Date.UTC(at.getFullYear(), at.getMonth(), at.getDate()) / 86_400_000);
  const age = midnight(now) - midnight(new Date(iso));
  if (age === 0) return "Today";
  if (age === 1) return "Yesterday";
  if (age > 1 && age < 7) return DAYS[weekday] ?? date;
  return year === now.getFullYear() ? date : `${date} ${year}`;
}

export function ClockTime({ iso }: { iso: string }) {
  const hydrated = useHydrated();
  return <time dateTime={iso}>{partsOf(iso, hydrated).time}</time>;
}

export function DayName({ iso }: { iso: string }) {
  const hydrated = useHydrated();
  return <time dateTime={iso}>{dayLabel(iso, hydrated, hydrated ? new Date() : null)}</time>;
}

/** The time for today, else the day: for lists. */
export function ShortTime({ iso }: { iso: string }) {
  const hydrated = useHydrated();
  const label = dayLabel(iso, hydrated, hydrated ? new Date() : null);
  return <time dateTime={iso}>{label === "Today" ? partsOf(iso, true).time : label}</time>;
}
