/* scope.c: models on a request. What an app calls: it raises instead of returning statuses.
 *
 * A request has one session on the database, opened at the first use, and at most one transaction, begun by
 * the first write (or by tims_begin) and committed by the composition's finish hook before the answer goes
 * out. */
#include "model/model_internal.h"

typedef struct request_state {
    uint32_t magic;
    tims_db *db;
    tims_db_session *session;
    tims_caller caller;
    tims_reads *reads; /* NULL: nothing is recorded */
} request_state;
enum { REQUEST_MAGIC = 0x72716462 };

static request_state *state_of(tims_request *rq)
{
    request_state *state = rq->slots[TIMS_SLOT_DB];
    if (state == NULL) {
        state = TIMS_NEW(rq->arena, request_state);
        state->magic = REQUEST_MAGIC;
        rq->slots[TIMS_SLOT_DB] = state;
    }
    TIMS_CHECK_MAGIC(state, REQUEST_MAGIC);
    return state;
}

void tims_request_set_db(tims_request *rq, tims_db *db)
{
    request_state *state = state_of(rq);
    TIMS_ASSERT(state->session == NULL);
    state->db = db;
}

void tims_request_set_caller(tims_request *rq, tims_caller caller)
{
    state_of(rq)->caller = caller;
}

void tims_request_set_session(tims_request *rq, tims_db_session *session)
{
    request_state *state = state_of(rq);
    TIMS_ASSERT(state->session == NULL);
    state->session = session;
}

tims_caller tims_caller_of(tims_request *rq)
{
    request_state *state = state_of(rq);
    if (TIMS_UNLIKELY(state->reads != NULL))
        model__note_caller(state->reads);
    return state->caller;
}

tims_caller tims_caller_unnoted(tims_request *rq)
{
    return state_of(rq)->caller;
}

tims_reads **model__reads_of(tims_request *rq)
{
    return &state_of(rq)->reads;
}

tims_db_session *tims_session_db(tims_request *rq)
{
    request_state *state = state_of(rq);
    if (state->session == NULL) {
        TIMS_ASSERT(state->db != NULL); /* the begin hook gives each request its database */
        state->session = tims_db_session_new(state->db, rq->loop, rq->arena);
    }
    return state->session;
}

/* --- the request's transaction ---------------------------------------------------------------- */

bool tims_in_transaction(const tims_request *rq)
{
    const request_state *state = rq->slots[TIMS_SLOT_DB];
    return state != NULL && state->session != NULL && tims_db_in_transaction(state->session);
}

void tims_begin(tims_request *rq)
{
    if (tims_in_transaction(rq))
        return;
    tims_reads *reads = *model__reads_of(rq);
    if (reads != NULL && !model__reads_lose(reads))
        tims_raise(rq, 500, "only_reads", "Nothing can be written while reads are recorded.");
    tims_error err = { 0 };
    tims_check(rq, tims_db_begin(tims_session_db(rq), &err), &err);
}

void tims_commit(tims_request *rq)
{
    if (!tims_in_transaction(rq))
        return;
    tims_error err = { 0 };
    tims_check(rq, tims_db_commit(tims_session_db(rq), &err), &err);
}

void tims_rollback(tims_request *rq)
{
    if (tims_in_transaction(rq))
        tims_db_rollback(tims_session_db(rq));
}

/* --- reading ---------------------------------------------------------------------------------- */

static const tims_caller trusted = { .trusted = true };

static void *find_by_id(tims_request *rq, const tims_model *model, tims_id id, tims_caller caller,
                        tims_error *err)
{
    tims_query *query = TIMS_NEW(rq->arena, tims_query);
    tims_query_init(query, model, caller);
    query->conditions[0] = (tims_condition){ .field = tims_model_primary(model), .value = tims_db_id(id) };
    query->condition_count = 1;
    query->order_count = 0;
    query->keep = tims_in_transaction(rq);
    void *row = NULL;
    tims_status status = tims_model_find(tims_session_db(rq), rq->arena, query, &row, err);
    if (status != TIMS_OK && status != TIMS_NOT_FOUND)
        tims_raise_error(rq, err);
    return row;
}

void *tims_get(tims_request *rq, const tims_model *model, tims_id id)
{
    tims_error err = { 0 };
    tims_caller caller = state_of(rq)->caller; /* which the reads note for themselves */
    if (!caller.signed_in && tims_rule_is_never(model->read, model, caller))
        tims_raise(rq, 401, "unauthorized", "%s", tims_status_text(TIMS_UNAUTHORIZED));
    void *row = find_by_id(rq, model, id, caller, &err);
    if (row == NULL)
        tims_raise_error(rq, &err);
    return row;
}

void *tims_find(tims_request *rq, const tims_model *model, tims_id id)
{
    tims_error err = { 0 };
    return find_by_id(rq, model, id, trusted, &err);
}

void *tims_find_by(tims_request *rq, const tims_model *model, const char *field, tims_str text)
{
    tims_error err = { 0 };
    tims_query *query = TIMS_NEW(rq->arena, tims_query);
    tims_query_init(query, model, trusted);
    /* Text that is no value of the field's kind (no id, too long) is no row's value either. */
    tims_status status = tims_query_where(rq->arena, query, tims_str_from(field), TIMS_EQUAL, text, &err);
    TIMS_ASSERT(tims_field_find(model->fields, tims_str_from(field)) != NULL);
    if (status != TIMS_OK)
        return NULL;
    query->keep = tims_in_transaction(rq);
    void *row = NULL;
    status = tims_model_find(tims_session_db(rq), rq->arena, query, &row, &err);
    if (status != TIMS_OK && status != TIMS_NOT_FOUND)
        tims_raise_error(rq, &err);
    return row;
}

enum { FILTER_BYTES_MAX = 16 * 1024 };

static tims_query *make_query(tims_request *rq, const tims_model *model, tims_caller caller,
                              const char *filter, va_list arguments)
{
    tims_query *query = TIMS_NEW(rq->arena, tims_query);
    tims_query_init(query, model, caller);
    if (filter == NULL)
        return query;
    tims_buf text;
    tims_buf_init(&text, rq->arena, FILTER_BYTES_MAX);
    tims_buf_print_url_v(&text, filter, arguments);
    tims_error err = { 0 };
    if (text.overflow)
        tims_raise(rq, 422, "invalid", "The filter is too long.");
    tims_check(rq, tims_query_filter(rq->arena, query, tims_buf_str(&text), &err), &err);
    return query;
}

static void *select_rows(tims_request *rq, const tims_query *query, size_t *ret_count)
{
    void *rows = NULL;
    tims_error err = { 0 };
    tims_check(rq, tims_model_select(tims_session_db(rq), rq->arena, query, &rows, ret_count, &err), &err);
    return rows;
}

void *tims_select(tims_request *rq, const tims_model *model, size_t *ret_count, const char *filter, ...)
{
    va_list arguments;
    va_start(arguments, filter);
    tims_query *query = make_query(rq, model, state_of(rq)->caller, filter, arguments);
    va_end(arguments);
    return select_rows(rq, query, ret_count);
}

void *tims_select_all(tims_request *rq, const tims_model *model, size_t *ret_count, const char *filter, ...)
{
    va_list arguments;
    va_start(arguments, filter);
    tims_query *query = make_query(rq, model, trusted, filter, arguments);
    va_end(arguments);
    return select_rows(rq, query, ret_count);
}

int64_t tims_count(tims_request *rq, const tims_model *model, const char *filter, ...)
{
    va_list arguments;
    va_start(arguments, filter);
    tims_query *query = make_query(rq, model, trusted, filter, arguments);
    va_end(arguments);
    int64_t count = 0;
    tims_error err = { 0 };
    tims_check(rq, tims_query_count(tims_session_db(rq), rq->arena, query, &count, &err), &err);
    return count;
}

bool tims_exists(tims_request *rq, const tims_model *model, const char *filter, ...)
{
    va_list arguments;
    va_start(arguments, filter);
    tims_query *query = make_query(rq, model, trusted, filter, arguments);
    va_end(arguments);
    query->limit = 1;
    query->order_count = 0;
    size_t count = 0;
    (void)select_rows(rq, query, &count);
    return count > 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

void tims_create(tims_request *rq, const tims_model *model, void *row)
{
    tims_begin(rq);
    tims_error err = { 0 };
    tims_check(rq, tims_model_insert(tims_session_db(rq), rq->arena, model, row, &err), &err);
}

void tims_update(tims_request *rq, const tims_model *model, void *row, tims_names fields)
{
    tims_field_set set = 0;
    for (size_t i = 0; i < fields.count; i++) {
        const tims_field *field = tims_field_find(model->fields, tims_str_from(fields.items[i]));
        TIMS_ASSERT(field != NULL); /* a name in the app's code */
        set |= (tims_field_set)1 << tims_field_index(model->fields, field);
    }
    tims_begin(rq);
    tims_error err = { 0 };
    tims_check(rq, tims_model_update(tims_session_db(rq), rq->arena, model, row, set, &err), &err);
}

void tims_delete(tims_request *rq, const tims_model *model, tims_id id)
{
    tims_begin(rq);
    tims_error err = { 0 };
    tims_check(rq, tims_model_delete(tims_session_db(rq), rq->arena, model, id, &err), &err);
}

tims_db_rows *tims_sql_query(tims_request *rq, tims_str sql, const tims_db_value *values, size_t count)
{
    tims_reads *reads = *model__reads_of(rq);
    if (reads != NULL && !model__reads_may_use_sql(reads) && !model__reads_lose(reads))
        tims_raise(rq, 500, "unknown_reads",
                   "While reads are recorded, raw SQL must say what it reads: call tims_reads_model first.");
    tims_db_rows *rows = NULL;
    tims_error err = { 0 };
    tims_check(rq, tims_db_query(tims_session_db(rq), sql, values, count, &rows, &err), &err);
    return rows;
}

int64_t tims_sql_run(tims_request *rq, tims_str sql, const tims_db_value *values, size_t count)
{
    tims_begin(rq);
    int64_t changed = 0;
    tims_error err = { 0 };
    tims_check(rq, tims_db_run(tims_session_db(rq), sql, values, count, &changed, &err), &err);
    return changed;
}

/* --- answering -------------------------------------------------------------------------------- */

enum { ROW_BYTES_MAX = 4 * 1024 * 1024 };

tims_answer tims_answer_row(tims_request *rq, int status, const tims_model *model, const void *row)
{
    tims_buf out;
    tims_buf_init(&out, rq->arena, ROW_BYTES_MAX);
    tims_json_writer writer = tims_json_to(&out);
    tims_json_object(&writer, model->fields, row, 0);
    if (out.overflow)
        tims_raise(rq, 500, "too_large", "The row is too large to be shown.");
    return tims_answer_json(status, tims_buf_str(&out));
}
