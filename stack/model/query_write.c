/* query_write.c: rows of a query as JSON, columns straight to text. HOT PATH: a list of 50 messages costs
 * about 140 µs of SQLite, so what is done per row and column here decides whether the stack is as fast as
 * plain C.
 *
 * Nothing stands between the column and the buffer: no struct, no value. The quoted key of each column, with
 * the comma or brace before it, is made once per statement. Ids are copied as they are after one look at
 * their bytes. */
#include "model/model_internal.h"

/* One column of the statement. */
typedef struct plan_column {
    tims_str key; /* {"id":  or  ,"text": */
    tims_kind kind;
    bool optional;
    uint8_t scale;
} plan_column;

typedef struct plan {
    tims_arena *arena;
    const tims_query *query;
    plan_column columns[TIMS_FIELDS_MAX];
    size_t column_count;
    const tims_field
        *extra[TIMS_ORDERS_MAX + 1 + TIMS_FIELDS_MAX]; /* selected for cursors and includes only */
    size_t extra_count;
    int order_columns[TIMS_ORDERS_MAX + 1];
    const tims_write_options *options;
    int *collect_columns;
    int count_column; /* the last */
    int64_t day_us;   /* the day last written, and its text */
    char day_text[TIMS_TIME_TEXT_LENGTH];
    bool has_day;
} plan;

static const int64_t DAY_US = 86400 * (int64_t)1000000;
static const int64_t YEARS_END_US = 253402300800 * (int64_t)1000000; /* the year 10000 */

/* --- planning --------------------------------------------------------------------------------- */

static tims_str make_key(tims_arena *arena, const char *name, bool first)
{
    size_t length = strlen(name);
    char *text = tims_alloc_raw(arena, length + 4);
    text[0] = first ? '{' : ',';
    text[1] = '"';
    memcpy(text + 2, name, length);
    text[length + 2] = '"';
    text[length + 3] = ':';
    return (tims_str){ text, length + 4 };
}

/* The column a field has in the statement; it is added when it is not among the wanted ones. */
static int find_column(plan *p, tims_field_set wanted, const tims_field *field)
{
    size_t index = tims_field_index(p->query->model->fields, field);
    if ((wanted >> index & 1) != 0)
        return __builtin_popcountll(wanted & (((tims_field_set)1 << index) - 1));
    for (size_t i = 0; i < p->extra_count; i++)
        if (p->extra[i] == field)
            return (int)(p->column_count + i);
    p->extra[p->extra_count++] = field;
    return (int)(p->column_count + p->extra_count - 1);
}

static void make_plan(plan *p, tims_arena *arena, const tims_query *query, const tims_write_options *options)
{
    tims_field_set wanted = model__wanted(query);
    *p = (plan){ .arena = arena, .query = query, .options = options };
    for (size_t i = 0; i < query->model->fields.count; i++) {
        if ((wanted >> i & 1) == 0)
            continue;
        const tims_field *field = &query->model->fields.items[i];
        p->columns[p->column_count] =
            (plan_column){ .key = make_key(arena, field->name, p->column_count == 0),
                           .kind = tims_kind_base(field->kind),
                           .optional = tims_kind_is_optional(field->kind),
                           .scale = field->scale };
        p->column_count++;
    }
    for (size_t i = 0; i < query->order_count; i++)
        p->order_columns[i] = find_column(p, wanted, query->orders[i].field);
    p->collect_columns = TIMS_NEW_ARRAY(arena, int, options->collect_count + 1);
    for (size_t i = 0; i < options->collect_count; i++)
        p->collect_columns[i] = find_column(p, wanted, options->collect[i]);
    p->count_column = (int)(p->column_count + p->extra_count);
}

/* --- one row ---------------------------------------------------------------------------------- */

static inline void put(tims_buf *out, tims_str text)
{
    if (TIMS_LIKELY(out->capacity - out->length >= text.length)) {
        memcpy(out->data + out->length, text.data, text.length);
        out->length += text.length;
    } else {
        tims_buf_append(out, text.data, text.length);
    }
}

static inline void put_two_digits(char *at, uint32_t value)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
}

/* An id is hexadecimal digits and dashes; anything else a foreign writer put there goes through the
 * escape. */
static inline bool is_id_text(tims_str text)
{
    if (text.length != TIMS_ID_TEXT_LENGTH)
        return false;
    uint64_t odd = 0;
    for (size_t i = 0; i + 8 <= 40; i += 8) {
        uint64_t word;
        memcpy(&word, text.data + (i < 28 ? i : 28), 8);
        /* Below '-' (a quote, a control byte) or from 0x80 on sets a high bit; a backslash is found by
         * itself. */
        uint64_t backslash = word ^ 0x5c5c5c5c5c5c5c5cu;
        odd |= (word - 0x2d2d2d2d2d2d2d2du) | word | ((backslash - 0x0101010101010101u) & ~backslash);
    }
    return (odd & 0x8080808080808080u) == 0;
}

static inline void write_id(tims_buf *out, tims_str text)
{
    if (TIMS_UNLIKELY(!is_id_text(text) || !tims_buf_reserve(out, TIMS_ID_TEXT_LENGTH + 2))) {
        tims_json_escape(out, text);
        return;
    }
    char *at = out->data + out->length;
    at[0] = '"';
    memcpy(at + 1, text.data, TIMS_ID_TEXT_LENGTH);
    at[TIMS_ID_TEXT_LENGTH + 1] = '"';
    out->length += TIMS_ID_TEXT_LENGTH + 2;
}

/* The rows of a list are mostly of the same few days: the date is formatted when it changes (400 instructions
 * a time saved, of about 1,500 that all of our code costs a row). */
static void write_time(tims_buf *out, plan *p, int64_t us)
{
    if (!tims_buf_reserve(out, TIMS_TIME_TEXT_LENGTH + 2))
        return;
    char *at = out->data + out->length;
    at[0] = '"';
    bool usual = us >= 0 && us < YEARS_END_US; /* outside, the format clamps */
    int64_t in_day = usual ? us - p->day_us : 0;
    if (!usual) {
        tims_time_format((tims_time){ us }, at + 1);
    } else if (in_day < 0 || in_day >= DAY_US || !p->has_day) {
        tims_time_format((tims_time){ us }, p->day_text);
        p->day_us = us - us % DAY_US;
        p->has_day = true;
        memcpy(at + 1, p->day_text, TIMS_TIME_TEXT_LENGTH);
    } else {
        memcpy(at + 1, p->day_text, TIMS_TIME_TEXT_LENGTH);
        uint32_t seconds = (uint32_t)(in_day / 1000000), micros = (uint32_t)(in_day % 1000000);
        put_two_digits(at + 12, seconds / 3600);
        put_two_digits(at + 15, seconds / 60 % 60);
        put_two_digits(at + 18, seconds % 60);
        put_two_digits(at + 21, micros / 10000);
        put_two_digits(at + 23, micros / 100 % 100);
        put_two_digits(at + 25, micros % 100);
    }
    at[TIMS_TIME_TEXT_LENGTH + 1] = '"';
    out->length += TIMS_TIME_TEXT_LENGTH + 2;
}

static void write_json(tims_buf *out, tims_str text)
{
    tims_buf_append_str(out, text.length > 0 ? text : TIMS_STR("null"));
}

static inline void write_value(tims_buf *out, plan *p, const plan_column *column, const tims_db_rows *rows,
                               int index)
{
    if (column->optional && tims_db_is_null(rows, index)) {
        put(out, TIMS_STR("null"));
        return;
    }
    switch (column->kind) {
    case TIMS_KIND_ID:
        write_id(out, tims_db_get_text(rows, index));
        break;
    case TIMS_KIND_STR:
        tims_json_escape(out, tims_db_get_text(rows, index));
        break;
    case TIMS_KIND_TIME:
        write_time(out, p, tims_db_get_int(rows, index));
        break;
    case TIMS_KIND_BOOL:
        put(out, tims_db_get_int(rows, index) != 0 ? TIMS_STR("true") : TIMS_STR("false"));
        break;
    case TIMS_KIND_INT:
        tims_buf_append_int(out, tims_db_get_int(rows, index));
        break;
    case TIMS_KIND_DOUBLE: {
        tims_json_writer number = tims_json_to(out);
        tims_json_double(&number, tims_db_get_double(rows, index));
        break;
    }
    case TIMS_KIND_JSON:
        write_json(out, tims_db_get_text(rows, index));
        break;
    case TIMS_KIND_DECIMAL: {
        tims_json_writer number = tims_json_to(out);
        tims_decimal value = { tims_db_get_decimal(rows, index, column->scale) };
        tims_json_decimal(&number, value, column->scale);
        break;
    }
    case TIMS_KIND_BYTES: {
        tims_json_writer bytes = tims_json_to(out);
        tims_json_bytes(&bytes, tims_db_get_text(rows, index));
        break;
    }
    default:
        TIMS_UNREACHABLE("a list is no column");
    }
}

static inline void write_row(tims_buf *out, plan *p, const tims_db_rows *rows)
{
    for (size_t i = 0; i < p->column_count; i++) {
        const plan_column *column = &p->columns[i];
        put(out, column->key);
        write_value(out, p, column, rows, (int)i);
    }
    put(out, TIMS_STR("}"));
}

/* --- beside the rows -------------------------------------------------------------------------- */

static const tims_db_value *keep_order_values(const plan *p, const tims_db_rows *rows)
{
    tims_db_value *values = TIMS_NEW_ARRAY(p->arena, tims_db_value, p->query->order_count);
    for (size_t i = 0; i < p->query->order_count; i++)
        values[i] = model__column_value(p->arena, p->query->orders[i].field, rows, p->order_columns[i]);
    return values;
}

static void collect_id(tims_ids *ids, tims_id id)
{
    for (size_t i = ids->count; i-- > 0;) /* the last one seen is the likeliest */
        if (tims_same_id(ids->items[i], id))
            return;
    ids->items[ids->count++] = id;
}

static void collect_ids(const plan *p, const tims_db_rows *rows, tims_ids *collected)
{
    for (size_t i = 0; i < p->options->collect_count; i++)
        if (!tims_db_is_null(rows, p->collect_columns[i]))
            collect_id(&collected[i], tims_db_get_id(rows, p->collect_columns[i]));
}

static tims_ids *make_collected(const plan *p)
{
    tims_ids *collected = TIMS_NEW_ARRAY(p->arena, tims_ids, p->options->collect_count + 1);
    TIMS_ASSERT(p->options->collect_count == 0 || p->query->limit > 0);
    for (size_t i = 0; i < p->options->collect_count; i++)
        collected[i].items = TIMS_NEW_ARRAY(p->arena, tims_id, (size_t)p->query->limit);
    return collected;
}

/* --- all rows --------------------------------------------------------------------------------- */

/* Where rows go: at once into the writer's buffer; or, read backwards, first into a buffer of their own. */
typedef struct target {
    tims_json_writer *writer;
    tims_buf backwards;
    size_t *ends; /* of each row in `backwards` */
} target;

static void open_target(target *to, const plan *p, tims_json_writer *writer)
{
    *to = (target){ .writer = writer };
    if (!p->query->backwards)
        return;
    TIMS_ASSERT(p->query->limit > 0);
    tims_buf_init(&to->backwards, p->arena, writer->out->max);
    to->ends = TIMS_NEW_ARRAY(p->arena, size_t, (size_t)p->query->limit);
}

static void put_row(target *to, plan *p, const tims_db_rows *rows, size_t index)
{
    if (!p->query->backwards) {
        tims_json_raw(to->writer, (tims_str){ 0 }); /* the comma, if need be */
        write_row(to->writer->out, p, rows);
        return;
    }
    write_row(&to->backwards, p, rows);
    to->ends[index] = to->backwards.length;
}

static void close_target(target *to, const plan *p, size_t count)
{
    if (!p->query->backwards)
        return;
    for (size_t i = count; i-- > 0;) {
        size_t from = i == 0 ? 0 : to->ends[i - 1];
        tims_json_raw(to->writer, tims_str_slice(tims_buf_str(&to->backwards), from, to->ends[i]));
    }
    to->writer->out->overflow |= to->backwards.overflow;
}

static void read_rows(target *to, plan *p, tims_db_rows *rows, tims_written *written)
{
    size_t limit = p->query->limit > 0 ? (size_t)p->query->limit : SIZE_MAX;
    const tims_db_value *nearest = NULL, *farthest = NULL;
    while (tims_db_next(rows)) {
        if (written->rows == limit) {
            written->more = true;
            break;
        }
        put_row(to, p, rows, written->rows);
        if (p->options->collect_count > 0)
            collect_ids(p, rows, written->collected);
        if (written->rows == 0) {
            nearest = keep_order_values(p, rows);
            written->total = p->options->count ? tims_db_get_int(rows, p->count_column) : 0;
        }
        if (++written->rows == limit)
            farthest = limit == 1 ? nearest : keep_order_values(p, rows);
    }
    written->first = p->query->backwards ? farthest : nearest;
    written->last = p->query->backwards ? nearest : farthest;
}

tims_status tims_query_write_page(tims_db_session *db, tims_arena *arena, const tims_query *query,
                                  const tims_write_options *options, tims_json_writer *writer,
                                  tims_written *ret_written, tims_error *err)
{
    plan p;
    tims_status status = model__note_query(db, query, err);
    if (status != TIMS_OK)
        return status;
    make_plan(&p, arena, query, options);
    int64_t limit = query->limit > 0 && options->probe ? query->limit + 1 : query->limit;
    model__sql sql;
    model__sql_init(&sql, arena, tims_db_session_dialect(db));
    const model__columns columns = { model__wanted(query), p.extra, p.extra_count, options->count };
    tims_sql statement = model__select_sql(&sql, query, &columns, limit);
    tims_db_rows *rows;
    status = tims_db_query(db, statement.text, statement.values, statement.value_count, &rows, err);
    if (status != TIMS_OK)
        return status;
    target to;
    open_target(&to, &p, writer);
    tims_written written = { .collected = make_collected(&p) };
    read_rows(&to, &p, rows, &written);
    status = tims_db_rows_end(&rows, err);
    if (status != TIMS_OK)
        return status;
    close_target(&to, &p, written.rows);
    if (writer->out->overflow)
        return tims_fail(err, TIMS_TOO_LARGE, NULL, "The answer is too large; ask for fewer rows.");
    *ret_written = written;
    return TIMS_OK;
}

tims_status tims_query_write(tims_db_session *db, tims_arena *arena, const tims_query *query,
                             tims_json_writer *writer, size_t *ret_rows, tims_db_value **ret_last,
                             tims_error *err)
{
    tims_written written;
    tims_status status =
        tims_query_write_page(db, arena, query, &(tims_write_options){ 0 }, writer, &written, err);
    if (status != TIMS_OK)
        return status;
    *ret_rows = written.rows;
    if (ret_last != NULL)
        *ret_last = (tims_db_value *)(uintptr_t)written.last;
    return TIMS_OK;
}

tims_status tims_query_count(tims_db_session *db, tims_arena *arena, const tims_query *query,
                             int64_t *ret_count, tims_error *err)
{
    tims_status status = model__note_query(db, query, err);
    if (status != TIMS_OK)
        return status;
    tims_sql sql;
    tims_query_count_sql(arena, tims_db_session_dialect(db), query, &sql);
    tims_db_rows *rows;
    status = tims_db_query(db, sql.text, sql.values, sql.value_count, &rows, err);
    if (status != TIMS_OK)
        return status;
    int64_t count = tims_db_next(rows) ? tims_db_get_int(rows, 0) : 0;
    status = tims_db_rows_end(&rows, err);
    if (status == TIMS_OK)
        *ret_count = count;
    return status;
}
