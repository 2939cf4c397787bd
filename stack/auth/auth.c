/* auth: the process's part: options, the signing key, and forgetting on all loops.
 *
 * Each loop remembers the sessions it has seen. Whoever ends or changes one says so here, and it is posted to
 * every loop; the change feed says it too, for what other processes did. */
#include "auth/auth_internal.h"

#include <stdlib.h>

static void fill_defaults(tims_auth_options *options)
{
    if (options->session_idle_s == 0)
        options->session_idle_s = 14 * AUTH__DAY_S;
    if (options->session_max_s == 0)
        options->session_max_s = 90 * AUTH__DAY_S;
    if (options->login_failures_max == 0)
        options->login_failures_max = 10;
    if (options->account_failures_max == 0)
        options->account_failures_max = 100;
    if (options->registrations_max == 0)
        options->registrations_max = 10;
    if (options->sessions_max == 0)
        options->sessions_max = 50;
    if (options->password_cost.memory_bytes == 0)
        options->password_cost = tims_password_cost_default;
}

/* --- the signing key --------------------------------------------------------------------------------- */

static tims_status read_key(tims_db_session *db, char ret_key[TIMS_TOKEN_TEXT_LENGTH], bool *ret_found,
                            tims_error *err)
{
    tims_db_rows *rows;
    bool found = false;
    tims_status status = tims_db_query(db, TIMS_STR("SELECT secret FROM auth_key WHERE name = 'signing'"),
                                       NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    if (tims_db_next(rows)) {
        tims_str text = tims_db_get_text(rows, 0);
        found = text.length == TIMS_TOKEN_TEXT_LENGTH;
        if (found)
            memcpy(ret_key, text.data, TIMS_TOKEN_TEXT_LENGTH);
    }
    status = tims_db_rows_end(&rows, err);
    if (status == TIMS_OK)
        *ret_found = found;
    return status;
}

static tims_status make_key(tims_db_session *db, tims_error *err)
{
    char secret[TIMS_TOKEN_TEXT_LENGTH];
    tims_token_new(secret);
    const tims_db_value values[] = { tims_db_id(tims_id_new()),
                                     tims_db_text((tims_str){ secret, sizeof secret }),
                                     tims_db_int(tims_now().us) };
    return tims_db_run(db,
                       TIMS_STR("INSERT INTO auth_key (id, name, secret, created_at) "
                                "VALUES (?1, 'signing', ?2, ?3) ON CONFLICT (name) DO NOTHING"),
                       values, 3, NULL, err);
}

static tims_status load_key(tims_db *db, char ret_key[TIMS_TOKEN_TEXT_LENGTH], tims_error *err)
{
    bool found = false;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(db, NULL, arena);
    tims_status status = read_key(session, ret_key, &found, err);
    if (status == TIMS_OK && !found) {
        status = make_key(session, err);
        if (status == TIMS_OK)
            status = read_key(session, ret_key, &found, err);
        if (status == TIMS_OK && !found)
            status = tims_fail(err, TIMS_INTERNAL, "auth_key",
                               "The signing key in table auth_key cannot be used.");
    }
    tims_arena_free(&arena);
    return status;
}

/* --- life -------------------------------------------------------------------------------------------- */

static void destroy(void *argument)
{
    tims_auth *auth = argument;
    while (auth->loops != NULL) {
        auth__loop *first = auth->loops;
        auth->loops = first->next;
        auth__cache_free(&first->cache);
        free(first);
    }
    auth__throttle_free(&auth->throttle);
    auth__throttle_free(&auth->known);
    (void)pthread_mutex_destroy(&auth->mutex);
    auth->magic = 0;
}

tims_status tims_auth_new(tims_arena *arena, tims_db *db, const tims_auth_options *options,
                          tims_auth **ret_auth, tims_error *err)
{
    if (tims_crypto_setup() != TIMS_OK)
        return tims_fail(err, TIMS_INTERNAL, "crypto", "The system gives no random numbers.");
    tims_auth *auth = TIMS_NEW(arena, tims_auth);
    auth->magic = AUTH__MAGIC;
    auth->db = db;
    auth->options = *options;
    fill_defaults(&auth->options);
    tims_status status = load_key(db, auth->key, err);
    if (status != TIMS_OK)
        return status;
    TIMS_ASSERT(pthread_mutex_init(&auth->mutex, NULL) == 0);
    auth->throttle = auth__throttle_new();
    auth->known = auth__throttle_new();
    tims_arena_defer(arena, destroy, auth);
    *ret_auth = auth;
    return TIMS_OK;
}

/* --- loops ------------------------------------------------------------------------------------------- */

static auth__loop *add_loop(tims_auth *auth, tims_loop *loop)
{
    auth__loop *own = calloc(1, sizeof *own);
    TIMS_ASSERT(own != NULL);
    *own = (auth__loop){ .magic = AUTH__LOOP_MAGIC, .auth = auth, .loop = loop };
    own->cache = auth__cache_new(AUTH__CACHE_ENTRIES);
    pthread_mutex_lock(&auth->mutex);
    own->next = auth->loops;
    auth->loops = own;
    pthread_mutex_unlock(&auth->mutex);
    tims_loop_set_slot(loop, TIMS_LOOP_SLOT_AUTH, own);
    return own;
}

auth__loop *auth__loop_of(tims_auth *auth, tims_loop *loop)
{
    auth__loop *own = tims_loop_get_slot(loop, TIMS_LOOP_SLOT_AUTH);
    if (TIMS_UNLIKELY(own == NULL))
        own = add_loop(auth, loop);
    TIMS_CHECK_MAGIC(own, AUTH__LOOP_MAGIC);
    TIMS_ASSERT(own->auth == auth);
    return own;
}

void tims_auth_loop_stop(tims_auth *auth, tims_loop *loop)
{
    auth__loop *own = tims_loop_get_slot(loop, TIMS_LOOP_SLOT_AUTH);
    auth__sweep_stop(auth, loop);
    if (own == NULL)
        return;
    TIMS_CHECK_MAGIC(own, AUTH__LOOP_MAGIC);
    tims_loop_set_slot(loop, TIMS_LOOP_SLOT_AUTH, NULL);
    pthread_mutex_lock(&auth->mutex);
    auth__loop **link = &auth->loops;
    while (*link != own)
        link = &(*link)->next;
    *link = own->next;
    pthread_mutex_unlock(&auth->mutex);
    auth__cache_free(&own->cache);
    own->magic = 0;
    free(own);
}

/* --- forgetting -------------------------------------------------------------------------------------- */

typedef struct forgetting {
    tims_loop *loop;
    tims_id session, user; /* zero: not this; both: everything */
} forgetting;

static void forget_here(auth__loop *own, tims_id session, tims_id user)
{
    if (tims_id_is_zero(session) && tims_id_is_zero(user))
        auth__cache_forget_all(own->cache);
    if (!tims_id_is_zero(session))
        auth__cache_forget_session(own->cache, session);
    if (!tims_id_is_zero(user))
        auth__cache_forget_user(own->cache, user);
}

static void forget_posted(void *argument)
{
    forgetting *f = argument;
    auth__loop *own = tims_loop_get_slot(f->loop, TIMS_LOOP_SLOT_AUTH);
    if (own != NULL) { /* else it has stopped meanwhile */
        forget_here(own, f->session, f->user);
        atomic_fetch_sub(&own->forgets_coming, 1);
    }
    free(f);
}

/* From its return on no loop takes the session for valid: who has not forgotten it yet asks the database. The
 * mutex keeps a loop from stopping between being found and being posted to. */
void auth__forget_everywhere(tims_auth *auth, tims_id session, tims_id user)
{
    tims_loop *here = tims_loop_self();
    pthread_mutex_lock(&auth->mutex);
    for (auth__loop *own = auth->loops; own != NULL; own = own->next) {
        if (own->loop == here) {
            forget_here(own, session, user);
            continue;
        }
        forgetting *f = malloc(sizeof *f);
        TIMS_ASSERT(f != NULL);
        *f = (forgetting){ own->loop, session, user };
        atomic_fetch_add(&own->forgets_coming, 1);
        tims_loop_post(own->loop, forget_posted, f);
    }
    pthread_mutex_unlock(&auth->mutex);
}

void tims_auth_forget(tims_auth *auth, const tims_model *model, tims_id id)
{
    TIMS_CHECK_MAGIC(auth, AUTH__MAGIC);
    if (model == &tims_auth_session_model)
        auth__forget_everywhere(auth, id, (tims_id){ { 0 } });
    else if (model == &tims_user_model)
        auth__forget_everywhere(auth, (tims_id){ { 0 } }, id);
}

void tims_auth_forget_all(tims_auth *auth)
{
    TIMS_CHECK_MAGIC(auth, AUTH__MAGIC);
    auth__forget_everywhere(auth, (tims_id){ { 0 } }, (tims_id){ { 0 } });
}

typedef struct forgetting_later {
    tims_auth *auth;
    tims_id session, user;
} forgetting_later;

static void forget_now(void *argument)
{
    const forgetting_later *f = argument;
    auth__forget_everywhere(f->auth, f->session, f->user);
}

void auth__forget_on_commit(tims_request *rq, tims_id session, tims_id user)
{
    forgetting_later *f = TIMS_NEW(rq->arena, forgetting_later);
    *f = (forgetting_later){ auth__state_of(rq)->auth, session, user };
    TIMS_ASSERT(tims_in_transaction(rq));
    tims_db_on_commit(tims_session_db(rq), forget_now, f);
}
