/* models.c: see models.h. */
#include "tasks/tasks_internal.h"

const tims_model tasks__job_model = {
    .name = "tims_job",
    .doc = "A job that is not done yet.",
    .size = sizeof(tasks__job_row),
    .fields = TIMS_FIELDS(TIMS_FIELD(tasks__job_row, id, .primary = true), TIMS_FIELD(tasks__job_row, task),
                          TIMS_FIELD(tasks__job_row, queue), TIMS_FIELD(tasks__job_row, version),
                          TIMS_FIELD(tasks__job_row, arguments), TIMS_FIELD(tasks__job_row, priority),
                          TIMS_FIELD(tasks__job_row, attempt), TIMS_FIELD(tasks__job_row, crashes),
                          TIMS_FIELD(tasks__job_row, state), TIMS_FIELD(tasks__job_row, run_at),
                          TIMS_FIELD(tasks__job_row, enqueued_at), TIMS_FIELD(tasks__job_row, expires_at),
                          TIMS_FIELD(tasks__job_row, owner), TIMS_FIELD(tasks__job_row, limit_key),
                          TIMS_FIELD(tasks__job_row, unique_key), TIMS_FIELD(tasks__job_row, unique_while),
                          TIMS_FIELD(tasks__job_row, group_id), TIMS_FIELD(tasks__job_row, group_index),
                          TIMS_FIELD(tasks__job_row, steps), TIMS_FIELD(tasks__job_row, previous),
                          TIMS_FIELD(tasks__job_row, trace), TIMS_FIELD(tasks__job_row, tracked),
                          TIMS_FIELD(tasks__job_row, cancelled), TIMS_FIELD(tasks__job_row, worker)),
    .indexes = TIMS_INDEXES(TIMS_INDEX_WHERE("state = 0", "queue", "priority", "run_at"),
                            TIMS_INDEX_WHERE("state = 1", "run_at"), TIMS_INDEX_WHERE("state = 2", "worker"),
                            TIMS_INDEX_WHERE("state = 1", "queue", "run_at"),
                            TIMS_INDEX_WHERE("state = 3", "queue", "limit_key"),
                            TIMS_INDEX_WHERE("state = 3", "task", "limit_key", "priority", "run_at"),
                            TIMS_INDEX_WHERE("state = 1 OR state = 3", "queue", "state")),
    .not_live = true,
};

const tims_model tasks__unique_model = {
    .name = "tims_job_unique",
    .doc = "Keys for which there is a job already.",
    .size = sizeof(tasks__unique_row),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(tasks__unique_row, id, .primary = true),
                    TIMS_FIELD(tasks__unique_row, key, .unique = true, .max_length = 500),
                    TIMS_FIELD(tasks__unique_row, job), TIMS_FIELD(tasks__unique_row, until, .index = true)),
    .not_live = true,
};

const tims_model tasks__dead_model = {
    .name = "tims_job_dead",
    .doc = "Jobs that were given up, until somebody retries or removes them.",
    .size = sizeof(tasks__dead_row),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(tasks__dead_row, id, .primary = true, .doc = "The job."),
        TIMS_FIELD(tasks__dead_row, task, .doc = "The task, by name."),
        TIMS_FIELD(tasks__dead_row, queue, .index = true, .doc = "Its queue."),
        TIMS_FIELD(tasks__dead_row, version, .doc = "Of its arguments."),
        TIMS_FIELD(tasks__dead_row, arguments, .doc = "JSON."),
        TIMS_FIELD(tasks__dead_row, priority, .doc = "0 to 9."),
        TIMS_FIELD(tasks__dead_row, attempt, .doc = "Runs begun."),
        TIMS_FIELD(tasks__dead_row, crashes, .doc = "Runs whose process died."),
        TIMS_FIELD(tasks__dead_row, enqueued_at, .doc = "When it was enqueued."),
        TIMS_FIELD(tasks__dead_row, died_at, .index = true, .doc = "When it was given up."),
        TIMS_FIELD(tasks__dead_row, owner, .doc = "For whom it was."),
        TIMS_FIELD(tasks__dead_row, limit_key, .hidden = true),
        TIMS_FIELD(tasks__dead_row, unique_key, .hidden = true),
        TIMS_FIELD(tasks__dead_row, unique_while, .hidden = true),
        TIMS_FIELD(tasks__dead_row, group_id, .hidden = true),
        TIMS_FIELD(tasks__dead_row, group_index, .hidden = true),
        TIMS_FIELD(tasks__dead_row, steps, .hidden = true),
        TIMS_FIELD(tasks__dead_row, previous, .hidden = true),
        TIMS_FIELD(tasks__dead_row, trace, .hidden = true),
        TIMS_FIELD(tasks__dead_row, code, .doc = "Why, for programs."),
        TIMS_FIELD(tasks__dead_row, error, .doc = "Why, for people."),
        TIMS_FIELD(tasks__dead_row, foreign_message, .doc = "A message that could not be read, as it came."),
        TIMS_FIELD(tasks__dead_row, tracked, .hidden = true)),
    .read = TIMS_STAFF,
    .order = "-died_at",
};

const tims_model tasks__status_model = {
    .name = "tims_job_status",
    .doc = "A job that its user can follow.",
    .size = sizeof(tasks__status_row),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(tasks__status_row, id, .primary = true, .doc = "The job."),
        TIMS_FIELD(tasks__status_row, task, .doc = "The task, by name."),
        TIMS_FIELD(tasks__status_row, queue, .doc = "Where it waits."),
        TIMS_FIELD(tasks__status_row, user, .to = &tims_user_model, .doc = "For whom it is done."),
        TIMS_FIELD(tasks__status_row, state, .doc = "waiting, running, done, failed, cancelled or expired."),
        TIMS_FIELD(tasks__status_row, progress, .doc = "0 to 1."),
        TIMS_FIELD(tasks__status_row, message, .doc = "How far it is, in words."),
        TIMS_FIELD(tasks__status_row, result, .doc = "What it gave."),
        TIMS_FIELD(tasks__status_row, error, .doc = "Why it failed, or why it is tried again."),
        TIMS_FIELD(tasks__status_row, attempt, .doc = "Runs begun."),
        TIMS_FIELD(tasks__status_row, created_at, .doc = "When it was enqueued."),
        TIMS_FIELD(tasks__status_row, started_at, .doc = "When the last run began."),
        TIMS_FIELD(tasks__status_row, ended_at, .doc = "When it ended."),
        TIMS_FIELD(tasks__status_row, expires_at, .index = true, .doc = "When this row goes.")),
    .read = TIMS_ANY(TIMS_OWNER(tasks__status_row, user), TIMS_STAFF),
    .order = "-created_at",
};

const tims_model tasks__group_model = {
    .name = "tims_job_group",
    .doc = "Jobs that are one piece of work together.",
    .size = sizeof(tasks__group_row),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(tasks__group_row, id, .primary = true), TIMS_FIELD(tasks__group_row, total),
                    TIMS_FIELD(tasks__group_row, remaining), TIMS_FIELD(tasks__group_row, without),
                    TIMS_FIELD(tasks__group_row, last), TIMS_FIELD(tasks__group_row, created_at)),
    .not_live = true,
};

const tims_model tasks__group_result_model = {
    .name = "tims_job_group_result",
    .doc = "What the members of a group gave.",
    .size = sizeof(tasks__group_result_row),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(tasks__group_result_row, id, .primary = true),
                    TIMS_FIELD(tasks__group_result_row, group_id),
                    TIMS_FIELD(tasks__group_result_row, member), TIMS_FIELD(tasks__group_result_row, result)),
    .indexes = TIMS_INDEXES(TIMS_UNIQUE("group_id", "member")),
    .not_live = true,
};

const tims_model tasks__worker_model = {
    .name = "tims_worker",
    .doc = "A process that runs jobs.",
    .size = sizeof(tasks__worker_row),
    .fields = TIMS_FIELDS(TIMS_FIELD(tasks__worker_row, id, .primary = true, .doc = "One start of it."),
                          TIMS_FIELD(tasks__worker_row, name, .unique = true, .max_length = 200,
                                     .doc = "HOST:PID, or as it was named."),
                          TIMS_FIELD(tasks__worker_row, host, .doc = "The machine."),
                          TIMS_FIELD(tasks__worker_row, pid, .doc = "The process."),
                          TIMS_FIELD(tasks__worker_row, queues, .doc = "What it takes jobs from."),
                          TIMS_FIELD(tasks__worker_row, concurrency, .doc = "Runs at once."),
                          TIMS_FIELD(tasks__worker_row, running, .doc = "Runs now."),
                          TIMS_FIELD(tasks__worker_row, started_at, .doc = "When it was started."),
                          TIMS_FIELD(tasks__worker_row, seen_at, .doc = "Its last sign of life."),
                          TIMS_FIELD(tasks__worker_row, lease_until, .index = true,
                                     .doc = "Without a sign of life until then its jobs go to others.")),
    .read = TIMS_STAFF,
    .order = "name",
};

const tims_model tasks__queue_model = {
    .name = "tims_queue",
    .doc = "A queue, and how full it is.",
    .size = sizeof(tasks__queue_row),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(tasks__queue_row, id, .primary = true, .doc = "Made by the server."),
        TIMS_FIELD(tasks__queue_row, name, .unique = true, .read_only = true, .max_length = 200,
                   .doc = "Its name."),
        TIMS_FIELD(tasks__queue_row, paused, .doc = "No job of it is begun."),
        TIMS_FIELD(tasks__queue_row, waiting, .doc = "Jobs that may run; 10,001: more than 10,000."),
        TIMS_FIELD(tasks__queue_row, later, .doc = "Jobs with a time in the future."),
        TIMS_FIELD(tasks__queue_row, running, .doc = "Jobs that run."),
        TIMS_FIELD(tasks__queue_row, blocked, .doc = "Jobs whose key is at its limit."),
        TIMS_FIELD(tasks__queue_row, dead, .doc = "Jobs in the dead list."),
        TIMS_FIELD(tasks__queue_row, done, .doc = "Jobs done since it was made."),
        TIMS_FIELD(tasks__queue_row, failed, .doc = "Runs that failed."),
        TIMS_FIELD(tasks__queue_row, updated_at, .doc = "When that was counted.")),
    .read = TIMS_STAFF,
    .order = "name",
};

const tims_model tasks__schedule_model = {
    .name = "tims_schedule",
    .doc = "What is enqueued at certain times.",
    .size = sizeof(tasks__schedule_row),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(tasks__schedule_row, id, .primary = true, .doc = "Made by the server."),
        TIMS_FIELD(tasks__schedule_row, name, .unique = true, .max_length = 200, .doc = "Its name."),
        TIMS_FIELD(tasks__schedule_row, task, .doc = "What is enqueued."),
        TIMS_FIELD(tasks__schedule_row, spec, .doc = "When: a cron line or an interval."),
        TIMS_FIELD(tasks__schedule_row, zone, .doc = "The time zone of the cron line."),
        TIMS_FIELD(tasks__schedule_row, paused, .doc = "Nothing is enqueued."),
        TIMS_FIELD(tasks__schedule_row, last_due, .doc = "For which time it was last enqueued."),
        TIMS_FIELD(tasks__schedule_row, next_due, .doc = "When it is due next."),
        TIMS_FIELD(tasks__schedule_row, last_job, .doc = "The job of the last time.")),
    .read = TIMS_STAFF,
    .order = "name",
};

const tims_model tasks__limit_model = {
    .name = "tims_limit",
    .doc = "Tokens of the rates of queues and keys.",
    .size = sizeof(tasks__limit_row),
    .fields = TIMS_FIELDS(TIMS_FIELD(tasks__limit_row, id, .primary = true),
                          TIMS_FIELD(tasks__limit_row, name, .unique = true, .max_length = 500),
                          TIMS_FIELD(tasks__limit_row, tokens),
                          TIMS_FIELD(tasks__limit_row, counted_at, .index = true)),
    .not_live = true,
};

const tims_model *const tims_tasks_models[] = { &tasks__job_model,
                                                &tasks__unique_model,
                                                &tasks__dead_model,
                                                &tasks__status_model,
                                                &tasks__group_model,
                                                &tasks__group_result_model,
                                                &tasks__worker_model,
                                                &tasks__queue_model,
                                                &tasks__schedule_model,
                                                &tasks__limit_model,
                                                NULL };
