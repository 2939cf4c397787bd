import { useLive, useMutation } from "@tims/client";
import { Layout } from "@/layout/Layout";

type Note = { id: string; text: string };

/* here */
