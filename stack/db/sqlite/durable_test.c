/* durable_test.c: what crosses processes: one server a file, other programs that write, and kill -9. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/db_testing.h"
#include "tims/db.h"

#define S(literal) TIMS_STR(literal)

typedef struct fixture {
    char folder[64], url[128], path[96];
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/tims-durable-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/t.sqlite3", f->folder);
    (void)snprintf(f->url, sizeof f->url, "sqlite:%s", f->path);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    remove_folder(f->folder);
    free(f);
    return 0;
}

static tims_db *must_open(fixture *f, bool exclusive)
{
    tims_db *db = NULL;
    tims_error err = { 0 };
    tims_db_options options = { .url = tims_str_from(f->url), .exclusive = exclusive };
    if (tims_db_open(&options, &db, &err) != TIMS_OK) {
        (void)fprintf(stderr, "%s (%s)\n", err.message, err.detail);
        abort();
    }
    return db;
}

static void make_table(tims_db *db)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_error err = { 0 };
    tims_str sql =
        S("CREATE TABLE t (id INTEGER PRIMARY KEY, worker INTEGER NOT NULL, step INTEGER NOT NULL) STRICT");
    assert_int_equal(tims_db_script(tims_db_session_new(db, NULL, arena), sql, &err), TIMS_OK);
    tims_arena_free(&arena);
}

static int64_t number(tims_db *db, const char *sql)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(db, NULL, arena);
    tims_db_rows *rows = NULL;
    tims_error err = { 0 };
    assert_int_equal(tims_db_query(session, tims_str_from(sql), NULL, 0, &rows, &err), TIMS_OK);
    assert_true(tims_db_next(rows));
    int64_t value = tims_db_get_int(rows, 0);
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
    tims_arena_free(&arena);
    return value;
}

/* --- one server a file ------------------------------------------------------------------------------- */

/* A child that serves the file until it is told to stop; returns when it does serve. */
static pid_t start_server(fixture *f, int *ret_stop)
{
    int ready[2], stop[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(stop), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    char byte = 'r';
    if (child == 0) {
        close(stop[1]);
        tims_db *db = must_open(f, true);
        if (write(ready[1], &byte, 1) == 1)
            while (read(stop[0], &byte, 1) < 0 && errno == EINTR)
                ;
        tims_db_close(&db);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    close(stop[0]);
    *ret_stop = stop[1];
    return child;
}

static void a_second_server_on_one_file_gets_one_clear_line(void **state)
{
    fixture *f = *state;
    int stop = -1, how = 0;
    pid_t server = start_server(f, &stop);
    tims_db *db = NULL;
    tims_error err = { 0 };
    tims_db_options options = { .url = tims_str_from(f->url), .exclusive = true };
    assert_int_equal(tims_db_open(&options, &db, &err), TIMS_BUSY);
    assert_non_null(strstr(err.message, "already serves"));
    assert_non_null(strstr(err.message, f->path));
    assert_null(strchr(err.message, '\n'));
    db = must_open(f, false); /* a command beside the server is fine */
    tims_db_close(&db);
    close(stop);
    assert_int_equal(waitpid(server, &how, 0), server);
    db = must_open(f, true);
    tims_db_close(&db);
    server = start_server(f, &stop);
    assert_int_equal(kill(server, SIGKILL), 0); /* nothing is left that has to be cleaned up by hand */
    assert_int_equal(waitpid(server, &how, 0), server);
    close(stop);
    db = must_open(f, true);
    tims_db_close(&db);
}

/* --- kill -9 ----------------------------------------------------------------------------------------- */

enum { FIBERS = 64, STEPS_MAX = 100000 };

typedef struct server {
    tims_db *db;
    tims_loop *loop;
    int answers; /* the pipe that says what was answered */
} server;

typedef struct client {
    server *s;
    int number;
} client;

static void write_and_answer(void *argument)
{
    client *c = argument;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(c->s->db, c->s->loop, arena);
    for (int step = 0; step < STEPS_MAX; step++) {
        tims_error err = { 0 };
        tims_db_value values[] = { tims_db_int(c->number), tims_db_int(step) };
        tims_status status = tims_db_begin(session, &err);
        /* two rows: after the crash both are there or none */
        for (int i = 0; i < 2 && status == TIMS_OK; i++)
            status = tims_db_run(session, S("INSERT INTO t (worker, step) VALUES (?1, ?2)"), values, 2, NULL,
                                 &err);
        if (status == TIMS_OK)
            status = tims_db_commit(session, &err);
        int answer[2] = { c->number, step };
        if (status != TIMS_OK || write(c->s->answers, answer, sizeof answer) != sizeof answer)
            _exit(1);
    }
}

static void start_clients(void *argument)
{
    server *s = argument;
    for (int i = 0; i < FIBERS; i++) {
        client *c = calloc(1, sizeof *c);
        *c = (client){ s, i };
        if (tims_fiber_start(s->loop, write_and_answer, c) == NULL)
            _exit(1);
    }
}

static void serve_until_killed(fixture *f, int answers)
{
    server s = { .db = must_open(f, true), .answers = answers };
    if (tims_loop_new(&(tims_loop_options){ .watchdog_ms = 10000 }, &s.loop) != TIMS_OK)
        _exit(1);
    tims_loop_post(s.loop, start_clients, &s);
    tims_loop_run(s.loop);
    _exit(1);
}

static void every_answered_write_survives_kill_9_whole(void **state)
{
    fixture *f = *state;
    tims_db *db = must_open(f, false);
    make_table(db);
    tims_db_close(&db);
    int answers[2];
    assert_int_equal(pipe(answers), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(answers[0]);
        serve_until_killed(f, answers[1]);
    }
    close(answers[1]);
    int last[FIBERS], answer[2], count = 0;
    memset(last, -1, sizeof last);
    while (count < 1000 && read(answers[0], answer, sizeof answer) == sizeof answer) {
        last[answer[0]] = answer[1];
        count++;
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(answers[0], answer, sizeof answer) == sizeof answer) {
        last[answer[0]] = answer[1];
        count++;
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    assert_true(count >= 1000);
    db = must_open(f, true);
    for (int i = 0; i < FIBERS; i++) {
        char sql[120];
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE worker = %d AND step <= %d", i,
                       last[i]);
        assert_int_equal(number(db, sql), 2 * (last[i] + 1));
        (void)snprintf(sql, sizeof sql, "SELECT count(*) %% 2 FROM t WHERE worker = %d", i);
        assert_int_equal(number(db, sql), 0);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) <= %d FROM t WHERE worker = %d", 2 * (last[i] + 2),
                       i);
        assert_int_equal(number(db, sql), 1); /* at most the one that was not yet answered */
    }
    assert_int_equal(number(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    tims_db_close(&db);
    close(answers[0]);
}

/* --- the sqlite3 program ----------------------------------------------------------------------------- */

typedef struct busy_fiber {
    tims_db *db;
    tims_loop *loop;
    int steps, failed, *live;
} busy_fiber;

static void insert_many(void *argument)
{
    busy_fiber *b = argument;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(b->db, b->loop, arena);
    for (int i = 0; i < b->steps; i++) {
        tims_error err = { 0 };
        if (tims_db_run(session, S("INSERT INTO t (worker, step) VALUES (1, 1)"), NULL, 0, NULL, &err) !=
            TIMS_OK)
            b->failed++;
    }
    tims_arena_free(&arena);
    if (--*b->live == 0)
        tims_loop_stop(b->loop);
}

static void start_busy_fibers(void *argument)
{
    busy_fiber *fibers = argument;
    for (int i = 0; i < 8; i++)
        assert_non_null(tims_fiber_start(fibers[i].loop, insert_many, &fibers[i]));
}

/* Ten runs of the program, in a child of its own; its exit status says whether all went well. */
static pid_t start_other_writers(fixture *f)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0)
        return child;
    int failed = 0;
    for (int i = 0; i < 10; i++)
        failed += run_sqlite3(f->path, "INSERT INTO t (worker, step) VALUES (2, 1)") != 0;
    _exit(failed);
}

static void the_sqlite3_program_writes_beside_the_server(void **state)
{
    fixture *f = *state;
    tims_db *db = must_open(f, false);
    make_table(db);
    tims_db_close(&db); /* nothing of a database may cross a fork */
    pid_t others = start_other_writers(f);
    db = must_open(f, true);
    tims_loop *loop = NULL;
    assert_int_equal(tims_loop_new(&(tims_loop_options){ .watchdog_ms = 10000 }, &loop), TIMS_OK);
    busy_fiber fibers[8];
    int live = 8;
    for (int i = 0; i < 8; i++)
        fibers[i] = (busy_fiber){ db, loop, 100, 0, &live };
    tims_loop_post(loop, start_busy_fibers, fibers);
    tims_loop_run(loop);
    int how = 0;
    assert_int_equal(waitpid(others, &how, 0), others);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(fibers[i].failed, 0);
    assert_int_equal(number(db, "SELECT count(*) FROM t WHERE worker = 1"), 800);
    assert_int_equal(number(db, "SELECT count(*) FROM t WHERE worker = 2"), 10);
    tims_loop_free(&loop);
    tims_db_close(&db);
}

/* --- a disk that refuses ------------------------------------------------------------------------------ */

/* The kernel refuses every write past a size of file: a real failure, met by the COMMIT itself. In a child,
 * because the limit is the process's. */
static void write_past_a_limit(fixture *f)
{
    tims_db *db = must_open(f, true);
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    tims_db_session *session = tims_db_session_new(db, NULL, arena);
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = { 256 << 10, RLIM_INFINITY };
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
    int kept = 0, refused = 0;
    for (int i = 0; i < 100; i++) {
        tims_error err = { 0 };
        tims_str sql = S("INSERT INTO big (data) VALUES (randomblob(20000))");
        tims_status status = tims_db_run(session, sql, NULL, 0, NULL, &err);
        kept += status == TIMS_OK;
        refused += status == TIMS_UNAVAILABLE;
    }
    if (kept == 0 || refused == 0 || kept + refused != 100 || number(db, "SELECT count(*) FROM big") != kept)
        _exit(3);
    limit.rlim_cur = RLIM_INFINITY;
    tims_error err = { 0 };
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
        tims_db_run(session, S("INSERT INTO big (data) VALUES (randomblob(20000))"), NULL, 0, NULL, &err) !=
            TIMS_OK ||
        number(db, "SELECT count(*) FROM big") != kept + 1)
        _exit(4);
    if (number(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") != 1)
        _exit(5);
    _exit(0);
}

static void a_commit_that_cannot_be_written_keeps_nothing_of_it(void **state)
{
    fixture *f = *state;
    tims_db *db = must_open(f, false);
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_error err = { 0 };
    tims_str sql = S("CREATE TABLE big (data BLOB NOT NULL)");
    assert_int_equal(tims_db_script(tims_db_session_new(db, NULL, arena), sql, &err), TIMS_OK);
    tims_arena_free(&arena);
    tims_db_close(&db);
    int how = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        write_past_a_limit(f);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

/* The WAL is moved into the file as it grows, and starts again. */
static void the_wal_does_not_grow_without_end(void **state)
{
    fixture *f = *state;
    tims_db *db = must_open(f, true);
    make_table(db);
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    tims_db_session *session = tims_db_session_new(db, NULL, arena);
    tims_error err = { 0 };
    tims_str sql = S("CREATE TABLE big (data BLOB NOT NULL)");
    assert_int_equal(tims_db_script(session, sql, &err), TIMS_OK);
    for (int i = 0; i < 60; i++) {
        sql = S("INSERT INTO big (data) VALUES (randomblob(500000))");
        assert_int_equal(tims_db_run(session, sql, NULL, 0, NULL, &err), TIMS_OK);
    }
    char path[128];
    (void)snprintf(path, sizeof path, "%s-wal", f->path);
    FILE *wal = fopen(path, "r");
    assert_non_null(wal);
    assert_int_equal(fseek(wal, 0, SEEK_END), 0);
    assert_in_range(ftell(wal), 1, 8 << 20); /* 30 MB were written */
    (void)fclose(wal);
    tims_arena_free(&arena);
    tims_db_close(&db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_second_server_on_one_file_gets_one_clear_line),
        TEST(every_answered_write_survives_kill_9_whole),
        TEST(the_sqlite3_program_writes_beside_the_server),
        TEST(a_commit_that_cannot_be_written_keeps_nothing_of_it),
        TEST(the_wal_does_not_grow_without_end),
    };
    return cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}
