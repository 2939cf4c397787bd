/* Times. The server does not know where the reader is, so it renders UTC; the browser renders the same first and then
 * the reader's own time. */
import { useSyncExternalStore } from "react";
import { type Format, useText } from "@/i18n";

const never = () => () => {};

/** False on the server and while hydrating, then true. */
export function useHydrated(): boolean {
  return useSyncExternalStore(
    never,
    () => true,
    () => false,
  );
}

const two = (value: number) => String(value).padStart(2, "0");

/** "2026-11-03": the day in the reader's zone, or in UTC. */
export function dayKey(iso: string, local: boolean): string {
  const date = new Date(iso);
  return local
    ? `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
    : date.toISOString().slice(0, 10);
}

const midnight = (at: Date) =>
  Math.round(Date.UTC(at.getFullYear(), at.getMonth(), at.getDate()) / 86_400_000);

/** How many days ago it was for the reader: 0 today, 1 yesterday. */
export function daysAgo(iso: string, now: Date): number {
  return midnight(now) - midnight(new Date(iso));
}

/** "Today", "Yesterday", "Monday", "3 Nov", "3 Nov 2024". Without `now` (on the server) the full date in UTC. */
export function dayLabel(iso: string, now: Date | null, format: Format): string {
  const date = new Date(iso);
  if (!now) return format.day(date, { year: true, zone: "UTC" });
  const age = daysAgo(iso, now);
  if (age === 0 || age === 1) return format.daysFromNow(-age);
  if (age > 1 && age < 7) return format.weekday(date);
  return format.day(date, { year: date.getFullYear() !== now.getFullYear() });
}

export function ClockTime({ iso }: { iso: string }) {
  const { format } = useText();
  const hydrated = useHydrated();
  return <time dateTime={iso}>{format.time(new Date(iso), hydrated ? undefined : "UTC")}</time>;
}

export function DayName({ iso }: { iso: string }) {
  const { format } = useText();
  const hydrated = useHydrated();
  return <time dateTime={iso}>{dayLabel(iso, hydrated ? new Date() : null, format)}</time>;
}

/** The time for today, else the day: for lists. */
export function ShortTime({ iso }: { iso: string }) {
  const { format } = useText();
  const now = useHydrated() ? new Date() : null;
  const isToday = now !== null && daysAgo(iso, now) === 0;
  return <time dateTime={iso}>{isToday ? format.time(new Date(iso)) : dayLabel(iso, now, format)}</time>;
}
