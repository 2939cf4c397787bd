import { useClient } from "@tims/client";
import { takeWho } from "@tims/client/platform";
import { useCallback } from "react";
import type { Who } from "@/types";

/** Goes on as whoever an account's endpoint has answered; undefined: it was refused. */
export function useTakeWho(): (who: Who | undefined) => Promise<void> {
  const client = useClient();
  return useCallback(async (who) => who && takeWho(client, who), [client]);
}
