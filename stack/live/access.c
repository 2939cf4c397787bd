/* access.c: whom a change of access concerns.
 *
 * What a rule says of a row depends on columns of the row and on rows of other models: members, parents.
 * Those rows are topics of their own, so a view (its audience) or a subscriber (its gate) is asked again only
 * when one of them has changed for its caller, never once per change of a row. */
#include "live/live_internal.h"

typedef struct live__dependency_list {
    struct live__dependency_list *next;
    const tims_model *model;
    size_t count;
    live__dependency items[TIMS_DEPENDENCIES_MAX];
} live__dependency_list;

const live__dependency *live__dependencies_of(tims_live *live, const tims_model *model, size_t *ret_count)
{
    live__dependency_list *list = live->dependencies;
    while (list != NULL && list->model != model)
        list = list->next;
    if (list == NULL) {
        list = TIMS_NEW(live->arena, live__dependency_list);
        list->model = model;
        list->count = tims_audience_dependencies(model, list->items);
        list->next = live->dependencies;
        live->dependencies = list;
    }
    *ret_count = list->count;
    return list->items;
}

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

void live__dependency_hook(live__topics *topics, live__hook *hook, const live__dependency *dependency,
                           tims_caller caller)
{
    char me[TIMS_ID_TEXT_LENGTH];
    tims_id_format(caller.user, me);
    tims_str user = dependency->user != NULL ? (tims_str){ me, sizeof me } : (tims_str){ NULL, 0 };
    live__topics_add(topics, hook, dependency->model, dependency->user, user);
}
