/* dependencies.c: on which rows of other models the answer of a read rule depends.
 *
 * Whoever keeps an answer (a subscription, an audience in memory) must hear of changes of these rows. What a
 * rule looks at in the row itself is no dependency: a change of that row is told anyway. Found from the rule
 * alone, so the list serves all callers and its length is checked at the start. */
#include "model/model_internal.h"

typedef struct list {
    tims_dependency *items;
    size_t count;
    bool overflow;
} list;

static void add(list *l, tims_dependency added)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].model == added.model && l->items[i].user == added.user &&
            l->items[i].thing == added.thing)
            return;
    if (l->count == TIMS_DEPENDENCIES_MAX) {
        l->overflow = true;
        return;
    }
    l->items[l->count++] = added;
}

/* A primary key does not change: a row that has one comes or goes. */
static const tims_field *changing(const tims_field *field)
{
    return field->primary ? NULL : field;
}

/* `looks_at_rows`: rows of `model` are other rows than the one that is asked for, and their columns matter.
 */
static void collect(list *l, const tims_rule *rule, const tims_model *model, bool looks_at_rows)
{
    if (rule == NULL)
        return;
    switch (rule->kind) {
    case TIMS_RULE_OWNER:
        if (looks_at_rows)
            add(l, (tims_dependency){ model, NULL, changing(model__rule_field(model, rule->column)) });
        break;
    case TIMS_RULE_MEMBERS:
        add(l, (tims_dependency){ rule->model, changing(model__rule_field(rule->model, rule->thing)),
                                  changing(model__rule_field(rule->model, rule->user)) });
        break;
    case TIMS_RULE_LIKE:
        if (looks_at_rows)
            add(l, (tims_dependency){ model, changing(model__rule_field(model, rule->column)), NULL });
        collect(l, rule->model->read, rule->model, model__rule_needs_row(rule->model->read, rule->model));
        break;
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            collect(l, *part, model, looks_at_rows);
        break;
    default:
        break;
    }
}

bool model__dependencies(const tims_rule *rule, const tims_model *model, tims_dependency *ret_items,
                         size_t *ret_count)
{
    list l = { .items = ret_items };
    collect(&l, rule, model, false);
    *ret_count = l.count;
    return !l.overflow;
}

size_t tims_audience_dependencies(const tims_model *model, tims_dependency ret_items[TIMS_DEPENDENCIES_MAX])
{
    size_t count;
    bool fit = model__dependencies(model->read, model, ret_items, &count);
    TIMS_ASSERT(fit); /* tims_models_new has checked it */
    return count;
}
