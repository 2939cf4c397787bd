/* db_test.c: sessions, statements and transactions as a command sees them: blocking, on one thread. What
 * crosses fibers, threads and processes is in writer_test.c and process_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/db_testing.h"
#include "tims/db.h"

#define S(literal) TIMS_STR(literal)

typedef struct fixture {
    char folder[64], url[96];
    tims_db *db;
    tims_arena *arena;
    tims_db_session *session;
} fixture;

static const char schema[] =
    "CREATE TABLE chat (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL) STRICT;"
    "CREATE TABLE message (id INTEGER PRIMARY KEY, chat TEXT REFERENCES chat (id), body TEXT NOT NULL, seen "
    "INTEGER"
    " NOT NULL DEFAULT 0 CONSTRAINT seen CHECK (seen IN (0, 1)), weight REAL, data BLOB) STRICT;"
    "CREATE UNIQUE INDEX message_chat_body ON message (chat, body);";

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
    assert_false(tims_db_next(rows));
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
    assert_null(rows);
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

static void urls_that_name_no_file_are_refused_in_one_sentence(void **state)
{
    fixture *f = *state;
    const char *bad[] = { "",
                          "sqlite:",
                          "sqlite::memory:",
                          "mysql://x",
                          "postgres://u:secret@h/d",
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

static void every_type_of_value_comes_back_as_it_went_in(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_id id = tims_id_from_parts(1700000000000, (const uint8_t[10]){ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 });
    tims_db_value chat[] = { tims_db_id(id), tims_db_text(S("Ünïcode 'quoted'")) };
    assert_int_equal(tims_db_run(f->session, S("INSERT INTO chat VALUES (?1, ?2)"), chat, 2, NULL, &err),
                     TIMS_OK);
    tims_db_value values[] = { tims_db_int(INT64_MIN), tims_db_id(id), tims_db_text((tims_str){ NULL, 0 }),
                               tims_db_double(-0.125), tims_db_blob((tims_str){ "a\0b", 3 }) };
    int64_t changed = 0;
    assert_int_equal(
        tims_db_run(f->session,
                    S("INSERT INTO message (id, chat, body, weight, data) VALUES (?1, ?2, ?3, ?4, ?5)"),
                    values, 5, &changed, &err),
        TIMS_OK);
    assert_int_equal(changed, 1);
    tims_db_rows *rows = NULL;
    tims_str sql =
        S("SELECT m.id, chat, body, weight, data, NULL AS missing, title FROM message m JOIN chat ON "
          "chat.id = m.chat WHERE m.chat = ?1");
    assert_int_equal(tims_db_query(f->session, sql, &values[1], 1, &rows, &err), TIMS_OK);
    assert_true(tims_db_next(rows));
    assert_int_equal(tims_db_column_count(rows), 7);
    assert_string_equal(tims_db_column_name(rows, 5), "missing");
    assert_true(tims_db_get_int(rows, 0) == INT64_MIN);
    assert_true(tims_same_id(tims_db_get_id(rows, 1), id));
    assert_true(tims_id_is_zero(tims_db_get_id(rows, 2)));
    assert_int_equal(tims_db_get_text(rows, 2).length, 0);
    assert_false(tims_db_is_null(rows, 2));
    assert_true(tims_db_get_double(rows, 3) == -0.125);
    assert_true(tims_str_equal(tims_db_get_text(rows, 4), (tims_str){ "a\0b", 3 }));
    assert_true(tims_db_is_null(rows, 5));
    assert_true(tims_str_equal(tims_db_get_text(rows, 6), S("Ünïcode 'quoted'")));
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
}

static void constraint_errors_name_their_column(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('c', 'one')", &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO message (chat, body) VALUES ('c', 'hi')", &err), TIMS_OK);
    struct {
        const char *sql, *code;
        const char *pointers[2];
    } table[] = {
        { "INSERT INTO chat VALUES ('c', 'two')", "unique", { "/id", NULL } },
        { "INSERT INTO message (chat, body) VALUES ('c', 'hi')", "unique", { "/chat", "/body" } },
        { "UPDATE message SET body = NULL", "not_null", { "/body", NULL } },
        { "UPDATE message SET seen = 2", "check", { "/seen", NULL } },
        { "UPDATE message SET seen = 'x'", "check", { "/seen", NULL } },
        { "UPDATE message SET chat = 'nowhere'", "foreign_key", { NULL, NULL } },
        { "DELETE FROM chat", "foreign_key", { NULL, NULL } },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        err = (tims_error){ 0 };
        assert_int_equal(run(f, table[i].sql, &err), TIMS_CONFLICT);
        assert_string_equal(err.code, table[i].code);
        tims_field_error *field = err.fields;
        for (size_t p = 0; p < 2 && table[i].pointers[p] != NULL; p++, field = field->next) {
            assert_non_null(field);
            assert_true(tims_str_equal(field->pointer, tims_str_from(table[i].pointers[p])));
        }
        assert_null(field);
    }
    assert_int_equal(number(f->session, "SELECT count(*) FROM message WHERE chat = 'c' AND seen = 0"), 1);
}

static void bad_statements_are_internal_errors_whose_text_only_the_log_sees(void **state)
{
    fixture *f = *state;
    const char *bad[] = { "SELEC 1",
                          "SELECT * FROM nowhere",
                          "SELECT \"misspelt\" FROM chat",
                          "",
                          "  ;; ",
                          "SELECT 1; DROP TABLE chat",
                          "SELECT ?1",
                          "INSERT INTO chat VALUES ('x', 'y')" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tims_error err = { 0 };
        tims_db_rows *rows = NULL;
        tims_status status = tims_db_query(f->session, tims_str_from(bad[i]), NULL, 0, &rows, &err);
        if (status == TIMS_OK) {
            assert_false(tims_db_next(rows));
            status = tims_db_rows_end(&rows, &err);
        }
        assert_int_equal(status, TIMS_INTERNAL);
        assert_string_equal(err.message, tims_status_text(TIMS_INTERNAL));
        assert_true(strlen(err.detail) > 0);
        assert_null(rows);
    }
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 0);
}

static void the_same_statement_can_be_open_twice(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('a', 'x'), ('b', 'y')", &err), TIMS_OK);
    tims_str sql = S("SELECT id FROM chat ORDER BY id");
    for (int in_snapshot = 0; in_snapshot < 2; in_snapshot++) {
        if (in_snapshot)
            assert_int_equal(tims_db_begin_snapshot(f->session, &err), TIMS_OK);
        tims_db_rows *outer = NULL, *inner = NULL;
        assert_int_equal(tims_db_query(f->session, sql, NULL, 0, &outer, &err), TIMS_OK);
        assert_true(tims_db_next(outer));
        assert_int_equal(tims_db_query(f->session, sql, NULL, 0, &inner, &err), TIMS_OK);
        assert_true(tims_db_next(inner));
        assert_true(tims_db_next(inner));
        assert_true(tims_str_equal(tims_db_get_text(outer, 0), S("a")));
        assert_true(tims_str_equal(tims_db_get_text(inner, 0), S("b")));
        assert_int_equal(tims_db_rows_end(&outer, &err), TIMS_OK);
        assert_int_equal(tims_db_rows_end(&inner, &err), TIMS_OK);
        if (in_snapshot)
            tims_db_end_snapshot(f->session);
    }
}

static void a_rolled_back_savepoint_leaves_the_outer_transaction(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('a', 'x')", &err), TIMS_OK);
    assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('b', 'x')", &err), TIMS_OK);
    assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('c', 'x')", &err), TIMS_OK);
    assert_int_equal(tims_db_commit(f->session, &err), TIMS_OK);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 3); /* its own writes */
    tims_db_rollback(f->session);
    assert_true(tims_db_in_transaction(f->session));
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 1);
    assert_int_equal(tims_db_commit(f->session, &err), TIMS_OK);
    assert_false(tims_db_in_transaction(f->session));
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat WHERE id = 'a'"), 1);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 1);
}

static void a_failed_statement_leaves_its_transaction_usable(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('a', 'x')", &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('a', 'x')", &err), TIMS_CONFLICT);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('b', 'x')", &err), TIMS_OK);
    assert_int_equal(tims_db_commit(f->session, &err), TIMS_OK);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 2);
}

static void a_session_that_ends_takes_its_transaction_snapshot_and_rows_along(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    for (int i = 0; i < 3; i++) {
        tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
        tims_db_session *session = tims_db_session_new(f->db, NULL, arena);
        tims_db_rows *rows = NULL;
        assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
        assert_int_equal(tims_db_query(session, S("SELECT 1 UNION SELECT 2"), NULL, 0, &rows, &err), TIMS_OK);
        assert_true(tims_db_next(rows));
        assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
        assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
        assert_int_equal(tims_db_run(session, S("INSERT INTO chat VALUES ('a', 'x')"), NULL, 0, NULL, &err),
                         TIMS_OK);
        assert_int_equal(tims_db_query(session, S("SELECT id FROM chat"), NULL, 0, &rows, &err), TIMS_OK);
        assert_true(tims_db_next(rows));
        tims_arena_free(&arena);
    }
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 0);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('a', 'x')", &err), TIMS_OK);
}

static void a_session_that_was_lent_is_unwound_to_where_it_stood(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_rows *rows = NULL;
    tims_db_session *writer = tims_db_session_new(f->db, NULL, f->arena);
    assert_int_equal(tims_db_begin_snapshot(f->session, &err), TIMS_OK);
    uint32_t mark = tims_db_mark(f->session);
    assert_int_equal(tims_db_begin_snapshot(f->session, &err), TIMS_OK);
    assert_int_equal(tims_db_query(f->session, S("SELECT 1 UNION SELECT 2"), NULL, 0, &rows, &err), TIMS_OK);
    assert_true(tims_db_next(rows));
    assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('a', 'x')", &err), TIMS_OK);
    tims_db_unwind(f->session, mark);
    assert_int_equal(tims_db_mark(f->session), mark);
    assert_false(tims_db_in_transaction(f->session));
    assert_int_equal(tims_db_run(writer, S("INSERT INTO chat VALUES ('b', 'y')"), NULL, 0, NULL, &err),
                     TIMS_OK);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 0); /* still in its snapshot */
    tims_db_end_snapshot(f->session);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 1);
}

static void rows_end_with_their_transaction(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_rows *rows = NULL;
    assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
    assert_int_equal(tims_db_query(f->session, S("SELECT 1 UNION SELECT 2"), NULL, 0, &rows, &err), TIMS_OK);
    assert_true(tims_db_next(rows));
    assert_int_equal(tims_db_commit(f->session, &err), TIMS_OK);
    assert_false(tims_db_next(rows));
    assert_true(tims_db_is_null(rows, 0));
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
}

static void a_snapshot_does_not_move_while_others_commit(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_session *writer = tims_db_session_new(f->db, NULL, f->arena);
    assert_int_equal(tims_db_begin_snapshot(f->session, &err), TIMS_OK);
    assert_int_equal(tims_db_run(writer, S("INSERT INTO chat VALUES ('a', 'x')"), NULL, 0, NULL, &err),
                     TIMS_OK);
    assert_int_equal(tims_db_begin_snapshot(f->session, &err), TIMS_OK);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 0);
    tims_db_end_snapshot(f->session);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 0);
    assert_int_equal(number(writer, "SELECT count(*) FROM chat"), 1);
    tims_db_end_snapshot(f->session);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 1);
}

static void open_rows_do_not_hold_back_what_is_read_later(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_db_rows *rows = NULL;
    assert_int_equal(tims_db_query(f->session, S("SELECT 1 UNION SELECT 2"), NULL, 0, &rows, &err), TIMS_OK);
    assert_true(tims_db_next(rows));
    assert_int_equal(run(f, "INSERT INTO chat VALUES ('a', 'x')", &err), TIMS_OK);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 1);
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
}

static void note_call(void *argument)
{
    char **at = argument;
    *(*at)++ = 'x';
}

static void note_other(void *argument)
{
    char **at = argument;
    *(*at)++ = 'y';
}

static void calls_are_made_in_order_after_the_commit_and_never_after_a_rollback(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    char noted[8] = "", *at = noted;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
        tims_db_on_commit(f->session, note_call, &at);
        assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
        tims_db_on_commit(f->session, note_other, &at);
        assert_int_equal(tims_db_commit(f->session, &err), TIMS_OK);
        assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
        tims_db_on_commit(f->session, note_other, &at);
        tims_db_rollback(f->session);
        assert_string_equal(noted, "");
        if (round == 0)
            tims_db_rollback(f->session);
        else
            assert_int_equal(tims_db_commit(f->session, &err), TIMS_OK);
    }
    assert_string_equal(noted, "xy");
}

static void deferred_constraints_fail_their_own_commit(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
    assert_int_equal(run(f, "PRAGMA defer_foreign_keys = ON", &err), TIMS_OK);
    assert_int_equal(run(f, "INSERT INTO message (chat, body) VALUES ('nowhere', 'hi')", &err), TIMS_OK);
    assert_int_equal(tims_db_commit(f->session, &err), TIMS_CONFLICT);
    assert_string_equal(err.code, "foreign_key");
    assert_int_equal(number(f->session, "SELECT count(*) FROM message"), 0);
}

static void a_script_is_done_as_a_whole_or_not_at_all(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_str good = S("-- a comment\nCREATE TABLE one (a); INSERT INTO one VALUES (1);\n\n");
    assert_int_equal(tims_db_script(f->session, good, &err), TIMS_OK);
    assert_int_equal(number(f->session, "SELECT count(*) FROM one"), 1);
    tims_str bad = S("CREATE TABLE two (a); INSERT INTO one VALUES (2); INSERT INTO nowhere VALUES (1);");
    assert_int_equal(tims_db_script(f->session, bad, &err), TIMS_INTERNAL);
    assert_int_equal(number(f->session, "SELECT count(*) FROM one"), 1);
    assert_int_equal(number(f->session, "SELECT count(*) FROM sqlite_schema WHERE name = 'two'"), 0);
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

static void more_statements_than_are_kept_all_work(void **state)
{
    fixture *f = *state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 600; i++) {
            char sql[64];
            (void)snprintf(sql, sizeof sql, "SELECT %d + 0", i);
            assert_int_equal(number(f->session, sql), i);
        }
}

static void statements_survive_a_changed_schema(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 0);
    assert_int_equal(tims_db_script(f->session, S("ALTER TABLE chat ADD COLUMN more TEXT"), &err), TIMS_OK);
    assert_int_equal(number(f->session, "SELECT count(*) FROM chat"), 0);
    assert_int_equal(number(f->session, "SELECT count(more) FROM chat"), 0);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_missing_folder_is_made_and_the_file_is_private),
        TEST(urls_that_name_no_file_are_refused_in_one_sentence),
        TEST(every_type_of_value_comes_back_as_it_went_in),
        TEST(constraint_errors_name_their_column),
        TEST(bad_statements_are_internal_errors_whose_text_only_the_log_sees),
        TEST(the_same_statement_can_be_open_twice),
        TEST(a_rolled_back_savepoint_leaves_the_outer_transaction),
        TEST(a_failed_statement_leaves_its_transaction_usable),
        TEST(a_session_that_ends_takes_its_transaction_snapshot_and_rows_along),
        TEST(a_session_that_was_lent_is_unwound_to_where_it_stood),
        TEST(rows_end_with_their_transaction),
        TEST(a_snapshot_does_not_move_while_others_commit),
        TEST(open_rows_do_not_hold_back_what_is_read_later),
        TEST(calls_are_made_in_order_after_the_commit_and_never_after_a_rollback),
        TEST(deferred_constraints_fail_their_own_commit),
        TEST(a_script_is_done_as_a_whole_or_not_at_all),
        TEST(a_schema_change_may_drop_a_parent_and_is_checked_as_a_whole),
        TEST(more_statements_than_are_kept_all_work),
        TEST(statements_survive_a_changed_schema),
        TEST(a_full_disk_loses_the_transaction_and_nothing_else),
    };
    return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
