/* backup_test.c: what a backup and a restore refuse and leave, below the commands: locks, names, and one that
 * was given up. The commands' own rows are in tests/system/backup.test.ts. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/db_testing.h"
#include "db/sqlite/sqlite_internal.h"

typedef struct fixture {
    char folder[64], path[96], url[112], backup[96];
    tims_arena *arena;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/tims-db-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/app", f->folder);
    (void)snprintf(f->url, sizeof f->url, "sqlite:%s", f->path);
    (void)snprintf(f->backup, sizeof f->backup, "%s/copy", f->folder);
    f->arena = tims_arena_new(1 << 20, NULL, NULL);
    assert_int_equal(
        run_sqlite3(f->path, "PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)"), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tims_arena_free(&f->arena);
    remove_folder(f->folder);
    free(f);
    return 0;
}

static tims_status backup(fixture *f, tims_error *err)
{
    return tims_db_backup(tims_str_from(f->url), tims_str_from(f->backup), false, err);
}

static tims_status begin(fixture *f, tims_db_restore **restore, tims_error *err)
{
    return tims_db_restore_begin(tims_str_from(f->url), tims_str_from(f->backup), restore, err);
}

static bool has(const fixture *f, const char *end)
{
    char path[160];
    struct stat found;
    (void)snprintf(path, sizeof path, "%s%s", f->path, end);
    return stat(path, &found) == 0;
}

static void a_backup_to_the_same_file_that_is_under_way_is_waited_for_by_nobody(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    char partial[112];
    (void)snprintf(partial, sizeof partial, "%s.partial", f->backup);
    int fd = open(partial, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(backup(f, &err), TIMS_BUSY);
    assert_string_equal(err.code, "backup_running");
    assert_int_equal(access(partial, F_OK), 0); /* it is the other one's */
    close(fd);                                  /* it has died: what it left is used again */
    assert_int_equal(backup(f, &err), TIMS_OK);
    assert_int_not_equal(access(partial, F_OK), 0);
}

static void a_restore_that_is_given_up_leaves_nothing_and_lets_others_serve(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_restore *restore = NULL;
    tims_db *db = NULL;
    tims_db_options serving = { .url = tims_str_from(f->url), .exclusive = true };
    assert_int_equal(backup(f, &err), TIMS_OK);
    assert_int_equal(begin(f, &restore, &err), TIMS_OK);
    assert_true(has(f, "-restore"));
    assert_int_equal(tims_db_open(&serving, &db, &err), TIMS_BUSY);
    tims_db_restore_cancel(&restore);
    assert_null(restore);
    tims_db_restore_cancel(&restore);
    assert_false(has(f, "-restore"));
    assert_int_equal(tims_db_open(&serving, &db, &err), TIMS_OK);
    assert_int_equal(begin(f, &restore, &err), TIMS_BUSY);
    assert_null(restore);
    tims_db_close(&db);
}

/* Who opened it after the restore had begun, as a worker does. */
static void somebody_who_came_meanwhile_keeps_the_database(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_restore *restore = NULL;
    tims_db *db = NULL;
    tims_str kept;
    assert_int_equal(backup(f, &err), TIMS_OK);
    assert_int_equal(begin(f, &restore, &err), TIMS_OK);
    assert_int_equal(tims_db_open(&(tims_db_options){ .url = tims_str_from(f->url) }, &db, &err), TIMS_OK);
    assert_int_equal(tims_db_restore_finish(&restore, &kept, f->arena, &err), TIMS_BUSY);
    assert_null(restore);
    assert_false(has(f, "-before-restore"));
    tims_db_close(&db);
}

static void a_restore_takes_the_witness_and_the_wal_away(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_restore *restore = NULL;
    tims_str kept;
    char witness[112];
    (void)snprintf(witness, sizeof witness, "%s-witness", f->path);
    assert_int_equal(backup(f, &err), TIMS_OK);
    assert_int_equal(run_sqlite3(f->path, "INSERT INTO t VALUES (2)"), 0);
    int fd = open(witness, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(begin(f, &restore, &err), TIMS_OK);
    assert_int_equal(tims_db_restore_finish(&restore, &kept, f->arena, &err), TIMS_OK);
    assert_true(tims_str_ends_with(kept, TIMS_STR("/app-before-restore")));
    assert_false(has(f, "-witness") || has(f, "-wal") || has(f, "-shm") || has(f, "-restore"));
    assert_int_equal(run_sqlite3(f->path, "SELECT 1 / (count(*) = 1) FROM t; CREATE TABLE one (x)"), 0);
    assert_int_equal(run_sqlite3(tims_copy_c(f->arena, kept), "CREATE TABLE two (x)"), 0);
}

/* Where another can make names beside the database or the backup, root must not write, or give away, what
 * they lead to. */
static void a_name_that_leads_elsewhere_is_not_followed(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_restore *restore = NULL;
    char other[112], name[112];
    (void)snprintf(other, sizeof other, "%s/other", f->folder);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    assert_true(fputs("of another", file) >= 0);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(name, sizeof name, "%s.partial", f->backup);
    assert_int_equal(link(other, name), 0);
    assert_int_equal(backup(f, &err), TIMS_INVALID);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(backup(f, &err), TIMS_OK);
    (void)snprintf(name, sizeof name, "%s.lock", f->path);
    assert_int_equal(symlink(other, name), 0);
    assert_int_equal(begin(f, &restore, &err), TIMS_IO);
    assert_int_equal(unlink(name), 0);
    (void)snprintf(name, sizeof name, "%s-restore", f->path);
    assert_int_equal(link(other, name), 0);
    assert_int_equal(begin(f, &restore, &err), TIMS_OK); /* a new file of that name */
    tims_db_restore_cancel(&restore);
    struct stat found;
    assert_int_equal(stat(other, &found), 0);
    assert_int_equal(found.st_size, strlen("of another"));
}

static void what_an_earlier_restore_kept_stays_when_there_is_nothing_to_keep(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_restore *restore = NULL;
    tims_str kept;
    assert_int_equal(backup(f, &err), TIMS_OK);
    assert_int_equal(begin(f, &restore, &err), TIMS_OK);
    assert_int_equal(tims_db_restore_finish(&restore, &kept, f->arena, &err), TIMS_OK);
    assert_true(has(f, "-before-restore"));
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(begin(f, &restore, &err), TIMS_OK);
    assert_int_equal(tims_db_restore_finish(&restore, &kept, f->arena, &err), TIMS_OK);
    assert_int_equal(kept.length, 0);
    assert_true(has(f, "-before-restore"));
}

/* --- in the instant of the change ---------------------------------------------------------------- */

typedef struct worker {
    const fixture *fixture;
    pthread_t thread;
    atomic_bool is_open;
    tims_db *db;
    tims_status status;
} worker;

static void *open_as_worker(void *argument)
{
    worker *w = argument;
    w->status = tims_db_open(&(tims_db_options){ .url = tims_str_from(w->fixture->url) }, &w->db, NULL);
    atomic_store(&w->is_open, true);
    return NULL;
}

/* Whether anybody waits for a lock of this file, as the kernel lists it. */
static bool is_waited_for(ino_t inode)
{
    char line[256], end[32];
    FILE *file = fopen("/proc/locks", "r");
    bool found = false;
    assert_non_null(file);
    (void)snprintf(end, sizeof end, ":%lu ", (unsigned long)inode);
    while (!found && fgets(line, sizeof line, file) != NULL)
        found = strstr(line, "->") != NULL && strstr(line, end) != NULL;
    (void)fclose(file);
    return found;
}

/* The other half of a restore is made here by hand, so that it lasts until the worker has come. */
static void who_opens_it_while_it_changes_gets_the_new_one(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    struct stat old;
    int gate_fd = -1;
    assert_int_equal(backup(f, &err), TIMS_OK);
    assert_int_equal(run_sqlite3(f->path, "DELETE FROM t"), 0);
    assert_int_equal(stat(f->path, &old), 0);
    assert_int_equal(sqlite__gate(f->path, SQLITE__GATE_CHANGE, &gate_fd, &err), TIMS_OK);
    worker w = { .fixture = f };
    assert_int_equal(pthread_create(&w.thread, NULL, open_as_worker, &w), 0);
    while (!atomic_load(&w.is_open) && !is_waited_for(old.st_ino))
        (void)sched_yield();
    assert_false(atomic_load(&w.is_open));
    assert_int_equal(rename(f->backup, f->path), 0);
    close(gate_fd);
    assert_int_equal(pthread_join(w.thread, NULL), 0);
    assert_int_equal(w.status, TIMS_OK);
    tims_db_session *session = tims_db_session_new(w.db, NULL, f->arena);
    tims_db_rows *rows;
    assert_int_equal(tims_db_query(session, TIMS_STR("SELECT count(*) FROM t"), NULL, 0, &rows, &err),
                     TIMS_OK);
    assert_true(tims_db_next(rows));
    assert_int_equal(tims_db_get_int(rows, 0), 1);
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
    tims_arena_free(&f->arena); /* the session ends with it */
    f->arena = tims_arena_new(1 << 20, NULL, NULL);
    assert_int_equal(sqlite__gate(f->path, SQLITE__GATE_CHANGE, &gate_fd, &err), TIMS_BUSY);
    tims_db_close(&w.db);
    assert_int_equal(sqlite__gate(f->path, SQLITE__GATE_CHANGE, &gate_fd, &err), TIMS_OK);
    close(gate_fd);
}

static void names_that_are_none_are_refused(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_restore *restore = NULL;
    assert_int_equal(tims_db_backup(tims_str_from(f->url), TIMS_STR(""), false, &err), TIMS_INVALID);
    assert_int_equal(tims_db_backup(tims_str_from(f->url), (tims_str){ "a\0b", 3 }, false, &err),
                     TIMS_INVALID);
    assert_int_equal(
        tims_db_restore_begin(TIMS_STR("postgres://u:secret@h/d"), TIMS_STR("x"), &restore, &err),
        TIMS_UNAVAILABLE);
    assert_string_equal(err.code, "not_sqlite");
    assert_null(strstr(err.message, "secret"));
    assert_null(restore);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_backup_to_the_same_file_that_is_under_way_is_waited_for_by_nobody,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restore_that_is_given_up_leaves_nothing_and_lets_others_serve,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(somebody_who_came_meanwhile_keeps_the_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restore_takes_the_witness_and_the_wal_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_leads_elsewhere_is_not_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_an_earlier_restore_kept_stays_when_there_is_nothing_to_keep,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_opens_it_while_it_changes_gets_the_new_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_are_none_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
