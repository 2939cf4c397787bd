/* audience.c: access rules, read the other way round: not "may this caller read these rows" as SQL, but what
 * a caller may read as sets of ids in memory.
 *
 * A changed row has many readers and rules are asked for each of them, so asking must cost no statement. The
 * rule becomes a small tree for one caller:
 *
 *     class rules, and what follows from them   are decided, and gone
 *     OWNER(column)                             the column holds me
 *     MEMBERS(model, thing, user)               the key is among the things of my member rows
 *     LIKE(column, parent)                      the column is among the parents I may read
 *      … whose rule needs the key alone         the parent's tree, looking at the column: no parent is read
 *      … which anybody like me may read         the column holds something
 *
 * The tree mirrors rule.c part by part, so that both say the same of every row: audience_property_test.c
 * holds them against each other. A set of more than `ids_max` ids is not kept (a person who reads everything
 * is one for SQL). The sets hold while no dependency of the rule changes; watching those is the holder's
 * part. */
#include <stdlib.h>

#include "model/model_internal.h"

typedef enum node_kind {
    NODE_CLOSED,
    NODE_OPEN,
    NODE_MINE,    /* the field is the caller */
    NODE_PRESENT, /* the field is not null */
    NODE_AMONG,   /* the field is one of `ids` */
    NODE_ANY,
    NODE_ALL
} node_kind;

typedef struct node {
    node_kind kind;
    const tims_field *field;
    const tims_id *ids; /* sorted */
    struct node *parts;
    size_t count; /* of ids or parts */
} node;

struct tims_audience {
    uint32_t magic;
    bool wide;
    tims_id me;
    size_t bytes;
    node root; /* its sets and parts follow, in the same allocation */
};
enum { AUDIENCE_MAGIC = 0x61756469, IDS_MAX = 1 << 24, SCRATCH_BYTES_MAX = 1 << 30 };

/* While one is being read. */
typedef struct loader {
    tims_db_session *db;
    const tims_caller *caller;
    size_t ids_max;
    bool wide;
    tims_arena *scratch; /* statements, and the tree until it is packed */
    tims_error *err;
} loader;

/* --- reading a set ---------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(tims_id));
}

/* Text equals text in SQL, so an id that another program wrote in capitals equals none of ours. */
static bool is_plain_id(tims_str text, tims_id *ret_id)
{
    char plain[TIMS_ID_TEXT_LENGTH];
    if (!tims_id_parse(text, ret_id))
        return false;
    tims_id_format(*ret_id, plain);
    return memcmp(plain, text.data, sizeof plain) == 0;
}

/* The ids in the first column of a statement, sorted. */
static tims_status read_set(loader *l, model__sql *sql, node *set)
{
    model__sql_add(sql, " LIMIT ");
    model__sql_add_value(sql, tims_db_int((int64_t)l->ids_max + 1));
    tims_sql statement = model__sql_done(sql);
    tims_db_rows *rows;
    tims_status status =
        tims_db_query(l->db, statement.text, statement.values, statement.value_count, &rows, l->err);
    if (status != TIMS_OK)
        return status;
    tims_buf ids;
    tims_buf_init(&ids, l->scratch, l->ids_max * sizeof(tims_id));
    size_t seen = 0;
    while (tims_db_next(rows)) {
        tims_id id;
        if (++seen <= l->ids_max && is_plain_id(tims_db_get_text(rows, 0), &id))
            tims_buf_append(&ids, &id, sizeof id);
    }
    status = tims_db_rows_end(&rows, l->err);
    if (status != TIMS_OK)
        return status;
    l->wide = seen > l->ids_max;
    if (l->wide || ids.length == 0)
        return TIMS_OK;
    set->count = ids.length / sizeof(tims_id);
    qsort(ids.data, set->count, sizeof(tims_id), compare_ids);
    set->ids = (const tims_id *)(const void *)ids.data;
    return TIMS_OK;
}

static void begin_select(loader *l, model__sql *sql, const tims_model *model, const char *column)
{
    model__sql_init(sql, l->scratch, tims_db_session_dialect(l->db));
    model__sql_add(sql, "SELECT DISTINCT ");
    model__sql_add_column(sql, 0, column);
    model__sql_add(sql, " FROM ");
    model__sql_add_name(sql, model->name);
    model__sql_add(sql, " t0 WHERE ");
}

static tims_status read_things(loader *l, const tims_rule *rule, node *set)
{
    model__sql sql;
    begin_select(l, &sql, rule->model, rule->thing);
    model__sql_add_column(&sql, 0, rule->user);
    model__sql_add(&sql, " = ");
    model__sql_add_value(&sql, tims_db_id(l->caller->user));
    return read_set(l, &sql, set);
}

static tims_status read_parents(loader *l, const tims_model *parent, node *set)
{
    model__sql sql;
    begin_select(l, &sql, parent, tims_model_primary(parent)->name);
    model__view view = { .model = parent };
    model__truth truth = model__rule_sql(&sql, parent->read, &view, l->caller);
    TIMS_ASSERT(truth == MODEL__ASK);
    return read_set(l, &sql, set);
}

/* --- from rules to trees ---------------------------------------------------------------------- */

/* `key`: the column of the audience's model that stands for the primary key of `model`; NULL: rows of the
 * audience's own model are looked at. */
static const tims_field *column_of(const tims_model *model, const tims_field *key, const char *name)
{
    const tims_field *field = model__rule_field(model, name);
    TIMS_ASSERT(key == NULL || field->primary);
    return key != NULL ? key : field;
}

static tims_status make_node(loader *l, const tims_rule *rule, const tims_model *model, const tims_field *key,
                             node *ret_node);

static tims_status make_like(loader *l, const tims_rule *rule, const tims_field *field, node *ret_node)
{
    const tims_model *parent = rule->model;
    *ret_node = (node){ .kind = NODE_PRESENT, .field = field };
    if (model__rule_truth(parent->read, parent, l->caller) == MODEL__YES)
        return TIMS_OK;
    if (!model__rule_needs_row(parent->read, parent))
        return make_node(l, parent->read, parent, field, ret_node);
    ret_node->kind = NODE_AMONG;
    return read_parents(l, parent, ret_node);
}

/* Of what is known, only what decides nothing is left among the parts of an undecided rule: it goes. */
static tims_status make_parts(loader *l, const tims_rule *rule, const tims_model *model,
                              const tims_field *key, node *ret_node)
{
    size_t count = 0;
    for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
        count++;
    *ret_node = (node){ .kind = rule->kind == TIMS_RULE_ANY ? NODE_ANY : NODE_ALL,
                        .parts = TIMS_NEW_ARRAY(l->scratch, node, count) };
    for (size_t i = 0; i < count && !l->wide; i++) {
        if (model__rule_truth(rule->parts[i], model, l->caller) != MODEL__ASK)
            continue;
        tims_status status = make_node(l, rule->parts[i], model, key, &ret_node->parts[ret_node->count++]);
        if (status != TIMS_OK)
            return status;
    }
    return TIMS_OK;
}

static tims_status make_node(loader *l, const tims_rule *rule, const tims_model *model, const tims_field *key,
                             node *ret_node)
{
    model__truth truth = model__rule_truth(rule, model, l->caller);
    if (truth != MODEL__ASK) {
        *ret_node = (node){ .kind = truth == MODEL__YES ? NODE_OPEN : NODE_CLOSED };
        return TIMS_OK;
    }
    switch (rule->kind) {
    case TIMS_RULE_OWNER:
        *ret_node = (node){ .kind = NODE_MINE, .field = column_of(model, key, rule->column) };
        return TIMS_OK;
    case TIMS_RULE_MEMBERS:
        *ret_node =
            (node){ .kind = NODE_AMONG, .field = column_of(model, key, tims_model_primary(model)->name) };
        return read_things(l, rule, ret_node);
    case TIMS_RULE_LIKE:
        return make_like(l, rule, column_of(model, key, rule->column), ret_node);
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        return make_parts(l, rule, model, key, ret_node);
    default:
        TIMS_UNREACHABLE("class rules are known");
    }
}

/* --- audiences -------------------------------------------------------------------------------- */

static size_t bytes_below(const node *n)
{
    if (n->kind == NODE_AMONG)
        return n->count * sizeof(tims_id);
    size_t bytes = n->count * sizeof(node);
    for (size_t i = 0; i < n->count; i++)
        bytes += bytes_below(&n->parts[i]);
    return bytes;
}

/* Moves what a node points at to `*at` on. */
static void pack_below(node *n, char **at)
{
    size_t bytes = n->count * (n->kind == NODE_AMONG ? sizeof(tims_id) : sizeof(node));
    void *here = *at;
    *at += bytes;
    if (bytes > 0)
        memcpy(here, n->kind == NODE_AMONG ? (const void *)n->ids : n->parts, bytes);
    if (n->kind == NODE_AMONG) {
        n->ids = here;
        return;
    }
    n->parts = here;
    for (size_t i = 0; i < n->count; i++)
        pack_below(&n->parts[i], at);
}

/* There may be one for each caller who is connected, so it is one allocation, as large as it must be. */
static tims_audience *pack(const loader *l, const node *root)
{
    node closed = { .kind = NODE_CLOSED };
    if (l->wide)
        root = &closed;
    size_t bytes = sizeof(tims_audience) + bytes_below(root);
    tims_audience *audience = malloc(bytes);
    TIMS_ASSERT(audience != NULL);
    *audience = (tims_audience){
        .magic = AUDIENCE_MAGIC, .wide = l->wide, .me = l->caller->user, .bytes = bytes, .root = *root
    };
    char *at = (char *)(audience + 1);
    pack_below(&audience->root, &at);
    TIMS_ASSERT(at == (char *)audience + bytes);
    return audience;
}

static tims_status load(loader *l, const tims_model *model, tims_audience **ret_audience)
{
    tims_status status = tims_db_begin_snapshot(l->db, l->err); /* all sets show one state */
    if (status != TIMS_OK)
        return status;
    node root;
    status = make_node(l, model->read, model, NULL, &root);
    tims_db_end_snapshot(l->db);
    if (status == TIMS_OK)
        *ret_audience = pack(l, &root);
    return status;
}

tims_status tims_audience_load(tims_db_session *db, const tims_model *model, tims_caller caller,
                               size_t ids_max, tims_audience **ret_audience, tims_error *err)
{
    TIMS_ASSERT(ids_max <= IDS_MAX);
    tims_status status = model__note_rule(db, model->read, model, caller, err);
    if (status != TIMS_OK)
        return status;
    loader l = { .db = db, .caller = &caller, .ids_max = ids_max, .err = err };
    l.scratch = tims_arena_new(SCRATCH_BYTES_MAX, NULL, NULL);
    status = load(&l, model, ret_audience);
    tims_arena_free(&l.scratch);
    return status;
}

void tims_audience_free(tims_audience **audience)
{
    tims_audience *old = *audience;
    *audience = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, AUDIENCE_MAGIC);
    old->magic = 0;
    free(old);
}

bool tims_audience_is_wide(const tims_audience *audience)
{
    TIMS_CHECK_MAGIC(audience, AUDIENCE_MAGIC);
    return audience->wide;
}

size_t tims_audience_bytes(const tims_audience *audience)
{
    TIMS_CHECK_MAGIC(audience, AUDIENCE_MAGIC);
    return audience->bytes;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* NULL: null. */
static const tims_id *id_in(const tims_field *field, const void *row)
{
    const void *member = model__member(field, row);
    if (field->kind == TIMS_KIND_ID)
        return member;
    const tims_opt_id *optional = member;
    return optional->present ? &optional->value : NULL;
}

static bool holds(const tims_audience *audience, const node *n, const void *row)
{
    const tims_id *id = n->field != NULL ? id_in(n->field, row) : NULL;
    switch (n->kind) {
    case NODE_CLOSED:
        return false;
    case NODE_OPEN:
        return true;
    case NODE_MINE:
        return id != NULL && tims_same_id(*id, audience->me);
    case NODE_PRESENT:
        return id != NULL;
    case NODE_AMONG:
        return id != NULL && n->count > 0 && bsearch(id, n->ids, n->count, sizeof *id, compare_ids) != NULL;
    case NODE_ANY:
        for (size_t i = 0; i < n->count; i++)
            if (holds(audience, &n->parts[i], row))
                return true;
        return false;
    case NODE_ALL:
        for (size_t i = 0; i < n->count; i++)
            if (!holds(audience, &n->parts[i], row))
                return false;
        return true;
    }
    TIMS_UNREACHABLE("a node of an unknown kind");
}

bool tims_audience_allows(const tims_audience *audience, const void *row)
{
    TIMS_CHECK_MAGIC(audience, AUDIENCE_MAGIC);
    TIMS_ASSERT(!audience->wide);
    return holds(audience, &audience->root, row);
}

/* --- topics ----------------------------------------------------------------------------------- */

typedef struct topic_visit {
    const tims_audience *audience;
    void (*function)(void *argument, const tims_field *field, tims_str text);
    void *argument;
} topic_visit;

static void visit_id(const topic_visit *visit, const tims_field *field, tims_id id)
{
    char text[TIMS_ID_TEXT_LENGTH];
    tims_id_format(id, text);
    visit->function(visit->argument, field, (tims_str){ text, sizeof text });
}

/* SIZE_MAX: there is no list. */
static size_t count_topics(const node *n)
{
    size_t sum = 0, least = SIZE_MAX;
    switch (n->kind) {
    case NODE_CLOSED:
        return 0;
    case NODE_OPEN:
    case NODE_PRESENT:
        return SIZE_MAX;
    case NODE_MINE:
        return 1;
    case NODE_AMONG:
        return n->count;
    case NODE_ANY:
    case NODE_ALL:
        break;
    }
    for (size_t i = 0; i < n->count; i++) {
        size_t count = count_topics(&n->parts[i]);
        least = count < least ? count : least;
        sum = sum == SIZE_MAX || count == SIZE_MAX ? SIZE_MAX : sum + count;
    }
    return n->kind == NODE_ANY ? sum : least;
}

/* Only nodes of which there is a list. */
static void visit_topics(const topic_visit *visit, const node *n)
{
    const node *smallest = NULL;
    switch (n->kind) {
    case NODE_MINE:
        visit_id(visit, n->field, visit->audience->me);
        return;
    case NODE_AMONG:
        for (size_t i = 0; i < n->count; i++)
            visit_id(visit, n->field, n->ids[i]);
        return;
    case NODE_ANY:
        for (size_t i = 0; i < n->count; i++)
            visit_topics(visit, &n->parts[i]);
        return;
    case NODE_ALL: /* a row that passes all lies at the topics of each */
        for (size_t i = 0; i < n->count; i++)
            if (smallest == NULL || count_topics(&n->parts[i]) < count_topics(smallest))
                smallest = &n->parts[i];
        visit_topics(visit, smallest);
        return;
    default:
        return;
    }
}

bool tims_audience_topics(const tims_audience *audience,
                          void (*function)(void *argument, const tims_field *field, tims_str text),
                          void *argument)
{
    TIMS_CHECK_MAGIC(audience, AUDIENCE_MAGIC);
    if (audience->wide || count_topics(&audience->root) == SIZE_MAX)
        return false;
    topic_visit visit = { audience, function, argument };
    visit_topics(&visit, &audience->root);
    return true;
}
