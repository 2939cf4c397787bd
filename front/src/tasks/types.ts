/* The rows of jobs and what is around them, as the API answers them. */
import type { Row } from "@tims/client";

export interface JobStatus extends Row {
  task: string;
  queue: string;
  user: string | null;
  state: "waiting" | "running" | "done" | "failed" | "cancelled" | "expired";
  /** 0 to 1. */
  progress: number;
  message: string;
  result: unknown;
  error: string;
}

export interface Queue extends Row {
  name: string;
  paused: boolean;
  waiting: number;
  later: number;
  running: number;
  blocked: number;
  dead: number;
  done: number;
  failed: number;
}

export interface Worker extends Row {
  name: string;
  host: string;
  pid: number;
  queues: string;
  concurrency: number;
  running: number;
  started_at: string;
}

/** One of /api/tasks/running/, waiting/ or scheduled/. */
export interface Job {
  id: string;
  task: string;
  queue: string;
  attempt: number;
  run_at: string;
  enqueued_at: string;
  cancelled: boolean;
  worker: string | null;
}

export interface Schedule extends Row {
  name: string;
  task: string;
  spec: string;
  zone: string;
  paused: boolean;
  next_due: string | null;
}

export interface DeadJob extends Row {
  task: string;
  queue: string;
  arguments: string;
  attempt: number;
  died_at: string;
  code: string;
  error: string;
}

declare module "@tims/client" {
  interface TimsApi {
    "/api/tasks/": JobStatus;
    "/api/tasks/queues/": Queue;
    "/api/tasks/workers/": Worker;
    "/api/tasks/schedules/": Schedule;
    "/api/tasks/dead/": DeadJob;
    "/api/tasks/running/": { rows: Job[] };
    "/api/tasks/scheduled/": { rows: Job[] };
  }
}
