/* A form made of what an operation of the API takes.
 *
 * Fields, their kinds and their limits come from the API's schema through generated/forms.ts; the words from the app's texts:
 * form.<operation>.<field>, and …_hint where there is one. What is wrong is found here as far as it can be, by the
 * backend's own codes, and else said by the backend; both stand at their fields. */
import type { AnswerOf, FieldProblem, Problem } from "@tims/client";
import {
  bodyOf,
  checkFields,
  type Form,
  type FormField,
  type FormValue,
  fillPath,
  readInput,
} from "@tims/client/form";
import { forms } from "@tims/client/generated/forms";
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { type Key, useProblemText, useText } from "@/i18n";
import { useCall } from "@/ui/callApi";
import { FormError, Saved } from "@/ui/Field";
import { FormInput, type InputAttributes } from "./FormInput";

type Forms = typeof forms;
export type Operation = keyof Forms;
type FieldOf<O extends Operation> = Forms[O]["fields"][number]["name"];
type Answered<O extends Operation> = AnswerOf<Forms[O]["method"], Forms[O]["path"]>;

interface FormProps<Name extends string, Answer> {
  /** Of the path. */
  params?: Readonly<Record<string, string>>;
  /** Which fields, in this order. Without it all. */
  only?: readonly Name[];
  /** What the fields hold at first. */
  values?: Readonly<Partial<Record<Name, unknown>>>;
  hints?: Readonly<Partial<Record<Name, string>>>;
  /** What browsers should know of an input beside what the schema says: autoComplete, type … */
  inputs?: Readonly<Partial<Record<Name, InputAttributes>>>;
  /** What the button says, and what is said when it went well. */
  submit?: string;
  saved?: string;
  /** The button is not the page's first. */
  quiet?: boolean;
  /** Empty again when it went well. */
  clears?: boolean;
  onDone?: (answer: Answer) => void | Promise<void>;
  children?: ReactNode;
}

export interface AutoFormProps<O extends Operation> extends FormProps<FieldOf<O>, Answered<O>> {
  operation: O;
}

export function AutoForm<O extends Operation>({ operation, ...props }: AutoFormProps<O>) {
  const form: Form = forms[operation];
  return <FormOf<FieldOf<O>, Answered<O>> name={operation} form={form} {...props} />;
}

/** The words of a form. */
function useWords(form: string) {
  const { t, has } = useText();
  const say = (key: string) => (has(key) ? (t as (key: Key) => string)(key) : undefined);
  return {
    label: (field: string) => say(`form.${form}.${field}`) ?? field,
    hint: (field: string) => say(`form.${form}.${field}_hint`),
    choice: (field: string, choice: string) => say(`form.${form}.${field}.${choice}`) ?? choice,
  };
}

/** What the inputs of a form hold, by the names of the fields. */
function read(
  form: HTMLFormElement,
  fields: readonly FormField[],
  values: Readonly<Record<string, unknown>> = {},
): Record<string, FormValue> {
  const found = fields.map((field) => {
    const input = form.elements.namedItem(field.name);
    return [field.name, input ? readInput(field, input as HTMLInputElement, values[field.name]) : undefined];
  });
  return Object.fromEntries(found);
}

const refusal = (errors: FieldProblem[]): Problem => ({
  status: 0,
  code: "invalid",
  title: "Something in it is not right.",
  detail: "",
  errors,
});

/** Of a problem what is at none of these fields, for the form as a whole. */
function isElsewhere(problem: Problem | null, fields: readonly FormField[]): boolean {
  const isShown = ({ pointer }: FieldProblem) => fields.some(({ name }) => pointer === `/${name}`);
  return problem !== null && !problem.errors.some(isShown);
}

/** AutoForm, of a form that is given. */
export function FormOf<Name extends string, Answer>({
  name: formName,
  form,
  params = {},
  only,
  values,
  hints,
  inputs,
  submit,
  saved,
  quiet,
  clears,
  onDone,
  children,
}: FormProps<Name, Answer> & { name: string; form: Form }) {
  const { t } = useText();
  const words = useWords(formName);
  const problemText = useProblemText();
  const { run, refuse, sending, problem, done } = useCall();
  const [mended, setMended] = useState<ReadonlySet<string>>(new Set());
  const element = useRef<HTMLFormElement>(null);
  const fields = only
    ? only.flatMap((name) => form.fields.find((field) => field.name === name) ?? [])
    : form.fields;

  // Where the person is needed: read out with its error.
  useEffect(() => {
    if (problem) element.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus();
  }, [problem]);

  async function send(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (sending) return;
    const sent = event.currentTarget;
    const found = read(sent, fields, values);
    const wrong = checkFields(fields, found);
    setMended(new Set());
    if (wrong.length > 0) return refuse(refusal(wrong));
    const url: string = fillPath(form.path, params);
    const answer = await run(form.method as string, url, {
      body: bodyOf(form, found) as Record<string, unknown>,
    });
    if (answer === undefined) return;
    if (clears) sent.reset();
    await onDone?.(answer as Answer);
  }

  return (
    <form
      ref={element}
      method="post" // should it be sent before the page has come to life: not in an address
      noValidate
      onSubmit={(event) => void send(event)}
      onInput={(event) => setMended(new Set([...mended, (event.target as HTMLInputElement).name]))}
      className="flex flex-col gap-4"
    >
      <FormError>{isElsewhere(problem, fields) ? problemText.of(problem) : null}</FormError>
      {children}
      {fields.map((field) => (
        <FormInput
          key={field.name}
          field={field}
          label={words.label(field.name)}
          hint={hints?.[field.name as Name] ?? words.hint(field.name)}
          error={mended.has(field.name) ? undefined : problemText.field(problem, field.name)}
          value={values?.[field.name as Name]}
          choice={(choice) => words.choice(field.name, choice)}
          input={inputs?.[field.name as Name]}
        />
      ))}
      <div className="flex items-center gap-4">
        {/* Not disabled: it would lose the keyboard. */}
        <button
          type="submit"
          className={`btn ${quiet ? "" : "btn-primary"}`}
          aria-disabled={sending}
          aria-busy={sending}
        >
          {sending && <span className="loading loading-spinner loading-sm" aria-hidden="true" />}
          {submit ?? t("ui.save")}
        </button>
        <Saved shown={done && mended.size === 0}>{saved ?? t("ui.saved")}</Saved>
      </div>
    </form>
  );
}
