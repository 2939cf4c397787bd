/* router.c: from a path and a method to a route.
 *
 * Patterns become a tree with one node per segment. A node's literal children are sorted and found by binary
 * search; beside them it may have one child for each kind of parameter. A search prefers what says most:
 * literal, then id, int, any segment, the rest of the path; it goes back where the more exact way ends. A
 * trailing slash is an empty last segment, so "/a/" and "/a" are different nodes, and the absent one
 * redirects to the present one.
 *
 *   /api/messages/{id:id}/read/   →   api ── messages ── {id} ── read ── "" (leaf: routes by method)
 */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>

enum { PARAMS_MAX = 8, ROUTES_PER_NODE_MAX = 16, METHODS_ALL = 127 };

typedef enum param_kind { PARAM_ID, PARAM_INT, PARAM_TEXT, PARAM_PATH, PARAM_KINDS } param_kind;

/* A route at its node, with the names of its parameters: another route through the same nodes may name them
 * differently. */
typedef struct leaf_route {
    const tims_route *route;
    tims_str *names;
    size_t name_count;
} leaf_route;

typedef struct node {
    tims_str literal; /* of the pattern it came from */
    struct node **children;
    size_t child_count;
    struct node *params[PARAM_KINDS];
    leaf_route *routes; /* ROUTES_PER_NODE_MAX, where there are any */
    size_t route_count;
    uint32_t methods; /* of all its routes, HEAD and OPTIONS included */
} node;

struct tims_router {
    node *root;
    tims_arena *arena;
};

/* --- building --------------------------------------------------------------------------------- */

static bool parse_param(tims_str segment, tims_str *ret_name, param_kind *ret_kind)
{
    tims_str kind = tims_str_slice(segment, 1, segment.length - 1);
    tims_str name = tims_str_cut(&kind, ':');
    if (name.length == 0)
        return false;
    for (size_t i = 0; i < name.length; i++)
        if (!(name.data[i] == '_' || (name.data[i] >= 'a' && name.data[i] <= 'z') ||
              (name.data[i] >= 'A' && name.data[i] <= 'Z') || (name.data[i] >= '0' && name.data[i] <= '9')))
            return false;
    if (kind.data == NULL)
        *ret_kind = PARAM_TEXT;
    else if (tims_str_equal(kind, TIMS_STR("id")))
        *ret_kind = PARAM_ID;
    else if (tims_str_equal(kind, TIMS_STR("int")))
        *ret_kind = PARAM_INT;
    else if (tims_str_equal(kind, TIMS_STR("path")))
        *ret_kind = PARAM_PATH;
    else
        return false;
    *ret_name = name;
    return true;
}

static bool is_param(tims_str segment)
{
    return segment.length >= 2 && segment.data[0] == '{' && segment.data[segment.length - 1] == '}';
}

/* Where `literal` stands among the sorted children, or where it would. */
static size_t find_place(const node *parent, tims_str literal, bool *ret_found)
{
    size_t low = 0, high = parent->child_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = tims_str_compare(parent->children[middle]->literal, literal);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

static node *add_literal(tims_router *router, node *parent, tims_str literal)
{
    bool found = false;
    size_t place = find_place(parent, literal, &found);
    if (found)
        return parent->children[place];
    node **children = TIMS_NEW_ARRAY(router->arena, node *, parent->child_count + 1);
    for (size_t i = 0; i < parent->child_count; i++)
        children[i < place ? i : i + 1] = parent->children[i];
    children[place] = TIMS_NEW(router->arena, node);
    children[place]->literal = literal;
    parent->children = children;
    parent->child_count++;
    return children[place];
}

static tims_status add_segment(tims_router *router, node **at, tims_str segment, bool is_last,
                               const tims_route *route, tims_error *err)
{
    if (!is_param(segment)) {
        if (memchr(segment.data, '{', segment.length) || memchr(segment.data, '}', segment.length))
            return tims_fail(err, TIMS_INVALID, "bad_pattern",
                             "Route %s: a parameter must be a whole segment, like /{name}/.", route->pattern);
        *at = add_literal(router, *at, segment);
        return TIMS_OK;
    }
    tims_str name = { 0 };
    param_kind kind = PARAM_TEXT;
    if (!parse_param(segment, &name, &kind))
        return tims_fail(err, TIMS_INVALID, "bad_pattern",
                         "Route %s: a parameter is {name}, {name:int}, {name:id} or {name:path}.",
                         route->pattern);
    if (kind == PARAM_PATH && !is_last)
        return tims_fail(err, TIMS_INVALID, "bad_pattern", "Route %s: {name:path} must come last.",
                         route->pattern);
    if (!(*at)->params[kind])
        (*at)->params[kind] = TIMS_NEW(router->arena, node);
    *at = (*at)->params[kind];
    return TIMS_OK;
}

static tims_status add_route_to_node(tims_router *router, node *leaf, leaf_route added, tims_error *err)
{
    const tims_route *route = added.route;
    for (size_t i = 0; i < leaf->route_count; i++)
        if (leaf->routes[i].route->methods & route->methods)
            return tims_fail(err, TIMS_CONFLICT, "route_conflict",
                             "Two routes answer the same requests: %s and %s.",
                             leaf->routes[i].route->pattern, route->pattern);
    if (leaf->route_count == ROUTES_PER_NODE_MAX)
        return tims_fail(err, TIMS_INVALID, "bad_pattern", "Too many routes for %s.", route->pattern);
    if (!leaf->routes)
        leaf->routes = TIMS_NEW_ARRAY(router->arena, leaf_route, ROUTES_PER_NODE_MAX);
    leaf->routes[leaf->route_count++] = added;
    leaf->methods |= route->methods | TIMS_METHOD_OPTIONS;
    if (route->methods & TIMS_METHOD_GET)
        leaf->methods |= TIMS_METHOD_HEAD;
    return TIMS_OK;
}

static tims_status check_route(const tims_route *route, tims_error *err)
{
    if (!route->pattern || route->pattern[0] != '/')
        return tims_fail(err, TIMS_INVALID, "bad_pattern", "Route %s: a pattern starts with '/'.",
                         route->pattern ? route->pattern : "(none)");
    if (route->methods == 0 || (route->methods & ~(uint32_t)METHODS_ALL))
        return tims_fail(err, TIMS_INVALID, "bad_methods", "Route %s: no method, or one that is not known.",
                         route->pattern);
    if (!route->handler)
        return tims_fail(err, TIMS_INVALID, "no_handler", "Route %s: no handler.", route->pattern);
    return TIMS_OK;
}

static tims_status add_route(tims_router *router, const tims_route *route, tims_error *err)
{
    tims_status status = check_route(route, err);
    if (status != TIMS_OK)
        return status;
    tims_str rest = http__rest(tims_str_from(route->pattern), 1);
    node *at = router->root;
    leaf_route added = { .route = route, .names = TIMS_NEW_ARRAY(router->arena, tims_str, PARAMS_MAX) };
    do {
        tims_str segment = tims_str_cut(&rest, '/');
        bool is_last = rest.data == NULL;
        if (segment.length == 0 && !is_last)
            return tims_fail(err, TIMS_INVALID, "bad_pattern", "Route %s: an empty segment.", route->pattern);
        if (is_param(segment) && added.name_count == PARAMS_MAX)
            return tims_fail(err, TIMS_INVALID, "bad_pattern", "Route %s: too many parameters.",
                             route->pattern);
        status = add_segment(router, &at, segment, is_last, route, err);
        if (status != TIMS_OK)
            return status;
        param_kind kind;
        if (is_param(segment) && parse_param(segment, &added.names[added.name_count], &kind))
            added.name_count++;
    } while (rest.data != NULL);
    return add_route_to_node(router, at, added, err);
}

tims_status tims_router_new(const tims_route *const *routes, size_t count, tims_router **ret_router,
                            tims_error *err)
{
    tims_router *router = calloc(1, sizeof(*router));
    TIMS_ASSERT(router != NULL);
    router->arena = tims_arena_new((size_t)64 << 20, NULL, NULL);
    router->root = TIMS_NEW(router->arena, node);
    for (size_t i = 0; i < count; i++) {
        tims_status status = add_route(router, routes[i], err);
        if (status != TIMS_OK) {
            tims_router_free(&router);
            return status;
        }
    }
    *ret_router = router;
    return TIMS_OK;
}

void tims_router_free(tims_router **router)
{
    if (!*router)
        return;
    tims_arena_free(&(*router)->arena);
    free(*router);
    *router = NULL;
}

/* --- searching -------------------------------------------------------------------------------- */

typedef struct search {
    tims_method method;
    tims_str values[PARAMS_MAX];
    size_t value_count;
    uint32_t allowed;
} search;

static const leaf_route *choose_route(const node *leaf, search *s)
{
    s->allowed |= leaf->methods;
    for (size_t i = 0; i < leaf->route_count; i++)
        if (leaf->routes[i].route->methods & (uint32_t)s->method)
            return &leaf->routes[i];
    if (s->method == TIMS_METHOD_HEAD)
        for (size_t i = 0; i < leaf->route_count; i++)
            if (leaf->routes[i].route->methods & TIMS_METHOD_GET)
                return &leaf->routes[i];
    return NULL;
}

static bool value_fits(param_kind kind, tims_str value)
{
    int64_t number;
    tims_id id;
    switch (kind) {
    case PARAM_ID:
        return value.length == TIMS_ID_TEXT_LENGTH && tims_id_parse(value, &id);
    case PARAM_INT:
        return tims_str_to_int(value, INT64_MIN, INT64_MAX, &number);
    default:
        return value.length > 0;
    }
}

static const leaf_route *find_below(const node *at, tims_str rest, search *s);

static const leaf_route *find_child(const node *child, tims_str rest, search *s)
{
    return rest.data == NULL ? choose_route(child, s) : find_below(child, rest, s);
}

static const leaf_route *find_below(const node *at, tims_str rest, search *s)
{
    tims_str whole = rest;
    tims_str segment = tims_str_cut(&rest, '/');
    bool is_there = false;
    size_t place = find_place(at, segment, &is_there);
    const leaf_route *route = NULL;
    if (is_there && (route = find_child(at->children[place], rest, s)))
        return route;
    for (int kind = PARAM_ID; kind < PARAM_PATH; kind++) {
        if (!at->params[kind] || !value_fits((param_kind)kind, segment))
            continue;
        size_t mark = s->value_count;
        s->values[s->value_count++] = segment;
        if ((route = find_child(at->params[kind], rest, s)))
            return route;
        s->value_count = mark;
    }
    if (!at->params[PARAM_PATH])
        return NULL;
    s->values[s->value_count++] = whole;
    route = choose_route(at->params[PARAM_PATH], s);
    if (!route)
        s->value_count--;
    return route;
}

static tims_pairs name_params(const leaf_route *route, const search *s, tims_arena *arena)
{
    tims_pairs pairs = { 0 };
    TIMS_ASSERT(route->name_count == s->value_count);
    if (s->value_count == 0)
        return pairs;
    pairs.items = TIMS_NEW_ARRAY(arena, tims_pair, s->value_count);
    pairs.count = s->value_count;
    for (size_t i = 0; i < pairs.count; i++)
        pairs.items[i] = (tims_pair){ route->names[i], s->values[i] };
    return pairs;
}

/* Whether the path would be found with its last slash added or taken away. */
static tims_str find_redirect(const tims_router *router, tims_arena *arena, tims_method method, tims_str path)
{
    bool has_slash = path.data[path.length - 1] == '/';
    tims_str other = has_slash ? tims_str_slice(path, 0, path.length - 1) : tims_print(arena, "%S/", path);
    search s = { .method = method };
    if (other.length == 0 || !find_below(router->root, http__rest(other, 1), &s))
        return (tims_str){ 0 };
    return other;
}

const tims_route *tims_router_find(const tims_router *router, tims_arena *arena, tims_method method,
                                   tims_str path, tims_pairs *ret_params, uint32_t *ret_allowed,
                                   tims_str *ret_redirect)
{
    TIMS_ASSERT(path.length > 0 && path.data[0] == '/');
    search s = { .method = method };
    const leaf_route *found = find_below(router->root, http__rest(path, 1), &s);
    if (found) {
        *ret_params = name_params(found, &s, arena);
        *ret_allowed = s.allowed;
        return found->route;
    }
    *ret_allowed = s.allowed;
    *ret_redirect = s.allowed ? (tims_str){ 0 } : find_redirect(router, arena, method, path);
    return NULL;
}
