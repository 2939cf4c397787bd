/* listener_test.c: what one process says, another hears; on either database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/database_testing.h"
#include "tims/db.h"

#define S(literal) TIMS_STR(literal)
enum { LIMIT_US = 20 * 1000 * 1000, CHECK_EVERY_MS = 2 };

typedef struct fixture {
    testing_database database;
    tims_db *db, *other;
    tims_loop *loop;
    tims_arena *arena;
    tims_db_session *elsewhere; /* another process's, so to say */
    tims_db_listener *listener;
    int calls;
    void (*play)(struct fixture *f);
} fixture;

static tims_db *open_db(fixture *f)
{
    tims_db *db = NULL;
    tims_error err = { 0 };
    tims_db_options options = { .url = tims_str_from(f->database.url) };
    assert_int_equal(tims_db_open(&options, &db, &err), TIMS_OK);
    return db;
}

static int set_up(void **state)
{
    tims_error err = { 0 };
    fixture *f = calloc(1, sizeof *f);
    testing_database_new(&f->database, "listener");
    f->db = open_db(f);
    f->other = open_db(f);
    f->arena = tims_arena_new(1 << 20, NULL, NULL);
    f->elsewhere = tims_db_session_new(f->other, NULL, f->arena);
    assert_int_equal(tims_db_script(f->elsewhere, S("CREATE TABLE said (word TEXT)"), &err), TIMS_OK);
    assert_int_equal(tims_loop_new(&(tims_loop_options){ .watchdog_ms = 10000 }, &f->loop), TIMS_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tims_loop_free(&f->loop);
    tims_arena_free(&f->arena);
    tims_db_close(&f->other);
    tims_db_close(&f->db);
    testing_database_drop(&f->database);
    free(f);
    return 0;
}

static void hear(void *argument)
{
    fixture *f = argument;
    f->calls++;
}

static void say(fixture *f)
{
    tims_error err = { 0 };
    tims_str sql = S("INSERT INTO said (word) VALUES ('now')");
    assert_int_equal(tims_db_run(f->elsewhere, sql, NULL, 0, NULL, &err), TIMS_OK);
    assert_int_equal(tims_db_notify(f->elsewhere, "said", &err), TIMS_OK);
}

static void wait_for_call(fixture *f, int calls)
{
    for (int64_t until_us = tims_monotonic_us() + LIMIT_US; f->calls < calls;) {
        assert_true(tims_monotonic_us() < until_us);
        assert_int_equal(tims_sleep_ms(CHECK_EVERY_MS), TIMS_OK);
    }
}

/* On PostgreSQL it is called once when it begins to hear; on SQLite it hears at once. */
static void wait_until_it_hears(fixture *f)
{
    if (testing_on_postgres())
        wait_for_call(f, f->calls + 1);
}

static void play(void *argument)
{
    fixture *f = argument;
    f->listener = tims_db_listen(f->db, f->loop, "said", hear, f);
    wait_until_it_hears(f);
    f->play(f);
    tims_db_listener_free(&f->listener);
    assert_null(f->listener);
    tims_loop_stop(f->loop);
}

static void run(fixture *f, void (*scene)(fixture *f))
{
    f->play = scene;
    assert_non_null(tims_fiber_start(f->loop, play, f));
    tims_loop_run(f->loop);
}

static void say_three_times(fixture *f)
{
    for (int i = 0; i < 3; i++) {
        int before = f->calls;
        say(f);
        wait_for_call(f, before + 1);
    }
}

static void what_another_process_says_is_heard(void **state)
{
    run(*state, say_three_times);
}

static void lose_and_say(fixture *f)
{
    tims_error err = { 0 };
    tims_db_rows *rows;
    if (testing_on_postgres()) {
        int before = f->calls;
        assert_int_equal(
            tims_db_query(f->elsewhere,
                          S("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                            "current_database() AND query LIKE 'LISTEN%'"),
                          NULL, 0, &rows, &err),
            TIMS_OK);
        assert_true(tims_db_next(rows)); /* else the listener was not where this test looks for it */
        assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
        wait_for_call(f, before + 1); /* it hears again, and may have missed something */
    }
    say_three_times(f);
}

static void a_lost_connection_is_made_again(void **state)
{
    run(*state, lose_and_say);
}

static void another_channel_is_silent(void **state)
{
    fixture *f = *state;
    run(f, say_three_times);
    int before = f->calls;
    tims_error err = { 0 };
    assert_int_equal(tims_db_notify(f->elsewhere, "unsaid", &err), TIMS_OK);
    run(f, say_three_times);
    if (testing_on_postgres())
        assert_int_equal(f->calls, before + 4); /* its start, and three */
    else
        assert_true(f->calls >= before + 3); /* a commit writes more than once */
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_another_process_says_is_heard),
        TEST(a_lost_connection_is_made_again),
        TEST(another_channel_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
