/* server_test.c: what needs a server of one's own: it goes away and comes back, asks for passwords, speaks
 * TLS, and stands behind pgbouncer. */
#include "db/postgres/server_testing.h"

static server shared;

static int start_shared(void **state)
{
    (void)state;
    make_server(&shared);
    write_file(&shared, "data/pg_hba.conf",
               "hostssl all sealed 127.0.0.1/32 trust\nhost all keeper 127.0.0.1/32 scram-sha-256\n"
               "host all sealed 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\n",
               0600);
    char certificate[128], key[128];
    (void)snprintf(certificate, sizeof certificate, "%s/data/server.crt", shared.folder);
    (void)snprintf(key, sizeof key, "%s/data/server.key", shared.folder);
    run_program(&shared, (const char *const[]){ "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                                                "-days", "2", "-subj", "/CN=localhost", "-addext",
                                                "subjectAltName=DNS:localhost", "-out", certificate,
                                                "-keyout", key, NULL });
    write_file(&shared, "data/postgresql.auto.conf", "ssl = on\nfsync = off\n", 0600);
    start_server(&shared);
    run_on_server(&shared, "CREATE ROLE keeper LOGIN PASSWORD 'p@ss/word:1'; CREATE ROLE sealed LOGIN;"
                           "CREATE ROLE few LOGIN CONNECTION LIMIT 2"); /* one is the blocking one */
    return 0;
}

static int drop_shared(void **state)
{
    (void)state;
    drop_server(&shared);
    return 0;
}

static int set_up_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(tims_loop_new(&(tims_loop_options){ .watchdog_ms = 10000 }, &f->loop), TIMS_OK);
    *state = f;
    return 0;
}

static int tear_down_fixture(void **state)
{
    fixture *f = *state;
    tims_loop_free(&f->loop);
    tims_db_close(&f->db);
    free(f);
    return 0;
}

/* `format` gets the port. */
static tims_status open_url(fixture *f, const char *before, const char *after, tims_error *err)
{
    char url[512];
    (void)snprintf(url, sizeof url, "%s:%d/%s", before, shared.port, after);
    *err = (tims_error){ 0 };
    return tims_db_open(&(tims_db_options){ .url = tims_str_from(url) }, &f->db, err);
}

static void read_three(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    int64_t value = 0;
    tims_status status = read_number(session_of(w), "SELECT 3", NULL, 0, &value, &err);
    w->step = (int)value;
    report(w, status, &err);
}

/* --- it goes and comes back ------------------------------------------------------------------------ */

static void live_through_a_restart(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t value = 0;
    assert_int_equal(number(session, "SELECT 1"), 1);
    stop_server(&shared, SIGQUIT);
    int64_t before_us = tims_monotonic_us();
    for (int i = 0; i < 20; i++) {
        err = (tims_error){ 0 };
        assert_int_equal(read_number(session, "SELECT 2", NULL, 0, &value, &err), TIMS_UNAVAILABLE);
        assert_true(err.retry_after_s > 0);
        assert_int_equal(run(session, "CREATE TABLE x (a int)", &err), TIMS_UNAVAILABLE);
        assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
        assert_int_equal(read_number(session, "SELECT 2", NULL, 0, &value, &err), TIMS_UNAVAILABLE);
        tims_db_end_snapshot(session);
    }
    assert_true(tims_monotonic_us() - before_us < 2 * 1000000); /* at once, each of them */
    start_server(&shared);
    int64_t limit_us = tims_monotonic_us() + 20 * 1000000;
    while (read_number(session, "SELECT 3", NULL, 0, &value, &err) != TIMS_OK &&
           tims_monotonic_us() < limit_us)
        assert_int_equal(tims_sleep_ms(20), TIMS_OK);
    assert_int_equal(value, 3);
    assert_int_equal(run(session, "CREATE TABLE IF NOT EXISTS x (a int)", &err), TIMS_OK);
    report(w, TIMS_OK, &err);
}

static void a_server_that_is_away_is_said_at_once_and_found_when_it_is_back(void **state)
{
    fixture *f = *state;
    tims_error err;
    assert_int_equal(open_url(f, "postgres://tims@127.0.0.1", "postgres", &err), TIMS_OK);
    assert_int_equal(run_one(f, live_through_a_restart).status, TIMS_OK);
}

/* A further connection was refused while there was one; then that one is lost as well. */
static void lose_the_last_after_a_refusal(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    tims_db_session *first = session_of(w);
    tims_db_session *second = tims_db_session_new(w->f->db, w->f->loop, first->arena);
    assert_int_equal(tims_db_begin_snapshot(first, &err), TIMS_OK);
    assert_int_equal(number(first, "SELECT 1"), 1);
    assert_int_equal(run(second, "CREATE TABLE y (a int)", &err), TIMS_UNAVAILABLE);
    assert_string_equal(err.code, "database_busy");
    run_on_server(&shared,
                  "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'few'");
    tims_db_end_snapshot(first);
    int64_t value = 0;
    tims_status status = read_number(second, "SELECT 3", NULL, 0, &value, &err);
    w->step = (int)value;
    report(w, status, &err);
}

static void open_few(fixture *f, int64_t begin_timeout_ms)
{
    char url[128];
    tims_error err = { 0 };
    (void)snprintf(url, sizeof url, "postgres://few@127.0.0.1:%d/postgres?connections=5", shared.port);
    tims_db_options options = { .url = tims_str_from(url), .begin_timeout_ms = begin_timeout_ms };
    assert_int_equal(tims_db_open(&options, &f->db, &err), TIMS_OK);
}

static void a_pool_that_was_refused_a_connection_makes_a_new_one_when_it_has_none(void **state)
{
    fixture *f = *state;
    open_few(f, 500);
    worker w = run_one(f, lose_the_last_after_a_refusal);
    if (w.status != TIMS_OK)
        fail_msg("%s", w.message);
    assert_int_equal(w.step, 3);
}

/* It lets go of what it holds only when the other one is done; nothing else happens on this loop. */
static void hold_until_the_other_is_done(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    tims_db_session *session = session_of(w);
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    assert_int_equal(number(session, "SELECT 1"), 1);
    w->fiber = tims_fiber_self();
    tims_fiber_wake(w->other->fiber);
    while (w->other->step == 0)
        (void)tims_fiber_suspend();
    tims_db_end_snapshot(session);
    report(w, TIMS_OK, &err);
}

static void begin_beside_it(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    tims_db_session *session = session_of(w);
    w->fiber = tims_fiber_self();
    while (w->other->fiber == NULL)
        (void)tims_fiber_suspend();
    tims_status status = run(session, "CREATE TEMPORARY TABLE z (a int)", &err);
    w->step = 1;
    tims_fiber_wake(w->other->fiber);
    report(w, status, &err);
}

static void hold_or_begin(void *argument)
{
    worker *w = argument;
    (w->number == 0 ? hold_until_the_other_is_done : begin_beside_it)(w);
}

static tims_timer raising;

/* Once a connection has been refused. */
static void raise_the_limit(void *argument)
{
    fixture *f = argument;
    if (postgres__pool_of((postgres__store *)f->db, f->loop)->failures == 0)
        tims_timer_set(f->loop, &raising, 1, raise_the_limit, f);
    else
        run_on_server(&shared, "ALTER ROLE few CONNECTION LIMIT 10");
}

static void who_waits_is_served_when_a_connection_can_be_had_again(void **state)
{
    fixture *f = *state;
    worker workers[2];
    open_few(f, 10000);
    tims_timer_set(f->loop, &raising, 1, raise_the_limit, f);
    run_workers(f, hold_or_begin, workers, 2);
    run_on_server(&shared, "ALTER ROLE few CONNECTION LIMIT 2");
    assert_int_equal(workers[0].status, TIMS_OK);
    if (workers[1].status != TIMS_OK)
        fail_msg("%s", workers[1].message);
}

/* --- what cannot be opened ------------------------------------------------------------------------- */

static void what_cannot_be_opened_says_why_without_the_password(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *before, *after, *says;
    } all[] = {
        { "postgres://tims:secret@127.0.0.1", "nowhere", "nowhere" },
        { "postgres://keeper:secret@127.0.0.1", "postgres", "password authentication failed" },
        { "postgres://nobody:secret@127.0.0.1", "postgres", "nobody" },
        { "postgres://tims:secret@nowhere.invalid", "postgres", "nowhere.invalid" },
        { "postgres://tims:secret@127.0.0.1", "postgres?sslmodus=require", "sslmodus" },
        { "postgres://tims:secret@127.0.0.1", "postgres?prepared=perhaps", "prepared" },
        { "postgres://tims:secret@127.0.0.1", "postgres?connections=0", "connections" },
        { "postgres://tims:secret@127.0.0.1", "postgres?statement_timeout=soon", "statement_timeout" },
        { "postgres://tims:%zzsecret@127.0.0.1", "postgres", "percent-encoded" },
        { "postgres://sealed:secret@127.0.0.1", "postgres?sslmode=disable", "pg_hba.conf rejects" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tims_error err;
        assert_int_equal(open_url(f, all[i].before, all[i].after, &err), TIMS_UNAVAILABLE);
        if (strstr(err.message, all[i].says) == NULL || strstr(err.message, "secret") != NULL ||
            strstr(err.detail, "secret") != NULL)
            fail_msg("%s: %s", all[i].says, err.message);
        assert_null(f->db);
    }
    tims_error err = { 0 };
    tims_db_options closed = { .url = S("postgres://tims:secret@127.0.0.1:1/x") };
    assert_int_equal(tims_db_open(&closed, &f->db, &err), TIMS_UNAVAILABLE);
    assert_non_null(strstr(err.message, "refused"));
}

/* --- passwords and TLS ----------------------------------------------------------------------------- */

static void passwords_come_from_the_url_or_a_file(void **state)
{
    fixture *f = *state;
    tims_error err;
    if (open_url(f, "postgres://keeper:p%40ss%2Fword%3A1@127.0.0.1", "postgres", &err) != TIMS_OK)
        fail_msg("%s", err.message);
    assert_int_equal(run_one(f, read_three).step, 3);
    tims_loop_free(&f->loop);
    tims_db_close(&f->db);
    assert_int_equal(tims_loop_new(NULL, &f->loop), TIMS_OK);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/pgpass", shared.folder);
    write_file(&shared, "pgpass", "127.0.0.1:*:*:keeper:p@ss/word\\:1\n", 0600);
    assert_int_equal(setenv("PGPASSFILE", path, 1), 0);
    if (open_url(f, "postgres://keeper@127.0.0.1", "postgres", &err) != TIMS_OK)
        fail_msg("%s", err.message);
    assert_int_equal(run_one(f, read_three).step, 3);
    assert_int_equal(unsetenv("PGPASSFILE"), 0);
}

static void ask_for_tls(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    w->step = (int)number(session_of(w), "SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    report(w, TIMS_OK, &err);
}

static void a_connection_is_sealed_and_its_server_known(void **state)
{
    fixture *f = *state;
    tims_error err;
    char after[256];
    if (open_url(f, "postgres://sealed@127.0.0.1", "postgres?sslmode=require", &err) != TIMS_OK)
        fail_msg("%s", err.message);
    assert_int_equal(run_one(f, ask_for_tls).step, 1);
    tims_loop_free(&f->loop);
    tims_db_close(&f->db);
    assert_int_equal(tims_loop_new(NULL, &f->loop), TIMS_OK);
    (void)snprintf(after, sizeof after, "postgres?sslmode=verify-full&sslrootcert=%s/data/server.crt",
                   shared.folder);
    /* the certificate is localhost's */
    assert_int_equal(open_url(f, "postgres://sealed@127.0.0.1", after, &err), TIMS_UNAVAILABLE);
    assert_non_null(strstr(err.message, "certificate"));
    if (open_url(f, "postgres://sealed@localhost", after, &err) != TIMS_OK)
        fail_msg("%s", err.message);
    assert_int_equal(run_one(f, ask_for_tls).step, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_fixture, tear_down_fixture)
    const struct CMUnitTest tests[] = {
        TEST(a_server_that_is_away_is_said_at_once_and_found_when_it_is_back),
        TEST(a_pool_that_was_refused_a_connection_makes_a_new_one_when_it_has_none),
        TEST(who_waits_is_served_when_a_connection_can_be_had_again),
        TEST(what_cannot_be_opened_says_why_without_the_password),
        TEST(passwords_come_from_the_url_or_a_file),
        TEST(a_connection_is_sealed_and_its_server_known),
    };
    return cmocka_run_group_tests_name("server", tests, start_shared, drop_shared);
}
