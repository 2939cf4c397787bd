/* statement.c: the statements of a loop's connections, kept by their text, the least recently used one
 * dropped.
 *
 * What a statement's parameters are is learnt once for all connections; each prepares it when it first runs
 * it there. A statement that is dropped is deallocated on its connections the next time they are between
 * transactions. */
#include "postgres_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Eight bytes a step; the texts are the program's own, so nobody can choose collisions. */
static uint64_t hash_text(tims_str text)
{
    const uint64_t factor = 0x9e3779b97f4a7c15u;
    uint64_t hash = text.length * factor, word;
    size_t at = 0;
    for (; at + 8 <= text.length; at += 8) {
        memcpy(&word, text.data + at, 8);
        hash = (hash ^ word) * factor;
        hash ^= hash >> 29;
    }
    word = 0;
    if (at < text.length)
        memcpy(&word, text.data + at, text.length - at);
    hash = (hash ^ word) * factor;
    return hash ^ (hash >> 32);
}

static postgres__statement **bucket_of(postgres__statements *statements, uint64_t hash)
{
    return &statements->buckets[hash % POSTGRES_STATEMENT_BUCKETS];
}

static void unlink_from_age(postgres__statements *statements, postgres__statement *statement)
{
    *(statement->newer != NULL ? &statement->newer->older : &statements->newest) = statement->older;
    *(statement->older != NULL ? &statement->older->newer : &statements->oldest) = statement->newer;
}

static void link_as_newest(postgres__statements *statements, postgres__statement *statement)
{
    statement->newer = NULL;
    statement->older = statements->newest;
    *(statements->newest != NULL ? &statements->newest->newer : &statements->oldest) = statement;
    statements->newest = statement;
}

static void free_statement(postgres__statement *statement)
{
    free(statement->sql);
    free(statement->text);
    free(statement->parameters);
    free(statement);
}

static void doom(postgres__connection *connection, uint32_t number)
{
    if (connection->doomed_count == connection->doomed_capacity) {
        connection->doomed_capacity = connection->doomed_capacity == 0 ? 16 : connection->doomed_capacity * 2;
        connection->doomed =
            realloc(connection->doomed, connection->doomed_capacity * sizeof *connection->doomed);
        TIMS_ASSERT(connection->doomed != NULL);
    }
    connection->doomed[connection->doomed_count++] = number;
}

void postgres__statement_forget(postgres__statements *statements, postgres__statement *statement)
{
    if (!statement->kept)
        return;
    postgres__statement **at = bucket_of(statements, statement->hash);
    while (*at != statement)
        at = &(*at)->chain;
    *at = statement->chain;
    unlink_from_age(statements, statement);
    statements->count--;
    statement->kept = false;
    for (uint64_t left = statement->prepared_on; left != 0; left &= left - 1)
        doom(statements->connections[__builtin_ctzll(left)], statement->number);
    statement->prepared_on = 0;
    if (statement->users == 0)
        free_statement(statement);
}

static postgres__statement *find(postgres__statements *statements, tims_str sql, uint64_t hash)
{
    postgres__statement *statement = *bucket_of(statements, hash);
    while (statement != NULL && (statement->hash != hash || statement->sql_length != sql.length ||
                                 memcmp(statement->sql, sql.data, sql.length) != 0))
        statement = statement->chain;
    return statement;
}

static bool contains(tims_str sql, tims_str word)
{
    for (size_t at = 0; at + word.length <= sql.length; at++)
        if (tims_str_equal_ignoring_case(tims_str_slice(sql, at, at + word.length), word))
            return true;
    return false;
}

static bool only_reads(tims_str sql)
{
    static const tims_str traces[] = { TIMS_STR_INIT("FOR UPDATE"), TIMS_STR_INIT("FOR SHARE"),
                                       TIMS_STR_INIT("FOR NO KEY"), TIMS_STR_INIT("FOR KEY"),
                                       TIMS_STR_INIT("advisory"),   TIMS_STR_INIT("set_config") };
    sql = tims_str_trim(sql);
    bool reads = tims_str_equal_ignoring_case(tims_str_slice(sql, 0, 6), TIMS_STR("SELECT"));
    for (size_t i = 0; i < sizeof traces / sizeof *traces && reads; i++)
        reads = !contains(sql, traces[i]);
    return reads;
}

static postgres__statement *add(postgres__statements *statements, tims_str sql, uint64_t hash)
{
    if (statements->count >= POSTGRES_STATEMENTS_MAX) {
        postgres__statement *oldest = statements->oldest;
        while (oldest != NULL && oldest->users > 0)
            oldest = oldest->newer;
        if (oldest != NULL)
            postgres__statement_forget(statements, oldest);
    }
    postgres__statement *statement = calloc(1, sizeof *statement);
    TIMS_ASSERT(statement != NULL);
    statement->hash = hash;
    statement->sql = malloc(sql.length + 1);
    TIMS_ASSERT(statement->sql != NULL);
    if (sql.length > 0)
        memcpy(statement->sql, sql.data, sql.length);
    statement->sql[sql.length] = 0;
    statement->sql_length = sql.length;
    statement->text = postgres__placeholders(sql);
    statement->reads = only_reads(sql);
    statement->number = ++statements->last_number;
    if (statements->named)
        (void)snprintf(statement->name, sizeof statement->name, "s%u", statement->number);
    postgres__statement **bucket = bucket_of(statements, hash);
    statement->chain = *bucket;
    *bucket = statement;
    link_as_newest(statements, statement);
    statements->count++;
    statement->kept = true;
    return statement;
}

postgres__statement *postgres__statement_get(postgres__statements *statements, tims_str sql)
{
    uint64_t hash = hash_text(sql);
    postgres__statement *statement = find(statements, sql, hash);
    if (TIMS_UNLIKELY(statement == NULL)) {
        statement = add(statements, sql, hash);
    } else if (statements->newest != statement) {
        unlink_from_age(statements, statement);
        link_as_newest(statements, statement);
    }
    statement->users++;
    return statement;
}

void postgres__statement_release(postgres__statement *statement)
{
    TIMS_ASSERT(statement->users > 0);
    if (--statement->users == 0 && !statement->kept)
        free_statement(statement);
}

void postgres__statements_drop(postgres__statements *statements)
{
    while (statements->oldest != NULL) {
        postgres__statement *statement = statements->oldest;
        TIMS_ASSERT(statement->users == 0);
        statement->prepared_on = 0;
        postgres__statement_forget(statements, statement);
        TIMS_ASSERT(statements->oldest != statement);
    }
}

void postgres__statements_lose(postgres__statements *statements, uint32_t slot)
{
    for (postgres__statement *at = statements->newest; at != NULL; at = at->older)
        at->prepared_on &= ~((uint64_t)1 << slot);
}
