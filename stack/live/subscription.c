/* subscription.c: one live URL of one client: opened with a snapshot, kept by what each batch says of its
 * rows.
 *
 * What is held is always a prefix of the result, so of a changed row it can be said without the database:
 *
 *                     visible now                                not visible
 *     held            put; a row that moved behind the last      del; when the window falls short and there
 * is one of a part: read the window again       more: read the window again not held        before the last
 * row, or the whole          nothing result is held: put; else nothing
 *
 * "Visible" is: it matches the conditions and the read rule. When rows change on which the rule depends, or
 * when the query has an offset or a cursor, the window is read again and the difference is sent. Every step
 * may be applied twice without harm, so a window that was read a little ahead of its batch is made right by
 * the next one. */
#include "live/live_internal.h"

enum { SUBSCRIPTION_BYTES_MAX = 4 * 1024 * 1024, DOCUMENT_BYTES_MAX = 256 * 1024 * 1024, IDS_A_QUERY = 100 };

typedef struct live__touch {
    struct live__touch *next;
    const live__change *change;
    uint32_t index; /* INCLUDE: which */
    tims_id id;
} live__touch;

/* --- includes --------------------------------------------------------------------------------- */

static bool reference_of(const tims_field *field, const void *row, tims_id *ret_id)
{
    const char *member = (const char *)row + field->offset;
    if (field->kind == TIMS_KIND_ID) {
        *ret_id = *(const tims_id *)member;
        return !tims_id_is_zero(*ret_id);
    }
    const tims_opt_id *optional = (const tims_opt_id *)member;
    *ret_id = optional->value;
    return field->kind == TIMS_KIND_OPT_ID && optional->present;
}

void live__subscription_want(live__work *work, live__subscription *subscription, uint32_t index, tims_id id)
{
    live__touch *touch = TIMS_NEW(work->rq->arena, live__touch);
    touch->index = index;
    touch->id = id;
    touch->next = subscription->include_touches;
    subscription->include_touches = touch;
}

/* Rows that this one points at and the client has not been given yet. */
void live__subscription_note(live__work *work, live__subscription *subscription, const void *row)
{
    for (uint32_t i = 0; i < subscription->live.include_count; i++) {
        tims_id id;
        if (reference_of(subscription->live.includes[i], row, &id) &&
            live__held_add(&subscription->included[i], id))
            live__subscription_want(work, subscription, i, id);
    }
}

static void send_some_includes(live__work *work, live__subscription *subscription, uint32_t index,
                               const tims_db_value *ids, size_t count)
{
    const tims_field *field = subscription->live.includes[index];
    tims_query query;
    tims_query_init(&query, field->to, subscription->session->caller);
    query.conditions[query.condition_count++] = (tims_condition){
        .field = tims_model_primary(field->to), .operator= TIMS_IN, .values = ids, .value_count = count
    };
    void *rows;
    size_t row_count;
    tims_error err = { 0 };
    live__work_snapshot(work);
    tims_check(work->rq, tims_model_select(work->db, work->rq->arena, &query, &rows, &row_count, &err), &err);
    for (size_t i = 0; i < row_count; i++)
        live__op_include(subscription, field, (char *)rows + i * field->to->size);
}

static void send_includes(live__work *work, live__subscription *subscription)
{
    for (uint32_t i = 0; i < subscription->live.include_count && subscription->include_touches != NULL; i++) {
        tims_db_value *ids = TIMS_NEW_ARRAY(work->rq->arena, tims_db_value, IDS_A_QUERY);
        size_t count = 0;
        for (const live__touch *touch = subscription->include_touches; touch != NULL; touch = touch->next) {
            if (touch->index != i)
                continue;
            ids[count++] = tims_db_id(touch->id);
            if (count == IDS_A_QUERY) {
                send_some_includes(work, subscription, i, ids, count);
                count = 0;
            }
        }
        if (count > 0)
            send_some_includes(work, subscription, i, ids, count);
    }
    subscription->include_touches = NULL;
}

/* --- operations ------------------------------------------------------------------------------- */

void live__subscription_put(live__work *work, live__subscription *subscription, const void *row,
                            tims_str json)
{
    live__op_put(subscription, row, json);
    live__subscription_note(work, subscription, row);
}

static void count_total(live__work *work, live__subscription *subscription)
{
    tims_query query = subscription->live.query;
    query.offset = 0;
    query.after = NULL;
    tims_error err = { 0 };
    live__work_snapshot(work);
    tims_check(work->rq, tims_query_count(work->db, work->rq->arena, &query, &subscription->total, &err),
               &err);
    subscription->total_position = work->snapshot;
}

static void settle_total(live__work *work, live__subscription *subscription, int64_t before)
{
    if (!subscription->live.with_total)
        return;
    if (subscription->end && !subscription->requery)
        subscription->total = (int64_t)subscription->held.count;
    else if (subscription->must_count)
        count_total(work, subscription);
    if (subscription->total != before)
        live__op_total(subscription);
}

static bool is_touched(const live__subscription *subscription, tims_id id)
{
    for (const live__touch *touch = subscription->touches; touch != NULL; touch = touch->next)
        if (tims_same_id(touch->change->id, id))
            return true;
    return false;
}

/* Reads the window again and sends the difference; rows that the batch names are sent again if they are
 * held. */
static void refresh(live__work *work, live__subscription *subscription)
{
    size_t limit =
        subscription->window > subscription->held.count ? subscription->window : subscription->held.count;
    limit = limit > LIVE__ROWS_MAX ? LIVE__ROWS_MAX : limit;
    if (subscription->requery)
        limit = subscription->window;
    live__rows rows = live__window_read(work, subscription, limit);
    live__held before = subscription->held;
    subscription->held = (live__held){ 0 };
    live__window_set(subscription, &rows);
    for (size_t i = 0; i < before.count; i++)
        if (!live__held_has(&subscription->held, before.ids[i]))
            live__op_del(subscription, before.ids[i]);
    for (size_t i = 0; i < rows.count; i++) {
        const void *row = live__rows_at(subscription, &rows, i);
        tims_id id = live__row_id(subscription->live.query.model, row);
        if (!live__held_has(&before, id) || is_touched(subscription, id))
            live__subscription_put(work, subscription, row, (tims_str){ NULL, 0 });
    }
    live__held_free(&before);
    subscription->must_count = true;
}

/* --- a batch ---------------------------------------------------------------------------------- */

void live__subscription_touch(live__work *work, live__hook *hook, const live__change *change)
{
    live__subscription *subscription = hook->owner;
    TIMS_CHECK_MAGIC(subscription, LIVE__SUBSCRIPTION_MAGIC);
    if (!subscription->open || work->batch->position <= subscription->position)
        return;
    if (hook->kind == LIVE__HOOK_INCLUDE) {
        if (change->row == NULL || !live__held_has(&subscription->included[hook->index], change->id))
            return;
        live__subscription_want(work, subscription, hook->index, change->id);
    } else if (hook->kind == LIVE__HOOK_ACCESS) {
        if (!live__dependency_concerns(&subscription->dependencies[hook->index], change,
                                       subscription->session->caller))
            return;
        subscription->must_refresh = true;
        subscription->access_known = false;
    } else {
        if (subscription->touches != NULL && subscription->touches->change == change)
            return;
        live__touch *touch = TIMS_NEW(work->rq->arena, live__touch);
        touch->change = change;
        touch->next = subscription->touches;
        subscription->touches = touch;
    }
    if (subscription->dirty)
        return;
    subscription->dirty = true;
    subscription->next_dirty = work->dirty;
    work->dirty = subscription;
}

/* Whether counting up or down from the total is safe: the total was taken before this batch began. */
static void shift_total(const live__work *work, live__subscription *subscription, int64_t by)
{
    if (work->batch->from >= subscription->total_position)
        subscription->total += by;
    else
        subscription->must_count = true;
}

static void leave(const live__work *work, live__subscription *subscription, tims_id id)
{
    (void)live__held_remove(&subscription->held, id);
    live__op_del(subscription, id);
    if (subscription->end)
        return;
    shift_total(work, subscription, -1);
    if (subscription->held.count < subscription->window || tims_same_id(id, subscription->last_id))
        subscription->must_refresh = true;
}

/* Whether a visible row stands behind the window, where rows are not held. */
static bool is_outside(const live__subscription *subscription, const live__change *change)
{
    return !subscription->end && subscription->last_row != NULL &&
           tims_query_compare(&subscription->live.query, change->row, subscription->last_row) > 0;
}

static void enter(live__work *work, live__subscription *subscription, const live__change *change)
{
    if (!subscription->end) {
        if (change->inserted)
            shift_total(work, subscription, 1);
        else
            subscription->must_count = true;
        if (is_outside(subscription, change))
            return;
    }
    (void)live__held_add(&subscription->held, change->id);
    live__subscription_put(work, subscription, change->row, change->json);
    if (subscription->held.count > LIVE__ROWS_MAX)
        subscription->must_refresh = true; /* which lets the last rows go */
}

static void stay(live__work *work, live__subscription *subscription, const live__change *change)
{
    live__subscription_put(work, subscription, change->row, change->json);
    if (subscription->end || subscription->last_row == NULL)
        return;
    bool is_last = tims_same_id(change->id, subscription->last_id);
    int order = tims_query_compare(&subscription->live.query, change->row, subscription->last_row);
    if (is_last ? order != 0 : order > 0)
        subscription->must_refresh = true;
}

static void apply_change(live__work *work, live__subscription *subscription, const live__change *change)
{
    bool held = live__held_has(&subscription->held, change->id);
    bool visible = change->row != NULL && tims_query_matches(&subscription->live.query, change->row) &&
                   live__access_allows(work, subscription, change->row);
    if (held && visible)
        stay(work, subscription, change);
    else if (held)
        leave(work, subscription, change->id);
    else if (visible)
        enter(work, subscription, change);
    else if (!subscription->end && !change->inserted)
        subscription->must_count = true;
}

void live__subscription_apply(live__work *work, live__subscription *subscription)
{
    TIMS_CHECK_MAGIC(subscription, LIVE__SUBSCRIPTION_MAGIC);
    int64_t total = subscription->total;
    subscription->dirty = false;
    if (!subscription->closed) {
        if (subscription->requery && subscription->touches != NULL)
            subscription->must_refresh = true;
        for (const live__touch *touch = subscription->touches; touch != NULL && !subscription->must_refresh;
             touch = touch->next)
            apply_change(work, subscription, touch->change);
        if (subscription->must_refresh)
            refresh(work, subscription);
        settle_total(work, subscription, total);
        send_includes(work, subscription);
        subscription->position = work->batch->position;
    }
    subscription->touches = subscription->include_touches = NULL;
    subscription->must_refresh = subscription->must_count = false;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* The most selective topic of its conditions: the row itself, a reference, any key column; else the model. */
static void choose_topic(live__subscription *subscription)
{
    const tims_query *query = &subscription->live.query;
    int best = 0;
    for (size_t i = 0; i < query->condition_count; i++) {
        const tims_condition *condition = &query->conditions[i];
        const tims_field *field = condition->field;
        if (condition->operator!= TIMS_EQUAL ||(!field->primary && !tims_change_is_key(query->model, field)))
            continue;
        int worth = field->primary ? 3 : field->to != NULL ? 2 : 1;
        tims_str text = live__key_text(subscription->arena, &condition->value);
        if (worth <= best || text.data == NULL)
            continue;
        best = worth;
        subscription->topic_field = field;
        subscription->topic_text = text;
    }
}

static void hook_up(live__subscription *subscription)
{
    live__topics *topics = subscription->session->hub->topics;
    const tims_model *model = subscription->live.query.model;
    subscription->rows_hook = (live__hook){ .owner = subscription, .kind = LIVE__HOOK_ROWS };
    live__topics_add(topics, &subscription->rows_hook, model, subscription->topic_field,
                     subscription->topic_text);
    for (uint32_t i = 0; i < subscription->dependency_count; i++) {
        const live__dependency *dependency = &subscription->dependencies[i];
        char me[TIMS_ID_TEXT_LENGTH];
        tims_id_format(subscription->session->caller.user, me);
        tims_str user = dependency->user != NULL ? (tims_str){ me, sizeof me } : (tims_str){ NULL, 0 };
        subscription->access_hooks[i] =
            (live__hook){ .owner = subscription, .kind = LIVE__HOOK_ACCESS, .index = i };
        live__topics_add(topics, &subscription->access_hooks[i], dependency->model, dependency->user, user);
    }
    for (uint32_t i = 0; i < subscription->live.include_count; i++) {
        subscription->include_hooks[i] =
            (live__hook){ .owner = subscription, .kind = LIVE__HOOK_INCLUDE, .index = i };
        live__topics_add(topics, &subscription->include_hooks[i], subscription->live.includes[i]->to, NULL,
                         (tims_str){ NULL, 0 });
    }
}

static tims_status resolve(live__work *work, live__subscription *subscription, tims_error *err)
{
    const tims_live_resolver *resolver = &work->live->options.resolver;
    tims_status status = resolver->resolve(resolver->data, subscription->arena, subscription->url,
                                           subscription->session->caller, &subscription->live, err);
    if (status != TIMS_OK)
        return status;
    tims_query *query = &subscription->live.query;
    if (!live__dependencies(query->model, subscription->dependencies, &subscription->dependency_count))
        return tims_fail(err, TIMS_INTERNAL, NULL, "The access rule of %s is too wide to be followed live.",
                         query->model->name);
    subscription->requery = query->offset > 0 || query->after != NULL || query->backwards;
    subscription->window =
        query->limit > 0 && query->limit < LIVE__ROWS_MAX ? (size_t)query->limit : LIVE__ROWS_MAX;
    if (subscription->live.is_detail)
        subscription->window = 1;
    choose_topic(subscription);
    return TIMS_OK;
}

static void write_list(const live__work *work, const live__subscription *subscription, const live__rows *rows,
                       tims_json_writer *w)
{
    const tims_query *query = &subscription->live.query;
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("rows"));
    tims_json_begin_array(w);
    for (size_t i = 0; i < rows->count; i++)
        tims_json_object(w, query->model->fields, live__rows_at(subscription, rows, i), query->fields);
    tims_json_end_array(w);
    tims_json_key(w, TIMS_STR("total"));
    if (subscription->live.with_total)
        tims_json_int(w, subscription->total);
    else
        tims_json_null(w);
    tims_json_key(w, TIMS_STR("next"));
    tims_json_null(w);
    tims_json_key(w, TIMS_STR("previous"));
    tims_json_null(w);
    tims_json_key(w, TIMS_STR("position"));
    tims_json_str(w, live__position_text(work->rq->arena, work->live, work->snapshot));
    tims_json_end_object(w);
}

static tims_str write_document(live__work *work, const live__subscription *subscription,
                               const live__rows *rows)
{
    const tims_live_resolver *resolver = &work->live->options.resolver;
    tims_buf out;
    tims_buf_init(&out, work->rq->arena, DOCUMENT_BYTES_MAX);
    tims_json_writer w = tims_json_to(&out);
    if (subscription->live.is_detail && rows->count == 0)
        return TIMS_STR("null");
    if (resolver->write != NULL) {
        tims_error err = { 0 };
        tims_check(work->rq,
                   resolver->write(resolver->data, work->db, work->rq->arena, subscription->url,
                                   subscription->session->caller, work->snapshot, &w, &err),
                   &err);
    } else if (subscription->live.is_detail) {
        tims_json_object(&w, subscription->live.query.model->fields, live__rows_at(subscription, rows, 0),
                         subscription->live.query.fields);
    } else {
        write_list(work, subscription, rows, &w);
    }
    return tims_buf_str(&out);
}

static void load(live__work *work, live__subscription *subscription)
{
    live__rows rows = live__window_read(work, subscription, subscription->window);
    live__window_set(subscription, &rows);
    subscription->position = work->snapshot;
    if (subscription->live.with_total)
        count_total(work, subscription);
    for (size_t i = 0; i < rows.count; i++)
        live__subscription_note(work, subscription, live__rows_at(subscription, &rows, i));
    subscription->include_touches = NULL; /* the document carries them */
    live__send_snap(subscription, write_document(work, subscription, &rows));
}

static void resume_or_load(live__work *work, live__subscription *subscription, tims_str from, int64_t held)
{
    const char *reason;
    if (from.length == 0) {
        load(work, subscription);
    } else if (live__resume(work, subscription, from, held, &reason)) {
        subscription->position = work->snapshot;
        if (subscription->live.with_total) {
            count_total(work, subscription);
            live__op_total(subscription);
        }
        send_includes(work, subscription);
        /* Together, without a wait between: whoever has read "resumed" counts on later positions. */
        live__send_resumed(subscription);
        live__send_operations(subscription->session, work->hub->position);
    } else {
        live__send_reset(subscription, reason);
        load(work, subscription);
    }
}

void live__subscription_open(live__work *work, live__subscription *subscription, tims_str from, int64_t held)
{
    TIMS_CHECK_MAGIC(subscription, LIVE__SUBSCRIPTION_MAGIC);
    live__session *session = subscription->session;
    tims_error err = { 0 };
    if (resolve(work, subscription, &err) != TIMS_OK) {
        live__send_error(session, subscription->id, &err);
        live__session_remove(session, subscription);
        return;
    }
    resume_or_load(work, subscription, from, held);
    hook_up(subscription);
    subscription->open = true;
}

void live__subscription_reopen(live__work *work, live__subscription *subscription, const char *reason)
{
    subscription->access_known = false;
    live__send_reset(subscription, reason);
    load(work, subscription);
}

void live__subscription_grow(live__work *work, live__subscription *subscription, size_t rows)
{
    int64_t total = subscription->total;
    size_t wanted = rows > LIVE__ROWS_MAX ? LIVE__ROWS_MAX : rows;
    if (!subscription->end && wanted > subscription->held.count) {
        subscription->window = wanted > subscription->window ? wanted : subscription->window;
        refresh(work, subscription);
        settle_total(work, subscription, total);
        send_includes(work, subscription);
        subscription->must_count = false;
    }
    live__send_operations(subscription->session, work->hub->position);
    live__send_window(subscription);
}

bool live__subscription_depends_on(const live__subscription *subscription, const tims_model *model)
{
    bool depends = subscription->live.query.model == model;
    for (size_t i = 0; i < subscription->dependency_count; i++)
        depends = depends || subscription->dependencies[i].model == model;
    for (size_t i = 0; i < subscription->live.include_count; i++)
        depends = depends || subscription->live.includes[i]->to == model;
    return depends;
}

void live__subscription_free(live__subscription **subscription)
{
    live__subscription *old = *subscription;
    *subscription = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, LIVE__SUBSCRIPTION_MAGIC);
    live__topics *topics = old->session->hub->topics;
    live__topics_remove(topics, &old->rows_hook);
    for (size_t i = 0; i < LIVE__DEPENDENCIES_MAX; i++)
        live__topics_remove(topics, &old->access_hooks[i]);
    for (size_t i = 0; i < TIMS_LIVE_INCLUDES_MAX; i++) {
        live__topics_remove(topics, &old->include_hooks[i]);
        live__held_free(&old->included[i]);
    }
    live__held_free(&old->held);
    tims_buf_free(&old->access_key);
    tims_arena_free(&old->tail);
    tims_arena_free(&old->arena);
    old->magic = 0;
    free(old);
}
