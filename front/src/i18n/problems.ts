/* What is said about a refusal. A problem document names what is wrong by a code; its words are the dictionary's, in the
 * reader's language, and the server's own English where the dictionary does not know the code. */
import type { FieldProblem, Problem } from "@tims/client";
import { useMemo } from "react";
import { useText } from "./index";
import type { Key, Texting } from "./texts";

export interface ProblemText {
  /** The whole problem in a sentence; undefined for none. */
  of: (problem: Problem | null | undefined) => string | undefined;
  /** What is wrong with one field of what was sent; undefined when nothing is. */
  field: (problem: Problem | null | undefined, field: string) => string | undefined;
  /** For a code alone, as a redirect after a plain form carries it; undefined for one that is not known. */
  code: (code: string) => string | undefined;
}

const LIMITS = new Set(["min", "max", "min_length", "max_length"]);

export function makeProblemText({ t, has }: Pick<Texting, "t" | "has">): ProblemText {
  type Plain = (key: Key, values?: Record<string, string>) => string;
  const say = (key: string, values?: Record<string, string>) =>
    has(key) ? (t as Plain)(key, values) : undefined;
  const ofField = ({ code, message }: FieldProblem) => {
    const limit = /\d+(?:\.\d+)?/.exec(message)?.[0]; // the document has it nowhere else
    if (limit === undefined && LIMITS.has(code)) return message;
    return say(`wrong.${code}`, { limit: limit ?? "" }) ?? message;
  };
  return {
    of: (problem) =>
      problem ? (say(`problem.${problem.code}`) ?? (problem.detail || problem.title)) : undefined,
    field: (problem, field) => {
      const found = problem?.errors.find(({ pointer }) => pointer === `/${field}`);
      return found && ofField(found);
    },
    code: (code) => say(`problem.${code}`),
  };
}

export function useProblemText(): ProblemText {
  const texting = useText();
  return useMemo(() => makeProblemText(texting), [texting]);
}
