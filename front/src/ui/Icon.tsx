/* The icons, drawn for this app: one stroke width, one size, decoration only (the words beside them say it). */
import type { ReactNode } from "react";

const SHAPES = {
  home: <path d="M4 11.5 12 4l8 7.5M6 10v9a1 1 0 0 0 1 1h3.5v-5.5h3V20H17a1 1 0 0 0 1-1v-9" />,
  chats: <path d="M20 11.5a7.5 7.5 0 0 1-10.9 6.7L4.5 19.5l1.3-4.3A7.5 7.5 0 1 1 20 11.5Z" />,
  person: (
    <>
      <circle cx="12" cy="8.5" r="3.75" />
      <path d="M4.75 19.5c1-3.4 3.8-5 7.25-5s6.25 1.6 7.25 5" />
    </>
  ),
  palette: (
    <>
      <path d="M12 4a8 8 0 1 0 0 16c1.4 0 2-.9 2-1.8 0-1.3-1-1.6-1-2.7 0-.8.7-1.5 1.6-1.5h1.9A3.5 3.5 0 0 0 20 10.6C19.5 6.8 16 4 12 4Z" />
      <path d="M8 10.5v.01M11 7.5v.01M15.2 8.2v.01M7.7 14.3v.01" strokeWidth="2.4" />
    </>
  ),
  tasks: <path d="m4.5 7 1.5 1.5L9 5.5m-4.5 7L6 14l3-3m-4.5 7L6 19.5l3-3M12.5 7h7m-7 5.5h7m-7 5.5h7" />,
  plus: <path d="M12 5v14M5 12h14" />,
  back: <path d="m14.5 5.5-6.5 6.5 6.5 6.5" />,
  send: <path d="M4.5 12 19.5 5l-4.7 14.5-3.6-6.2L4.5 12Zm6.7 1.3L19.5 5" />,
  people: (
    <>
      <circle cx="9" cy="9" r="3.25" />
      <path d="M3 19c.7-3.2 3-4.7 6-4.7s5.3 1.5 6 4.7M15.5 6a3.2 3.2 0 0 1 0 6M17.5 14.7c1.9.6 3 2 3.5 4.3" />
    </>
  ),
  leave: <path d="M13.5 4.5H6v15h7.5M10.5 12h9.5m-3.5-3.5L20 12l-3.5 3.5" />,
  die: (
    <>
      <rect x="4.5" y="4.5" width="15" height="15" rx="3" />
      <path d="M9 9v.01M15 9v.01M12 12v.01M9 15v.01M15 15v.01" strokeWidth="2.4" />
    </>
  ),
  check: <path d="m5 12.5 4.5 4.5L19 7.5" />,
  clock: (
    <>
      <circle cx="12" cy="12" r="8" />
      <path d="M12 7.5V12l3 2" />
    </>
  ),
  warning: <path d="M12 4.5 20.5 19h-17L12 4.5Zm0 5.5v4m0 2.5v.01" />,
  search: (
    <>
      <circle cx="11" cy="11" r="6" />
      <path d="m15.5 15.5 4 4" />
    </>
  ),
  close: <path d="m6 6 12 12M18 6 6 18" />,
  down: <path d="M12 5v14m-6-6 6 6 6-6" />,
  picture: (
    <>
      <rect x="4" y="5" width="16" height="14" rx="2" />
      <circle cx="9" cy="10" r="1.5" />
      <path d="m4.5 17.5 5-4.5 3 2.5 3.5-3.5 3.5 3.5" />
    </>
  ),
  camera: (
    <>
      <path d="M4 8.5A1.5 1.5 0 0 1 5.5 7H8l1.5-2.5h5L16 7h2.5A1.5 1.5 0 0 1 20 8.5v9a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5Z" />
      <circle cx="12" cy="13" r="3.3" />
    </>
  ),
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof SHAPES;

/** These point along the writing, and turn with it. */
const POINTING: ReadonlySet<IconName> = new Set(["back", "send", "leave"]);

export function Icon({ name, className = "size-5" }: { name: IconName; className?: string }) {
  return (
    <svg
      viewBox="0 0 24 24"
      className={POINTING.has(name) ? `${className} rtl:-scale-x-100` : className}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {SHAPES[name]}
    </svg>
  );
}
