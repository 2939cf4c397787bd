/* redis_address_test: what a Redis URL may look like, and what is said of one that is not understood. */
#include "base/testing.h"
#include "redis/redis_internal.h"

typedef struct good {
    const char *url, *host, *user, *password;
    int port, database;
} good;

static void urls_are_read(void **state)
{
    static const good rows[] = {
        { "redis://localhost", "localhost", "", "", 6379, 0 },
        { "redis://localhost/", "localhost", "", "", 6379, 0 },
        { "REDIS://cache.example:7000/3", "cache.example", "", "", 7000, 3 },
        { "redis://:secret@10.0.0.1", "10.0.0.1", "", "secret", 6379, 0 },
        { "redis://tim:se%40c%2Fr%3Aet@h:1/0", "h", "tim", "se@c/r:et", 1, 0 },
        { "redis://tim:a:b@c@h", "h", "tim", "a:b@c", 6379, 0 },
        { "redis://[::1]:6380/1", "::1", "", "", 6380, 1 },
        { "redis://[fe80::1]", "fe80::1", "", "", 6379, 0 },
        { "  redis://h \n", "h", "", "", 6379, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
        redis__address address;
        tims_error err = { 0 };
        if (redis__address_parse(arena, tims_str_from(rows[i].url), &address, &err) != TIMS_OK)
            fail_msg("%s: %s", rows[i].url, err.message);
        assert_str(address.host, rows[i].host);
        assert_str(address.user, rows[i].user);
        assert_str(address.password, rows[i].password);
        assert_int_equal(address.port, rows[i].port);
        assert_int_equal(address.database, rows[i].database);
        assert_int_equal(tims_str_find(address.name, TIMS_STR("secret")), SIZE_MAX);
        tims_arena_free(&arena);
    }
}

static void what_is_not_spoken_is_refused_by_name(void **state)
{
    static const struct {
        const char *url, *says;
    } rows[] = {
        { "", "scheme" },
        { "localhost:6379", "scheme" },
        { "http://h", "must begin with redis://" },
        { "rediss://:secret@h", "TLS" },
        { "redis+sentinel://:secret@h:26379/mymaster", "Sentinel" },
        { "redis-sentinel://h", "Sentinel" },
        { "redis-cluster://:secret@h", "Cluster" },
        { "redis+cluster://h", "Cluster" },
        { "redis://:secret@a:1,b:2,c:3", "several hosts" },
        { "redis://", "names no host" },
        { "redis://:secret@", "names no host" },
        { "redis://:6379", "names no host" },
        { "redis://tim@h", "without a password" },
        { "redis://:secret%2@h", "%" },
        { "redis://:secret%zz@h", "%" },
        { "redis://h:0", "port" },
        { "redis://h:65536", "port" },
        { "redis://h:", "port" },
        { "redis://h:x", "port" },
        { "redis://[::1]x", "brackets" },
        { "redis://h/one", "database" },
        { "redis://h/-1", "database" },
        { "redis://h/0?password=secret", "parameters" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_redis *redis = NULL;
        tims_error err = { 0 };
        const tims_redis_options options = { .url = tims_str_from(rows[i].url) };
        assert_int_equal(tims_redis_new(&options, &redis, &err), TIMS_INVALID);
        assert_null(redis);
        tims_str message = tims_str_from(err.message);
        if (tims_str_find(message, tims_str_from(rows[i].says)) == SIZE_MAX)
            fail_msg("%s: %s", rows[i].url, err.message);
        assert_int_equal(tims_str_find(message, TIMS_STR("secret")), SIZE_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_read),
        cmocka_unit_test(what_is_not_spoken_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
