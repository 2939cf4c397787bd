/* limit_internal.h: what the limits of queues (limit.c) and keys (limit_keys.c) share. */
#ifndef TASKS_LIMIT_INTERNAL_H
#define TASKS_LIMIT_INTERNAL_H

#include "tasks/sql/job_row.h"

/* Until the transaction's end nobody else counts what has one of these names, which are locked in the order
 * given. SQLite has one writer: nothing to do. */
tims_status tasks__limit_lock(tims_db_session *session, tims_arena *arena, const tims_str *names,
                              size_t count, tims_error *err);

/* As many tokens as the rate allows in its period, refilled evenly, as throttles have it; a row of
 * tims_limit. No row is a full bucket. */
typedef struct tasks__bucket {
    double tokens; /* now */
    bool is_ahead; /* the row's time is in the future: the clock went back */
} tasks__bucket;
tims_status tasks__bucket_read(tims_db_session *session, tims_str name, tims_rate rate, tims_time now,
                               tasks__bucket *ret_bucket, tims_error *err);
tims_status tasks__bucket_write(tims_db_session *session, tims_str name, double tokens, tims_time time,
                                tims_error *err);
/* How many whole ones there are, at most `max`; and when there will be one more. */
size_t tasks__bucket_whole(const tasks__bucket *bucket, size_t max);
int64_t tasks__bucket_wait_us(double tokens, tims_rate rate);

#endif
