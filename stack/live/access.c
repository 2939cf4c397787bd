/* access.c: who may read a row, for live.
 *
 * The rule itself is the model's; here it is asked as seldom as possible. What a rule says of a row depends
 * only on the columns it looks at and on rows of other models (members, parents). A subscription is told of
 * changes of those rows (its dependencies) and then starts over, so between two such changes the answer for
 * the same columns stays the same: it is kept. Subscriptions of one caller share answers within a batch. */
#include "live/live_internal.h"

enum { KEY_BYTES_MAX = 4096, RULE_DEPTH_MAX = 8 };

/* --- dependencies ----------------------------------------------------------------------------- */

typedef struct dependency_list {
    live__dependency *items;
    size_t count;
    bool overflow;
} dependency_list;

static void add_dependency(dependency_list *list, live__dependency added)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].model == added.model && list->items[i].user == added.user &&
            list->items[i].thing == added.thing)
            return;
    if (list->count == LIVE__DEPENDENCIES_MAX) {
        list->overflow = true;
        return;
    }
    list->items[list->count++] = added;
}

static const tims_field *field_of(const tims_model *model, const char *name)
{
    return tims_field_find(model->fields, tims_str_from(name));
}

/* `is_parent`: the rule is read for a row other than the subscription's own, so its columns are dependencies
 * too. */
static void collect(dependency_list *list, const tims_rule *rule, const tims_model *model, bool is_parent,
                    int depth)
{
    if (rule == NULL || depth > RULE_DEPTH_MAX)
        return;
    switch (rule->kind) {
    case TIMS_RULE_OWNER:
        if (is_parent)
            add_dependency(list, (live__dependency){ model, NULL, field_of(model, rule->column) });
        break;
    case TIMS_RULE_MEMBERS:
        add_dependency(list, (live__dependency){ rule->model, field_of(rule->model, rule->thing),
                                                 field_of(rule->model, rule->user) });
        break;
    case TIMS_RULE_LIKE:
        if (is_parent)
            add_dependency(list, (live__dependency){ model, field_of(model, rule->column), NULL });
        collect(list, rule->model->read, rule->model, true, depth + 1);
        break;
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            collect(list, *part, model, is_parent, depth + 1);
        break;
    default:
        break;
    }
}

bool live__dependencies(const tims_model *model, live__dependency *ret_items, size_t *ret_count)
{
    dependency_list list = { .items = ret_items };
    collect(&list, model->read, model, false, 0);
    *ret_count = list.count;
    return !list.overflow;
}

/* --- does a change concern the caller? -------------------------------------------------------- */

static tims_str key_at(const tims_model *model, const tims_str *keys, const tims_field *field)
{
    return keys[tims_field_index(model->fields, field)];
}

static bool is_callers(const live__dependency *dependency, const tims_str *keys, tims_caller caller)
{
    if (dependency->user == NULL)
        return true;
    char me[TIMS_ID_TEXT_LENGTH];
    tims_id_format(caller.user, me);
    return tims_str_equal_ignoring_case(key_at(dependency->model, keys, dependency->user),
                                        (tims_str){ me, sizeof me });
}

static bool same_thing(const live__dependency *dependency, const tims_str *a, const tims_str *b)
{
    return dependency->thing == NULL || tims_str_equal(key_at(dependency->model, a, dependency->thing),
                                                       key_at(dependency->model, b, dependency->thing));
}

bool live__dependency_concerns(const live__dependency *dependency, const live__change *change,
                               tims_caller caller)
{
    if (!caller.signed_in && dependency->user != NULL)
        return false;
    bool is_mine = change->keys != NULL && is_callers(dependency, change->keys, caller);
    bool was_mine = false, was_other = false;
    for (const live__old *old = change->olds; old != NULL; old = old->next) {
        bool mine = is_callers(dependency, old->keys, caller);
        was_mine = was_mine || mine;
        was_other =
            was_other || !mine || (change->keys != NULL && !same_thing(dependency, old->keys, change->keys));
    }
    if (!is_mine && !was_mine)
        return false;
    /* Ours before, after and between, at the same thing: some other column changed (when it was last read
     * …). */
    bool unchanged = is_mine && was_mine && !was_other && !change->inserted;
    return !unchanged;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void add_column(tims_buf *key, tims_arena *arena, const tims_field *field, const void *row)
{
    tims_str text = live__key_of(arena, field, row);
    tims_buf_append_char(key, text.data == NULL ? '0' : '1');
    tims_buf_append_str(key, text);
    tims_buf_append_char(key, '\0');
}

static void add_rule(tims_buf *key, tims_arena *arena, const tims_rule *rule, const tims_model *model,
                     const void *row)
{
    if (rule == NULL)
        return;
    switch (rule->kind) {
    case TIMS_RULE_OWNER:
    case TIMS_RULE_LIKE:
        add_column(key, arena, field_of(model, rule->column), row);
        break;
    case TIMS_RULE_MEMBERS:
        add_column(key, arena, tims_model_primary(model), row);
        break;
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            add_rule(key, arena, *part, model, row);
        break;
    default:
        break;
    }
}

/* What the answer depends on: the caller, the model, the columns the rule looks at. */
static tims_str make_key(live__work *work, const live__subscription *subscription, const void *row)
{
    const tims_model *model = subscription->live.query.model;
    const tims_caller *caller = &subscription->session->caller;
    tims_buf key;
    tims_buf_init(&key, work->rq->arena, KEY_BYTES_MAX);
    tims_buf_append(&key, &model, sizeof model);
    tims_buf_append(&key, caller->user.bytes, sizeof caller->user.bytes);
    tims_buf_append_char(&key, (char)('0' + caller->signed_in + 2 * caller->staff + 4 * caller->trusted));
    add_rule(&key, work->rq->arena, model->read, model, row);
    return key.overflow ? (tims_str){ NULL, 0 } : tims_buf_str(&key);
}

static bool ask(live__work *work, const live__subscription *subscription, const void *row)
{
    const tims_model *model = subscription->live.query.model;
    tims_error err = { 0 };
    if (model->read == NULL)
        return false;
    live__work_snapshot(work);
    tims_status status = tims_rule_allows(work->db, work->rq->arena, model->read, model, row,
                                          subscription->session->caller, &err);
    if (status != TIMS_OK && status != TIMS_FORBIDDEN)
        tims_raise_error(work->rq, &err);
    return status == TIMS_OK;
}

/* The map holds pointers that are not NULL: these stand for yes and no. */
static void *answer_mark(bool allowed)
{
    return (void *)(uintptr_t)(allowed ? 2 : 1);
}

static bool ask_once_a_batch(live__work *work, const live__subscription *subscription, const void *row,
                             tims_str key)
{
    if (key.data == NULL || work->answers == NULL)
        return ask(work, subscription, row);
    const void *known = tims_map_get(work->answers, key);
    if (known != NULL)
        return known == answer_mark(true);
    bool allowed = ask(work, subscription, row);
    (void)tims_map_set(work->answers, key, answer_mark(allowed));
    return allowed;
}

bool live__access_allows(live__work *work, live__subscription *subscription, const void *row)
{
    if (subscription->session->caller.trusted)
        return true;
    tims_str key = make_key(work, subscription, row);
    if (subscription->access_known && key.data != NULL &&
        tims_str_equal(key, tims_buf_str(&subscription->access_key)))
        return subscription->access_allowed;
    bool allowed = ask_once_a_batch(work, subscription, row, key);
    subscription->access_known = key.data != NULL;
    subscription->access_allowed = allowed;
    subscription->access_key.length = 0;
    tims_buf_append_str(&subscription->access_key, key);
    return allowed;
}
