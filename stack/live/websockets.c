/* websockets.c: the process's part of plain websocket endpoints: the endpoints as routes, the loops, how many
 * sockets a user has, and whom the end of a login concerns. */
#include "live/websocket_internal.h"

/* --- life --------------------------------------------------------------------------------------------- */

static void free_values(tims_map **map)
{
    size_t cursor = 0;
    tims_str key;
    void *value;
    while (tims_map_next(*map, &cursor, &key, &value))
        free(value);
    tims_map_free(map);
}

static void free_loop(live__socket_loop *home)
{
    live__roster_free(&home->users);
    live__roster_free(&home->logins);
    live__roster_free(&home->groups);
    tims_map_free(&home->memberships);
    home->magic = 0;
    free(home);
}

static void destroy(void *argument)
{
    tims_websockets *websockets = argument;
    for (int i = 0; i < LIVE__LOOPS_MAX; i++)
        if (websockets->loops[i] != NULL)
            free_loop(websockets->loops[i]);
    free_values(&websockets->user_counts);
    free_values(&websockets->places);
    (void)pthread_mutex_destroy(&websockets->mutex);
    websockets->magic = 0;
}

static size_t count_rows(const tims_websocket_route *const *tables, size_t table_count)
{
    size_t count = 0;
    for (size_t i = 0; i < table_count; i++)
        for (const tims_websocket_route *row = tables[i]; row->path != NULL; row++)
            count++;
    return count;
}

static void add_endpoint(tims_websockets *websockets, const tims_websocket_route *row)
{
    size_t at = websockets->count++;
    TIMS_ASSERT(row->on_message != NULL);
    websockets->endpoints[at] = (live__endpoint){ websockets, row };
    websockets->routes[at] = (tims_route){ .methods = TIMS_METHOD_GET,
                                           .pattern = row->path,
                                           .handler = live__endpoint_open,
                                           .data = &websockets->endpoints[at],
                                           .access = row->access,
                                           .doc = row->doc };
}

tims_websockets *tims_websockets_new(tims_arena *arena, const tims_websocket_route *const *tables,
                                     size_t table_count, const tims_websockets_options *options)
{
    TIMS_ASSERT(options->begin != NULL);
    tims_websockets *websockets = TIMS_NEW(arena, tims_websockets);
    size_t count = count_rows(tables, table_count);
    websockets->magic = LIVE__WEBSOCKETS_MAGIC;
    websockets->options = *options;
    if (websockets->options.per_user_max == 0)
        websockets->options.per_user_max = LIVE__SOCKETS_PER_USER;
    websockets->endpoints = TIMS_NEW_ARRAY(arena, live__endpoint, count + 1);
    websockets->routes = TIMS_NEW_ARRAY(arena, tims_route, count + 1);
    for (size_t i = 0; i < table_count; i++)
        for (const tims_websocket_route *row = tables[i]; row->path != NULL; row++)
            add_endpoint(websockets, row);
    websockets->user_counts = tims_map_new();
    websockets->places = tims_map_new();
    TIMS_ASSERT(pthread_mutex_init(&websockets->mutex, NULL) == 0);
    tims_arena_defer(arena, destroy, websockets);
    return websockets;
}

const tims_route *tims_websockets_routes(const tims_websockets *websockets, size_t *ret_count)
{
    TIMS_CHECK_MAGIC(websockets, LIVE__WEBSOCKETS_MAGIC);
    *ret_count = websockets->count;
    return websockets->routes;
}

void tims_request_set_websockets(tims_request *rq, tims_websockets *websockets)
{
    rq->slots[TIMS_SLOT_WEBSOCKETS] = websockets;
}

/* --- loops -------------------------------------------------------------------------------------------- */

void tims_websockets_loop_start(tims_websockets *websockets, tims_loop *loop)
{
    TIMS_CHECK_MAGIC(websockets, LIVE__WEBSOCKETS_MAGIC);
    int index = tims_loop_index(loop);
    TIMS_ASSERT(index >= 0 && index < LIVE__LOOPS_MAX && websockets->loops[index] == NULL);
    live__socket_loop *home = calloc(1, sizeof *home);
    TIMS_ASSERT(home != NULL);
    *home = (live__socket_loop){ .magic = LIVE__SOCKET_LOOP_MAGIC,
                                 .index = index,
                                 .websockets = websockets,
                                 .loop = loop,
                                 .users = live__roster_new(),
                                 .logins = live__roster_new(),
                                 .groups = live__roster_new(),
                                 .memberships = tims_map_new() };
    pthread_mutex_lock(&websockets->mutex);
    websockets->loops[index] = home;
    pthread_mutex_unlock(&websockets->mutex);
}

/* Its memory stays until the process ends: posts may be on their way, and sockets' last handlers at work. */
void tims_websockets_loop_stop(tims_websockets *websockets, tims_loop *loop)
{
    live__socket_loop *home = live__socket_loop_of(websockets, loop);
    if (home == NULL)
        return;
    home->stop_us = tims_monotonic_us();
    pthread_mutex_lock(&websockets->mutex);
    websockets->stopped[home->index] = true;
    pthread_mutex_unlock(&websockets->mutex);
}

/* Written before the loop's first request, so its own thread reads it without the mutex. */
live__socket_loop *live__socket_loop_of(tims_websockets *websockets, tims_loop *loop)
{
    TIMS_CHECK_MAGIC(websockets, LIVE__WEBSOCKETS_MAGIC);
    live__socket_loop *home = websockets->loops[tims_loop_index(loop)];
    TIMS_ASSERT(home == NULL || home->loop == loop);
    return home;
}

/* --- how many sockets a user has ---------------------------------------------------------------------- */

static tims_str key_of(const tims_id *id)
{
    return (tims_str){ (const char *)id->bytes, sizeof id->bytes };
}

bool live__user_enter(tims_websockets *websockets, tims_id user)
{
    pthread_mutex_lock(&websockets->mutex);
    size_t *count = tims_map_get(websockets->user_counts, key_of(&user));
    if (count == NULL) {
        count = calloc(1, sizeof *count);
        TIMS_ASSERT(count != NULL);
        (void)tims_map_set(websockets->user_counts, key_of(&user), count);
    }
    bool has_room = *count < websockets->options.per_user_max;
    if (has_room)
        ++*count;
    pthread_mutex_unlock(&websockets->mutex);
    return has_room;
}

void live__user_leave(tims_websockets *websockets, tims_id user)
{
    pthread_mutex_lock(&websockets->mutex);
    size_t *count = tims_map_get(websockets->user_counts, key_of(&user));
    TIMS_ASSERT(count != NULL && *count > 0);
    if (--*count == 0) {
        (void)tims_map_remove(websockets->user_counts, key_of(&user));
        free(count);
    }
    pthread_mutex_unlock(&websockets->mutex);
}

/* --- when a login ends -------------------------------------------------------------------------------- */

typedef struct forgetting {
    live__socket_loop *home;
    const tims_model *model;
    tims_change_op op;
    tims_id id;
} forgetting;

static void look_later(tims_websocket *websocket)
{
    websocket->check_login = true;
    live__websocket_wake(websocket);
}

/* Waking may end a socket, so all are found before the first is woken. */
static void forget_everybody(const live__socket_loop *home)
{
    tims_websocket **all = NULL;
    size_t count = 0, capacity = 0, cursor = 0;
    for (live__seat *seat; (seat = live__roster_next(home->logins, &cursor)) != NULL;)
        for (; seat != NULL; seat = seat->next) {
            if (count == capacity) {
                capacity = capacity == 0 ? 64 : capacity * 2;
                all = realloc(all, capacity * sizeof(tims_websocket *));
                TIMS_ASSERT(all != NULL);
            }
            all[count++] = seat->websocket;
        }
    for (size_t i = 0; i < count; i++)
        look_later(all[i]);
    free(all);
}

static void forget_one(const forgetting *f)
{
    const live__roster *roster = f->model == &tims_user_model ? f->home->users : f->home->logins;
    live__seat *seat = live__roster_first(roster, key_of(&f->id));
    while (seat != NULL) {
        live__seat *next = seat->next;
        if (f->op == TIMS_DELETED)
            live__websocket_close(seat->websocket, LIVE__SOCKET_SESSION_ENDED, TIMS_STR("session_ended"));
        else
            look_later(seat->websocket);
        seat = next;
    }
}

/* A deleted login or user ends its sockets at once. A user that was changed may have been switched off, or
 * only have another picture: each socket looks, in its own order of work; so do all when a table was emptied.
 */
static void forget_here(void *argument)
{
    forgetting *f = argument;
    TIMS_CHECK_MAGIC(f->home, LIVE__SOCKET_LOOP_MAGIC);
    if (f->op == TIMS_TRUNCATED)
        forget_everybody(f->home);
    else
        forget_one(f);
    free(f);
}

void tims_websockets_forget(tims_websockets *websockets, const tims_model *model, tims_change_op op,
                            tims_id id)
{
    TIMS_CHECK_MAGIC(websockets, LIVE__WEBSOCKETS_MAGIC);
    bool is_user = model == &tims_user_model, is_login = model == &tims_auth_session_model;
    if ((!is_user && !is_login) || op == TIMS_INSERTED || (is_login && op == TIMS_UPDATED))
        return;
    pthread_mutex_lock(&websockets->mutex);
    for (int i = 0; i < LIVE__LOOPS_MAX; i++) {
        if (websockets->loops[i] == NULL || websockets->stopped[i])
            continue;
        forgetting *f = malloc(sizeof *f);
        TIMS_ASSERT(f != NULL);
        *f = (forgetting){ websockets->loops[i], model, op, id };
        tims_loop_post(f->home->loop, forget_here, f);
    }
    pthread_mutex_unlock(&websockets->mutex);
}
