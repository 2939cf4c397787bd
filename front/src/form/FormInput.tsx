/* The input of one field of a form. Its value is the browser's: what was typed before the page came to life stays. */
import { useLive } from "@tims/client";
import { type FormField, showValue } from "@tims/client/form";
import {
  type HTMLAttributes,
  type InputHTMLAttributes,
  type SelectHTMLAttributes,
  useEffect,
  useRef,
} from "react";
import { Field, Labelled } from "@/ui/Field";

export type InputAttributes = InputHTMLAttributes<HTMLInputElement>;

/** The same of another element; what only inputs have, browsers leave aside there. */
const attributesFor = <E extends HTMLElement>(input: InputAttributes | undefined) =>
  input as HTMLAttributes<E>;

interface FormInputProps {
  field: FormField;
  label: string;
  hint: string | undefined;
  error: string | undefined;
  /** What it holds at first. */
  value: unknown;
  /** What is shown of a choice. */
  choice: (choice: string) => string;
  input: InputAttributes | undefined;
}

const TYPES: Record<string, string> = { email: "email", uri: "url", password: "password" };

function attributesOf(field: FormField): InputAttributes {
  const { kind, format = "", min, max, accept } = field;
  if (kind === "number") return { type: "number", min, max, step: field.integer ? 1 : "any" };
  if (kind === "file") return { type: "file", accept: accept?.join(","), className: "file-input w-full" };
  if (format === "decimal") return { inputMode: "decimal" };
  return { type: TYPES[format] ?? "text" };
}

/** In the reader's zone, which only the browser knows. */
interface TimeProps extends Omit<InputAttributes, "value"> {
  field: FormField;
  label: string;
  value: unknown;
}

function TimeInput({ value, field, ...props }: TimeProps) {
  const input = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const found = input.current?.querySelector("input");
    if (found) found.value = showValue(field, value);
  }, [field, value]);
  return (
    <div ref={input}>
      <Field {...props} type="datetime-local" />
    </div>
  );
}

interface SelectProps extends SelectHTMLAttributes<HTMLSelectElement> {
  options: readonly (readonly [value: string, text: string])[];
  /** Whether nothing may be chosen. */
  open: boolean;
}

function Select({ options, open, ...select }: SelectProps) {
  return (
    <select className={`select w-full ${select["aria-invalid"] ? "select-error" : ""}`} {...select}>
      {open && <option value="" />}
      {options.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  );
}

function ReferenceSelect({
  to,
  label,
  ...select
}: Omit<SelectProps, "options"> & { to: string; label: string }) {
  const { rows, next, loadMore, state } = useLive<{ id: string } & Record<string, unknown>>(to);
  useEffect(() => {
    if (next) void loadMore();
  }, [next, loadMore]);
  // Made anew when the rows are there: one of them is the first value's.
  return <Select key={state} {...select} options={rows.map((row) => [row.id, String(row[label])])} />;
}

export function FormInput({ field, label, hint, error, value, choice, input }: FormInputProps) {
  const { name, kind, required = false } = field;
  const initial = value ?? field.default;
  const around = { label, hint, error };
  const own = { name, required };
  if (kind === "boolean")
    return (
      <Labelled {...around} inline>
        {(tied) => (
          <input
            type="checkbox"
            className="toggle toggle-primary"
            {...tied}
            name={name}
            defaultChecked={initial === true}
            {...input}
          />
        )}
      </Labelled>
    );
  const shown = kind === "file" || kind === "time" ? undefined : showValue(field, initial);
  if (kind === "long")
    return (
      <Labelled {...around}>
        {(tied) => (
          <textarea
            className={`textarea w-full ${error ? "textarea-error" : ""}`}
            rows={4}
            {...tied}
            {...own}
            defaultValue={shown}
            {...attributesFor<HTMLTextAreaElement>(input)}
          />
        )}
      </Labelled>
    );
  if (kind === "choice" || kind === "reference") {
    const select = {
      ...own,
      defaultValue: shown,
      open: !required || shown === "",
      ...attributesFor<HTMLSelectElement>(input),
    };
    return (
      <Labelled {...around}>
        {(tied) =>
          kind === "choice" ? (
            <Select {...tied} {...select} options={(field.choices ?? []).map((one) => [one, choice(one)])} />
          ) : (
            <ReferenceSelect {...tied} {...select} to={field.to ?? ""} label={field.label ?? "id"} />
          )
        }
      </Labelled>
    );
  }
  if (kind === "time") return <TimeInput {...around} {...own} field={field} value={initial} {...input} />;
  return <Field {...around} {...own} {...attributesOf(field)} defaultValue={shown} {...input} />;
}
