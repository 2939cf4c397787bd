/* json_bind_test: JSON and text into structs. A table of body → answer. */
#include "base/testing.h"
#include "tims/json.h"

typedef struct thing {
    tims_id id;
    tims_str title, mail, color, site, slug, mode;
    int64_t count;
    double share;
    bool flag;
    tims_time at;
    tims_json_text extra;
    tims_opt_str note;
    tims_opt_int rank;
    tims_opt_time due;
    tims_opt_id owner;
    tims_opt_bool seen;
    tims_opt_double weight;
    tims_ids members;
    tims_strs tags;
    tims_str made_by, secret;
} thing;

static const tims_fields fields = TIMS_FIELDS(
    TIMS_FIELD(thing, id, .primary = true), TIMS_FIELD(thing, title, .required = true, .max_length = 5),
    TIMS_FIELD(thing, mail, .format = "email"),
    TIMS_FIELD(thing, color, .format = "color", .default_value = "#fff"),
    TIMS_FIELD(thing, site, .format = "url"), TIMS_FIELD(thing, slug, .format = "slug"),
    TIMS_FIELD(thing, mode, .choices = { (const char *const[]){ "a", "b" }, 2 }, .default_value = "a"),
    TIMS_FIELD(thing, count, .min = 1, .max = 10, .default_value = "3"), TIMS_FIELD(thing, share, .max = 1),
    TIMS_FIELD(thing, flag, .default_value = "true"), TIMS_FIELD(thing, at),
    TIMS_FIELD(thing, extra, .max_length = 20), TIMS_FIELD(thing, note, .min_length = 2),
    TIMS_FIELD(thing, rank), TIMS_FIELD(thing, due), TIMS_FIELD(thing, owner), TIMS_FIELD(thing, seen),
    TIMS_FIELD(thing, weight), TIMS_FIELD(thing, members, .max_length = 3),
    TIMS_FIELD(thing, tags, .max_length = 2, .choices = { (const char *const[]){ "x", "y" }, 2 }),
    TIMS_FIELD(thing, made_by, .read_only = true), TIMS_FIELD(thing, secret, .hidden = true));

typedef struct fixture {
    tims_arena *arena;
    thing bound;
    tims_field_set present;
    tims_error err;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){ .arena = tims_arena_new(256 << 20, NULL, NULL) };
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    tims_arena_free(&((fixture *)*state)->arena);
    return 0;
}

static tims_status bind_str(fixture *f, tims_bind_mode mode, tims_str text)
{
    const tims_json *body;
    f->bound = (thing){ 0 };
    f->err = (tims_error){ 0 };
    assert_int_equal(tims_json_parse(f->arena, text, &body, &f->err), TIMS_OK);
    return tims_json_bind(f->arena, body, fields, mode, &f->bound, &f->present, &f->err);
}

static tims_status bind(fixture *f, tims_bind_mode mode, const char *text)
{
    return bind_str(f, mode, tims_str_from(text));
}

/* "pointer code, pointer code" */
static tims_str errors_of(const fixture *f)
{
    tims_buf out;
    tims_buf_init(&out, f->arena, 1 << 16);
    for (const tims_field_error *e = f->err.fields; e != NULL; e = e->next)
        tims_buf_print(&out, "%s%S %s", out.length > 0 ? ", " : "", e->pointer, e->code);
    return tims_buf_str(&out);
}

static void every_kind_is_bound(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        bind(f, TIMS_BIND_CREATE,
             "{\"id\":\"0198c0de-cafe-7abc-8def-0123456789ab\",\"title\":\"t\",\"mail\":\"a@b.de\",\"color\":"
             "\"#00ffAA\","
             "\"site\":\"https://x.de/"
             "?q\",\"slug\":\"a-1\",\"mode\":\"b\",\"count\":10,\"share\":0.5,\"flag\":false,"
             "\"at\":\"1970-01-01T00:00:01Z\",\"extra\":{\"k\":[1]},\"note\":\"hey\",\"rank\":-1,"
             "\"due\":\"1970-01-01T00:00:02Z\",\"owner\":\"0198c0de-cafe-7abc-8def-0123456789ab\",\"seen\":"
             "true,"
             "\"weight\":2,\"members\":[\"0198c0de-cafe-7abc-8def-0123456789ab\"],\"tags\":[\"x\",\"y\"]}"),
        TIMS_OK);
    const thing *t = &f->bound;
    assert_int_equal(t->id.bytes[0], 1);
    assert_str(t->title, "t");
    assert_str(t->color, "#00ffAA");
    assert_str(t->mode, "b");
    assert_int_equal(t->count, 10);
    assert_true(t->share == 0.5);
    assert_false(t->flag);
    assert_int_equal(t->at.us, 1000000);
    assert_str(t->extra.text, "{\"k\":[1]}");
    assert_true(t->note.present);
    assert_str(t->note.value, "hey");
    assert_int_equal(t->rank.value, -1);
    assert_int_equal(t->due.value.us, 2000000);
    assert_true(t->owner.present && t->seen.present && t->seen.value);
    assert_true(t->weight.value == 2.0);
    assert_int_equal(t->members.count, 1);
    assert_int_equal(t->tags.count, 2);
    assert_str(t->tags.items[1], "y");
    assert_true(f->present == ((tims_field_set)1 << 20) - 1);
}

static void absent_fields_get_their_defaults_on_create(void **state)
{
    fixture *f = *state;
    assert_int_equal(bind(f, TIMS_BIND_CREATE, "{\"title\":\"t\"}"), TIMS_OK);
    assert_str(f->bound.color, "#fff");
    assert_int_equal(f->bound.count, 3);
    assert_true(f->bound.flag);
    assert_str(f->bound.extra.text, "null");
    assert_non_null(f->bound.mail.data);
    assert_false(f->bound.note.present);
    assert_true(f->present == 2);
}

static void a_patch_sets_only_what_is_there(void **state)
{
    fixture *f = *state;
    assert_int_equal(bind(f, TIMS_BIND_PATCH, "{\"count\":5}"), TIMS_OK);
    assert_int_equal(f->bound.count, 5);
    assert_null(f->bound.color.data);
    assert_true(f->present == (tims_field_set)1 << 7);
    assert_int_equal(bind(f, TIMS_BIND_PATCH, "{}"), TIMS_OK);
    assert_true(f->present == 0);
}

static void null_is_a_value_and_absent_is_not(void **state)
{
    fixture *f = *state;
    assert_int_equal(bind(f, TIMS_BIND_PATCH, "{\"note\":null,\"rank\":null}"), TIMS_OK);
    assert_false(f->bound.note.present);
    assert_true(f->present == ((tims_field_set)1 << 12 | (tims_field_set)1 << 13));
}

static void bad_bodies_name_every_wrong_field(void **state)
{
    fixture *f = *state;
    static const struct {
        tims_bind_mode mode;
        const char *body, *errors;
    } rows[] = {
        { TIMS_BIND_CREATE, "{}", "/title required" },
        { TIMS_BIND_CREATE, "{\"title\":\"\"}", "/title required" },
        { TIMS_BIND_PATCH, "{\"title\":\"\"}", "/title required" },
        { TIMS_BIND_PATCH, "{\"title\":null}", "/title null" },
        { TIMS_BIND_PATCH, "{\"title\":5}", "/title type" },
        { TIMS_BIND_PATCH, "{\"title\":[\"x\"]}", "/title type" },
        { TIMS_BIND_PATCH, "{\"title\":\"123456\"}", "/title max_length" },
        { TIMS_BIND_PATCH, "{\"note\":\"x\"}", "/note min_length" },
        { TIMS_BIND_PATCH, "{\"count\":0}", "/count min" },
        { TIMS_BIND_PATCH, "{\"count\":11}", "/count max" },
        { TIMS_BIND_PATCH, "{\"count\":1.0}", "/count type" },
        { TIMS_BIND_PATCH, "{\"count\":\"1\"}", "/count type" },
        { TIMS_BIND_PATCH, "{\"count\":true}", "/count type" },
        { TIMS_BIND_PATCH, "{\"share\":1.5}", "/share max" },
        { TIMS_BIND_PATCH, "{\"share\":-0.5}", "/share min" },
        { TIMS_BIND_PATCH, "{\"share\":\"x\"}", "/share type" },
        { TIMS_BIND_PATCH, "{\"flag\":1}", "/flag type" },
        { TIMS_BIND_PATCH, "{\"flag\":\"true\"}", "/flag type" },
        { TIMS_BIND_PATCH, "{\"at\":\"yesterday\"}", "/at time" },
        { TIMS_BIND_PATCH, "{\"at\":0}", "/at type" },
        { TIMS_BIND_PATCH, "{\"owner\":\"x\"}", "/owner id" },
        { TIMS_BIND_PATCH, "{\"owner\":\"00000000-0000-0000-0000-000000000000\"}", "/owner id" },
        { TIMS_BIND_PATCH, "{\"owner\":7}", "/owner type" },
        { TIMS_BIND_PATCH, "{\"mode\":\"c\"}", "/mode choice" },
        { TIMS_BIND_PATCH, "{\"mode\":\"\"}", "/mode choice" },
        { TIMS_BIND_PATCH, "{\"extra\":\"123456789012345678901\"}", "/extra max_length" },
        { TIMS_BIND_PATCH, "{\"members\":{}}", "/members type" },
        { TIMS_BIND_PATCH, "{\"members\":null}", "/members null" },
        { TIMS_BIND_PATCH, "{\"members\":[1,\"x\"]}", "/members/0 type, /members/1 id" },
        { TIMS_BIND_PATCH, "{\"members\":[1,1,1,1]}", "/members max_length" },
        { TIMS_BIND_PATCH, "{\"tags\":[\"x\",\"z\"]}", "/tags/1 choice" },
        { TIMS_BIND_PATCH, "{\"id\":\"0198c0de-cafe-7abc-8def-0123456789ab\"}", "/id read_only" },
        { TIMS_BIND_CREATE, "{\"title\":\"t\",\"made_by\":\"me\"}", "/made_by read_only" },
        { TIMS_BIND_CREATE, "{\"title\":\"t\",\"secret\":\"x\"}", "/secret unknown" },
        { TIMS_BIND_CREATE, "{\"title\":\"t\",\"a/b~c\":1}", "/a~1b~0c unknown" },
        { TIMS_BIND_CREATE, "{\"title\":\"t\",\"\":1}", "/ unknown" },
        { TIMS_BIND_CREATE, "{\"count\":0,\"flag\":1}", "/count min, /flag type, /title required" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_status status = bind(f, rows[i].mode, rows[i].body);
        tims_str errors = errors_of(f);
        if (status != TIMS_INVALID || f->err.status != TIMS_INVALID ||
            !tims_str_equal(errors, tims_str_from(rows[i].errors)))
            fail_msg("%s: %d \"%.*s\"", rows[i].body, status, TIMS_PRINT(errors));
    }
}

static void a_body_must_be_an_object(void **state)
{
    fixture *f = *state;
    static const char *const bodies[] = { "[]", "1", "null", "\"x\"", "[{\"title\":\"t\"}]" };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_int_equal(bind(f, TIMS_BIND_CREATE, bodies[i]), TIMS_MALFORMED);
    assert_int_equal(tims_json_bind(f->arena, NULL, fields, TIMS_BIND_PATCH, &f->bound, NULL, NULL),
                     TIMS_MALFORMED);
}

static void formats_take_what_can_be_and_refuse_what_cannot(void **state)
{
    (void)state;
    static const struct {
        const char *format, *text;
        bool ok;
    } rows[] = {
        { "email", "a@b.de", true },
        { "email", "first.last+tag@sub.example.org", true },
        { "email", "a@b", false },
        { "email", "@b.de", false },
        { "email", "a@", false },
        { "email", "a@@b.de", false },
        { "email", "a b@c.de", false },
        { "email", "a@b..de", false },
        { "email", "a@-b.de", false },
        { "email", "a@b.de\n", false },
        { "email", ".a@b.de", false },
        { "email", "<a@b.de>", false },
        { "url", "http://a.de", true },
        { "url", "https://a.de:8080/x?y#z", true },
        { "url", "https://localhost/", true },
        { "url", "javascript:alert(1)", false },
        { "url", "ftp://a.de", false },
        { "url", "https://", false },
        { "url", "https:///x", false },
        { "url", "https://a b.de/", false },
        { "url", "https://a.de/\"x", false },
        { "url", "https://user@a.de/", false },
        { "url", "https://a.de:0/", false },
        { "url", "https://a.de:99999/", false },
        { "slug", "a-b_c1", true },
        { "slug", "A", false },
        { "slug", "-a", false },
        { "slug", "a b", false },
        { "slug", "", false },
        { "color", "#abc", true },
        { "color", "#A0b1C2", true },
        { "color", "#abcd", false },
        { "color", "abc", false },
        { "color", "#ggg", false },
        { "password", " any\tthing\xf0\x9d\x84\x9e ", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (tims_format_matches(rows[i].format, tims_str_from(rows[i].text)) != rows[i].ok)
            fail_msg("%s \"%s\"", rows[i].format, rows[i].text);
    assert_true(tims_format_is_known("email"));
    assert_false(tims_format_is_known("phone"));
}

static void lengths_are_counted_in_code_points(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        bind(f, TIMS_BIND_PATCH, "{\"title\":\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xc3\xa4z\"}"),
        TIMS_OK);
}

static void a_list_of_ninety_thousand_items_is_refused_by_its_length(void **state)
{
    fixture *f = *state;
    tims_buf text;
    tims_buf_init(&text, f->arena, SIZE_MAX);
    tims_buf_append_str(&text, TIMS_STR("{\"members\":[1"));
    for (int i = 1; i < 90000; i++)
        tims_buf_append_str(&text, TIMS_STR(",1"));
    tims_buf_append_str(&text, TIMS_STR("]}"));
    assert_int_equal(bind_str(f, TIMS_BIND_PATCH, tims_buf_str(&text)), TIMS_INVALID);
    assert_str(errors_of(f), "/members max_length");
    assert_non_null(strstr(tims_copy_c(f->arena, f->err.fields->message), "90000"));
}

static void errors_stop_at_32(void **state)
{
    fixture *f = *state;
    tims_buf text;
    tims_buf_init(&text, f->arena, SIZE_MAX);
    for (int i = 0; i < 1000; i++)
        tims_buf_print(&text, "%s\"unknown%d\":1", i == 0 ? "{" : ",", i);
    tims_buf_append_char(&text, '}');
    assert_int_equal(bind_str(f, TIMS_BIND_CREATE, tims_buf_str(&text)), TIMS_INVALID);
    size_t count = 0;
    for (const tims_field_error *e = f->err.fields; e != NULL; e = e->next)
        count++;
    assert_int_equal(count, 32);
}

static void a_strangers_long_name_is_cut_at_a_whole_character(void **state)
{
    fixture *f = *state;
    tims_buf text;
    tims_buf_init(&text, f->arena, SIZE_MAX);
    tims_buf_append_str(&text, TIMS_STR("{\"x"));
    for (int i = 0; i < 5000; i++)
        tims_buf_append_str(&text, TIMS_STR("\xc3\xa4"));
    tims_buf_append_str(&text, TIMS_STR("\":1}"));
    assert_int_equal(bind_str(f, TIMS_BIND_PATCH, tims_buf_str(&text)), TIMS_INVALID);
    assert_int_equal(f->err.fields->pointer.length, 100);
    assert_true(tims_str_is_utf8(f->err.fields->pointer));
}

static void a_bound_alone_bounds_one_side(void **state)
{
    fixture *f = *state;
    typedef struct numbers {
        int64_t whole;
        double real;
        tims_decimal exact;
    } numbers;
    static const tims_field kinds[] = { TIMS_FIELD(numbers, whole), TIMS_FIELD(numbers, real),
                                        TIMS_FIELD(numbers, exact) };
    static const struct {
        int64_t min, max;
        const char *text, *code; /* NULL: fine */
    } rows[] = {
        { 1, 0, "1", NULL },    { 1, 0, "1000000", NULL }, { 1, 0, "0", "min" },    { 0, -1, "-1", NULL },
        { 0, -1, "-99", NULL }, { 0, -1, "0", "max" },     { 0, 9, "9", NULL },     { 0, 9, "10", "max" },
        { 0, 9, "-1", "min" },  { -9, 0, "-9", NULL },     { -9, 0, "-10", "min" }, { -9, 0, "1", "max" },
        { 0, 0, "-77", NULL },  { 0, 0, "77", NULL },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t kind = 0; kind < 3; kind++) {
            tims_field field = kinds[kind];
            numbers bound;
            tims_error err = { 0 };
            field.min = rows[i].min;
            field.max = rows[i].max;
            tims_status status = tims_bind_text(f->arena, &field, tims_str_from(rows[i].text), &bound, &err);
            assert_int_equal(status, rows[i].code == NULL ? TIMS_OK : TIMS_INVALID);
            if (rows[i].code != NULL)
                assert_string_equal(err.fields->code, rows[i].code);
        }
    }
}

static void text_is_bound_by_the_same_rules(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *field, *text, *code; /* NULL: fine */
    } rows[] = {
        { "count", "5", NULL },
        { "count", "11", "max" },
        { "count", "x", "type" },
        { "count", "", "type" },
        { "flag", "true", NULL },
        { "flag", "0", NULL },
        { "flag", "yes", "type" },
        { "share", "0.25", NULL },
        { "share", "1e999", "type" },
        { "share", "nan", "type" },
        { "share", "0x1", "type" },
        { "share", "1.5", "max" },
        { "title", "hi", NULL },
        { "title", "123456", "max_length" },
        { "title", "\xff", "encoding" },
        { "mode", "c", "choice" },
        { "owner", "0198c0de-cafe-7abc-8def-0123456789ab", NULL },
        { "owner", "x", "id" },
        { "at", "2026-01-01T00:00:00Z", NULL },
        { "at", "x", "time" },
        { "note", "hey", NULL },
        { "note", "x", "min_length" },
        { "rank", "-5", NULL },
        { "extra", "[1]", NULL },
        { "extra", "[1", "type" },
        { "members", "x", "type" },
        { "seen", "1", NULL },
        { "weight", "2.5", NULL },
        { "due", "2026-01-01T00:00:00Z", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const tims_field *field = tims_field_find(fields, tims_str_from(rows[i].field));
        f->err = (tims_error){ 0 };
        tims_status status = tims_bind_text(f->arena, field, tims_str_from(rows[i].text), &f->bound, &f->err);
        const char *code = status == TIMS_OK ? NULL : f->err.fields->code;
        if ((code == NULL) != (rows[i].code == NULL) || (code != NULL && strcmp(code, rows[i].code) != 0))
            fail_msg("%s=%s: %s", rows[i].field, rows[i].text, code);
    }
    assert_int_equal(f->bound.count, 5);
    assert_true(f->bound.rank.present && f->bound.rank.value == -5);
    assert_true(f->bound.weight.present && f->bound.weight.value == 2.5);
}

static void fields_are_found_by_name(void **state)
{
    (void)state;
    const tims_field *field = tims_field_find(fields, TIMS_STR("count"));
    assert_non_null(field);
    assert_int_equal(tims_field_index(fields, field), 7);
    assert_int_equal(field->kind, TIMS_KIND_INT);
    assert_null(tims_field_find(fields, TIMS_STR("coun")));
    assert_true(tims_kind_is_optional(TIMS_KIND_OPT_TIME));
    assert_false(tims_kind_is_optional(TIMS_KIND_IDS));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_is_bound),
        TEST(absent_fields_get_their_defaults_on_create),
        TEST(a_patch_sets_only_what_is_there),
        TEST(null_is_a_value_and_absent_is_not),
        TEST(bad_bodies_name_every_wrong_field),
        TEST(a_body_must_be_an_object),
        TEST(formats_take_what_can_be_and_refuse_what_cannot),
        TEST(lengths_are_counted_in_code_points),
        TEST(a_list_of_ninety_thousand_items_is_refused_by_its_length),
        TEST(errors_stop_at_32),
        TEST(a_strangers_long_name_is_cut_at_a_whole_character),
        TEST(a_bound_alone_bounds_one_side),
        TEST(text_is_bound_by_the_same_rules),
        TEST(fields_are_found_by_name),
    };
    return cmocka_run_group_tests_name("json_bind", tests, NULL, NULL);
}
