/* celery_message_test: envelopes in and out: what is understood, and what each malformed one is refused for.
 */
#include "base/testing.h"
#include "tasks/celery/celery_internal.h"

enum { ROOM = 1 << 24 };

static int set_up(void **state)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    *state = tims_arena_new(ROOM, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    tims_arena *arena = *state;
    tims_arena_free(&arena);
    return 0;
}

static tims_str base64(tims_arena *arena, const char *text)
{
    tims_buf out;
    tims_buf_init(&out, arena, ROOM);
    tims_base64_append(&out, tims_str_from(text));
    return tims_buf_str(&out);
}

/* As kombu writes them. */
static tims_str envelope_of(tims_arena *arena, const char *headers, const char *body)
{
    return tims_print(arena,
                      "{\"body\":\"%S\",\"content-encoding\":\"utf-8\",\"content-type\":\"application/json\","
                      "\"headers\":%s,\"properties\":{\"delivery_info\":{\"exchange\":\"\",\"routing_key\":"
                      "\"q\"},\"priority\":4,\"body_encoding\":\"base64\",\"delivery_tag\":\"t\","
                      "\"reply_to\":\"r\"}}",
                      base64(arena, body), headers);
}

#define UUID "0190e3f4-7c31-4a6b-8d9e-000000000001"
#define NO_EMBED "{\"callbacks\":null,\"errbacks\":null,\"chain\":null,\"chord\":null}"

static int quick_count; /* that could be read the quick way */

static celery__envelope read_fine(tims_arena *arena, const tims_tasks *tasks, tims_str text)
{
    celery__envelope envelope;
    tims_error err = { 0 };
    if (celery__read(tasks, arena, TIMS_STR("q"), text, &envelope, &err) != TIMS_OK)
        fail_msg("%s", err.message);
    celery__envelope quick;
    if (celery__read_quickly(tasks, arena, TIMS_STR("q"), text, &quick)) {
        assert_true(tims_same_id(quick.job.id, envelope.job.id));
        assert_true(tims_str_equal(quick.job.task, envelope.job.task));
        assert_true(tims_str_equal(quick.message.root_id, envelope.message.root_id));
        assert_true(tims_str_equal(quick.message.parent_id, envelope.message.parent_id));
        assert_true(tims_str_equal(quick.message.group, envelope.message.group));
        assert_true(tims_str_equal(quick.job.key.value, envelope.job.key.value));
        assert_int_equal(quick.job.priority, envelope.job.priority);
        assert_int_equal(quick.job.attempt, envelope.job.attempt);
        assert_int_equal(quick.job.run_at.us, envelope.job.run_at.us);
        assert_int_equal(quick.job.expires_at.value.us, envelope.job.expires_at.value.us);
        assert_int_equal(quick.eta.value.us, envelope.eta.value.us);
        assert_true(quick.message.has_embed == envelope.message.has_embed);
        assert_true(quick.message.is_ours == envelope.message.is_ours);
        assert_true(quick.job.tracked == envelope.job.tracked);
        quick_count++;
    }
    return envelope;
}

static void what_python_sends_is_understood(void **state)
{
    tims_arena *arena = *state;
    celery__envelope e = read_fine(
        arena, NULL,
        envelope_of(arena,
                    "{\"lang\":\"py\",\"task\":\"add\",\"id\":\"" UUID "\",\"root_id\":\"" UUID
                    "\",\"parent_id\":\"p\",\"group\":\"g\",\"group_index\":3,\"retries\":2,\"eta\":"
                    "\"2030-01-02T03:04:05.678901+00:00\",\"expires\":\"2030-01-02T03:04:06\","
                    "\"timelimit\":[null,null],\"ignore_result\":true,\"stamps\":{}}",
                    "[[], {\"x\": 1, \"y\": \"a\"}, " NO_EMBED "]"));
    char id[TIMS_ID_TEXT_LENGTH + 1] = "";
    tims_id_format(e.job.id, id);
    assert_string_equal(id, UUID);
    assert_str(e.job.task, "add");
    assert_str(e.job.queue, "q");
    assert_str(e.job.arguments, "{\"x\":1,\"y\":\"a\"}");
    assert_str(e.message.parent_id, "p");
    assert_str(e.message.group, "g");
    assert_str(e.reply_to, "r");
    assert_int_equal(e.job.priority, 4);
    assert_int_equal(e.job.attempt, 3);
    assert_int_equal(e.message.retries, 2);
    assert_int_equal(e.group_index, 3);
    assert_true(e.message.ignore_result && !e.message.is_ours && !e.message.has_embed);
    assert_int_equal(e.eta.value.us, INT64_C(1893553445678901));
    assert_int_equal(e.job.expires_at.value.us, INT64_C(1893553446000000));
}

static void what_may_be_left_out_is_not_missed(void **state)
{
    tims_arena *arena = *state;
    celery__envelope e = read_fine(
        arena, NULL,
        TIMS_STR("{\"body\":\"[[],{},null]\",\"content-type\":\"application/json\",\"headers\":{\"task\":"
                 "\"t\",\"id\":\"not a uuid\"},\"properties\":{}}"));
    assert_str(e.message.id, "not a uuid");
    assert_str(e.job.arguments, "{}");
    assert_int_equal(e.job.attempt, 1);
    assert_false(e.eta.present || e.job.expires_at.present);
    tims_id same = celery__id_from_text(TIMS_STR("not a uuid"));
    assert_true(tims_same_id(e.job.id, same) && !tims_id_is_zero(same));
    assert_false(tims_same_id(same, celery__id_from_text(TIMS_STR("another"))));
}

static void a_chain_or_callback_is_noticed(void **state)
{
    tims_arena *arena = *state;
    static const char *const embeds[] = { "{\"callbacks\":[{\"task\":\"t\"}]}", "{\"errbacks\":[{}]}",
                                          "{\"chain\":[{}]}", "{\"chord\":{\"task\":\"t\"}}" };
    for (size_t i = 0; i < sizeof embeds / sizeof *embeds; i++) {
        char body[100];
        (void)snprintf(body, sizeof body, "[[],{},%s]", embeds[i]);
        celery__envelope e =
            read_fine(arena, NULL, envelope_of(arena, "{\"task\":\"t\",\"id\":\"i\"}", body));
        assert_true(e.message.has_embed);
    }
}

/* --- what is refused ----------------------------------------------------------------------------------------------- */

typedef struct bad {
    const char *text, *why;
} bad;

#define HEADERS "\"headers\":{\"task\":\"t\",\"id\":\"i\"}"
#define JSON "\"content-type\":\"application/json\""
#define BODY "\"body\":\"[[],{},null]\""

static void each_malformed_message_is_refused_with_its_reason(void **state)
{
    tims_arena *arena = *state;
    static const bad rows[] = {
        { "", "cannot be read" },
        { "nonsense", "cannot be read" },
        { "\xff\xfe", "cannot be read" },
        { "[1,2]", "no object" },
        { "{}", "only application/json" },
        { "{\"content-type\":\"application/x-python-serialize\"}", "not \"application/x-python-serialize\"" },
        { "{" JSON ",\"content-encoding\":\"binary\"}", "not UTF-8" },
        { "{" JSON "," BODY ",\"properties\":{}}", "no headers" },
        { "{" JSON "," BODY "," HEADERS "}", "no properties" },
        { "{" JSON "," BODY ",\"properties\":[]," HEADERS "}", "no properties" },
        { "{" JSON "," BODY ",\"properties\":{},\"headers\":{\"id\":\"i\"}}", "names no task" },
        { "{" JSON "," BODY ",\"properties\":{},\"headers\":{\"task\":1,\"id\":\"i\"}}", "names no task" },
        { "{" JSON "," BODY ",\"properties\":{},\"headers\":{\"task\":\"t\"}}", "has no id" },
        { "{" JSON "," BODY ",\"properties\":{},\"headers\":{\"task\":\"t\",\"id\":7}}", "has no id" },
        { "{" JSON "," BODY ",\"properties\":{},\"headers\":{\"task\":\"t\",\"id\":\"i\",\"root_id\":{}}}",
          "no id" },
        { "{" JSON "," BODY ",\"properties\":{},\"headers\":{\"task\":\"t\",\"id\":\"i\",\"retries\":-1}}",
          "no number" },
        { "{" JSON "," BODY ",\"properties\":{},\"headers\":{\"task\":\"t\",\"id\":\"i\",\"eta\":\"soon\"}}",
          "no time" },
        { "{" JSON "," BODY ",\"properties\":{},\"headers\":{\"task\":\"t\",\"id\":\"i\",\"expires\":60}}",
          "no time" },
        { "{" JSON "," BODY
          ",\"properties\":{},\"headers\":{\"task\":\"t\",\"id\":\"i\",\"tims\":{\"user\":\"me\"}}}",
          "\"tims\"" },
        { "{" JSON ",\"properties\":{}," HEADERS "}", "no body" },
        { "{" JSON ",\"body\":\"a!b\",\"properties\":{\"body_encoding\":\"base64\"}," HEADERS "}",
          "no base64" },
        { "{" JSON ",\"body\":\"aa\",\"properties\":{\"body_encoding\":\"rot13\"}," HEADERS "}",
          "body_encoding" },
        { "{" JSON ",\"body\":\"[[],{}\",\"properties\":{}," HEADERS "}", "its body" },
        { "{" JSON ",\"body\":\"[[],{}]\",\"properties\":{}," HEADERS "}", "args, kwargs" },
        { "{" JSON ",\"body\":\"[{},{},{}]\",\"properties\":{}," HEADERS "}", "args, kwargs" },
        { "{" JSON ",\"body\":\"[[],[],{}]\",\"properties\":{}," HEADERS "}", "args, kwargs" },
        { "{" JSON ",\"body\":\"{}\",\"properties\":{}," HEADERS "}", "args, kwargs" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        celery__envelope envelope;
        tims_error err = { 0 };
        assert_int_equal(
            celery__read(NULL, arena, TIMS_STR("q"), tims_str_from(rows[i].text), &envelope, &err),
            TIMS_INVALID);
        if (strstr(err.message, rows[i].why) == NULL)
            fail_msg("%s: got \"%s\", expected \"%s\"", rows[i].text, err.message, rows[i].why);
    }
}

static void what_is_too_large_is_refused(void **state)
{
    tims_arena *arena = *state;
    celery__envelope envelope;
    tims_error err = { 0 };
    char *text = tims_alloc(arena, CELERY__MESSAGE_BYTES_MAX + 1);
    memset(text, ' ', CELERY__MESSAGE_BYTES_MAX + 1);
    tims_str large = { text, CELERY__MESSAGE_BYTES_MAX + 1 };
    assert_int_equal(celery__read(NULL, arena, TIMS_STR("q"), large, &envelope, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "too large"));
    memset(text, 'x', TIMS_ARGUMENTS_BYTES_MAX);
    tims_str argument = { text, TIMS_ARGUMENTS_BYTES_MAX };
    tims_str body = tims_print(arena, "[[],{\"x\":\"%S\"},null]", argument);
    tims_str message = envelope_of(arena, "{\"task\":\"t\",\"id\":\"i\"}", tims_copy_c(arena, body));
    assert_int_equal(celery__read(NULL, arena, TIMS_STR("q"), message, &envelope, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "arguments are too large"));
}

/* --- out --------------------------------------------------------------------------------------------------------- */

static void a_job_comes_back_as_it_was_sent(void **state)
{
    tims_arena *arena = *state;
    tims_buf out;
    tasks__job job = { .id = tims_id_new(),
                       .task = TIMS_STR("mail.send"),
                       .queue = TIMS_STR("q"),
                       .version = 2,
                       .arguments = TIMS_STR("{\"to\":\"\xc3\xa4 \\\"x\\\"\"}"),
                       .priority = 7,
                       .run_at = { 12345 },
                       .enqueued_at = { 12344 },
                       .expires_at = { true, { INT64_C(1893553446000001) } },
                       .user = { true, tims_id_new() },
                       .key = { true, TIMS_STR("k") },
                       .unique_key = { true, TIMS_STR("u\"") },
                       .unique_while = TIMS_UNIQUE_UNFINISHED,
                       .group_id = { true, tims_id_new() },
                       .group_index = 5,
                       .steps = { true, TIMS_STR("[{\"task\":\"next\"}]") },
                       .previous = { true, TIMS_STR("[1]") },
                       .trace = TIMS_STR(""),
                       .tracked = true };
    tims_buf_init(&out, arena, ROOM);
    celery__write_job(&out, arena, &job, false);
    celery__envelope e = read_fine(arena, NULL, tims_buf_str(&out));
    assert_true(tims_same_id(e.job.id, job.id) && tims_same_id(e.job.user.value, job.user.value));
    assert_true(tims_same_id(e.job.group_id.value, job.group_id.value));
    assert_str(e.job.task, "mail.send");
    assert_str(e.job.arguments, job.arguments.data);
    assert_str(e.job.key.value, "k");
    assert_str(e.job.unique_key.value, "u\"");
    assert_str(e.job.steps.value, job.steps.value.data);
    assert_str(e.job.previous.value, "[1]");
    assert_int_equal(e.job.version, 2);
    assert_int_equal(e.job.priority, 7);
    assert_int_equal(e.job.run_at.us, 12345);
    assert_int_equal(e.job.group_index, 5);
    assert_int_equal(e.job.unique_while, TIMS_UNIQUE_UNFINISHED);
    assert_int_equal(e.job.expires_at.value.us, job.expires_at.value.us);
    assert_true(e.job.tracked && e.message.is_ours);
    const tims_json *properties = tims_json_get(e.root, TIMS_STR("properties"));
    assert_non_null(
        tims_json_get(tims_json_get(properties, TIMS_STR("delivery_info")), TIMS_STR("exchange")));
    assert_int_equal(tims_json_get_str(properties, TIMS_STR("delivery_tag"), TIMS_STR("")).length,
                     TIMS_ID_TEXT_LENGTH);
}

static void a_message_that_comes_again_keeps_all_but_what_changed(void **state)
{
    tims_arena *arena = *state;
    tims_buf out;
    celery__envelope first =
        read_fine(arena, NULL,
                  envelope_of(arena, "{\"task\":\"t\",\"id\":\"i\",\"retries\":1,\"custom\":[1,{\"a\":[]}]}",
                              "[[1,[]],{\"x\":{}},{\"chain\":[{\"task\":\"n\"}]}]"));
    const celery__again again = {
        .retries = 2, .crashes = 1, .eta = { true, { INT64_C(1893553446000001) } }, .is_redelivered = true
    };
    tims_buf_init(&out, arena, ROOM);
    celery__write_again(&out, arena, &first, &again);
    celery__envelope e = read_fine(arena, NULL, tims_buf_str(&out));
    assert_int_equal(e.message.retries, 2);
    assert_int_equal(e.job.crashes, 1);
    assert_int_equal(e.job.attempt, 4);
    assert_int_equal(e.eta.value.us, INT64_C(1893553446000001));
    assert_str(e.job.arguments, "{\"args[0]\":1,\"args[1]\":[],\"x\":{}}");
    assert_true(e.message.has_embed && tims_json_get_bool(e.headers, TIMS_STR("redelivered"), false));
    assert_str(tims_json_to_text(arena, tims_json_get(e.headers, TIMS_STR("custom"))), "[1,{\"a\":[]}]");
}

static void the_usual_kind_is_read_quickly(void **state)
{
    tims_arena *arena = *state;
    celery__envelope e;
    tims_buf out;
    assert_true(quick_count >= 3);
    static const celery__sending plain = { .id = TIMS_STR_INIT("0190e3f4-7c31-4a6b-8d9e-000000000001"),
                                           .task = TIMS_STR_INIT("t"),
                                           .queue = TIMS_STR_INIT("q"),
                                           .kwargs =
                                               TIMS_STR_INIT("{\"a\": [1, 2.5, true, {\"b\": \"\\n\"}]}") };
    tims_buf_init(&out, arena, ROOM);
    celery__write(&out, &plain);
    assert_true(celery__read_quickly(NULL, arena, TIMS_STR("q"), tims_buf_str(&out), &e));
    assert_str(e.job.arguments, "{\"a\": [1, 2.5, true, {\"b\": \"\\n\"}]}");
    static const char *const bodies[] = {
        "[[],{\"a\":1,\"a\":2},null]",   "[[],{\"a\":01},null]", "[[],{\"a\":1e5},null]",
        "[[],{\"a\":\"\\u0000\"},null]", "[[],{\"a\":+1},null]", "[[],{\"a\":\"\t\"},null]",
        "[[],{\"a\":nul},null]",         "[[],{\"a\":1,},null]", "[[],{},null] x",
        "[[],{\"a\":\"\xff\"},null]"
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_false(celery__read_quickly(
            NULL, arena, TIMS_STR("q"), envelope_of(arena, "{\"task\":\"t\",\"id\":\"i\"}", bodies[i]), &e));
}

static void a_list_is_named_by_queue_and_priority(void **state)
{
    static const char *const names[] = { "q",
                                         "q",
                                         "q",
                                         "q\x06\x16"
                                         "3",
                                         "q\x06\x16"
                                         "3",
                                         "q\x06\x16"
                                         "3",
                                         "q\x06\x16"
                                         "6",
                                         "q\x06\x16"
                                         "6",
                                         "q\x06\x16"
                                         "6",
                                         "q\x06\x16"
                                         "9" };
    for (int64_t priority = 0; priority <= TIMS_PRIORITY_LAST; priority++)
        assert_str(celery__list_of(*state, TIMS_STR("q"), priority), names[priority]);
}

/* --- results ------------------------------------------------------------------------------------------------------ */

static void results_are_read_as_python_writes_them(void **state)
{
    tims_arena *arena = *state;
    tims_task_outcome o;
    tims_error err = { 0 };
    assert_int_equal(
        celery__result_read(arena,
                            TIMS_STR("{\"status\": \"SUCCESS\", \"result\": 5, \"traceback\": null, "
                                     "\"children\": [], \"task_id\": \"i\"}"),
                            &o, &err),
        TIMS_OK);
    assert_str(o.state, "SUCCESS");
    assert_int_equal(tims_json_as_int(o.result, 0), 5);
    assert_int_equal(
        celery__result_read(arena,
                            TIMS_STR("{\"status\":\"FAILURE\",\"result\":{\"exc_type\":\"ValueError\",\"exc_"
                                     "message\":[\"boom\"],\"exc_module\":\"builtins\"}}"),
                            &o, &err),
        TIMS_OK);
    assert_str(o.error_type, "ValueError");
    assert_str(o.error, "boom");
    assert_null(o.result);
    assert_int_equal(
        celery__result_read(
            arena, TIMS_STR("{\"status\":\"FAILURE\",\"result\":{\"exc_message\":[1,\"x\"]}}"), &o, &err),
        TIMS_OK);
    assert_str(o.error, "[1,\"x\"]");
    assert_int_equal(
        celery__result_read(arena, TIMS_STR("{\"status\":\"PROGRESS\",\"result\":{\"at\":1}}"), &o, &err),
        TIMS_OK);
    assert_str(o.state, "PROGRESS");
    assert_int_equal(tims_json_get_int(o.result, TIMS_STR("at"), 0), 1);
    static const char *const none[] = { "", "[]", "{}", "{\"status\":1}", "nonsense" };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(celery__result_read(arena, tims_str_from(none[i]), &o, &err), TIMS_INVALID);
}

static void results_are_written_as_python_reads_them(void **state)
{
    tims_arena *arena = *state;
    tims_buf out;
    celery__result result = { .state = "FAILURE",
                              .id = TIMS_STR("i"),
                              .parent_id = TIMS_STR("p"),
                              .error_type = "RuntimeError",
                              .error_module = "builtins",
                              .error = TIMS_STR("a \"b\""),
                              .done_at = { INT64_C(1893553445678901) } };
    tims_buf_init(&out, arena, ROOM);
    celery__result_write(&out, &result);
    assert_str(tims_buf_str(&out),
               "{\"status\":\"FAILURE\",\"result\":{\"exc_type\":\"RuntimeError\",\"exc_message\":[\"a "
               "\\\"b\\\"\"],\"exc_module\":\"builtins\"},\"traceback\":null,\"children\":[],\"date_done\":"
               "\"2030-01-02T03:04:05.678901\",\"parent_id\":\"p\",\"task_id\":\"i\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_python_sends_is_understood),
        cmocka_unit_test(what_may_be_left_out_is_not_missed),
        cmocka_unit_test(a_chain_or_callback_is_noticed),
        cmocka_unit_test(each_malformed_message_is_refused_with_its_reason),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(a_job_comes_back_as_it_was_sent),
        cmocka_unit_test(a_message_that_comes_again_keeps_all_but_what_changed),
        cmocka_unit_test(the_usual_kind_is_read_quickly),
        cmocka_unit_test(a_list_is_named_by_queue_and_priority),
        cmocka_unit_test(results_are_read_as_python_writes_them),
        cmocka_unit_test(results_are_written_as_python_reads_them),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
