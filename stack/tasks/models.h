/* models.h: this room's tables. What is polled is small and not live; what people look at is live. */
#ifndef TASKS_MODELS_H
#define TASKS_MODELS_H

#include "tims/model.h"

/* A job that is not done: ready, later, running or blocked. Done ones are gone, dead ones are in
 * tims_job_dead. */
typedef struct tasks__job_row {
    tims_id id;
    tims_str task, queue;
    int64_t version;
    tims_str arguments;
    int64_t priority, attempt, crashes, state;
    tims_time run_at, enqueued_at;
    tims_opt_time expires_at;
    tims_opt_id owner;
    tims_opt_str limit_key, unique_key;
    int64_t unique_while;
    tims_opt_id group_id;
    int64_t group_index;
    tims_opt_str steps, previous;
    tims_str trace;
    bool tracked, cancelled;
    tims_opt_id worker; /* who runs it */
} tasks__job_row;

typedef struct tasks__unique_row {
    tims_id id;
    tims_str key; /* "task:what the app says" */
    tims_id job;
    tims_opt_time until; /* TIMS_UNIQUE_FOR */
} tasks__unique_row;

typedef struct tasks__dead_row {
    tims_id id; /* the job's */
    tims_str task, queue;
    int64_t version;
    tims_str arguments;
    int64_t priority, attempt, crashes;
    tims_time enqueued_at, died_at;
    tims_opt_id owner;
    tims_opt_str limit_key, unique_key;
    int64_t unique_while;
    tims_opt_id group_id;
    int64_t group_index;
    tims_opt_str steps, previous;
    tims_str trace, code, error;
    tims_opt_str foreign_message; /* what could not even be read, as it came */
    bool tracked;
} tasks__dead_row;

typedef struct tasks__status_row {
    tims_id id; /* the job's */
    tims_str task, queue;
    tims_opt_id user;
    tims_str state;
    double progress;
    tims_str message;
    tims_json_text result;
    tims_str error;
    int64_t attempt;
    tims_time created_at;
    tims_opt_time started_at, ended_at, expires_at;
} tasks__status_row;

typedef struct tasks__group_row {
    tims_id id;
    int64_t total, remaining, without; /* without: ended undone */
    tims_opt_str last;                 /* JSON: the step to enqueue at the end */
    tims_time created_at;
} tasks__group_row;

typedef struct tasks__group_result_row {
    tims_id id, group_id;
    int64_t member;
    tims_str result;
} tasks__group_result_row;

typedef struct tasks__worker_row {
    tims_id id;
    tims_str name, host;
    int64_t pid;
    tims_str queues;
    int64_t concurrency, running;
    tims_time started_at, seen_at, lease_until;
} tasks__worker_row;

typedef struct tasks__queue_row {
    tims_id id;
    tims_str name;
    bool paused;
    int64_t waiting, later, running, blocked, dead; /* at most 10,001 each is counted */
    int64_t done, failed;                           /* since it was made */
    tims_time updated_at;
} tasks__queue_row;

typedef struct tasks__schedule_row {
    tims_id id;
    tims_str name, task, spec, zone;
    bool paused;
    tims_opt_time last_due, next_due;
    tims_opt_id last_job;
} tasks__schedule_row;

typedef struct tasks__limit_row {
    tims_id id;
    tims_str name; /* "queue:…", "key:task:…" */
    double tokens;
    tims_time counted_at;
} tasks__limit_row;

extern const tims_model tasks__job_model, tasks__unique_model, tasks__dead_model, tasks__status_model,
    tasks__group_model, tasks__group_result_model, tasks__worker_model, tasks__queue_model,
    tasks__schedule_model, tasks__limit_model;

#endif
