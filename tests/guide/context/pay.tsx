import { useMutation } from "@tims/client";

declare const id: string;
declare const amount: number;
declare function show(problem: unknown, draft: unknown): void;

export async function Example() {
  /* here */
  return [send, move];
}
