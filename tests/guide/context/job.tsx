import { useLive } from "@tims/client";

type JobStatus = { id: string; progress: number };

export function Progress({ id }: { id: string }) {
  /* here */
}
