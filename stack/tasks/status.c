/* status.c: rows of tracked jobs, which their users see live. */
#include "tasks/tasks_internal.h"

tims_status tasks__status_begin(tims_db_session *session, tims_arena *arena, const tasks__job *job,
                                tims_error *err)
{
    tasks__status_row row = { .id = job->id,
                              .task = job->task,
                              .queue = job->queue,
                              .user = job->user,
                              .state = TIMS_STR("waiting"),
                              .result = { TIMS_STR("null") },
                              .created_at = job->enqueued_at };
    return tims_model_insert(session, arena, &tasks__status_model, &row, err);
}

tims_status tasks__status_progress(tims_db_session *session, tims_arena *arena, tims_id job, double fraction,
                                   tims_str text, tims_error *err)
{
    (void)arena;
    const tims_db_value values[] = { tims_db_id(job), tims_db_double(fraction), tims_db_text(text) };
    return tims_db_run(
        session,
        TIMS_STR("UPDATE tims_job_status SET progress = ?2, message = ?3 WHERE id = ?1 AND state = "
                 "'running'"),
        values, 3, NULL, err);
}

tims_status tasks__status_start(tims_db_session *session, const tasks__job *job, tims_time now,
                                tims_error *err)
{
    const tims_db_value values[] = { tims_db_id(job->id), tims_db_int(job->attempt), tims_db_int(now.us) };
    return tims_db_run(
        session,
        TIMS_STR("UPDATE tims_job_status SET state = 'running', attempt = ?2, started_at = ?3, "
                 "progress = 0, message = '' WHERE id = ?1"),
        values, 3, NULL, err);
}

tims_status tasks__status_wait(tims_db_session *session, tims_id job, tims_str error, tims_error *err)
{
    const tims_db_value values[] = { tims_db_id(job), tims_db_text(error) };
    return tims_db_run(session,
                       TIMS_STR("UPDATE tims_job_status SET state = 'waiting', error = ?2, ended_at = NULL, "
                                "expires_at = NULL WHERE id = ?1"),
                       values, 2, NULL, err);
}

tims_status tasks__status_end(tims_db_session *session, const tasks__status_ended *ended, tims_error *err)
{
    enum { DAY_S = 24 * 3600, SECOND_US = 1000000 };
    int64_t keep_s = ended->keep_s > 0 ? ended->keep_s : DAY_S;
    bool is_done = strcmp(ended->state, "done") == 0;
    const tims_db_value values[] = { tims_db_id(ended->job),
                                     tims_db_text(tims_str_from(ended->state)),
                                     tims_db_text(ended->result.data != NULL ? ended->result
                                                                             : TIMS_STR("null")),
                                     tims_db_text(ended->error),
                                     tims_db_int(ended->now.us),
                                     tims_db_int(ended->now.us + keep_s * SECOND_US),
                                     tims_db_int(is_done) };
    return tims_db_run(
        session,
        TIMS_STR("UPDATE tims_job_status SET state = ?2, result = ?3, error = ?4, ended_at = ?5, "
                 "expires_at = ?6, progress = CASE WHEN ?7 = 1 THEN 1 ELSE progress END "
                 "WHERE id = ?1"),
        values, 7, NULL, err);
}
