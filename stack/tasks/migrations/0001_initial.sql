CREATE TABLE "tims_job" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "task" TEXT NOT NULL,
    "queue" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "arguments" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,
    "attempt" INTEGER NOT NULL,
    "crashes" INTEGER NOT NULL,
    "state" INTEGER NOT NULL,
    "run_at" INTEGER NOT NULL,
    "enqueued_at" INTEGER NOT NULL,
    "expires_at" INTEGER,
    "owner" TEXT,
    "limit_key" TEXT,
    "unique_key" TEXT,
    "unique_while" INTEGER NOT NULL,
    "group_id" TEXT,
    "group_index" INTEGER NOT NULL,
    "steps" TEXT,
    "previous" TEXT,
    "trace" TEXT NOT NULL,
    "tracked" INTEGER NOT NULL CONSTRAINT "tracked" CHECK ("tracked" IN (0, 1)),
    "cancelled" INTEGER NOT NULL CONSTRAINT "cancelled" CHECK ("cancelled" IN (0, 1)),
    "worker" TEXT
) STRICT;
CREATE INDEX "tims_job_queue_priority_run_at_index" ON "tims_job" ("queue", "priority", "run_at") WHERE state = 0;
CREATE INDEX "tims_job_run_at_index" ON "tims_job" ("run_at") WHERE state = 1;
CREATE INDEX "tims_job_worker_index" ON "tims_job" ("worker") WHERE state = 2;
CREATE INDEX "tims_job_queue_run_at_index" ON "tims_job" ("queue", "run_at") WHERE state = 1;
CREATE INDEX "tims_job_queue_limit_key_index" ON "tims_job" ("queue", "limit_key") WHERE state = 3;
CREATE INDEX "tims_job_task_limit_key_priority_run_at_index" ON "tims_job" ("task", "limit_key", "priority", "run_at") WHERE state = 3;
CREATE INDEX "tims_job_queue_state_index" ON "tims_job" ("queue", "state") WHERE state = 1 OR state = 3;
CREATE TABLE "tims_job_unique" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "key" TEXT NOT NULL,
    "job" TEXT NOT NULL,
    "until" INTEGER
) STRICT;
CREATE UNIQUE INDEX "tims_job_unique_key_unique" ON "tims_job_unique" ("key");
CREATE INDEX "tims_job_unique_until_index" ON "tims_job_unique" ("until");
CREATE TABLE "tims_job_dead" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "task" TEXT NOT NULL,
    "queue" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "arguments" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,
    "attempt" INTEGER NOT NULL,
    "crashes" INTEGER NOT NULL,
    "enqueued_at" INTEGER NOT NULL,
    "died_at" INTEGER NOT NULL,
    "owner" TEXT,
    "limit_key" TEXT,
    "unique_key" TEXT,
    "unique_while" INTEGER NOT NULL,
    "group_id" TEXT,
    "group_index" INTEGER NOT NULL,
    "steps" TEXT,
    "previous" TEXT,
    "trace" TEXT NOT NULL,
    "code" TEXT NOT NULL,
    "error" TEXT NOT NULL,
    "foreign_message" TEXT,
    "tracked" INTEGER NOT NULL CONSTRAINT "tracked" CHECK ("tracked" IN (0, 1))
) STRICT;
CREATE INDEX "tims_job_dead_queue_index" ON "tims_job_dead" ("queue");
CREATE INDEX "tims_job_dead_died_at_index" ON "tims_job_dead" ("died_at");
CREATE TABLE "tims_job_status" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "task" TEXT NOT NULL,
    "queue" TEXT NOT NULL,
    "user" TEXT REFERENCES "user" ("id") ON DELETE CASCADE,
    "state" TEXT NOT NULL,
    "progress" REAL NOT NULL,
    "message" TEXT NOT NULL,
    "result" TEXT NOT NULL,
    "error" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "created_at" INTEGER NOT NULL,
    "started_at" INTEGER,
    "ended_at" INTEGER,
    "expires_at" INTEGER
) STRICT;
CREATE INDEX "tims_job_status_user_index" ON "tims_job_status" ("user");
CREATE INDEX "tims_job_status_expires_at_index" ON "tims_job_status" ("expires_at");
CREATE TABLE "tims_job_group" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "total" INTEGER NOT NULL,
    "remaining" INTEGER NOT NULL,
    "without" INTEGER NOT NULL,
    "last" TEXT,
    "created_at" INTEGER NOT NULL
) STRICT;
CREATE TABLE "tims_job_group_result" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "group_id" TEXT NOT NULL,
    "member" INTEGER NOT NULL,
    "result" TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX "tims_job_group_result_group_id_member_unique" ON "tims_job_group_result" ("group_id", "member");
CREATE TABLE "tims_worker" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "name" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "pid" INTEGER NOT NULL,
    "queues" TEXT NOT NULL,
    "concurrency" INTEGER NOT NULL,
    "running" INTEGER NOT NULL,
    "started_at" INTEGER NOT NULL,
    "seen_at" INTEGER NOT NULL,
    "lease_until" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "tims_worker_name_unique" ON "tims_worker" ("name");
CREATE INDEX "tims_worker_lease_until_index" ON "tims_worker" ("lease_until");
CREATE TABLE "tims_queue" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "name" TEXT NOT NULL,
    "paused" INTEGER NOT NULL CONSTRAINT "paused" CHECK ("paused" IN (0, 1)),
    "waiting" INTEGER NOT NULL,
    "later" INTEGER NOT NULL,
    "running" INTEGER NOT NULL,
    "blocked" INTEGER NOT NULL,
    "dead" INTEGER NOT NULL,
    "done" INTEGER NOT NULL,
    "failed" INTEGER NOT NULL,
    "updated_at" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "tims_queue_name_unique" ON "tims_queue" ("name");
CREATE TABLE "tims_schedule" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "name" TEXT NOT NULL,
    "task" TEXT NOT NULL,
    "spec" TEXT NOT NULL,
    "zone" TEXT NOT NULL,
    "paused" INTEGER NOT NULL CONSTRAINT "paused" CHECK ("paused" IN (0, 1)),
    "last_due" INTEGER,
    "next_due" INTEGER,
    "last_job" TEXT
) STRICT;
CREATE UNIQUE INDEX "tims_schedule_name_unique" ON "tims_schedule" ("name");
CREATE TABLE "tims_limit" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "name" TEXT NOT NULL,
    "tokens" REAL NOT NULL,
    "counted_at" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "tims_limit_name_unique" ON "tims_limit" ("name");
CREATE INDEX "tims_limit_counted_at_index" ON "tims_limit" ("counted_at");
