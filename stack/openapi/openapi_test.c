/* What the document says of each kind of field, each rule, each filter, and of who may ask. */
#include "base/testing.h"
#include "tims/crypto.h"
#include "tims/openapi.h"

/* --- a model with every kind ------------------------------------------------------------------------ */

typedef struct owner {
    tims_id id;
    tims_str name;
} owner;
typedef struct thing {
    tims_id id, owner;
    bool flag;
    int64_t number;
    double ratio;
    tims_str text, color, mail, secret, key;
    tims_time at;
    tims_json_text extra;
    tims_decimal price;
    tims_bytes data;
    tims_opt_bool maybe_flag;
    tims_opt_int maybe_number;
    tims_opt_str maybe_text;
    tims_opt_id maybe_id;
    tims_opt_time maybe_at;
    tims_opt_decimal maybe_price;
} thing;

static const char *const colors[] = { "red", "green" };
extern const tims_model owner_model, thing_model;
const tims_model owner_model = {
    .name = "owner",
    .size = sizeof(owner),
    .fields = TIMS_FIELDS(TIMS_FIELD(owner, id, .primary = true), TIMS_FIELD(owner, name)),
    .read = TIMS_PUBLIC,
};
const tims_model thing_model = {
    .name = "tims_thing",
    .doc = "A thing.",
    .size = sizeof(thing),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(thing, id, .primary = true),
        TIMS_FIELD(thing, owner, .to = &owner_model, .required = true, .doc = "Whose it is."),
        TIMS_FIELD(thing, flag, .default_value = "true"),
        TIMS_FIELD(thing, number, .min = 1, .max = 9, .example = "5"), TIMS_FIELD(thing, ratio),
        TIMS_FIELD(thing, text, .required = true, .min_length = 2, .max_length = 40),
        TIMS_FIELD(thing, color, .choices = { colors, 2 }, .default_value = "red"),
        TIMS_FIELD(thing, mail, .format = "email"), TIMS_FIELD(thing, secret, .hidden = true),
        TIMS_FIELD(thing, key, .write_only = true, .format = "password"),
        TIMS_FIELD(thing, at, .auto_now_add = true), TIMS_FIELD(thing, extra),
        TIMS_FIELD(thing, price, .scale = 2, .min = 0, .max = 100), TIMS_FIELD(thing, data, .max_length = 10),
        TIMS_FIELD(thing, maybe_flag), TIMS_FIELD(thing, maybe_number, .min = 3),
        TIMS_FIELD(thing, maybe_text, .read_only = true), TIMS_FIELD(thing, maybe_id),
        TIMS_FIELD(thing, maybe_at), TIMS_FIELD(thing, maybe_price)),
    .read = TIMS_SIGNED_IN,
    .write = TIMS_OWNER(thing, owner),
    .order = "-at",
    .search = TIMS_NAMES("text"),
};

typedef struct body {
    tims_ids ids;
    tims_strs words;
} body;
static const tims_shape body_shape = {
    .name = "make_thing",
    .size = sizeof(body),
    .fields = TIMS_FIELDS(TIMS_FIELD(body, ids, .required = true, .max_length = 3),
                          TIMS_FIELD(body, words, .choices = { colors, 2 })),
};
static const tims_shape inner_shape = { .name = "inner", .fields = TIMS_FIELDS(TIMS_VALUE(a, INT)) };
static const tims_field one_inner = { .kind = TIMS_KIND_JSON, .shape = &inner_shape },
                        one_number = { .kind = TIMS_KIND_INT };
static const tims_shape answer_shape = {
    .name = "made",
    .fields =
        TIMS_FIELDS(TIMS_VALUE(inner, JSON, .shape = &inner_shape, .maybe_null = true),
                    TIMS_VALUE(list, JSON, .list = &one_inner), TIMS_VALUE(map, JSON, .map = &one_number),
                    TIMS_VALUE(token, STR, .maybe_absent = true)),
};

static tims_answer answer_nothing(tims_request *rq)
{
    (void)rq;
    return tims_answer_empty(204);
}
static void write_nothing(tims_request *rq, tims_json_writer *w)
{
    (void)rq;
    tims_json_null(w);
}

static const tims_resource resources[] = {
    { .path = "/api/things/",
      .model = &thing_model,
      .allow = TIMS_EVERYTHING,
      .order = { (const char *const[]){ "number" }, 1 },
      .filter = { (const char *const[]){ "number", "text", "flag", "color" }, 4 },
      .page = { 10, 20 } },
    { .path = "/api/owners/", .model = &owner_model, .allow = TIMS_READ },
    { 0 },
};
static const tims_computed computed[] = {
    { .path = "/api/sum/", .write = write_nothing, .api = { .answer = &inner_shape }, .doc = "A sum." },
    { 0 },
};
static const tims_route routes[] = {
    { TIMS_METHOD_POST, "/api/things/{id:id}/make/{count:int}/", answer_nothing, .access = tims_access_staff,
      .doc = "Makes one: or two.",
      .api = { .operation = "makeThing",
               .body = &body_shape,
               .status = 201,
               .answer = &answer_shape,
               .problems = { 404 } } },
    { TIMS_METHOD_POST, "/api/open/", answer_nothing, .anonymous = true, .no_csrf = true },
    { TIMS_METHOD_POST, "/api/hidden/", answer_nothing, .api.is_hidden = true },
    { 0 },
};
static const tims_websocket_route websockets[] = {
    { .path = "/ws/{room:id}/", .access = tims_access_signed_in, .message_bytes_max = 64 }, { 0 }
};

/* --- the document ------------------------------------------------------------------------------------ */

static tims_arena *arena;
static const tims_json *document;

static tims_status write_parts(const tims_openapi_part *parts, size_t count, tims_str *ret_text,
                               tims_error *err)
{
    const tims_openapi_options options = {
        .title = "t", .version = "1", .session_cookie = TIMS_STR("s"), .parts = parts, .part_count = count
    };
    return tims_openapi_write(arena, &options, ret_text, err);
}

static int write_document(void **state)
{
    (void)state;
    const tims_openapi_part part = { "app", "An app.", resources, computed, routes, websockets };
    tims_str text, again;
    tims_error err = { 0 };
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    arena = tims_arena_new((size_t)1 << 27, NULL, NULL);
    if (write_parts(&part, 1, &text, &err) != TIMS_OK)
        fail_msg("%s", err.message);
    assert_int_equal(write_parts(&part, 1, &again, &err), TIMS_OK);
    assert_true(tims_str_equal(text, again)); /* the same bytes each time */
    assert_int_equal(tims_json_parse(arena, text, &document, &err), TIMS_OK);
    return 0;
}

static int free_document(void **state)
{
    (void)state;
    tims_arena_free(&arena);
    return 0;
}

/* Steps with spaces between, as paths have slashes: "components schemas Thing". NULL: it is not there. */
static const tims_json *at(const char *steps)
{
    const tims_json *value = document;
    tims_str rest = tims_str_from(steps);
    while (value != NULL && rest.data != NULL && rest.length > 0) {
        tims_str step = tims_str_cut(&rest, ' ');
        int64_t index;
        bool is_index = tims_str_to_int(step, 0, 1000, &index);
        value = tims_json_type_of(value) == TIMS_JSON_ARRAY && is_index ? tims_json_at(value, (size_t)index)
                                                                        : tims_json_get(value, step);
    }
    return value;
}

static void assert_says(const char *steps, const char *json)
{
    const tims_json *value = at(steps);
    if (value == NULL)
        fail_msg("%s is not there", steps);
    tims_str text = tims_json_to_text(arena, value);
    if (!tims_str_equal(text, tims_str_from(json)))
        fail_msg("%s is %.*s, not %s", steps, TIMS_PRINT(text), json);
}

/* --- fields -------------------------------------------------------------------------------------------- */

static void every_kind_has_its_schema(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "id", "{\"type\":\"string\",\"format\":\"uuid\"}" },
        { "owner", "{\"type\":\"string\",\"format\":\"uuid\",\"description\":\"Whose it is.\"}" },
        { "flag", "{\"type\":\"boolean\"}" },
        { "number",
          "{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":1,\"maximum\":9,\"examples\":[5]}" },
        { "ratio", "{\"type\":\"number\",\"format\":\"double\"}" },
        { "text", "{\"type\":\"string\",\"maxLength\":40}" },
        { "color", "{\"type\":\"string\",\"enum\":[\"red\",\"green\"]}" },
        { "mail", "{\"type\":\"string\",\"pattern\":\"^$|@\"}" },
        { "at", "{\"type\":\"string\",\"format\":\"date-time\",\"readOnly\":true}" },
        { "extra", "{}" },
        { "price",
          "{\"type\":\"string\",\"format\":\"decimal\",\"pattern\":\"^-?[0-9]{1,18}(\\\\.[0-9]+)?$\"}" },
        { "data", "{\"type\":\"string\",\"contentEncoding\":\"base64\",\"maxLength\":16}" },
        { "maybe_flag", "{\"type\":[\"boolean\",\"null\"]}" },
        { "maybe_number", "{\"type\":[\"integer\",\"null\"],\"format\":\"int64\",\"minimum\":3}" },
        { "maybe_text", "{\"type\":[\"string\",\"null\"],\"readOnly\":true}" },
        { "maybe_id", "{\"type\":[\"string\",\"null\"],\"format\":\"uuid\"}" },
        { "maybe_at", "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_says(
            tims_copy_c(arena, tims_print(arena, "components schemas Thing properties %s", rows[i][0])),
            rows[i][1]);
    assert_says("components schemas Thing additionalProperties", "false");
    assert_null(at("components schemas Thing properties secret"));
    assert_null(at("components schemas Thing properties key"));
    assert_int_equal(tims_json_count(at("components schemas Thing required")), 18);
}

static void a_body_has_rules_and_defaults_and_what_may_be_set(void **state)
{
    (void)state;
    assert_says("components schemas ThingCreate required", "[\"owner\",\"text\"]");
    assert_says("components schemas ThingCreate properties text",
                "{\"type\":\"string\",\"minLength\":2,\"maxLength\":40}");
    assert_says("components schemas ThingCreate properties flag", "{\"type\":\"boolean\",\"default\":true}");
    assert_says("components schemas ThingCreate properties mail",
                "{\"type\":\"string\",\"maxLength\":10000,\"format\":\"email\"}");
    assert_says("components schemas ThingCreate properties price type", "[\"string\",\"number\"]");
    assert_says("components schemas ThingCreate properties price maximum", "100");
    assert_says("components schemas ThingCreate properties key",
                "{\"type\":\"string\",\"maxLength\":10000,\"format\":\"password\"}");
    assert_non_null(at("components schemas ThingCreate properties id"));
    assert_null(at("components schemas ThingCreate properties at"));
    assert_null(at("components schemas ThingCreate properties maybe_text"));
    assert_null(at("components schemas ThingUpdate properties id"));
    assert_null(at("components schemas ThingUpdate required"));
    assert_null(at("components schemas ThingUpdate properties flag default"));
}

static void shapes_nest(void **state)
{
    (void)state;
    assert_says("components schemas MakeThing properties ids",
                "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"format\":\"uuid\"},\"minItems\":1,"
                "\"maxItems\":3}");
    assert_says("components schemas MakeThing properties words items",
                "{\"type\":\"string\",\"enum\":[\"red\",\"green\"]}");
    assert_says("components schemas Made properties inner",
                "{\"anyOf\":[{\"$ref\":\"#/components/schemas/Inner\"},{\"type\":\"null\"}]}");
    assert_says("components schemas Made properties list",
                "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Inner\"}}");
    assert_says("components schemas Made properties map",
                "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\",\"format\":\"int64\"}}");
    assert_says("components schemas Made required", "[\"inner\",\"list\",\"map\"]");
}

/* --- operations ---------------------------------------------------------------------------------------- */

static void a_page_is_an_envelope(void **state)
{
    (void)state;
    assert_says("components schemas ThingList required",
                "[\"rows\",\"total\",\"next\",\"previous\",\"position\"]");
    assert_says("components schemas ThingList properties rows items",
                "{\"$ref\":\"#/components/schemas/Thing\"}");
    assert_says("components schemas ThingList properties included properties owner additionalProperties",
                "{\"$ref\":\"#/components/schemas/Owner\"}");
}

static const tims_json *parameter(const char *operation, const char *name)
{
    const tims_json *list = tims_json_get(at(operation), TIMS_STR("parameters"));
    for (size_t i = 0; i < tims_json_count(list); i++)
        if (tims_str_equal(tims_json_get_str(tims_json_at(list, i), TIMS_STR("name"), TIMS_STR("")),
                           tims_str_from(name)))
            return tims_json_get(tims_json_at(list, i), TIMS_STR("schema"));
    return NULL;
}

static void filters_are_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *name, *schema; /* NULL: there is none */
    } rows[] = {
        { "number", "{\"type\":\"integer\",\"format\":\"int64\"}" },
        { "number__gte", "{\"type\":\"integer\",\"format\":\"int64\"}" },
        { "number__contains", NULL },
        { "number__isnull", "{\"type\":\"boolean\"}" },
        { "text__startswith", "{\"type\":\"string\",\"maxLength\":1000}" },
        { "flag", "{\"type\":\"boolean\"}" },
        { "flag__lt", NULL },
        { "color", "{\"type\":\"string\",\"enum\":[\"red\",\"green\"]}" },
        { "color__contains", "{\"type\":\"string\",\"maxLength\":1000}" },
        { "ratio", NULL },
        { "search", "{\"type\":\"string\",\"maxLength\":200}" },
        { "limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":20,\"default\":10}" },
        { "order",
          "{\"type\":\"array\",\"minItems\":1,\"maxItems\":4,\"items\":{\"type\":\"string\",\"enum\":["
          "\"number\",\"-number\"]}}" },
        { "include",
          "{\"type\":\"array\",\"minItems\":1,\"maxItems\":4,\"items\":{\"type\":\"string\",\"enum\":["
          "\"owner\"]}}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const tims_json *schema = parameter("paths /api/things/ get", rows[i].name);
        if ((schema == NULL) != (rows[i].schema == NULL))
            fail_msg("%s", rows[i].name);
        if (schema != NULL)
            assert_string_equal(tims_copy_c(arena, tims_json_to_text(arena, schema)), rows[i].schema);
    }
    assert_null(parameter("paths /api/things/{id}/ get", "limit"));
    assert_non_null(parameter("paths /api/things/{id}/ get", "fields"));
}

static void operations_have_names_and_paths(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "/api/things/ get", "\"listThings\"" },
        { "/api/things/ post", "\"createThing\"" },
        { "/api/things/{id}/ get", "\"getThing\"" },
        { "/api/things/{id}/ patch", "\"updateThing\"" },
        { "/api/things/{id}/ delete", "\"deleteThing\"" },
        { "/api/owners/{id}/ get", "\"getOwner\"" },
        { "/api/sum/ get", "\"getSum\"" },
        { "/api/open/ post", "\"postOpen\"" },
        { "/api/things/{id}/make/{count}/ post", "\"makeThing\"" },
        { "/ws/{room}/ get", "\"openWs\"" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_says(tims_copy_c(arena, tims_print(arena, "paths %s operationId", rows[i][0])), rows[i][1]);
    assert_null(at("paths /api/owners/"));
    assert_null(at("paths /api/hidden/"));
    assert_says(
        "paths /api/things/{id}/make/{count}/ post parameters 1",
        "{\"name\":\"count\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"integer\",\"format\":"
        "\"int64\"}}");
    assert_says("paths /api/things/{id}/make/{count}/ post summary", "\"Makes one\"");
    assert_says("paths /ws/{room}/ get x-websocket messageBytesMax", "64");
}

static void who_may_ask_is_said(void **state)
{
    (void)state;
    assert_says("paths /api/things/ get security", "[{\"session\":[]},{\"bearer\":[]}]");
    assert_says("paths /api/things/ post security", "[{\"session\":[],\"csrf\":[]},{\"bearer\":[]}]");
    assert_says("paths /api/owners/{id}/ get security", "[{},{\"session\":[]},{\"bearer\":[]}]");
    assert_says("paths /api/open/ post security", "[]");
    assert_null(at("paths /api/open/ post responses 401"));
    assert_non_null(at("paths /api/things/{id}/make/{count}/ post responses 403"));
    assert_says("components securitySchemes session name", "\"s\"");
}

static const tims_shape other = { .name = "inner", .fields = TIMS_FIELDS(TIMS_VALUE(b, INT)) };

static void two_of_one_name_are_refused(void **state)
{
    (void)state;
    static const tims_route twice[] = { { TIMS_METHOD_POST, "/a/", answer_nothing, .api.operation = "same" },
                                        { TIMS_METHOD_POST, "/b/", answer_nothing, .api.operation = "same" },
                                        { 0 } };
    static const tims_route shapes[] = { { TIMS_METHOD_GET, "/a/", answer_nothing,
                                           .api.answer = &inner_shape },
                                         { TIMS_METHOD_GET, "/b/", answer_nothing, .api.answer = &other },
                                         { 0 } };
    const tims_openapi_part parts[] = { { .name = "a", .routes = twice }, { .name = "b", .routes = shapes } };
    tims_str text = { 0 };
    tims_error err = { 0 };
    assert_int_equal(write_parts(&parts[0], 1, &text, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "Two operations are called same: /a/ and /b/"));
    assert_int_equal(write_parts(&parts[1], 1, &text, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "Two schemas are called Inner"));
    assert_null(text.data);
}

static const tims_shape caption = {
    .name = "caption", .fields = TIMS_FIELDS(TIMS_VALUE(text, STR, .required = true), TIMS_VALUE(note, STR))
};

static void what_a_row_of_a_route_says_is_said(void **state)
{
    (void)state;
    static const tims_route some[] = {
        { TIMS_METHOD_POST, "/up/", answer_nothing, .api = { .file = "file", .body = &caption } },
        { TIMS_METHOD_POST, "/hook/", answer_nothing, .access = tims_access_signed_in, .no_csrf = true },
        { 0 }
    };
    static const tims_computed none[] = {
        { .path = "/secret/", .write = write_nothing, .api.is_hidden = true }, { 0 }
    };
    const tims_openapi_part part = { .name = "a", .routes = some, .computed = none };
    tims_str text = { 0 };
    assert_int_equal(write_parts(&part, 1, &text, NULL), TIMS_OK);
    const char *json = tims_copy_c(arena, text);
    assert_non_null(strstr(json, "\"required\":[\"file\",\"text\"]"));
    assert_non_null(strstr(json, "\"security\":[{\"session\":[]},{\"bearer\":[]}]"));
    assert_null(strstr(json, "secret"));
}

static void what_no_document_can_say_is_refused(void **state)
{
    (void)state;
    static const tims_route twice[] = {
        { TIMS_METHOD_GET, "/a/{b:int}/", answer_nothing, .api.operation = "one" },
        { TIMS_METHOD_GET, "/a/{b}/", answer_nothing, .api.operation = "two" },
        { 0 }
    };
    static const tims_route odd[] = { { TIMS_METHOD_GET, "/a/", answer_nothing, .api.problems = { 418 } },
                                      { 0 } };
    const tims_openapi_part parts[] = { { .name = "a", .routes = twice }, { .name = "b", .routes = odd } };
    tims_str text = { 0 };
    tims_error err = { 0 };
    assert_int_equal(write_parts(&parts[0], 1, &text, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "Two operations answer GET /a/{b}/"));
    assert_int_equal(write_parts(&parts[1], 1, &text, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "GET /a/ cannot say that it answers 418"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_its_schema),
        cmocka_unit_test(a_body_has_rules_and_defaults_and_what_may_be_set),
        cmocka_unit_test(shapes_nest),
        cmocka_unit_test(a_page_is_an_envelope),
        cmocka_unit_test(filters_are_parameters),
        cmocka_unit_test(operations_have_names_and_paths),
        cmocka_unit_test(who_may_ask_is_said),
        cmocka_unit_test(two_of_one_name_are_refused),
        cmocka_unit_test(what_a_row_of_a_route_says_is_said),
        cmocka_unit_test(what_no_document_can_say_is_refused),
    };
    return cmocka_run_group_tests_name("openapi", tests, write_document, free_document);
}
