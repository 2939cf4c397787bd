/* change_log_test.c: positions, marks and what the log says between them, on the database that the run is
 * for; on PostgreSQL with transactions that overlap. */
#include "base/testing.h"

#include "db/database_testing.h"
#include "tims/model.h"

#define S(literal) TIMS_STR(literal)

/* --- a model ----------------------------------------------------------------------------------------- */

typedef struct shelf {
    tims_id id;
    tims_str name;
    tims_str text;
} shelf;
typedef struct book {
    tims_id id, shelf;
    tims_opt_time lent;
} book;

static const tims_model shelf_model = {
    .name = "shelf",
    .size = sizeof(shelf),
    .fields = TIMS_FIELDS(TIMS_FIELD(shelf, id, .primary = true), TIMS_FIELD(shelf, name, .index = true),
                          TIMS_FIELD(shelf, text)),
};
static const tims_model book_model = {
    .name = "book",
    .size = sizeof(book),
    .fields = TIMS_FIELDS(TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, shelf, .to = &shelf_model),
                          TIMS_FIELD(book, lent, .index = true)),
};
static const tims_model *const own_models[] = { &shelf_model, &book_model, NULL };

#define ID(last) "00000000-0000-7000-8000-0000000000" last

typedef struct fixture {
    testing_database database;
    tims_arena *arena;
    tims_db *db;
    tims_db_session *session;
    char seen[4096]; /* what tims_change_read told */
} fixture;

/* clang-format off */
#define OK(call)                                                     \
    do {                                                             \
        tims_error err_ = { 0 }, *err = &err_;                       \
        if ((call) != TIMS_OK)                                       \
            fail_msg("%s: %s %s", #call, err_.message, err_.detail); \
    } while (0)
/* clang-format on */

static void run(fixture *f, const char *sql)
{
    OK(tims_db_script(f->session, tims_str_from(sql), err));
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    tims_models *models;
    tims_migration_plan plan;
    testing_database_new(&f->database, "log");
    f->arena = tims_arena_new(16 << 20, NULL, NULL);
    OK(tims_db_open(&(tims_db_options){ .url = tims_str_from(f->database.url) }, &f->db, err));
    f->session = tims_db_session_new(f->db, NULL, f->arena);
    tims_db_dialect dialect = tims_db_dialect_of(f->db);
    OK(tims_models_new(f->arena, own_models, 2, &models, err));
    OK(tims_migrate_plan(f->arena, S(""), own_models, dialect, &plan, err));
    OK(tims_db_script(f->session, plan.sql, err));
    OK(tims_db_script(f->session, tims_change_ddl(f->arena, models, dialect), err));
    run(f,
        "INSERT INTO shelf (id, name, text) VALUES ('" ID("01") "', 'one', ''), ('" ID("02") "', 'two', '')");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tims_arena_free(&f->arena);
    tims_db_close(&f->db);
    testing_database_drop(&f->database);
    free(f);
    return 0;
}

/* --- what is told ------------------------------------------------------------------------------------ */

static tims_mark mark_now(fixture *f)
{
    tims_mark mark;
    OK(tims_db_begin_snapshot(f->session, err));
    OK(tims_mark_now(f->session, &mark, err));
    tims_db_end_snapshot(f->session);
    mark.snapshot = tims_copy(f->arena, mark.snapshot);
    return mark;
}

/* "shelf2:01 " for each change: the last two characters are the row's name. */
static void note_change(void *argument, const tims_change *change)
{
    fixture *f = argument;
    size_t used = strlen(f->seen), length = change->row.length;
    tims_str row = tims_str_slice(change->row, length >= 2 ? length - 2 : 0, length);
    (void)snprintf(f->seen + used, sizeof f->seen - used, "%.*s%d:%.*s ", TIMS_PRINT(change->model),
                   (int)change->op, TIMS_PRINT(row));
}

static const char *changes_between(fixture *f, const tims_mark *from, const tims_mark *to)
{
    f->seen[0] = '\0';
    OK(tims_change_read(f->session, from, to, INT64_MAX, note_change, f, err));
    return f->seen;
}

static const char *changes_since(fixture *f, const tims_mark *from)
{
    return changes_between(f, from, NULL);
}

/* --- both databases ---------------------------------------------------------------------------------- */

static void what_happened_after_a_mark_is_told_in_order(void **state)
{
    fixture *f = *state;
    tims_mark before = mark_now(f);
    run(f, "UPDATE shelf SET name = 'first' WHERE id = '" ID("01") "'");
    run(f, "INSERT INTO book (id, shelf) VALUES ('" ID("11") "', '" ID("01") "')");
    tims_mark between = mark_now(f);
    run(f, "UPDATE shelf SET id = '" ID("03") "' WHERE id = '" ID("02") "'");
    run(f, "DELETE FROM shelf WHERE id = '" ID("01") "'"); /* and, by the cascade, its book */
    tims_mark after = mark_now(f);
    assert_true(before.position < between.position && between.position < after.position);
    assert_string_equal(changes_between(f, &before, &between), "shelf2:01 book1:11 ");
    assert_non_null(strstr(changes_since(f, &between), "shelf3:02 shelf1:03 "));
    assert_non_null(strstr(f->seen, "shelf3:01 "));
    assert_non_null(strstr(f->seen, "book3:11 "));
    assert_string_equal(changes_since(f, &after), "");
}

static void a_reader_may_ask_for_some_only(void **state)
{
    fixture *f = *state;
    tims_mark before = mark_now(f);
    run(f, "UPDATE shelf SET text = 'a'");
    run(f, "UPDATE shelf SET text = 'b' WHERE id = '" ID("01") "'");
    f->seen[0] = '\0';
    OK(tims_change_read(f->session, &before, NULL, 2, note_change, f, err));
    assert_string_equal(f->seen, "shelf2:01 shelf2:02 ");
}

static void keep_old(void *argument, const tims_change *change)
{
    fixture *f = argument;
    (void)snprintf(f->seen, sizeof f->seen, "%.*s", TIMS_PRINT(change->old));
}

static void old_keys_are_the_same_json_on_every_database(void **state)
{
    fixture *f = *state;
    tims_db_value values[] = { tims_db_int(INT64_C(1700000000123456)) };
    run(f, "INSERT INTO book (id, shelf) VALUES ('" ID("11") "', '" ID("01") "')");
    OK(tims_db_run(f->session, S("UPDATE book SET lent = ?1"), values, 1, NULL, err));
    tims_mark before = mark_now(f);
    run(f, "DELETE FROM book");
    OK(tims_change_read(f->session, &before, NULL, 10, keep_old, f, err));
    const tims_json *old;
    OK(tims_json_parse(f->arena, tims_str_from(f->seen), &old, err));
    assert_str(tims_json_get_str(old, S("shelf"), S("")), ID("01"));
    assert_int_equal(tims_json_get_int(old, S("lent"), 0), INT64_C(1700000000123456));
}

static void a_commit_is_visible_at_its_position_and_no_earlier(void **state)
{
    fixture *f = *state;
    int64_t position = 0;
    tims_mark before = mark_now(f);
    OK(tims_db_begin(f->session, err));
    run(f, "UPDATE shelf SET text = 'a' WHERE id = '" ID("01") "'");
    OK(tims_commit_position(f->session, &position, err));
    assert_true(position > before.position);
    tims_mark after = mark_now(f);
    assert_true(after.position >= position);
    assert_string_equal(changes_between(f, &before, &after), "shelf2:01 ");
}

static void what_is_rolled_back_never_was(void **state)
{
    fixture *f = *state;
    tims_mark before = mark_now(f);
    OK(tims_db_begin(f->session, err));
    run(f, "UPDATE shelf SET text = 'kept' WHERE id = '" ID("01") "'");
    OK(tims_db_begin(f->session, err));
    run(f, "UPDATE shelf SET text = 'undone' WHERE id = '" ID("02") "'");
    tims_db_rollback(f->session);
    OK(tims_db_commit(f->session, err));
    assert_string_equal(changes_since(f, &before), "shelf2:01 ");
}

static int64_t last_log_id(fixture *f)
{
    int64_t last = 0;
    OK(tims_change_last(f->session, &last, err));
    return last;
}

static void a_noted_mark_is_found_from_later_positions_until_it_is_pruned(void **state)
{
    fixture *f = *state;
    tims_mark noted = mark_now(f), found;
    tims_error why = { 0 };
    OK(tims_mark_note(f->session, &noted, 2, 0, err));
    run(f, "UPDATE shelf SET text = 'a' WHERE id = '" ID("01") "'");
    tims_mark later = mark_now(f);
    OK(tims_mark_note(f->session, &later, 3, INT64_C(3600000000), err)); /* one of this hour is there */
    run(f, "UPDATE shelf SET text = 'b' WHERE id = '" ID("02") "'");
    OK(tims_mark_find(f->session, f->arena, later.position, &found, err));
    assert_true(found.position <= later.position);
    int64_t last_before = last_log_id(f);
    run(f, "UPDATE shelf SET text = 'c' WHERE id = '" ID("02") "'");
    assert_int_equal(last_log_id(f), last_before + 1);
    assert_non_null(strstr(changes_since(f, &found), "shelf2:02 "));

    const tims_retention all = { 3600, 1000000 }, none = { 0, 0 };
    tims_mark now = mark_now(f);
    OK(tims_change_prune(f->session, f->arena, &all, &now, 4, err));
    OK(tims_mark_find(f->session, f->arena, later.position, &found, err));
    OK(tims_mark_note(f->session, &now, 4, 0, err));
    OK(tims_change_prune(f->session, f->arena, &none, &now, 4, err));
    assert_int_equal(tims_mark_find(f->session, f->arena, noted.position, &found, &why), TIMS_NOT_FOUND);
    OK(tims_mark_find(f->session, f->arena, mark_now(f).position, &found, err));
    assert_string_equal(changes_since(f, &found), "");
}

static void an_epoch_is_renewed_by_whoever_comes_first(void **state)
{
    fixture *f = *state;
    tims_str first, second, third;
    OK(tims_epoch(f->session, f->arena, &first, err));
    assert_int_equal(first.length, 16);
    OK(tims_epoch_renew(f->session, first, err));
    OK(tims_epoch(f->session, f->arena, &second, err));
    assert_false(tims_str_equal(first, second));
    OK(tims_epoch_renew(f->session, first, err)); /* it is not `first` any more */
    OK(tims_epoch(f->session, f->arena, &third, err));
    assert_true(tims_str_equal(second, third));
}

static void a_restarted_server_begins_an_epoch_once(void **state)
{
    fixture *f = *state;
    tims_str first, same, next, again;
    OK(tims_epoch_begin(f->session, f->arena, 1000, &first, err));
    OK(tims_epoch_begin(f->session, f->arena, 1000, &same, err));
    assert_true(tims_str_equal(first, same));
    OK(tims_epoch_begin(f->session, f->arena, 2000, &next, err)); /* another node is the first to see it */
    assert_false(tims_str_equal(first, next));
    OK(tims_epoch_begin(f->session, f->arena, 2000, &again, err));
    assert_true(tims_str_equal(next, again));
}

/* --- PostgreSQL: transactions that overlap ----------------------------------------------------------- */

typedef struct foreign {
    PGconn *connection;
} foreign;

static foreign connect_foreign(const fixture *f)
{
    foreign other = { PQconnectdb(f->database.url) };
    assert_int_equal(PQstatus(other.connection), CONNECTION_OK);
    return other;
}

static void say(foreign *other, const char *sql)
{
    PGresult *result = PQexec(other->connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(other->connection));
    PQclear(result);
}

static void transactions_are_told_as_they_commit_not_as_they_write(void **state)
{
    fixture *f = *state;
    foreign a = connect_foreign(f), b = connect_foreign(f);
    tims_mark start = mark_now(f);
    say(&a, "BEGIN; UPDATE shelf SET text = 'a' WHERE id = '" ID("01") "'");
    say(&b, "BEGIN; UPDATE shelf SET text = 'b' WHERE id = '" ID("02") "'");
    tims_mark open = mark_now(f);
    assert_true(open.position >= start.position); /* others of the server may have ended */
    say(&b, "COMMIT");
    tims_mark first = mark_now(f);
    assert_true(first.position > start.position);
    assert_string_equal(changes_since(f, &start), "shelf2:02 ");
    say(&a, "COMMIT");
    tims_mark second = mark_now(f);
    assert_true(second.position > first.position);
    assert_string_equal(changes_since(f, &first), "shelf2:01 ");
    assert_string_equal(changes_between(f, &start, &first), "shelf2:02 ");
    PQfinish(a.connection);
    PQfinish(b.connection);
}

static void a_long_transaction_delays_nobody_and_is_not_lost(void **state)
{
    fixture *f = *state;
    foreign slow = connect_foreign(f), quick = connect_foreign(f);
    say(&slow, "BEGIN; UPDATE shelf SET text = 'slow' WHERE id = '" ID("01") "'");
    tims_mark at = mark_now(f);
    for (int i = 0; i < 20; i++) {
        say(&quick, "UPDATE shelf SET text = text || 'x' WHERE id = '" ID("02") "'");
        tims_mark next = mark_now(f);
        assert_true(next.position > at.position);
        assert_string_equal(changes_since(f, &at), "shelf2:02 ");
        at = next;
    }
    /* What was pruned meanwhile is not what it wrote. */
    const tims_retention none = { 0, 0 };
    OK(tims_mark_note(f->session, &at, 100, 0, err));
    tims_mark noted = mark_now(f);
    OK(tims_change_prune(f->session, f->arena, &none, &noted, 100, err));
    say(&slow, "COMMIT");
    assert_string_equal(changes_since(f, &at), "shelf2:01 ");
    PQfinish(slow.connection);
    PQfinish(quick.connection);
}

static void subtransactions_and_prepared_ones_are_told_once(void **state)
{
    fixture *f = *state;
    foreign other = connect_foreign(f);
    tims_mark start = mark_now(f);
    say(&other, "BEGIN; SAVEPOINT a; UPDATE shelf SET text = 'a' WHERE id = '" ID(
                    "01") "'; RELEASE a; "
                          "SAVEPOINT b; UPDATE shelf SET text = 'b' WHERE id = '" ID(
                              "02") "'; ROLLBACK TO b; "
                                    "SAVEPOINT c; INSERT INTO book (id, shelf) VALUES ('" ID("11") "', '" ID(
                                        "01") "')");
    assert_string_equal(changes_since(f, &start), "");
    say(&other, "COMMIT");
    tims_mark committed = mark_now(f);
    assert_string_equal(changes_since(f, &start), "shelf2:01 book1:11 ");
    assert_string_equal(changes_since(f, &committed), "");
    say(&other, "BEGIN; UPDATE shelf SET text = 'p' WHERE id = '" ID("02") "'; PREPARE TRANSACTION 'p'");
    tims_mark prepared = mark_now(f);
    assert_string_equal(changes_since(f, &committed), "");
    say(&other, "UPDATE shelf SET text = 'q' WHERE id = '" ID("01") "'");
    assert_string_equal(changes_since(f, &prepared), "shelf2:01 ");
    tims_mark between = mark_now(f);
    say(&other, "COMMIT PREPARED 'p'");
    assert_string_equal(changes_since(f, &between), "shelf2:02 ");
    PQfinish(other.connection);
}

static void a_truncation_is_told_of_every_table(void **state)
{
    fixture *f = *state;
    foreign other = connect_foreign(f);
    tims_mark start = mark_now(f);
    say(&other, "TRUNCATE shelf CASCADE");
    assert_non_null(strstr(changes_since(f, &start), "shelf4: "));
    assert_non_null(strstr(f->seen, "book4: "));
    PQfinish(other.connection);
}

/* A megabyte beside the changed column is neither read nor copied by the log. */
static void large_columns_are_not_in_the_log(void **state)
{
    fixture *f = *state;
    run(f, tims_db_dialect_of(f->db) == TIMS_POSTGRES
               ? "UPDATE shelf SET text = repeat('x', 1000000) WHERE id = '" ID("01") "'"
               : "UPDATE shelf SET text = hex(zeroblob(500000)) WHERE id = '" ID("01") "'");
    tims_mark before = mark_now(f);
    run(f, "UPDATE shelf SET name = 'other' WHERE id = '" ID("01") "'");
    OK(tims_change_read(f->session, &before, NULL, 10, keep_old, f, err));
    assert_true(strlen(f->seen) < 100);
    assert_non_null(strstr(f->seen, "one"));
}

static void a_log_that_came_in_a_dump_is_not_told_for_ever(void **state)
{
    fixture *f = *state;
    tims_str epoch;
    tims_mark found;
    tims_error why = { 0 };
    OK(tims_epoch_begin(f->session, f->arena, 1000, &epoch, err));
    tims_mark mark = mark_now(f);
    OK(tims_mark_note(f->session, &mark, 2, 0, err));
    run(f, "INSERT INTO tims_change (xid, model, op, \"row\") VALUES ('1099511627776', 'shelf', 1, '" ID(
               "99") "')");
    mark = mark_now(f);
    assert_string_equal(changes_since(f, &mark), "shelf1:99 ");
    OK(tims_epoch_begin(f->session, f->arena, 2000, &epoch, err)); /* another server */
    assert_string_equal(changes_since(f, &mark), "");
    assert_int_equal(tims_mark_find(f->session, f->arena, mark.position, &found, &why), TIMS_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_happened_after_a_mark_is_told_in_order),
        TEST(a_reader_may_ask_for_some_only),
        TEST(old_keys_are_the_same_json_on_every_database),
        TEST(a_commit_is_visible_at_its_position_and_no_earlier),
        TEST(what_is_rolled_back_never_was),
        TEST(a_noted_mark_is_found_from_later_positions_until_it_is_pruned),
        TEST(an_epoch_is_renewed_by_whoever_comes_first),
        TEST(a_restarted_server_begins_an_epoch_once),
        TEST(large_columns_are_not_in_the_log),
    };
    const struct CMUnitTest overlapping[] = {
        TEST(transactions_are_told_as_they_commit_not_as_they_write),
        TEST(a_long_transaction_delays_nobody_and_is_not_lost),
        TEST(subtransactions_and_prepared_ones_are_told_once),
        TEST(a_truncation_is_told_of_every_table),
        TEST(a_log_that_came_in_a_dump_is_not_told_for_ever),
    };
    int failed = cmocka_run_group_tests_name("change log", tests, NULL, NULL);
    if (testing_on_postgres()) /* SQLite has one writer at a time */
        failed += cmocka_run_group_tests_name("overlapping transactions", overlapping, NULL, NULL);
    return failed;
}
