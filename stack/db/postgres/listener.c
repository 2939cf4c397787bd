/* listener.c: LISTEN and NOTIFY: hints between processes.
 *
 * A listener has a connection of its own, outside of the loop's pool, since a session that has said LISTEN
 * cannot be shared; a fiber makes it, and makes it again when it is lost. What was said meanwhile is not
 * heard, so the listener is called once as soon as the server has answered the LISTEN: whoever listens looks
 * at the tables anyway. */
#include "postgres_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNEL_BYTES = 64, PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 5000 };

typedef struct listener {
    tims_db_listener base;
    char channel[CHANNEL_BYTES];
    postgres__pool own; /* of this one connection */
    postgres__connection *connection;
    tims_fiber *fiber;
    bool hears; /* the server has answered: from here on nothing is missed */
    bool ended;
} listener;

tims_status postgres__notify(tims_db_session *session, const char *channel, tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value value = tims_db_text(tims_str_from(channel));
    tims_status status =
        tims_db_query(session, TIMS_STR("SELECT pg_notify(?1, '')::text"), &value, 1, &rows, err);
    return status == TIMS_OK ? tims_db_rows_end(&rows, err) : status;
}

static void hear(void *argument, int events)
{
    (void)events;
    listener *l = argument;
    bool heard = false;
    postgres__connection_turn(l->connection);
    if (!postgres__is_ready(l->connection)) {
        tims_fiber_wake(l->fiber);
        return;
    }
    if (!l->hears && l->connection->entry_count == 0)
        l->hears = heard = true;
    for (PGnotify *told; (told = PQnotifies(l->connection->handle)) != NULL; PQfreemem(told))
        heard = true;
    if (heard)
        l->base.function(l->base.argument);
}

static bool start(listener *l)
{
    char sql[CHANNEL_BYTES + 16];
    tims_error err = { 0 };
    l->hears = false;
    l->connection = postgres__connection_new(&l->own, 0);
    l->connection->opener = tims_fiber_self();
    tims_status status = postgres__connection_open_on_fiber(l->connection, &err);
    l->connection->opener = NULL;
    if (status != TIMS_OK)
        return false;
    l->own.ready_count = 1;
    tims_poll_free(&l->connection->poll); /* its own calls the pool; this one calls here */
    if (tims_poll_new(l->base.loop, PQsocket(l->connection->handle), hear, l, &l->connection->poll) !=
        TIMS_OK)
        return false;
    tims_poll_set(l->connection->poll, TIMS_READABLE);
    (void)snprintf(sql, sizeof sql, "LISTEN \"%s\"", l->channel);
    return postgres__send_control(l->connection, sql, NULL) && postgres__send_sync(l->connection, NULL);
}

static void end_connection(listener *l)
{
    postgres__connection_free(l->connection);
    postgres__statements_drop(&l->own.statements);
    l->connection = NULL;
}

static void keep_listening(void *argument)
{
    listener *l = argument;
    int64_t pause_ms = PAUSE_MIN_MS;
    l->fiber = tims_fiber_self();
    while (!l->ended) {
        if (start(l)) {
            pause_ms = PAUSE_MIN_MS;
            while (!l->ended && postgres__is_ready(l->connection) && tims_fiber_suspend() == TIMS_OK) {
            }
        }
        end_connection(l);
        if (!l->ended && tims_sleep_ms(pause_ms) != TIMS_OK)
            break;
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
    if (l->ended)
        free(l);
    else
        l->fiber = NULL; /* it was cancelled: nothing is heard any more */
}

tims_db_listener *postgres__listen(tims_db *db, tims_loop *loop, const char *channel, tims_loop_fn function,
                                   void *argument)
{
    postgres__store *store = (postgres__store *)db;
    listener *l = calloc(1, sizeof *l);
    TIMS_ASSERT(l != NULL && strlen(channel) < CHANNEL_BYTES && strchr(channel, '"') == NULL);
    l->base = (tims_db_listener){ DB_LISTENER_MAGIC, &db__postgres_driver, loop, function, argument };
    l->own = (postgres__pool){ .store = store, .loop = loop };
    (void)snprintf(l->channel, sizeof l->channel, "%s", channel);
    if (store->settings.prepared) /* a pooler gives each transaction another connection */
        (void)tims_fiber_start(loop, keep_listening, l);
    return &l->base;
}

void postgres__listener_free(tims_db_listener *base)
{
    listener *l = (listener *)base;
    base->magic = 0;
    l->ended = true;
    if (l->fiber == NULL)
        free(l);
    else
        tims_fiber_cancel(l->fiber); /* wherever it waits; it frees what is left */
}
