/* A labelled input with its hint and its error, tied together for screen readers. */
import { type InputHTMLAttributes, type ReactNode, useId } from "react";

export interface Tied {
  id: string;
  "aria-invalid": true | undefined;
  "aria-describedby": string | undefined;
}

interface LabelledProps {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  id?: string | undefined;
  /** The label stands behind the input, in one line with it. */
  inline?: boolean;
  /** The input: it takes what ties it to the rest. */
  children: (tied: Tied) => ReactNode;
}

export function Labelled({ label, hint, error, id: givenId, inline = false, children }: LabelledProps) {
  const madeId = useId();
  const id = givenId ?? madeId;
  const described = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  const input = children({
    id,
    "aria-invalid": error ? true : undefined,
    "aria-describedby": described || undefined,
  });
  const name = (
    <label htmlFor={id} className="text-sm font-medium">
      {label}
    </label>
  );
  return (
    <div className="flex flex-col gap-1.5">
      {inline ? (
        <div className="flex items-center gap-3">
          {input}
          {name}
        </div>
      ) : (
        <>
          {name}
          {input}
        </>
      )}
      {hint && (
        <p id={`${id}-hint`} className="text-soft text-sm">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className="text-error text-sm font-medium">
          {error}
        </p>
      )}
    </div>
  );
}

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
}

export function Field({ label, hint, error, id, ...input }: FieldProps) {
  return (
    <Labelled label={label} hint={hint} error={error} id={id}>
      {(tied) => <input className={`input w-full ${error ? "input-error" : ""}`} {...tied} {...input} />}
    </Labelled>
  );
}

/** What went wrong with a whole form; read out when it appears. */
export function FormError({ children }: { children: string | null | undefined }) {
  return (
    <div role="alert" className="empty:hidden">
      {children ? (
        <p className="bg-error/12 text-base-content rounded-field px-4 py-3 text-sm">{children}</p>
      ) : null}
    </div>
  );
}

/** That it went well; read out when it appears. */
export function Saved({ shown, children }: { shown: boolean; children: string }) {
  return (
    <p role="status" className="text-success text-sm font-medium empty:hidden">
      {shown ? children : null}
    </p>
  );
}
