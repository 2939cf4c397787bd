/* sweep: keeps the table of sessions finite: what has ended goes, and a user has only so many.
 *
 * An ended session is refused whether its row is there or not, so the sweep is in no hurry: now and then, a
 * few rows a transaction, so that no writer waits long. It goes by `expires_at`, which has an index; what
 * ended by disuse is refused at once and swept when it would have ended in any case. */
#include "auth/auth_internal.h"

enum { SWEEP_MS = 15 * 60 * 1000, ROWS_A_DELETE = 500 };

/* --- now and then ------------------------------------------------------------------------------------ */

static void start_turn(void *argument);

static void arm(tims_auth *auth)
{
    int64_t every_ms = auth->options.sweep_ms > 0 ? auth->options.sweep_ms : SWEEP_MS;
    tims_timer_set(auth->sweep.loop, &auth->sweep.timer, every_ms, start_turn, auth);
}

static tims_status delete_some(tims_db_session *db, int64_t *ret_count, tims_error *err)
{
    static const tims_str sql =
        TIMS_STR_INIT("DELETE FROM auth_session WHERE id IN "
                      "(SELECT id FROM auth_session WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)");
    const tims_db_value values[] = { tims_db_int(tims_now().us), tims_db_int(ROWS_A_DELETE) };
    return tims_db_run(db, sql, values, 2, ret_count, err);
}

/* However the turn went: the next one, unless the loop has stopped meanwhile. */
static void end_turn(void *argument)
{
    tims_auth *auth = argument;
    tims_arena_free(&auth->sweep.arena);
    if (auth->sweep.loop != NULL)
        arm(auth);
}

static void run_turn(void *argument)
{
    tims_auth *auth = argument;
    int64_t count = ROWS_A_DELETE;
    tims_error err = { 0 };
    tims_fiber_on_end(tims_fiber_self(), end_turn, auth);
    tims_db_session *db = tims_db_session_new(auth->db, auth->sweep.loop, auth->sweep.arena);
    while (count == ROWS_A_DELETE && auth->sweep.loop != NULL) {
        if (delete_some(db, &count, &err) == TIMS_OK)
            continue;
        tims_log(TIMS_LOG_WARN, "auth", "ended sessions were not swept: %s", err.message);
        return;
    }
}

static void start_turn(void *argument)
{
    tims_auth *auth = argument;
    auth->sweep.arena = tims_arena_new(1 << 20, NULL, NULL);
    if (tims_fiber_start(auth->sweep.loop, run_turn, auth) == NULL)
        end_turn(auth);
}

void tims_auth_start(tims_auth *auth, tims_loop *loop)
{
    TIMS_CHECK_MAGIC(auth, AUTH__MAGIC);
    TIMS_ASSERT(auth->sweep.loop == NULL);
    auth->sweep.loop = loop;
    start_turn(auth);
}

void auth__sweep_stop(tims_auth *auth, tims_loop *loop)
{
    if (auth->sweep.loop != loop)
        return;
    auth->sweep.loop = NULL;
    tims_timer_clear(&auth->sweep.timer);
}

/* --- a user's ---------------------------------------------------------------------------------------- */

/* Of each kind by itself: a browser that signs in and forgets its cookie each time must not fill the table,
 * nor push the devices out. */
void auth__sweep_make_room(tims_request *rq, tims_id user, bool device)
{
    static const tims_str sql =
        TIMS_STR_INIT("DELETE FROM auth_session WHERE id IN (SELECT id FROM auth_session WHERE \"user\" = ?1 "
                      "AND device = ?2 ORDER BY last_used_at DESC, id DESC LIMIT ?3 OFFSET ?4)");
    const tims_db_value values[] = { tims_db_id(user), tims_db_int(device), tims_db_int(INT64_MAX),
                                     tims_db_int(auth__state_of(rq)->auth->options.sessions_max - 1) };
    if (tims_sql_run(rq, sql, values, 4) > 0)
        auth__forget_on_commit(rq, (tims_id){ { 0 } }, user);
}
