/* exact_test.c: decimals, bytes and the ends of what can be kept: written, read back and compared, on both
 * databases the same. */
#include "db/database_testing.h"
#include "model/testing.h"

typedef struct item {
    tims_id id;
    tims_decimal price;
    tims_opt_decimal discount;
    tims_bytes seal;
    tims_opt_bytes photo;
    int64_t count;
    double ratio;
    tims_str name;
    tims_time at;
    tims_json_text extra;
} item;

static const tims_model item_model = {
    .name = "item",
    .size = sizeof(item),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(item, id, .primary = true), TIMS_FIELD(item, price, .scale = 2, .index = true),
                    TIMS_FIELD(item, discount, .scale = 4), TIMS_FIELD(item, seal, .unique = true),
                    TIMS_FIELD(item, photo), TIMS_FIELD(item, count), TIMS_FIELD(item, ratio),
                    TIMS_FIELD(item, name), TIMS_FIELD(item, at), TIMS_FIELD(item, extra)),
    .read = TIMS_PUBLIC,
    .order = "price",
};

static int set_up_items(void **state)
{
    static const tims_model *const models[] = { &item_model, NULL };
    int status = set_up(state);
    make_tables_of(*state, models);
    return status;
}

#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }
#define BYTES(literal)                   \
    {                                    \
        {                                \
            literal, sizeof(literal) - 1 \
        }                                \
    }

static const item items[] = {
    { .id = { { 1 } },
      .price = { -TIMS_DECIMAL_UNITS_MAX },
      .discount = { true, { 1 } },
      .seal = BYTES("\0\xff"),
      .photo = { true, BYTES("") },
      .count = INT64_MIN,
      .ratio = 5e-324,
      .name = TEXT(""),
      .at = { -62135596800000000 },
      .extra = { TEXT("{\"b\":1, \"a\":[ ]}") } },
    { .id = { { 2 } },
      .price = { -5 },
      .seal = BYTES(""),
      .count = -1,
      .ratio = -1.7976931348623157e308,
      .name = TEXT("\xf0\x9f\x8d\xb0 e\xcc\x81"),
      .at = { -1 },
      .extra = { TEXT("null") } },
    { .id = { { 3 } },
      .price = { 1050 },
      .discount = { true, { -10000 } },
      .seal = BYTES("\xff"),
      .count = 0,
      .ratio = 0.1,
      .name = TEXT("\x01\x7f'\"\\\n"),
      .at = { 1732390638000001 },
      .extra = { TEXT("\"\\u0000\"") } },
    { .id = { { 4 } },
      .price = { TIMS_DECIMAL_UNITS_MAX },
      .discount = { true, { TIMS_DECIMAL_UNITS_MAX } },
      .seal = BYTES("\0"),
      .photo = { true, BYTES("\x89PNG\r\n\x1a\n\0") },
      .count = INT64_MAX,
      .ratio = 1.7976931348623157e308,
      .name = TEXT("z"),
      .at = { 253402300799999999 },
      .extra = { TEXT("1.50") } },
};
enum { ITEMS = sizeof items / sizeof *items };

static void fill(world *w)
{
    for (size_t i = 0; i < ITEMS; i++) {
        item row = items[i];
        insert(w, &item_model, &row);
    }
}

static tims_query query_for(world *w, const char *filter)
{
    tims_query query;
    tims_error err = { 0 };
    tims_query_init(&query, &item_model, (tims_caller){ .trusted = true });
    assert_ok(tims_query_filter(w->arena, &query, tims_str_from(filter), &err), &err);
    return query;
}

static void every_value_comes_back(void **state)
{
    world *w = *state;
    fill(w);
    tims_query query = query_for(w, "");
    item *rows;
    size_t count;
    tims_error err = { 0 };
    assert_ok(tims_model_select(w->session, w->arena, &query, (void **)&rows, &count, &err), &err);
    assert_int_equal(count, ITEMS);
    for (size_t i = 0; i < ITEMS; i++)
        for (size_t f = 0; f < item_model.fields.count; f++) {
            const tims_field *field = &item_model.fields.items[f];
            tims_db_value is = tims_model_value(field, &rows[i]), was = tims_model_value(field, &items[i]);
            tims_str a = tims_key_text(w->arena, &is), b = tims_key_text(w->arena, &was);
            if (is.type != was.type || !tims_str_equal(a, b))
                fail_msg("%s of row %zu is %.*s and not %.*s", field->name, i, TIMS_PRINT(a), TIMS_PRINT(b));
        }
}

static tims_str listed(world *w, const tims_query *query)
{
    tims_buf out;
    tims_buf_init(&out, w->arena, 1 << 20);
    tims_json_writer writer = tims_json_to(&out);
    size_t count;
    tims_error err = { 0 };
    tims_json_begin_array(&writer);
    assert_ok(tims_query_write(w->session, w->arena, query, &writer, &count, NULL, &err), &err);
    tims_json_end_array(&writer);
    return tims_buf_str(&out);
}

static void a_list_is_what_the_structs_are_as_json(void **state)
{
    world *w = *state;
    fill(w);
    tims_buf out;
    tims_buf_init(&out, w->arena, 1 << 20);
    tims_json_writer writer = tims_json_to(&out);
    tims_json_begin_array(&writer);
    for (size_t i = 0; i < ITEMS; i++)
        tims_json_object(&writer, item_model.fields, &items[i], 0);
    tims_json_end_array(&writer);
    tims_query query = query_for(w, "");
    tims_str written = listed(w, &query), expected = tims_buf_str(&out);
    if (!tims_str_equal(written, expected))
        fail_msg("%.*s\nis not\n%.*s", TIMS_PRINT(written), TIMS_PRINT(expected));
    assert_non_null(strstr(expected.data, "\"price\":\"10.50\",\"discount\":\"-1.0000\",\"seal\":\"/w==\""));
}

/* The digits of the rows that a filter finds, in its order; in SQL and in memory. */
static void assert_found(world *w, const char *filter, const char *expected)
{
    tims_query query = query_for(w, filter);
    item *rows;
    size_t count, found = 0;
    tims_error err = { 0 };
    char digits[ITEMS + 1] = "";
    assert_ok(tims_model_select(w->session, w->arena, &query, (void **)&rows, &count, &err), &err);
    for (size_t i = 0; i < count; i++)
        digits[i] = (char)('0' + rows[i].id.bytes[0]);
    if (strcmp(digits, expected) != 0)
        fail_msg("%s finds %s", filter, digits);
    for (size_t i = 0; i < ITEMS; i++)
        found += tims_query_matches(&query, &items[i]);
    assert_int_equal(found, strlen(expected));
    for (size_t i = 1; i < count; i++)
        assert_true(tims_query_compare(&query, &rows[i - 1], &rows[i]) < 0);
}

static void conditions_and_orders_agree(void **state)
{
    world *w = *state;
    fill(w);
    static const char *const rows[][2] = {
        { "price=10.5", "3" },
        { "price=10.50", "3" },
        { "price__gt=-0.05", "34" },
        { "price__gte=-0.05", "234" },
        { "price__lt=0", "12" },
        { "price__in=10.5,-0.05", "23" },
        { "price__not=10.5&order=-price", "421" },
        { "discount__isnull=true", "2" },
        { "order=discount", "2314" },
        { "order=-discount", "4132" },
        { "discount__lt=1", "13" },
        { "seal=/w==", "3" },
        { "seal__in=/w==,AA==", "34" },
        { "order=seal", "2413" },
        { "seal__gt=AA==&order=seal", "13" },
        { "photo__isnull=false", "14" },
        { "photo=", "1" },
        { "order=photo", "2314" },
        { "count=-9223372036854775808", "1" },
        { "count__gte=9223372036854775807", "4" },
        { "ratio__lt=0.1", "12" },
        { "at__lt=1970-01-01T00:00:00Z", "12" },
        { "name=", "1" },
        { "order=name", "1342" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_found(w, rows[i][0], rows[i][1]);
}

static void what_is_no_value_is_refused_by_filters(void **state)
{
    world *w = *state;
    static const char *const rows[] = {
        "price=x",   "price=1.234",         "price=10000000000000000", "price=1e2",       "seal=AA",
        "seal=A===", "seal__contains=AA==", "price__contains=1",       "discount=0.00001"
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tims_query query;
        tims_error err = { 0 };
        tims_query_init(&query, &item_model, (tims_caller){ .trusted = true });
        if (tims_query_filter(w->arena, &query, tims_str_from(rows[i]), &err) != TIMS_INVALID)
            fail_msg("%s was taken", rows[i]);
    }
}

/* Keyset paging with the values of the row before. */
static void pages_go_on_behind_exact_values(void **state)
{
    world *w = *state;
    fill(w);
    static const char *const orders[] = { "price", "-price", "discount", "-discount", "seal", "-photo" };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        tims_query query;
        tims_query_init(&query, &item_model, (tims_caller){ .trusted = true });
        tims_error err = { 0 };
        assert_ok(tims_query_order(&query, tims_str_from(orders[i]), &err), &err);
        tims_str whole = listed(w, &query);
        size_t seen = 0;
        query.limit = 1;
        for (size_t page = 0; page < ITEMS; page++) {
            tims_buf out;
            tims_buf_init(&out, w->arena, 1 << 20);
            tims_json_writer writer = tims_json_to(&out);
            tims_db_value *last = NULL;
            size_t count;
            tims_json_begin_array(&writer);
            assert_ok(tims_query_write(w->session, w->arena, &query, &writer, &count, &last, &err), &err);
            assert_int_equal(count, 1);
            tims_str row = tims_str_slice(tims_buf_str(&out), 1, out.length);
            size_t at = tims_str_find(whole, row);
            assert_true(at != SIZE_MAX && (page == 0 || at > seen));
            seen = at;
            query.after = last;
        }
    }
}

/* The change log names old values as topics do, so that those who looked at them are found. */
static void the_log_has_the_texts_of_topics(void **state)
{
    world *w = *state;
    static const tims_model *const all[] = { &item_model };
    tims_models *models;
    tims_error err = { 0 };
    assert_ok(tims_models_new(w->arena, all, 1, &models, &err), &err);
    tims_str ddl = tims_change_ddl(w->arena, models, tims_db_dialect_of(w->db));
    assert_ok(tims_db_script(w->session, ddl, &err), &err);
    fill(w);
    assert_ok(tims_db_script(w->session, TIMS_STR("DELETE FROM item"), &err), &err);
    for (size_t i = 0; i < ITEMS; i++) {
        tims_db_value id = tims_db_id(items[i].id),
                      price = tims_model_value(&item_model.fields.items[1], &items[i]),
                      seal = tims_model_value(&item_model.fields.items[3], &items[i]);
        tims_db_rows *rows;
        tims_str sql = TIMS_STR("SELECT old FROM tims_change WHERE op = 3 AND \"row\" = ?1");
        assert_ok(tims_db_query(w->session, sql, &id, 1, &rows, &err), &err);
        assert_true(tims_db_next(rows));
        const tims_json *old;
        assert_ok(tims_json_parse(w->arena, tims_db_get_text(rows, 0), &old, &err), &err);
        assert_ok(tims_db_rows_end(&rows, &err), &err);
        int64_t units = tims_json_get_int(old, TIMS_STR("price"), 0);
        assert_str(tims_key_text(w->arena, &price), tims_print(w->arena, "%lld", (long long)units).data);
        assert_str(tims_key_text(w->arena, &seal),
                   tims_copy_c(w->arena, tims_json_get_str(old, TIMS_STR("seal"), TIMS_STR("?"))));
    }
}

static void a_seal_is_given_once(void **state)
{
    world *w = *state;
    fill(w);
    item row = items[2];
    row.id = (tims_id){ { 9 } };
    tims_error err = { 0 };
    assert_int_equal(tims_model_insert(w->session, w->arena, &item_model, &row, &err), TIMS_CONFLICT);
    assert_string_equal(err.code, "unique");
    assert_str(err.fields->pointer, "/seal");
}

static void what_cannot_be_kept_is_told_by_field(void **state)
{
    world *w = *state;
    fill(w);
    static const struct {
        tims_str name;
        int64_t price, discount;
        const char *pointer, *code;
    } rows[] = {
        { { "a\0b", 3 }, 0, 0, "/name", "encoding" },
        { { "\xc3(", 2 }, 0, 0, "/name", "encoding" },
        { { "a", 1 }, TIMS_DECIMAL_UNITS_MAX + 1, 0, "/price", "range" },
        { { "a", 1 }, INT64_MIN, 0, "/price", "range" },
        { { "a", 1 }, 0, INT64_MAX, "/discount", "range" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        item row = items[1];
        row.name = rows[i].name;
        row.price.units = rows[i].price;
        row.discount = (tims_opt_decimal){ true, { rows[i].discount } };
        tims_error err = { 0 };
        assert_int_equal(
            tims_model_update(w->session, w->arena, &item_model, &row, model__all(&item_model), &err),
            TIMS_INVALID);
        assert_str(err.fields->pointer, rows[i].pointer);
        assert_string_equal(err.fields->code, rows[i].code);
        row.id = (tims_id){ { 9 } };
        row.seal.data = TIMS_STR("new");
        err = (tims_error){ 0 };
        assert_int_equal(tims_model_insert(w->session, w->arena, &item_model, &row, &err), TIMS_INVALID);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_items, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_value_comes_back),
        TEST(a_list_is_what_the_structs_are_as_json),
        TEST(conditions_and_orders_agree),
        TEST(what_is_no_value_is_refused_by_filters),
        TEST(pages_go_on_behind_exact_values),
        TEST(the_log_has_the_texts_of_topics),
        TEST(a_seal_is_given_once),
        TEST(what_cannot_be_kept_is_told_by_field),
    };
    return cmocka_run_group_tests_name("exact", tests, NULL, NULL);
}
