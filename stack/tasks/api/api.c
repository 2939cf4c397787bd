/* api.c: jobs over HTTP: what users follow, and what staff sees and does. */
#include "tasks/api/api_internal.h"

const tims_resource tims_tasks_resources[] = {
    { .path = "/api/tasks/",
      .model = &tasks__status_model,
      .allow = TIMS_LIST | TIMS_READ,
      .filter = TIMS_NAMES("state", "task", "queue", "user"),
      .doc = "Jobs of tracked tasks: your own; staff sees all." },
    { .path = "/api/tasks/queues/",
      .model = &tasks__queue_model,
      .allow = TIMS_LIST | TIMS_READ,
      .filter = TIMS_NAMES("name", "paused"),
      .doc = "Queues and how full they are; for staff." },
    { .path = "/api/tasks/dead/",
      .model = &tasks__dead_model,
      .allow = TIMS_LIST | TIMS_READ,
      .filter = TIMS_NAMES("task", "queue", "code"),
      .doc = "Jobs that were given up; for staff." },
    { .path = "/api/tasks/workers/",
      .model = &tasks__worker_model,
      .allow = TIMS_LIST | TIMS_READ,
      .filter = TIMS_NAMES("name"),
      .doc = "Processes that run jobs; for staff." },
    { .path = "/api/tasks/schedules/",
      .model = &tasks__schedule_model,
      .allow = TIMS_LIST | TIMS_READ,
      .filter = TIMS_NAMES("task", "paused"),
      .doc = "What is enqueued at certain times; for staff." },
    { 0 },
};

static const tims_shape job = {
    .name = "job",
    .doc = "A job that is not done yet.",
    .fields = TIMS_FIELDS(
        TIMS_VALUE(id, ID, .doc = "The job."), TIMS_VALUE(task, STR, .doc = "The task, by name."),
        TIMS_VALUE(queue, STR, .doc = "Its queue."), TIMS_VALUE(priority, INT, .doc = "0 is first."),
        TIMS_VALUE(attempt, INT, .doc = "Runs begun."),
        TIMS_VALUE(crashes, INT, .doc = "Runs whose process died."),
        TIMS_VALUE(run_at, OPT_TIME, .doc = "When it may run."),
        TIMS_VALUE(enqueued_at, TIME, .doc = "When it was enqueued."),
        TIMS_VALUE(expires_at, OPT_TIME, .doc = "After this it is not begun any more."),
        TIMS_VALUE(owner, OPT_ID, .doc = "For whom it is."),
        TIMS_VALUE(tracked, BOOL, .doc = "Its user can follow it."),
        TIMS_VALUE(cancelled, BOOL, .doc = "It is to stop."),
        TIMS_VALUE(worker, OPT_STR, .doc = "Which runs it.")),
};
static const tims_field one_job = { .kind = TIMS_KIND_JSON, .shape = &job };
static const tims_shape jobs = {
    .name = "jobs",
    .doc = "At most fifty jobs.",
    .fields = TIMS_FIELDS(TIMS_VALUE(rows, JSON, .list = &one_job)),
};
static const tims_shape of_queue = {
    .name = "of_queue",
    .fields = TIMS_FIELDS(TIMS_VALUE(queue, STR, .default_value = "default",
                                     .max_length = TASKS__NAME_BYTES_MAX, .doc = "Of this queue.")),
};
static const tims_shape enqueued = {
    .name = "enqueued",
    .doc = "The job that was made.",
    .fields = TIMS_FIELDS(TIMS_VALUE(id, ID, .doc = "The job.")),
};
static const tims_shape retried = {
    .name = "retried",
    .doc = "What was retried.",
    .fields = TIMS_FIELDS(TIMS_VALUE(retried, INT, .doc = "How many jobs were enqueued again.")),
};

const tims_computed tims_tasks_computed[] = {
    { .path = "/api/tasks/running/",
      .write = tasks__write_running,
      .access = tims_access_staff,
      .doc = "Jobs that run: the oldest fifty.",
      .api = { .answer = &jobs } },
    { .path = "/api/tasks/waiting/",
      .write = tasks__write_waiting,
      .access = tims_access_staff,
      .doc = "Jobs of ?queue= (\"default\") that may run: the next fifty.",
      .api = { .answer = &jobs, .query = &of_queue } },
    { .path = "/api/tasks/scheduled/",
      .write = tasks__write_scheduled,
      .access = tims_access_staff,
      .doc = "Jobs with a time in the future: the next fifty.",
      .api = { .answer = &jobs } },
    { 0 },
};

enum { BODY_BYTES_MAX = TIMS_ARGUMENTS_BYTES_MAX + 16 * 1024, SMALL_BYTES_MAX = 16 * 1024 };

const tims_route tims_tasks_routes[] = {
    { TIMS_METHOD_POST, "/api/tasks/", tasks__answer_enqueue, .access = tims_access_staff,
      .body_bytes_max = BODY_BYTES_MAX, .doc = "Enqueues a job.",
      .api = { .operation = "enqueueJob",
               .body = &tasks__enqueue_shape,
               .status = 201,
               .answer = &enqueued,
               .problems = { 404 } } },
    { TIMS_METHOD_POST, "/api/tasks/{id:id}/cancel/", tasks__answer_cancel, .access = tims_access_signed_in,
      .body_bytes_max = SMALL_BYTES_MAX, .doc = "Cancels a job: your own tracked one; staff any.",
      .api = { .operation = "cancelJob", .problems = { 404, 409 } } },
    { TIMS_METHOD_POST, "/api/tasks/dead/retry/", tasks__answer_retry_many_dead, .access = tims_access_staff,
      .body_bytes_max = SMALL_BYTES_MAX, .doc = "Retries dead jobs of a task or a queue, up to 500.",
      .api = { .operation = "retryDeadJobs", .body = &tasks__retry_shape, .answer = &retried } },
    { TIMS_METHOD_POST, "/api/tasks/dead/{id:id}/retry/", tasks__answer_retry_dead,
      .access = tims_access_staff, .body_bytes_max = SMALL_BYTES_MAX, .doc = "Enqueues a dead job again.",
      .api = { .operation = "retryDeadJob", .problems = { 404 } } },
    { TIMS_METHOD_DELETE, "/api/tasks/dead/{id:id}/", tasks__answer_remove_dead, .access = tims_access_staff,
      .body_bytes_max = SMALL_BYTES_MAX, .doc = "Gives a dead job up for good.",
      .api = { .operation = "removeDeadJob", .problems = { 404 } } },
    { TIMS_METHOD_POST, "/api/tasks/queues/{name}/pause/", tasks__answer_pause_queue,
      .access = tims_access_staff, .body_bytes_max = SMALL_BYTES_MAX, .doc = "No job of it is begun.",
      .api = { .operation = "pauseQueue", .problems = { 404 } } },
    { TIMS_METHOD_POST, "/api/tasks/queues/{name}/resume/", tasks__answer_resume_queue,
      .access = tims_access_staff, .body_bytes_max = SMALL_BYTES_MAX, .doc = "Its jobs are begun again.",
      .api = { .operation = "resumeQueue", .problems = { 404 } } },
    { TIMS_METHOD_POST, "/api/tasks/schedules/{name}/pause/", tasks__answer_pause_schedule,
      .access = tims_access_staff, .body_bytes_max = SMALL_BYTES_MAX, .doc = "It enqueues nothing.",
      .api = { .operation = "pauseSchedule", .problems = { 404 } } },
    { TIMS_METHOD_POST, "/api/tasks/schedules/{name}/resume/", tasks__answer_resume_schedule,
      .access = tims_access_staff, .body_bytes_max = SMALL_BYTES_MAX, .doc = "It enqueues again.",
      .api = { .operation = "resumeSchedule", .problems = { 404 } } },
    { 0 },
};
