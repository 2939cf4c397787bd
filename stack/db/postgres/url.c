/* url.c: what DATABASE_URL says.
 *
 *   postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=/etc/ca.pem
 *
 * It is libpq's own form, with all of libpq's parameters, percent-encoded; PGPASSFILE and its kin work as
 * everywhere. A few parameters are ours and are taken out before libpq sees it. Messages never repeat the
 * URL: it may hold a password. */
#include "postgres_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { URL_BYTES_MAX = 8000, CONNECTIONS_MIN = 4, CONNECTIONS_MAX = 16, CONNECTIONS_OF_PROCESS = 64 };

static tims_status refuse(tims_error *err, const char *format, tims_str name)
{
    char sentence[160];
    (void)snprintf(sentence, sizeof sentence, "DATABASE_URL: %s", format);
    if (name.length > 40)
        name.length = 40;
    return tims_fail(err, TIMS_UNAVAILABLE, "database_url", "%s \"%.*s\".", sentence, TIMS_PRINT(name));
}

/* 500ms, 30s, 2m; a plain number is in `unit_ms`, as libpq and PostgreSQL have them. */
static bool read_ms(tims_str text, int64_t unit_ms, int64_t *ret_ms)
{
    static const struct {
        tims_str suffix;
        int64_t ms;
    } units[] = { { TIMS_STR_INIT("ms"), 1 },
                  { TIMS_STR_INIT("s"), 1000 },
                  { TIMS_STR_INIT("min"), 60000 },
                  { TIMS_STR_INIT("m"), 60000 } };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (tims_str_ends_with(text, units[i].suffix)) {
            text.length -= units[i].suffix.length;
            unit_ms = units[i].ms;
            break;
        }
    int64_t value;
    if (!tims_str_to_int(text, 0, 86400000, &value))
        return false;
    *ret_ms = value * unit_ms;
    return true;
}

static bool is_libpq_parameter(tims_str name)
{
    if (tims_str_equal(name, TIMS_STR("ssl")))
        return true; /* JDBC's way to say sslmode=require */
    PQconninfoOption *all = PQconndefaults();
    bool found = false;
    for (const PQconninfoOption *at = all; at != NULL && at->keyword != NULL && !found; at++)
        found = tims_str_equal(name, tims_str_from(at->keyword));
    PQconninfoFree(all);
    return found;
}

/* One of ours: true when it was taken. */
static bool take_own(postgres__settings *settings, tims_str name, tims_str value, bool *ret_bad)
{
    int64_t number;
    if (tims_str_equal(name, TIMS_STR("prepared"))) {
        settings->prepared = tims_str_equal(value, TIMS_STR("on"));
        *ret_bad = !settings->prepared && !tims_str_equal(value, TIMS_STR("off"));
    } else if (tims_str_equal(name, TIMS_STR("connections"))) {
        *ret_bad = !tims_str_to_int(value, 1, POSTGRES_CONNECTIONS_MAX, &number);
        settings->connections_max = *ret_bad ? 1 : (uint32_t)number;
    } else if (tims_str_equal(name, TIMS_STR("statement_timeout"))) {
        *ret_bad = !read_ms(value, 1, &settings->statement_timeout_ms);
        settings->statement_timeout_given = true;
    } else if (tims_str_equal(name, TIMS_STR("connect_timeout"))) {
        *ret_bad = !read_ms(value, 1000, &settings->connect_timeout_ms) || settings->connect_timeout_ms == 0;
    } else {
        return false;
    }
    return true;
}

/* Copies the URL without our parameters; `out` has room for all of it. */
static tims_status take_parameters(tims_str url, postgres__settings *settings, char *out, tims_error *err)
{
    size_t question = tims_str_find(url, TIMS_STR("?"));
    tims_str query = { NULL, 0 };
    size_t length = url.length;
    if (question != SIZE_MAX) {
        query = tims_str_slice(url, question + 1, url.length);
        length = question;
    }
    memcpy(out, url.data, length);
    char separator = '?';
    while (query.data != NULL && query.length > 0) {
        tims_str pair = tims_str_cut(&query, '&'), value = pair;
        tims_str name = tims_str_cut(&value, '=');
        bool bad = false;
        if (take_own(settings, name, value, &bad)) {
            if (bad)
                return refuse(err, "this parameter has a value that cannot be read:", name);
            continue;
        }
        if (!is_libpq_parameter(name))
            return refuse(err, "there is no parameter", name);
        out[length++] = separator;
        memcpy(out + length, pair.data, pair.length);
        length += pair.length;
        separator = '&';
    }
    out[length] = 0;
    return TIMS_OK;
}

tims_str postgres__settings_find(const postgres__settings *settings, const char *keyword)
{
    for (const PQconninfoOption *at = settings->given; at->keyword != NULL; at++)
        if (strcmp(at->keyword, keyword) == 0)
            return tims_str_from(at->val);
    return (tims_str){ NULL, 0 };
}

/* "db.example.com:5432/chat", without who and with what password. */
static void name_place(postgres__settings *settings)
{
    tims_str host = postgres__settings_find(settings, "host");
    tims_str port = postgres__settings_find(settings, "port");
    tims_str name = postgres__settings_find(settings, "dbname");
    if (host.length == 0)
        host = TIMS_STR("(local)");
    (void)snprintf(settings->place, sizeof settings->place, "%.*s%s%.*s/%.*s", TIMS_PRINT(host),
                   port.length > 0 ? ":" : "", TIMS_PRINT(port), TIMS_PRINT(name));
}

/* Many, for the more commits wait at once the fewer writes to the disk there are (on one core: a quarter more
 * inserts with 16 than with 8); but PostgreSQL takes 100 by default, and there is a loop per core. */
static uint32_t default_connections(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long share = CONNECTIONS_OF_PROCESS / (cores > 0 ? cores : 1);
    return (uint32_t)(share < CONNECTIONS_MIN   ? CONNECTIONS_MIN
                      : share > CONNECTIONS_MAX ? CONNECTIONS_MAX
                                                : share);
}

tims_status postgres__settings_parse(tims_str url, postgres__settings *settings, tims_error *err)
{
    *settings = (postgres__settings){ .prepared = true,
                                      .connections_max = default_connections(),
                                      .connect_timeout_ms = 5000,
                                      .statement_timeout_ms = 30000 };
    if (url.length > URL_BYTES_MAX || memchr(url.data, 0, url.length) != NULL)
        return tims_fail(err, TIMS_UNAVAILABLE, "database_url", "DATABASE_URL is too long.");
    char *text = malloc(url.length + 2);
    TIMS_ASSERT(text != NULL);
    tims_status status = take_parameters(url, settings, text, err);
    if (status == TIMS_OK) {
        settings->given = PQconninfoParse(text, NULL);
        if (settings->given == NULL)
            status = tims_fail(err, TIMS_UNAVAILABLE, "database_url",
                               "DATABASE_URL cannot be read. It must be postgres://user:password@host:port/"
                               "database, special characters of each part percent-encoded.");
        else
            name_place(settings);
    }
    free(text);
    return status;
}

void postgres__settings_free(postgres__settings *settings)
{
    PQconninfoFree(settings->given);
    settings->given = NULL;
}
