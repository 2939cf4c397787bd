/* view.c: one live result: what it is, how it is loaded, what it hangs on.
 *
 * A view is the result of one URL, of one size, for everybody who sees the same rows there. Where the read
 * rule says the same of all rows of the query (the messages of one chat), it is decided once per caller, at
 * the gate, and the view is shared by all who pass. Elsewhere (my chats) a view belongs to one caller, and
 * the caller's audience says in memory which rows are theirs.
 *
 * It hangs on the narrowest topics that its rows can be found at: an equality of its URL, else the ids of its
 * audience, else the whole model. A view that nobody looks at stays for a while: people come back. */
#include "live/live_internal.h"

enum { IDS_A_QUERY = 100, VIEW_BYTES_MAX = 4 * 1024 * 1024, OPS_BYTES_MAX = 256 * 1024 * 1024 };

/* --- what it hangs on ------------------------------------------------------------------------- */

/* Doubles are written in more than one way, so they are no topics. */
static bool is_topic(const tims_query *query, const tims_condition *condition)
{
    const tims_field *field = condition->field;
    return condition->operator== TIMS_EQUAL && condition->value.type != TIMS_DB_NULL &&
               tims_kind_base(field->kind) != TIMS_KIND_DOUBLE &&
           (field->primary || tims_change_is_key(query->model, field));
}

/* The most selective equality of its conditions: the row itself, a reference, any key column. */
static const tims_condition *narrowest(const tims_query *query)
{
    const tims_condition *best = NULL;
    int best_worth = 0;
    for (size_t i = 0; i < query->condition_count; i++) {
        const tims_condition *condition = &query->conditions[i];
        const tims_field *field = condition->field;
        if (!is_topic(query, condition))
            continue;
        int worth = field->primary ? 3 : field->to != NULL ? 2 : 1;
        if (worth > best_worth) {
            best_worth = worth;
            best = condition;
        }
    }
    return best;
}

static void free_row_hooks(live__view *view)
{
    for (size_t i = 0; i < view->row_hook_count; i++)
        live__topics_remove(view->live->engine.topics, &view->row_hooks[i]);
    free(view->row_hooks);
    view->row_hooks = NULL;
    view->row_hook_count = 0;
}

typedef struct hanging {
    live__view *view;
    size_t at;
} hanging;

static void count_topic(void *argument, const tims_field *field, tims_str text)
{
    hanging *h = argument;
    (void)field;
    (void)text;
    h->at++;
}

static void hang_row_hook(void *argument, const tims_field *field, tims_str text)
{
    hanging *h = argument;
    live__hook *hook = &h->view->row_hooks[h->at++];
    *hook = (live__hook){ .owner = h->view, .kind = LIVE__HOOK_ROWS };
    live__topics_add(h->view->live->engine.topics, hook, h->view->query.query.model, field, text);
}

static void make_row_hooks(live__view *view, size_t count)
{
    free_row_hooks(view);
    view->row_hooks = calloc(count + 1, sizeof *view->row_hooks);
    TIMS_ASSERT(view->row_hooks != NULL);
    view->row_hook_count = count;
}

void live__view_hang_on(live__view *view, const tims_reads *reads)
{
    size_t count;
    const tims_topic *topics = tims_reads_topics(reads, &count);
    make_row_hooks(view, count);
    for (size_t i = 0; i < count; i++) {
        view->row_hooks[i] = (live__hook){ .owner = view, .kind = LIVE__HOOK_COMPUTED };
        live__topics_add(view->live->engine.topics, &view->row_hooks[i], topics[i].model, topics[i].field,
                         topics[i].text);
    }
}

static void hang_rows(live__view *view)
{
    hanging h = { view, 0 };
    const tims_condition *condition = narrowest(&view->query.query);
    if (condition == NULL && view->audience != NULL &&
        tims_audience_topics(view->audience, count_topic, &h)) {
        make_row_hooks(view, h.at);
        h.at = 0;
        (void)tims_audience_topics(view->audience, hang_row_hook, &h);
        return;
    }
    h.at = 0;
    make_row_hooks(view, 1);
    if (condition != NULL)
        hang_row_hook(&h, condition->field, tims_key_text(view->arena, &condition->value));
    else
        hang_row_hook(&h, NULL, (tims_str){ NULL, 0 });
}

static void hang_the_rest(live__view *view)
{
    live__topics *topics = view->live->engine.topics;
    for (uint32_t i = 0; i < view->dependency_count; i++) {
        view->access_hooks[i] = (live__hook){ .owner = view, .kind = LIVE__HOOK_ACCESS, .index = i };
        live__dependency_hook(topics, &view->access_hooks[i], &view->dependencies[i], view->reader);
    }
    for (uint32_t i = 0; i < view->query.include_count; i++) {
        view->include_hooks[i] = (live__hook){ .owner = view, .kind = LIVE__HOOK_INCLUDE, .index = i };
        live__topics_add(topics, &view->include_hooks[i], view->query.includes[i]->to, NULL,
                         (tims_str){ NULL, 0 });
    }
}

/* Whether an included row may be read can change without it. */
static void hang_include_access(live__view *view)
{
    size_t counts[TIMS_LIVE_INCLUDES_MAX] = { 0 }, total = 0, at = 0;
    const live__dependency *lists[TIMS_LIVE_INCLUDES_MAX] = { NULL };
    for (size_t i = 0; i < view->query.include_count; i++) {
        lists[i] = live__dependencies_of(view->live, view->query.includes[i]->to, &counts[i]);
        total += counts[i];
    }
    view->include_access = TIMS_NEW_ARRAY(view->arena, live__include_access, total + 1);
    view->include_access_count = total;
    for (size_t i = 0; i < view->query.include_count; i++)
        for (size_t k = 0; k < counts[i]; k++, at++) {
            live__include_access *access = &view->include_access[at];
            access->dependency = &lists[i][k];
            access->hook =
                (live__hook){ .owner = view, .kind = LIVE__HOOK_INCLUDE_ACCESS, .index = (uint32_t)at };
            live__dependency_hook(view->live->engine.topics, &access->hook, access->dependency, view->reader);
        }
}

static bool reads_depend_on(const tims_reads *reads, const tims_model *model)
{
    size_t count;
    const tims_topic *topics = tims_reads_topics(reads, &count);
    for (size_t i = 0; i < count; i++)
        if (topics[i].model == model)
            return true;
    return false;
}

bool live__view_depends_on(const live__view *view, const tims_model *model)
{
    if (view->is_computed)
        return reads_depend_on(view->reads, model);
    bool depends = view->query.query.model == model;
    for (size_t i = 0; i < view->dependency_count; i++)
        depends = depends || view->dependencies[i].model == model;
    for (size_t i = 0; i < view->query.include_count; i++)
        depends = depends || view->query.includes[i]->to == model;
    for (size_t i = 0; i < view->include_access_count; i++)
        depends = depends || view->include_access[i].dependency->model == model;
    return depends;
}

/* --- reading ---------------------------------------------------------------------------------- */

void live__view_read_audience(live__step *step, live__view *view)
{
    tims_audience *audience = NULL;
    tims_error err = { 0 };
    tims_check(step->rq,
               tims_audience_load(step->db, view->query.query.model, view->reader, LIVE__AUDIENCE_MAX,
                                  &audience, &err),
               &err);
    tims_audience_free(&view->audience);
    view->audience = audience;
    hang_rows(view);
}

/* Rows before a row are those behind it in the order turned round. */
static void turn_order(tims_query *query)
{
    query->backwards = false;
    for (size_t i = 0; i < query->order_count; i++)
        query->orders[i].descending = !query->orders[i].descending;
}

static void *turn_rows(tims_arena *arena, const void *rows, size_t count, size_t size)
{
    char *turned = tims_alloc_array(arena, count + 1, size);
    for (size_t i = 0; i < count; i++)
        memcpy(turned + i * size, (const char *)rows + (count - 1 - i) * size, size);
    return turned;
}

void live__view_read_window(live__step *step, live__view *view)
{
    tims_query query = view->query.query;
    size_t reach = view->is_requeried ? view->window.limit : live__window_reach(&view->window);
    query.limit = (int64_t)reach + 1; /* one more tells whether there is more */
    query.fields = 0;
    if (query.backwards)
        turn_order(&query);
    void *rows;
    size_t count;
    tims_error err = { 0 };
    tims_check(step->rq, tims_model_select(step->db, step->rq->arena, &query, &rows, &count, &err), &err);
    bool complete = count <= reach;
    count = count < reach ? count : reach;
    if (view->query.query.backwards)
        rows = turn_rows(step->rq->arena, rows, count, query.model->size);
    live__window_set(&view->window, &query, rows, count, complete);
    for (size_t i = 0; i < live__window_shown(&view->window); i++)
        live__view_note(step, view, (const char *)rows + i * query.model->size);
}

void live__view_count(live__step *step, live__view *view)
{
    tims_query query = view->query.query;
    query.offset = 0;
    query.after = NULL;
    tims_error err = { 0 };
    if (view->query.with_total && view->window.complete && !view->is_requeried)
        view->total = (int64_t)view->window.count;
    else if (view->query.with_total)
        tims_check(step->rq, tims_query_count(step->db, step->rq->arena, &query, &view->total, &err), &err);
}

bool live__view_is_end(const live__view *view)
{
    return view->query.is_detail || view->query.query.backwards ||
           (view->window.complete && view->window.count <= view->window.limit);
}

static size_t limit_of(const tims_live_query *query, size_t wanted)
{
    if (query->is_detail)
        return 1;
    size_t limit = query->query.limit > 0 ? (size_t)query->query.limit : LIVE__ROWS_MAX;
    if (query->query.backwards) /* more of it would come in front of what is held */
        return limit;
    if (wanted > limit) /* in whole pages, so that views are shared */
        limit = (wanted + limit - 1) / limit * limit;
    return limit > LIVE__ROWS_MAX ? LIVE__ROWS_MAX : limit;
}

size_t live__view_own_limit(const live__view *view)
{
    return limit_of(&view->query, 0);
}

bool live__view_has_document(const live__view *view)
{
    return view->is_computed || view->window.limit == live__view_own_limit(view);
}

live__facts live__facts_of(const live__view *view)
{
    return (
        live__facts){ .query = &view->query, .limit = view->window.limit, .end = live__view_is_end(view) };
}

void live__view_reset_included(live__view *view)
{
    if (view->query.include_count == 0)
        return;
    for (size_t i = 0; i < view->query.include_count; i++)
        view->included[i].count = 0;
    for (size_t i = 0; i < live__window_shown(&view->window); i++)
        for (size_t k = 0; k < view->query.include_count; k++) {
            tims_id id;
            if (live__reference_of(view->query.includes[k], view->window.items[i].row, &id))
                (void)live__held_add(&view->included[k], id);
        }
}

void live__view_put_from(live__step *step, live__view *view, size_t first, tims_buf *out, live__address to)
{
    tims_id some[IDS_A_QUERY];
    const tims_query *query = &view->query.query;
    size_t shown = live__window_shown(&view->window);
    while (first < shown) {
        void *rows;
        size_t count = 0, row_count;
        while (count < IDS_A_QUERY && first < shown)
            some[count++] = view->window.items[first++].id;
        live__view_select(step, view, some, count, &rows, &row_count);
        for (size_t i = 0; i < row_count; i++) {
            const void *row = (const char *)rows + i * query->model->size;
            live__op_put(out, to, query, row, (tims_str){ NULL, 0 });
            live__view_want_all(step, view, row);
        }
    }
    live__view_write_includes(step, view, out, to);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Whether what a document includes is the same for everybody of a class. */
static bool includes_are_shared(const tims_live_query *query)
{
    for (size_t i = 0; i < query->include_count; i++) {
        const tims_rule *rule = query->includes[i]->to->read;
        if (rule == NULL || rule->kind > TIMS_RULE_STAFF)
            return false;
    }
    return true;
}

/* URL, size, and for whom: the class of callers, or the caller. */
static tims_str make_key(tims_arena *arena, const tims_live_query *query, size_t limit, tims_caller caller,
                         bool shared)
{
    char class[] = { (char)('0' + caller.signed_in + 2 * caller.staff + 4 * caller.trusted), '\0' };
    if (shared)
        return tims_print(arena, "%S %zu %s", query->canonical, limit, class);
    return tims_print(arena, "%S %zu %s %I", query->canonical, limit, class, caller.user);
}

static live__view *new_view(live__step *step, tims_arena *arena, const tims_live_query *query, size_t limit)
{
    live__view *view = calloc(1, sizeof *view);
    TIMS_ASSERT(view != NULL);
    view->magic = LIVE__VIEW_MAGIC;
    view->id = ++step->engine->last_view_id;
    view->live = step->live;
    view->arena = arena;
    view->query = *query;
    view->reader = query->query.caller;
    view->window.limit = limit;
    view->is_computed = query->is_computed;
    view->is_requeried = query->query.offset > 0 || query->query.after != NULL || query->query.backwards;
    tims_buf_init(&view->ops, NULL, OPS_BYTES_MAX);
    return view;
}

/* Something that a raise must release, unless it has found its place by then. */
typedef struct holder {
    tims_arena *arena;
    live__view *view;
} holder;

static void release_holder(void *argument)
{
    holder *held = argument;
    if (held->view != NULL)
        live__view_free(&held->view);
    tims_arena_free(&held->arena);
}

static live__view *find_view(const live__step *step, tims_str key)
{
    return tims_map_get(step->engine->views, key);
}

static void list_view(live__step *step, holder *held, tims_str key)
{
    live__view *view = held->view;
    view->key = tims_copy(view->arena, key);
    (void)tims_map_set(step->engine->views, view->key, view);
    atomic_fetch_add(&step->live->metrics.views, 1);
    held->view = NULL;
    live__engine_note_idle(step->engine, view); /* until somebody is attached to it */
}

void live__view_unlist(live__view *view)
{
    tims_map *views = view->live->engine.views;
    if (view->key.length == 0 || tims_map_get(views, view->key) != view)
        return;
    (void)tims_map_remove(views, view->key);
    atomic_fetch_sub(&view->live->metrics.views, 1);
}

/* For everybody of the class, as long as the handler does not ask who is calling. */
static tims_status get_computed(live__step *step, holder *held, const tims_live_query *query,
                                tims_caller caller, live__view **ret_view, tims_error *err)
{
    tims_str shared = make_key(step->rq->arena, query, 0, caller, true);
    tims_str own = make_key(step->rq->arena, query, 0, caller, false);
    live__view *view = find_view(step, shared);
    if (view == NULL)
        view = find_view(step, own);
    if (view == NULL) {
        held->view = view = new_view(step, held->arena, query, 0);
        held->arena = NULL;
        view->reader = caller;
        view->url = tims_copy(view->arena, query->canonical);
        tims_status status = live__computed_load(step, view, err);
        if (status != TIMS_OK)
            return status;
        view->is_shared = !tims_reads_asked_caller(view->reads);
        list_view(step, held, view->is_shared ? shared : own);
    }
    *ret_view = view;
    return TIMS_OK;
}

static live__view *load_view(live__step *step, holder *held, const tims_live_query *query, tims_str key,
                             size_t limit, bool shared)
{
    held->view = new_view(step, held->arena, query, limit);
    live__view *view = held->view;
    held->arena = NULL;
    view->url = tims_copy(view->arena, query->canonical);
    view->is_shared = shared;
    if (shared) {
        view->query.query.caller.trusted = true; /* the gate has been passed */
        hang_rows(view);
    } else {
        view->dependencies = live__dependencies_of(step->live, query->query.model, &view->dependency_count);
        live__view_read_audience(step, view);
    }
    hang_the_rest(view);
    hang_include_access(view);
    live__view_read_window(step, view);
    view->include_touches = NULL; /* documents carry them */
    live__view_count(step, view);
    list_view(step, held, key);
    return view;
}

tims_status live__view_get(live__step *step, tims_str url, tims_caller caller, size_t limit,
                           live__view **ret_view, tims_error *err)
{
    const tims_live_resolver *resolver = &step->live->options.resolver;
    tims_live_query query = { 0 };
    holder *held = TIMS_NEW(step->rq->arena, holder);
    held->arena = tims_arena_new(VIEW_BYTES_MAX, NULL, NULL);
    tims_defer(step->rq, release_holder, held);
    url = tims_copy(held->arena, url); /* the query may borrow of it, and outlives who asked */
    tims_status status = resolver->resolve(resolver->data, held->arena, url, caller, &query, err);
    if (status != TIMS_OK)
        return status;
    if (query.is_computed)
        return get_computed(step, held, &query, caller, ret_view, err);
    bool shared = tims_query_has_gate(&query.query) && includes_are_shared(&query);
    bool is_open = true;
    if (shared)
        tims_check(step->rq, tims_query_gate(step->db, step->rq->arena, &query.query, &is_open, err), err);
    if (!is_open) {
        *ret_view = NULL;
        return TIMS_OK;
    }
    size_t size = limit_of(&query, limit);
    tims_str key = make_key(step->rq->arena, &query, size, caller, shared);
    live__view *view = find_view(step, key);
    *ret_view = view != NULL ? view : load_view(step, held, &query, key, size, shared);
    return TIMS_OK;
}

void live__view_free(live__view **view)
{
    live__view *old = *view;
    *view = NULL;
    TIMS_CHECK_MAGIC(old, LIVE__VIEW_MAGIC);
    TIMS_ASSERT(old->subscribers == NULL && !old->is_idle);
    live__topics *topics = old->live->engine.topics;
    live__view_unlist(old);
    free_row_hooks(old);
    for (size_t i = 0; i < old->dependency_count; i++)
        live__topics_remove(topics, &old->access_hooks[i]);
    for (size_t i = 0; i < old->query.include_count; i++) {
        live__topics_remove(topics, &old->include_hooks[i]);
        live__held_free(&old->included[i]);
    }
    for (size_t i = 0; i < old->include_access_count; i++)
        live__topics_remove(topics, &old->include_access[i].hook);
    tims_audience_free(&old->audience);
    tims_reads_free(&old->reads);
    live__window_clear(&old->window);
    free(old->document);
    tims_buf_free(&old->ops);
    tims_arena_free(&old->arena);
    old->magic = 0;
    free(old);
}
