/* A call whose answer a form shows: what is wrong, and whether it is on its way. */
import { ApiError, type ApiOptions, type Problem, useClient } from "@tims/client";
import { useCallback, useState } from "react";

export interface Call<T> {
  run: (method: string, url: string, options?: ApiOptions) => Promise<T | undefined>;
  sending: boolean;
  problem: Problem | null;
  /** The last call went well. */
  done: boolean;
}

export function useCall<T = unknown>(): Call<T> {
  const client = useClient();
  const [state, setState] = useState<Omit<Call<T>, "run">>({ sending: false, problem: null, done: false });
  const run = useCallback(
    async (method: string, url: string, options?: ApiOptions) => {
      setState({ sending: true, problem: null, done: false });
      try {
        const { data } = await client.api<T>(method, url, options);
        setState({ sending: false, problem: null, done: true });
        return data;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        setState({ sending: false, problem: error.problem, done: false });
        return undefined;
      }
    },
    [client],
  );
  return { run, ...state };
}
