import { useLive, useMutation } from "@tims/client";
import { Layout } from "@/layout/Layout";

type Note = { id: string; text: string };

/* What `npm run types` would write. */
declare module "@tims/client" {
  interface TimsApi {
    "/api/notes/": { get: { responses: { 200: { content: { "application/json": { rows: Note[] } } } } } };
  }
}

/* here */
