/* A call whose answer a form shows: what is wrong, and whether it is on its way. What it takes and gives is the API's. */
import { type AnswerOf, ApiError, type ApiOptions, type BodyOf, type Problem, useClient } from "@tims/client";
import { useCallback, useState } from "react";

interface CallState {
  sending: boolean;
  problem: Problem | null;
  /** The last call went well. */
  done: boolean;
}

export interface Call extends CallState {
  /** undefined: it was refused, see `problem`. */
  run: <const M extends string, const U extends string>(
    method: M,
    url: U,
    options?: ApiOptions<BodyOf<M, U>>,
  ) => Promise<AnswerOf<M, U> | undefined>;
  /** Shows a problem that was found before anything was sent. */
  refuse: (problem: Problem) => void;
}

export function useCall(): Call {
  const client = useClient();
  const [state, setState] = useState<CallState>({ sending: false, problem: null, done: false });
  const refuse = useCallback((problem: Problem) => setState({ sending: false, problem, done: false }), []);
  const run = useCallback<Call["run"]>(
    async (method, url, options) => {
      setState({ sending: true, problem: null, done: false });
      try {
        const { data } = await client.api(method, url, options);
        setState({ sending: false, problem: null, done: true });
        return data;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        refuse(error.problem);
        return undefined;
      }
    },
    [client, refuse],
  );
  return { run, refuse, ...state };
}
