/* blocking.c: the connections of blocking sessions (commands, migrations): one thread has one at a time. */
#include "postgres_internal.h"

static postgres__connection *pop_idle(postgres__pool *pool)
{
    pthread_mutex_lock(&pool->store->mutex);
    postgres__connection *connection = pool->idle;
    if (connection != NULL) {
        pool->idle = connection->next;
        pool->idle_count--;
    }
    pthread_mutex_unlock(&pool->store->mutex);
    return connection;
}

/* One that has lain idle may have been closed by the server meanwhile. */
tims_status postgres__blocking_take(postgres__pool *pool, postgres__connection **ret_connection,
                                    tims_error *err)
{
    postgres__connection *connection;
    while ((connection = pop_idle(pool)) != NULL) {
        postgres__connection_turn(connection);
        if (connection->state == POSTGRES_READY) {
            *ret_connection = connection;
            return TIMS_OK;
        }
        postgres__connection_free(connection);
    }
    connection = postgres__connection_new(pool, 0);
    tims_status status = postgres__connection_open(connection, err);
    if (status != TIMS_OK) {
        postgres__connection_free(connection);
        return status;
    }
    *ret_connection = connection;
    return TIMS_OK;
}

void postgres__blocking_give(postgres__pool *pool, postgres__connection *connection)
{
    postgres__connection_block(connection, NULL);
    pthread_mutex_lock(&pool->store->mutex);
    bool keeps = connection->state == POSTGRES_READY && pool->idle_count < POSTGRES_BLOCKING_IDLE_MAX;
    if (keeps) {
        connection->next = pool->idle;
        pool->idle = connection;
        pool->idle_count++;
    }
    pthread_mutex_unlock(&pool->store->mutex);
    if (!keeps)
        postgres__connection_free(connection);
}
