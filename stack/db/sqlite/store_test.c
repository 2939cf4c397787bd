/* store_test.c: what is SQLite's own: its file, rebuilding a table, a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/folder_testing.h"
#include "tims/db.h"

#define S(literal) TIMS_STR(literal)

typedef struct fixture {
    char folder[64], url[96];
    tims_db *db;
    tims_arena *arena;
    tims_db_session *session;
} fixture;

static const char schema[] = "CREATE TABLE chat (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL) STRICT;"
                             "CREATE TABLE message (id INTEGER PRIMARY KEY, chat TEXT REFERENCES chat (id), "
                             "body TEXT NOT NULL) STRICT;";

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/tims-db-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->url, sizeof f->url, "sqlite:%s/a/b/test.sqlite3", f->folder);
    tims_db_options options = { .url = tims_str_from(f->url) };
    tims_error err = { 0 };
    assert_int_equal(tims_db_open(&options, &f->db, &err), TIMS_OK);
    f->arena = tims_arena_new(1 << 24, NULL, NULL);
    f->session = tims_db_session_new(f->db, NULL, f->arena);
    assert_int_equal(tims_db_script(f->session, tims_str_from(schema), &err), TIMS_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tims_arena_free(&f->arena);
    tims_db_close(&f->db);
    remove_folder(f->folder);
    free(f);
    return 0;
}

static tims_status run(fixture *f, const char *sql, tims_error *err)
{
    return tims_db_run(f->session, tims_str_from(sql), NULL, 0, NULL, err);
}

static int64_t number(tims_db_session *session, const char *sql)
{
    tims_db_rows *rows = NULL;
    tims_error err = { 0 };
    assert_int_equal(tims_db_query(session, tims_str_from(sql), NULL, 0, &rows, &err), TIMS_OK);
    assert_true(tims_db_next(rows));
    int64_t value = tims_db_get_int(rows, 0);
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
    return value;
}

static void a_missing_folder_is_made_and_the_file_is_private(void **state)
{
    fixture *f = *state;
    struct stat info;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/a/b/test.sqlite3", f->folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof path, "%s/a/b/test.sqlite3-wal", f->folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void a_schema_change_may_drop_a_parent_and_is_checked_as_a_whole(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('c', 'one')", &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO message (chat, body) VALUES ('c', 'hi')", &err), TIMS_OK);
    assert_int_equal(tims_db_begin_schema(f->session, &err), TIMS_OK);
    tims_str rebuild =
        S("CREATE TABLE new_chat (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, extra INTEGER) STRICT;"
          "INSERT INTO new_chat SELECT id, title, 1 FROM chat; DROP TABLE chat;"
          "ALTER TABLE new_chat RENAME TO chat;");
    assert_int_equal(tims_db_script(f->session, rebuild, &err), TIMS_OK);
    assert_int_equal(tims_db_commit(f->session, &err), TIMS_OK);
    assert_int_equal(number(f->session, "SELECT extra FROM chat"), 1);
    assert_int_equal(number(f->session, "SELECT count(*) FROM message"), 1);

    assert_int_equal(tims_db_begin_schema(f->session, &err), TIMS_OK);
    assert_int_equal(tims_db_script(f->session, S("DELETE FROM chat"), &err), TIMS_OK);
    assert_int_equal(tims_db_commit(f->session, &err), TIMS_CONFLICT);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 1);
    /* and afterwards they are enforced again */
    assert_int_equal(run(f, "DELETE FROM chat", &err), TIMS_CONFLICT);
    assert_int_equal(tims_db_begin_schema(f->session, &err), TIMS_OK);
    tims_db_rollback(f->session);
    assert_int_equal(run(f, "DELETE FROM chat", &err), TIMS_CONFLICT);
}

/* The page limit makes SQLite answer as it does on a full disk, in the middle of a statement. */
static void a_full_disk_loses_the_transaction_and_nothing_else(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('kept', 'x')", &err), TIMS_OK);
    assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
    tims_db_rows *rows = NULL;
    assert_int_equal(tims_db_query(f->session, S("PRAGMA max_page_count = 20"), NULL, 0, &rows, &err),
                     TIMS_OK);
    assert_true(tims_db_next(rows));
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('small', 'x')", &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('big', hex(randomblob(500000)))", &err),
                     TIMS_UNAVAILABLE);
    assert_string_equal(err.code, "disk_full");
    tims_status status = tims_db_commit(f->session, &err);
    if (status == TIMS_OK) /* only the statement was undone */
        assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 2);
    else
        assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 1);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat WHERE id = 'big'"), 0);
    assert_false(tims_db_in_transaction(f->session));
    assert_int_equal(run(f, "DELETE FROM chat", &err), TIMS_OK);
}

static void urls_that_name_no_file_are_refused_in_one_sentence(void **state)
{
    fixture *f = *state;
    const char *bad[] = { "",
                          "sqlite:",
                          "sqlite::memory:",
                          "mysql://x",
                          "/u:secret@h/d",
                          "/tmp/x",
                          "sqlite:/proc/nowhere/at/all.sqlite3" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tims_db *db = NULL;
        tims_error err = { 0 };
        tims_db_options options = { .url = tims_str_from(bad[i]) };
        assert_int_not_equal(tims_db_open(&options, &db, &err), TIMS_OK);
        assert_null(db);
        assert_true(strlen(err.message) > 20);
        assert_null(strstr(err.message, "secret"));
    }
    char text[128];
    (void)snprintf(text, sizeof text, "%s/text", f->folder);
    FILE *file = fopen(text, "w");
    for (int i = 0; i < 2000; i++)
        (void)fputs("this is no database ", file);
    (void)fclose(file);
    (void)snprintf(text, sizeof text, "sqlite:%s/text", f->folder);
    tims_db *db = NULL;
    tims_error err = { 0 };
    assert_int_equal(tims_db_open(&(tims_db_options){ .url = tims_str_from(text) }, &db, &err),
                     TIMS_UNAVAILABLE);
    assert_non_null(strstr(err.message, "/text"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_missing_folder_is_made_and_the_file_is_private),
        TEST(urls_that_name_no_file_are_refused_in_one_sentence),
        TEST(a_schema_change_may_drop_a_parent_and_is_checked_as_a_whole),
        TEST(a_full_disk_loses_the_transaction_and_nothing_else),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
