CREATE TABLE "tims_job" (
    "id" uuid PRIMARY KEY NOT NULL,
    "task" text COLLATE "C" NOT NULL,
    "queue" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "arguments" text COLLATE "C" NOT NULL,
    "priority" bigint NOT NULL,
    "attempt" bigint NOT NULL,
    "crashes" bigint NOT NULL,
    "state" bigint NOT NULL,
    "run_at" timestamptz NOT NULL,
    "enqueued_at" timestamptz NOT NULL,
    "expires_at" timestamptz,
    "owner" uuid,
    "limit_key" text COLLATE "C",
    "unique_key" text COLLATE "C",
    "unique_while" bigint NOT NULL,
    "group_id" uuid,
    "group_index" bigint NOT NULL,
    "steps" text COLLATE "C",
    "previous" text COLLATE "C",
    "trace" text COLLATE "C" NOT NULL,
    "tracked" boolean NOT NULL,
    "cancelled" boolean NOT NULL,
    "worker" uuid
);
CREATE INDEX "tims_job_queue_priority_run_at_index" ON "tims_job" ("queue", "priority", "run_at") WHERE state = 0;
CREATE INDEX "tims_job_run_at_index" ON "tims_job" ("run_at") WHERE state = 1;
CREATE INDEX "tims_job_worker_index" ON "tims_job" ("worker" NULLS FIRST) WHERE state = 2;
CREATE INDEX "tims_job_queue_run_at_index" ON "tims_job" ("queue", "run_at") WHERE state = 1;
CREATE INDEX "tims_job_queue_limit_key_index" ON "tims_job" ("queue", "limit_key" NULLS FIRST) WHERE state = 3;
CREATE INDEX "tims_job_task_limit_key_priority_run_at_index" ON "tims_job" ("task", "limit_key" NULLS FIRST, "priority", "run_at") WHERE state = 3;
CREATE INDEX "tims_job_queue_state_index" ON "tims_job" ("queue", "state") WHERE state = 1 OR state = 3;
CREATE TABLE "tims_job_unique" (
    "id" uuid PRIMARY KEY NOT NULL,
    "key" text COLLATE "C" NOT NULL,
    "job" uuid NOT NULL,
    "until" timestamptz
);
CREATE UNIQUE INDEX "tims_job_unique_key_unique" ON "tims_job_unique" ("key");
CREATE INDEX "tims_job_unique_until_index" ON "tims_job_unique" ("until" NULLS FIRST);
CREATE TABLE "tims_job_dead" (
    "id" uuid PRIMARY KEY NOT NULL,
    "task" text COLLATE "C" NOT NULL,
    "queue" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "arguments" text COLLATE "C" NOT NULL,
    "priority" bigint NOT NULL,
    "attempt" bigint NOT NULL,
    "crashes" bigint NOT NULL,
    "enqueued_at" timestamptz NOT NULL,
    "died_at" timestamptz NOT NULL,
    "owner" uuid,
    "limit_key" text COLLATE "C",
    "unique_key" text COLLATE "C",
    "unique_while" bigint NOT NULL,
    "group_id" uuid,
    "group_index" bigint NOT NULL,
    "steps" text COLLATE "C",
    "previous" text COLLATE "C",
    "trace" text COLLATE "C" NOT NULL,
    "code" text COLLATE "C" NOT NULL,
    "error" text COLLATE "C" NOT NULL,
    "foreign_message" text COLLATE "C",
    "tracked" boolean NOT NULL
);
CREATE INDEX "tims_job_dead_queue_index" ON "tims_job_dead" ("queue");
CREATE INDEX "tims_job_dead_died_at_index" ON "tims_job_dead" ("died_at");
CREATE TABLE "tims_job_status" (
    "id" uuid PRIMARY KEY NOT NULL,
    "task" text COLLATE "C" NOT NULL,
    "queue" text COLLATE "C" NOT NULL,
    "user" uuid REFERENCES "user" ("id") ON DELETE CASCADE,
    "state" text COLLATE "C" NOT NULL,
    "progress" double precision NOT NULL,
    "message" text COLLATE "C" NOT NULL,
    "result" json NOT NULL,
    "error" text COLLATE "C" NOT NULL,
    "attempt" bigint NOT NULL,
    "created_at" timestamptz NOT NULL,
    "started_at" timestamptz,
    "ended_at" timestamptz,
    "expires_at" timestamptz
);
CREATE INDEX "tims_job_status_user_index" ON "tims_job_status" ("user" NULLS FIRST);
CREATE INDEX "tims_job_status_expires_at_index" ON "tims_job_status" ("expires_at" NULLS FIRST);
CREATE TABLE "tims_job_group" (
    "id" uuid PRIMARY KEY NOT NULL,
    "total" bigint NOT NULL,
    "remaining" bigint NOT NULL,
    "without" bigint NOT NULL,
    "last" text COLLATE "C",
    "created_at" timestamptz NOT NULL
);
CREATE TABLE "tims_job_group_result" (
    "id" uuid PRIMARY KEY NOT NULL,
    "group_id" uuid NOT NULL,
    "member" bigint NOT NULL,
    "result" text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX "tims_job_group_result_group_id_member_unique" ON "tims_job_group_result" ("group_id", "member");
CREATE TABLE "tims_worker" (
    "id" uuid PRIMARY KEY NOT NULL,
    "name" text COLLATE "C" NOT NULL,
    "host" text COLLATE "C" NOT NULL,
    "pid" bigint NOT NULL,
    "queues" text COLLATE "C" NOT NULL,
    "concurrency" bigint NOT NULL,
    "running" bigint NOT NULL,
    "started_at" timestamptz NOT NULL,
    "seen_at" timestamptz NOT NULL,
    "lease_until" timestamptz NOT NULL
);
CREATE UNIQUE INDEX "tims_worker_name_unique" ON "tims_worker" ("name");
CREATE INDEX "tims_worker_lease_until_index" ON "tims_worker" ("lease_until");
CREATE TABLE "tims_queue" (
    "id" uuid PRIMARY KEY NOT NULL,
    "name" text COLLATE "C" NOT NULL,
    "paused" boolean NOT NULL,
    "waiting" bigint NOT NULL,
    "later" bigint NOT NULL,
    "running" bigint NOT NULL,
    "blocked" bigint NOT NULL,
    "dead" bigint NOT NULL,
    "done" bigint NOT NULL,
    "failed" bigint NOT NULL,
    "updated_at" timestamptz NOT NULL
);
CREATE UNIQUE INDEX "tims_queue_name_unique" ON "tims_queue" ("name");
CREATE TABLE "tims_schedule" (
    "id" uuid PRIMARY KEY NOT NULL,
    "name" text COLLATE "C" NOT NULL,
    "task" text COLLATE "C" NOT NULL,
    "spec" text COLLATE "C" NOT NULL,
    "zone" text COLLATE "C" NOT NULL,
    "paused" boolean NOT NULL,
    "last_due" timestamptz,
    "next_due" timestamptz,
    "last_job" uuid
);
CREATE UNIQUE INDEX "tims_schedule_name_unique" ON "tims_schedule" ("name");
CREATE TABLE "tims_limit" (
    "id" uuid PRIMARY KEY NOT NULL,
    "name" text COLLATE "C" NOT NULL,
    "tokens" double precision NOT NULL,
    "counted_at" timestamptz NOT NULL
);
CREATE UNIQUE INDEX "tims_limit_name_unique" ON "tims_limit" ("name");
CREATE INDEX "tims_limit_counted_at_index" ON "tims_limit" ("counted_at");
-- Rows live for a moment here: what is dead is cleared away often, not when it is a share of the table.
ALTER TABLE "tims_job" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 20000);
