import { useLive, useMutation } from "@tims/client";
import { Layout } from "@/layout/Layout";

/* The types of /api/notes/ are in notes.tsx. */

/* here */
