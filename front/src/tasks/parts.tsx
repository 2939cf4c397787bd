/* What the sections of the staff page are made of. */
import type { LiveStatus, Problem } from "@tims/client";
import { type ReactNode, useId } from "react";
import { useProblemText, useText } from "@/i18n";
import { isAway } from "@/layout/Unkept";
import { useCall } from "@/ui/callApi";

interface SectionProps {
  title: string;
  /** Beside the title. */
  aside?: ReactNode;
  /** What is said when there are no rows. */
  empty: string;
  source: Source;
  children: ReactNode[];
}

/** Where rows come from, as far as it says why there are none. */
export interface Source {
  state: LiveStatus;
  problem: Problem | null;
}

/** In place of rows: that there are none, or that it is not known. */
export function NoRows({ source, empty, className }: { source: Source; empty: string; className: string }) {
  const { t } = useText();
  const text = isAway(source.problem) ? t("unkept.title") : source.state === "loading" ? "…" : empty;
  return <p className={`text-soft text-sm ${className}`}>{text}</p>;
}

/** A headed list; its children are its items. */
export function Section({ title, aside, empty, source, children }: SectionProps) {
  const id = useId();
  return (
    <section
      className="surface flex min-w-0 flex-col p-4 md:p-6"
      aria-labelledby={id}
      aria-busy={source.state === "loading"}
    >
      <header className="flex min-h-8 items-center justify-between gap-3">
        <h2 id={id} className="text-lg font-semibold">
          {title}
        </h2>
        {aside}
      </header>
      {children.length > 0 ? (
        <ul className="divide-base-content/8 mt-2 flex flex-col divide-y">{children}</ul>
      ) : (
        <NoRows source={source} empty={empty} className="mt-2 py-3" />
      )}
    </section>
  );
}

/** One row: what it is, what is said about it, and what can be done. */
export function Item({
  title,
  notes,
  children,
}: {
  title: ReactNode;
  notes: ReactNode;
  children?: ReactNode;
}) {
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 py-3">
      <div className="min-w-0 grow basis-56">
        <div className="flex flex-wrap items-center gap-2 font-medium break-all">{title}</div>
        <div className="text-soft text-sm break-words">{notes}</div>
      </div>
      {children}
    </li>
  );
}

interface ActProps {
  label: string;
  /** For who does not see what it stands beside. */
  of: string;
  method?: "POST" | "DELETE";
  url: string;
  body?: Record<string, unknown>;
  className?: string;
}

/** A button that calls the API; what comes of it is seen live. */
export function Act({ label, of, method = "POST", url, body, className = "btn-outline" }: ActProps) {
  const { run, sending, problem } = useCall();
  const problemText = useProblemText();
  return (
    <span className="flex flex-col gap-1">
      <button
        type="button"
        className={`btn btn-sm ${className}`}
        disabled={sending}
        onClick={() => void run(method, url, body === undefined ? undefined : { body })}
      >
        {label}
        <span className="sr-only"> {of}</span>
      </button>
      {problem && (
        <span role="alert" className="text-error text-xs">
          {problemText.of(problem)}
        </span>
      )}
    </span>
  );
}
