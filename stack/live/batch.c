/* batch.c: one step of the change log: the log rows after a position and the rows they name, in one snapshot.
 *
 * Changes of one row within the step are one change: what it is now, and the key columns of each state it
 * had. Everything is read and encoded once, for every view that is concerned. A step that is too large is a
 * flood: it only says which models it was about. */
#include <inttypes.h>

#include "live/live_internal.h"

enum { BATCH_BYTES_MAX = 1024 * 1024 * 1024, ROWS_A_QUERY = 100, ROW_BYTES_MAX = 4 * 1024 * 1024 };

/* Changes are found by key while the log is read and laid out as an array at the end. */
typedef struct pending {
    struct pending *next;
    live__change change;
} pending;

/* While a batch is being read. */
typedef struct reader {
    tims_db_session *db;
    const live__batch_options *options;
    live__batch *batch;
    tims_map *by_key; /* model and id to pending */
    int64_t log_rows;
    pending first, *last;
} reader;

/* --- keys ------------------------------------------------------------------------------------- */

tims_id live__row_id(const tims_model *model, const void *row)
{
    return *(const tims_id *)((const char *)row + tims_model_primary(model)->offset);
}

static tims_str key_of_row(tims_arena *arena, const tims_field *field, const void *row)
{
    tims_db_value value = tims_model_value(field, row);
    return tims_key_text(arena, &value);
}

static tims_str key_of_json(tims_arena *arena, const tims_json *object, tims_str name)
{
    const tims_json *value = tims_json_get(object, name);
    if (value == NULL)
        return (tims_str){ NULL, 0 };
    switch (tims_json_type_of(value)) {
    case TIMS_JSON_STR:
        return tims_copy(arena, tims_json_get_str(object, name, TIMS_STR("")));
    case TIMS_JSON_BOOL:
        return tims_json_get_bool(object, name, false) ? TIMS_STR("1") : TIMS_STR("0");
    case TIMS_JSON_NULL:
        return (tims_str){ NULL, 0 };
    default:
        return tims_json_to_text(arena, value);
    }
}

static live__old *read_old(tims_arena *arena, const tims_model *model, tims_str text)
{
    const tims_json *object;
    if (text.length == 0 || tims_json_parse(arena, text, &object, NULL) != TIMS_OK)
        return NULL;
    live__old *old = TIMS_NEW(arena, live__old);
    old->keys = TIMS_NEW_ARRAY(arena, tims_str, model->fields.count);
    for (size_t i = 0; i < model->fields.count; i++)
        if (tims_change_is_key(model, &model->fields.items[i]))
            old->keys[i] = key_of_json(arena, object, tims_str_from(model->fields.items[i].name));
    return old;
}

/* --- the log ---------------------------------------------------------------------------------- */

static live__change *find_change(reader *r, const tims_model *model, tims_id id)
{
    char key[sizeof(model) + sizeof(id)];
    memcpy(key, &model, sizeof model);
    memcpy(key + sizeof model, &id, sizeof id);
    pending *found = tims_map_get(r->by_key, (tims_str){ key, sizeof key });
    if (found != NULL)
        return &found->change;
    found = TIMS_NEW(r->batch->arena, pending);
    found->change.model = model;
    found->change.id = id;
    r->last->next = found;
    r->last = found;
    r->batch->count++;
    (void)tims_map_set(r->by_key, (tims_str){ key, sizeof key }, found);
    return &found->change;
}

bool live__batch_names(const live__batch *batch, const tims_model *model)
{
    for (size_t i = 0; i < batch->model_count; i++)
        if (batch->models[i] == model)
            return true;
    return false;
}

static size_t note_model(reader *r, const tims_model *model, tims_change_op op)
{
    live__batch *batch = r->batch;
    size_t i = 0, count = tims_models_count(r->options->models);
    if (batch->models == NULL) {
        batch->models = TIMS_NEW_ARRAY(batch->arena, const tims_model *, count);
        batch->rewrites = TIMS_NEW_ARRAY(batch->arena, bool, count);
        batch->unnamed = TIMS_NEW_ARRAY(batch->arena, bool, count);
    }
    while (i < batch->model_count && batch->models[i] != model)
        i++;
    if (i == batch->model_count)
        batch->models[batch->model_count++] = model;
    batch->rewrites[i] = batch->rewrites[i] || op != TIMS_INSERTED;
    return i;
}

/* Nothing names the rows that went: whoever saw the model starts again. */
static void take_truncation(reader *r, const tims_model *model)
{
    (void)note_model(r, model, TIMS_TRUNCATED);
    r->batch->flood = true;
    if (r->options->on_change != NULL)
        r->options->on_change(r->options->on_change_argument, model, TIMS_TRUNCATED, (tims_id){ { 0 } });
}

static void take_log_row(void *argument, const tims_change *row)
{
    reader *r = argument;
    live__batch *batch = r->batch;
    batch->log_id = row->id > batch->log_id ? row->id : batch->log_id;
    const tims_model *model = tims_models_find(r->options->models, row->model);
    r->log_rows++;
    if (model == NULL)
        return;
    if (row->op == TIMS_TRUNCATED) {
        take_truncation(r, model);
        return;
    }
    tims_id id;
    if (!tims_id_parse(row->row, &id)) { /* a foreign writer's, which no client can be told of */
        size_t at = note_model(r, model, row->op);
        batch->unnamed[at] = true;
        return;
    }
    if (r->options->on_change != NULL)
        r->options->on_change(r->options->on_change_argument, model, row->op, id);
    (void)note_model(r, model, row->op);
    if (batch->count >= r->options->changes_max) {
        batch->flood = true;
        return;
    }
    live__change *change = find_change(r, model, id);
    live__old *old = row->op == TIMS_INSERTED ? NULL : read_old(batch->arena, model, row->old);
    if (row->op == TIMS_INSERTED && change->olds == NULL)
        change->inserted = true;
    if (old != NULL) {
        old->next = change->olds;
        change->olds = old;
    }
}

/* Of the past only as much is read as may be kept. */
static tims_status read_log(reader *r, tims_error *err)
{
    const live__batch_options *options = r->options;
    int64_t limit = options->is_past ? (int64_t)options->changes_max + 1 : INT64_MAX;
    tims_status status = tims_change_read(r->db, &options->from, options->is_past ? &options->to : NULL,
                                          limit, take_log_row, r, err);
    if (r->log_rows == limit)
        r->batch->flood = true;
    return status;
}

static void lay_out(reader *r)
{
    live__batch *batch = r->batch;
    if (batch->flood)
        batch->count = 0;
    batch->changes = TIMS_NEW_ARRAY(batch->arena, live__change, batch->count + 1);
    pending *next = r->first.next;
    for (size_t i = 0; i < batch->count; i++, next = next->next)
        batch->changes[i] = next->change;
}

/* --- the rows --------------------------------------------------------------------------------- */

static tims_str encode(tims_arena *arena, const tims_model *model, const void *row)
{
    tims_buf out;
    tims_buf_init(&out, arena, ROW_BYTES_MAX);
    tims_json_writer writer = tims_json_to(&out);
    tims_json_object(&writer, model->fields, row, 0);
    return tims_buf_str(&out);
}

static void take_row(live__batch *batch, live__change *change, void *row)
{
    const tims_model *model = change->model;
    change->row = row;
    change->json = encode(batch->arena, model, row);
    change->keys = TIMS_NEW_ARRAY(batch->arena, tims_str, model->fields.count);
    for (size_t i = 0; i < model->fields.count; i++)
        if (tims_change_is_key(model, &model->fields.items[i]))
            change->keys[i] = key_of_row(batch->arena, &model->fields.items[i], row);
}

static int compare_by_id(const void *a, const void *b)
{
    const live__change *const *x = a, *const *y = b;
    return memcmp((*x)->id.bytes, (*y)->id.bytes, sizeof(tims_id));
}

static tims_status read_some(reader *r, const tims_model *model, live__change **changes, size_t count,
                             tims_error *err)
{
    tims_arena *arena = r->batch->arena;
    tims_query query;
    tims_query_init(&query, model, (tims_caller){ .trusted = true });
    tims_db_value *ids = TIMS_NEW_ARRAY(arena, tims_db_value, count);
    for (size_t i = 0; i < count; i++)
        ids[i] = tims_db_id(changes[i]->id);
    query.conditions[query.condition_count++] = (tims_condition){
        .field = tims_model_primary(model), .operator= TIMS_IN, .values = ids, .value_count = count
    };
    void *rows;
    size_t row_count;
    tims_status status = tims_model_select(r->db, arena, &query, &rows, &row_count, err);
    if (status != TIMS_OK)
        return status;
    qsort(changes, count, sizeof *changes, compare_by_id);
    for (size_t i = 0; i < row_count; i++) {
        void *row = (char *)rows + i * model->size;
        live__change wanted = { .id = live__row_id(model, row) }, *key = &wanted;
        live__change **found = bsearch(&key, changes, count, sizeof *changes, compare_by_id);
        if (found != NULL)
            take_row(r->batch, *found, row);
    }
    return TIMS_OK;
}

static tims_status read_rows_of(reader *r, const tims_model *model, tims_error *err)
{
    live__change *some[ROWS_A_QUERY];
    size_t count = 0;
    tims_status status = TIMS_OK;
    for (size_t i = 0; i < r->batch->count && status == TIMS_OK; i++) {
        if (r->batch->changes[i].model != model)
            continue;
        some[count++] = &r->batch->changes[i];
        if (count < ROWS_A_QUERY)
            continue;
        status = read_some(r, model, some, count, err);
        count = 0;
        if (tims_arena_used(r->batch->arena) > r->options->bytes_max)
            break;
    }
    if (status == TIMS_OK && count > 0)
        status = read_some(r, model, some, count, err);
    if (tims_arena_used(r->batch->arena) > r->options->bytes_max)
        r->batch->flood = true;
    return status;
}

static tims_status read_all(reader *r, tims_error *err)
{
    tims_status status = read_log(r, err);
    if (status != TIMS_OK)
        return status;
    lay_out(r);
    for (size_t i = 0; i < r->batch->model_count && status == TIMS_OK && !r->batch->flood; i++)
        status = read_rows_of(r, r->batch->models[i], err);
    if (r->batch->flood)
        r->batch->count = 0;
    return status;
}

/* --- batches ---------------------------------------------------------------------------------- */

tims_status live__batch_read(tims_db_session *db, const live__batch_options *options, live__batch **ret_batch,
                             tims_error *err)
{
    live__batch *batch = calloc(1, sizeof *batch);
    TIMS_ASSERT(batch != NULL);
    batch->magic = LIVE__BATCH_MAGIC;
    batch->arena = tims_arena_new(BATCH_BYTES_MAX, NULL, NULL);
    batch->from = options->from.position;
    batch->position = options->to.position;
    batch->snapshot = tims_copy(batch->arena, options->to.snapshot);
    reader r = { .db = db, .options = options, .batch = batch, .by_key = tims_map_new() };
    r.last = &r.first;
    tims_status status = read_all(&r, err);
    tims_map_free(&r.by_key);
    if (status != TIMS_OK || r.log_rows == 0)
        live__batch_free(&batch);
    *ret_batch = batch;
    return status;
}

void live__batch_free(live__batch **batch)
{
    live__batch *old = *batch;
    *batch = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, LIVE__BATCH_MAGIC);
    tims_arena_free(&old->arena);
    old->magic = 0;
    free(old);
}
