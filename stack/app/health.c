/* health.c: what a cluster asks a process: does it live, may it be sent requests? `/health` says the first
 * for people. A process that answers at all lives. It is ready while it stays and its database answers; that
 * the database is migrated was asked before it listened, and a later version's migration must not send its
 * predecessors away. */
#include "app/app_internal.h"

static tims_answer answer_alive(tims_request *rq)
{
    (void)rq;
    return tims_answer_json(200, TIMS_STR("{\"status\":\"ok\"}"));
}

static tims_answer answer_ready(tims_request *rq)
{
    if (tims_server_is_leaving(rq))
        tims_raise(rq, 503, "leaving", "This process is about to end.");
    tims_error err = { 0 };
    tims_db_rows *rows = NULL;
    tims_check(rq, tims_db_query(tims_session_db(rq), TIMS_STR("SELECT 1"), NULL, 0, &rows, &err), &err);
    (void)tims_db_next(rows);
    tims_check(rq, tims_db_rows_end(&rows, &err), &err);
    return answer_alive(rq);
}

const tims_route app__probes[] = {
    { TIMS_METHOD_GET, "/healthz", answer_alive, .anonymous = true, .no_csrf = true,
      .doc = "Whether it lives.", .api.is_hidden = true },
    { TIMS_METHOD_GET, "/readyz", answer_ready, .anonymous = true, .no_csrf = true,
      .doc = "Whether it may be sent requests.", .api.is_hidden = true },
    { 0 },
};
