/* database_testing.h: a fresh database for a test, on the database that the whole run is for. For tests only.
 *
 * TIMS_TEST_DATABASE says which: sqlite (when it is not set), or postgres, then on the server that
 * TIMS_TEST_POSTGRES names; tools/test-servers starts one. So every test of what is above the drivers runs on
 * both, unchanged. */
#ifndef TIMS_DB_DATABASE_TESTING_H
#define TIMS_DB_DATABASE_TESTING_H

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "base/folder_testing.h"

typedef struct testing_database {
    char folder[64]; /* of the test: its SQLite file is test.sqlite3 in it */
    char url[256];   /* for tims_db_open */
    char name[64];   /* PostgreSQL's */
} testing_database;

TIMS_UNUSED static bool testing_on_postgres(void)
{
    const char *kind = getenv("TIMS_TEST_DATABASE");
    if (kind == NULL || *kind == '\0' || strcmp(kind, "sqlite") == 0)
        return false;
    if (strcmp(kind, "postgres") != 0)
        fail_msg("TIMS_TEST_DATABASE is %s: set it to sqlite or postgres", kind);
    return true;
}

/* The URL of a database on the test server. */
TIMS_UNUSED static void testing_postgres_url(const char *name, char *ret_url, size_t size)
{
    const char *server = getenv("TIMS_TEST_POSTGRES");
    const char *authority = server == NULL ? NULL : strstr(server, "://");
    if (authority == NULL)
        fail_msg("TIMS_TEST_POSTGRES does not name a server; run: tools/test-servers PROGRAM");
    size_t length = (size_t)(authority + 3 - server) + strcspn(authority + 3, "/?");
    int written = snprintf(ret_url, size, "%.*s/%s", (int)length, server, name);
    assert_true(written > 0 && (size_t)written < size);
}

/* Runs statements on a PostgreSQL database, on a connection of its own. */
TIMS_UNUSED static void testing_postgres_run(const char *database, const char *sql)
{
    char url[256];
    testing_postgres_url(database, url, sizeof url);
    PGconn *connection = PQconnectdb(url);
    if (PQstatus(connection) != CONNECTION_OK)
        fail_msg("TIMS_TEST_POSTGRES: %s", PQerrorMessage(connection));
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
}

/* `room` is for people who find something in /tmp. */
TIMS_UNUSED static void testing_database_new(testing_database *database, const char *room)
{
    *database = (testing_database){ 0 };
    (void)snprintf(database->folder, sizeof database->folder, "/tmp/tims-%s-test-XXXXXX", room);
    assert_non_null(mkdtemp(database->folder));
    if (!testing_on_postgres()) {
        (void)snprintf(database->url, sizeof database->url, "sqlite:%s/test.sqlite3", database->folder);
        return;
    }
    (void)snprintf(database->name, sizeof database->name, "%s_test_%d_%lld", room, (int)getpid(),
                   (long long)tims_monotonic_us());
    char sql[128];
    (void)snprintf(sql, sizeof sql, "CREATE DATABASE %s", database->name);
    testing_postgres_run("postgres", sql);
    testing_postgres_url(database->name, database->url, sizeof database->url);
}

/* Lets 0, 1, microseconds and text stand for booleans, times and ids in a test's own SQL, as SQLite does. */
TIMS_UNUSED static void testing_database_loosen(const testing_database *database)
{
    if (!testing_on_postgres())
        return;
    testing_postgres_run(
        database->name, "CREATE FUNCTION test_time(bigint) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS "
                        "$$SELECT timestamptz 'epoch' + $1 * interval '1 microsecond'$$;"
                        "CREATE FUNCTION test_time(integer) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS "
                        "$$SELECT timestamptz 'epoch' + $1 * interval '1 microsecond'$$;"
                        "CREATE CAST (bigint AS timestamptz) WITH FUNCTION test_time(bigint) AS ASSIGNMENT;"
                        "CREATE CAST (integer AS timestamptz) WITH FUNCTION test_time(integer) AS ASSIGNMENT;"
                        "CREATE CAST (text AS uuid) WITH INOUT AS ASSIGNMENT;"
                        "UPDATE pg_cast SET castcontext = 'a' WHERE castsource = 'integer'::regtype AND "
                        "casttarget = 'boolean'::regtype");
}

/* Everything on it is closed, but for what a child that was killed had open. */
TIMS_UNUSED static void testing_database_drop(testing_database *database)
{
    if (database->name[0] != '\0') {
        char sql[128];
        (void)snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", database->name);
        testing_postgres_run("postgres", sql);
    }
    remove_folder(database->folder);
}

/* Runs statements with the database's own program, sqlite3 or psql, as a foreign writer; its exit status.
 * Missing: apt-get install sqlite3 postgresql-client. */
TIMS_UNUSED static int testing_database_shell(const testing_database *database, const char *sql)
{
    int how = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (testing_on_postgres())
            (void)execlp("psql", "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", sql, database->url,
                         (char *)NULL);
        else
            (void)execlp("sqlite3", "sqlite3", "-cmd", ".timeout 8000", database->url + strlen("sqlite:"),
                         sql, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

#endif
