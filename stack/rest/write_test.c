/* write_test.c: creates, updates and deletes over HTTP, as tables of request → status and body. */
#include "rest/testing.h"

typedef struct step {
    const char *user, *method, *path, *headers, *body;
    int status;
    const char *expect; /* stands somewhere in the body; NULL: nothing is asked */
} step;

static void run_steps(world *w, const step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const step *s = &steps[i];
        reply r =
            ask(w, s->user, s->method, tims_str_from(s->path), s->headers != NULL ? s->headers : "", s->body);
        if (r.status != s->status ||
            (s->expect != NULL && tims_str_find(r.body, tims_str_from(s->expect)) == SIZE_MAX))
            fail_msg("step %zu: %s %s %s\n  got      %d %.*s\n  expected %d %s", i, s->method, s->path,
                     s->body != NULL ? s->body : "", r.status, TIMS_PRINT(r.body), s->status,
                     s->expect != NULL ? s->expect : "");
    }
}
#define RUN(w, steps) run_steps((w), (steps), sizeof(steps) / sizeof((steps)[0]))

#define NOTES "/api/notes/"
#define IN1 "{\"room\":\"" ROOM1 "\",\"text\":\"x\""

/* --- create ----------------------------------------------------------------------------------- */

static void creates_answer_the_row_or_say_what_is_wrong(void **state)
{
    static const step steps[] = {
        { "ann", "POST", NOTES, NULL, IN1 "}", 201, "\"author\":\"" ANN "\"" },
        { "ann", "POST", NOTES, NULL, IN1 "}", 201, "\"kind\":\"plain\"" },
        { "bob", "POST", NOTES, NULL, IN1 ",\"score\":null,\"ratio\":-0.0,\"extra\":[1,{}]}", 201,
          "\"ratio\":0," },
        /* ids chosen by the client */
        { "ann", "POST", NOTES, NULL, IN1 ",\"id\":\"" ID("71") "\"}", 201, "\"id\":\"" ID("71") "\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"id\":\"" ID("71") "\"}", 409, "\"unique\"" },
        { "eve", "POST", NOTES, NULL, "{\"room\":\"" ROOM2 "\",\"text\":\"x\",\"id\":\"" ID("71") "\"}", 409,
          "\"unique\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"id\":\"00000000-0000-0000-0000-000000000000\"}", 422,
          "\"/id\"" },
        /* who may */
        { NULL, "POST", NOTES, NULL, IN1 "}", 401, NULL },
        { "eve", "POST", NOTES, NULL, IN1 "}", 422, "\"/room\"" },
        { "ann", "POST", NOTES, NULL, "{\"room\":\"" ID("ff") "\",\"text\":\"x\"}", 422,
          "There is no such room." },
        { "ann", "POST", NOTES, NULL, IN1 ",\"parent\":\"" NOTE("1") "\"}", 201,
          "\"parent\":\"" NOTE("1") "\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"parent\":\"" NOTE("8") "\"}", 422, "\"/parent\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"parent\":\"" ID("ff") "\"}", 422, "\"/parent\"" },
        { "ann", "POST", "/api/members/", NULL, "{\"room\":\"" ROOM2 "\",\"person\":\"" ANN "\"}", 422,
          "\"/room\"" },
        { "ann", "POST", "/api/members/", NULL, "{\"room\":\"" ROOM1 "\",\"person\":\"" BOB "\"}", 409,
          "\"unique\"" },
        { "eve", "POST", "/api/rooms/", NULL, "{\"title\":\"Mine\"}", 201, "\"owner\":\"" EVE "\"" },
        /* fields */
        { "ann", "POST", NOTES, NULL, "{}", 422, "\"/room\"" },
        { "ann", "POST", NOTES, NULL, "{\"room\":\"" ROOM1 "\",\"text\":\"\"}", 422, "\"/text\"" },
        { "ann", "POST", NOTES, NULL, "{\"room\":\"" ROOM1 "\",\"text\":null}", 422, "\"/text\"" },
        { "ann", "POST", NOTES, NULL, "{\"room\":\"" ROOM1 "\",\"text\":7}", 422, "\"/text\"" },
        { "ann", "POST", NOTES, NULL, "{\"room\":7,\"text\":\"x\"}", 422, "\"/room\"" },
        { "ann", "POST", NOTES, NULL, "{\"room\":\"x\",\"text\":\"x\"}", 422, "\"/room\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"number\":\"7\"}", 422, "\"/number\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"number\":1.5}", 422, "\"/number\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"score\":11}", 422, "\"/score\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"ratio\":\"1\"}", 422, "\"/ratio\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"done\":1}", 422, "\"/done\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"kind\":\"quiet\"}", 422, "\"/kind\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"until\":\"soon\"}", 422, "\"/until\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"nothing\":1}", 422, "\"/nothing\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"secret\":\"s\"}", 422, "\"/secret\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"author\":\"" BOB "\"}", 422, "\"/author\"" },
        { "ann", "POST", NOTES, NULL, IN1 ",\"at\":\"2020-01-01T00:00:00Z\"}", 422, "\"/at\"" },
        { "ann", "POST", NOTES, NULL, "{\"room\":\"" ROOM1 "\",\"text\":\"refused by the hook\"}", 409,
          "\"refused\"" },
        /* bodies */
        { "ann", "POST", NOTES, NULL, NULL, 400, NULL },
        { "ann", "POST", NOTES, NULL, "", 400, NULL },
        { "ann", "POST", NOTES, NULL, "[]", 400, NULL },
        { "ann", "POST", NOTES, NULL, "null", 400, NULL },
        { "ann", "POST", NOTES, NULL, IN1, 400, NULL },
        { "ann", "POST", NOTES, NULL, IN1 "}x", 400, NULL },
        { "ann", "POST", NOTES, NULL, IN1 ",\"text\":\"y\"}", 400, NULL },
        { "ann", "POST", NOTES, NULL, "{\"room\":\"" ROOM1 "\",\"text\":\"\\ud800\"}", 400, NULL },
        { "ann", "POST", NOTES, NULL, "{\"room\":\"" ROOM1 "\",\"text\":\"\xff\"}", 400, NULL },
        { "ann", "POST", NOTES, NULL, IN1 ",\"number\":99999999999999999999}", 400, NULL },
        { "ann", "POST", NOTES, "Content-Type: text/plain\r\n", NULL, 415, NULL },
        { "ann", "POST", NOTES NOTE("1") "/", NULL, IN1 "}", 405, NULL },
        { "ann", "PUT", NOTES, NULL, IN1 "}", 405, NULL },
        { "ann", "POST", "/api/people/", NULL, "{}", 405, NULL },
    };
    RUN(*state, steps);
}

/* The answer up to what differs in every answer. */
static tims_str without_request_id(tims_str body)
{
    return tims_str_slice(body, 0, tims_str_find(body, TIMS_STR("\"request_id\"")));
}

static void a_taken_id_is_answered_alike_whether_one_may_read_it_or_not(void **state)
{
    world *w = *state;
    assert_int_equal(get(w, "ann", NOTES NOTE("1") "/").status, 200);
    assert_int_equal(get(w, "ann", NOTES NOTE("8") "/").status, 404);
    reply readable = ask(w, "ann", "POST", TIMS_STR(NOTES), "", IN1 ",\"id\":\"" NOTE("1") "\"}");
    reply unreadable = ask(w, "ann", "POST", TIMS_STR(NOTES), "", IN1 ",\"id\":\"" NOTE("8") "\"}");
    assert_status(readable, 409);
    assert_status(unreadable, 409);
    assert_str(without_request_id(unreadable.body), tims_copy_c(w->arena, without_request_id(readable.body)));
    assert_true(tims_str_find(unreadable.body, TIMS_STR("Eve")) == SIZE_MAX);
    /* who may not create at all is not even told that */
    reply denied = ask(w, "eve", "POST", TIMS_STR(NOTES), "", IN1 ",\"id\":\"" NOTE("1") "\"}");
    reply free = ask(w, "eve", "POST", TIMS_STR(NOTES), "", IN1 ",\"id\":\"" ID("fe") "\"}");
    assert_status(denied, 422);
    assert_str(without_request_id(denied.body), tims_copy_c(w->arena, without_request_id(free.body)));
}

static void bodies_like_bombs_are_refused(void **state)
{
    world *w = *state;
    enum { DEPTH = 10000, ELEMENTS = 90000, TOO_MANY = TIMS_JSON_VALUES_MAX + 1 };
    tims_buf deep, wide, wider;
    tims_buf_init(&deep, w->arena, 1 << 20);
    tims_buf_init(&wide, w->arena, 1 << 20);
    tims_buf_init(&wider, w->arena, 1 << 20);
    tims_buf_print(&deep, "%s,\"extra\":", IN1);
    for (int i = 0; i < DEPTH; i++)
        tims_buf_append_char(&deep, '[');
    tims_buf_print(&wide, "%s,\"extra\":[0", IN1);
    for (int i = 0; i < ELEMENTS; i++)
        tims_buf_append(&wide, ",0", 2);
    tims_buf_append(&wide, "]}", 2);
    tims_buf_append(&wider, "[0", 2);
    for (int i = 0; i < TOO_MANY; i++)
        tims_buf_append(&wider, ",0", 2);
    tims_buf_append(&wider, "]", 1);
    reply r = ask(w, "ann", "POST", TIMS_STR(NOTES), "", tims_copy_c(w->arena, tims_buf_str(&deep)));
    assert_status(r, 400);
    r = ask(w, "ann", "POST", TIMS_STR(NOTES), "", tims_copy_c(w->arena, tims_buf_str(&wide)));
    assert_status(r, 422);
    assert_contains(r.body, "\"/extra\"");
    r = ask(w, "ann", "POST", TIMS_STR(NOTES), "", tims_copy_c(w->arena, tims_buf_str(&wider)));
    assert_status(r, 400);
    assert_contains(r.body, "json_values");
}

static void a_created_row_reads_back_as_it_was_answered(void **state)
{
    world *w = *state;
    reply r =
        ask(w, "ann", "POST", TIMS_STR(NOTES), "",
            "{\"room\":\"" ROOM1
            "\",\"text\":\"\\u00e4\\u2028\\\"\\\\\\n\\ud83d\\ude00\",\"ratio\":0.1,\"number\":"
            "-9223372036854775808,\"done\":true,\"score\":10,\"until\":\"2030-01-02T03:04:05.678901+01:00\","
            "\"extra\":{\"b\":[null,1.5,\"x\"]},\"parent\":\"" NOTE("1") "\"}");
    assert_status(r, 201);
    reply again = ask(w, "ann", "GET", header(&r, "Location"), "", NULL);
    assert_status(again, 200);
    assert_str(again.body, tims_copy_c(w->arena, r.body));
    assert_str(header(&again, "ETag"), tims_copy_c(w->arena, header(&r, "ETag")));
    assert_contains(r.body, "\"until\":\"2030-01-02T02:04:05.678901Z\"");
}

/* --- update ----------------------------------------------------------------------------------- */

#define MINE NOTES ID("81") "/"

static void updates_change_what_is_named_and_nothing_else(void **state)
{
    static const step steps[] = {
        { "ann", "POST", NOTES, NULL,
          IN1 ",\"id\":\"" ID("81") "\",\"score\":5,\"until\":\"2030-01-01T00:00:00Z\"}", 201, NULL },
        { "ann", "PATCH", MINE, NULL, "{}", 200, "\"score\":5" },
        { "ann", "PATCH", MINE, NULL, "{\"text\":\"y\"}", 200,
          "\"text\":\"y\",\"kind\":\"plain\",\"number\":0,\"score\":5" },
        { "ann", "PATCH", MINE, NULL, "{\"score\":null}", 200, "\"score\":null" },
        { "ann", "GET", MINE, NULL, NULL, 200, "\"until\":\"2030-01-01T00:00:00.000000Z\"" },
        { "ann", "PATCH", MINE, NULL, "{\"text\":\"number me\"}", 200, "\"number\":77" },
        { "ann", "GET", MINE, NULL, NULL, 200, "\"number\":77" },
        /* refused */
        { "ann", "PATCH", MINE, NULL, "{\"text\":null}", 422, "\"/text\"" },
        { "ann", "PATCH", MINE, NULL, "{\"text\":\"\"}", 422, "\"/text\"" },
        { "ann", "PATCH", MINE, NULL, "{\"author\":\"" BOB "\"}", 422, "\"/author\"" },
        { "ann", "PATCH", MINE, NULL, "{\"id\":\"" ID("82") "\"}", 422, "\"/id\"" },
        { "ann", "PATCH", MINE, NULL, "{\"at\":\"2030-01-01T00:00:00Z\"}", 422, "\"/at\"" },
        { "ann", "PATCH", MINE, NULL, "{\"secret\":\"x\"}", 422, "\"/secret\"" },
        { "ann", "PATCH", MINE, NULL, "{\"room\":\"" ROOM2 "\"}", 422, "\"/room\"" },
        { "ann", "PATCH", MINE, NULL, "{\"parent\":\"" NOTE("9") "\"}", 422, "\"/parent\"" },
        { "ann", "PATCH", MINE, NULL, "[]", 400, NULL },
        { "bob", "PATCH", MINE, NULL, "{\"text\":\"z\"}", 403, "\"forbidden\"" },
        { "eve", "PATCH", MINE, NULL, "{\"text\":\"z\"}", 404, NULL },
        { NULL, "PATCH", MINE, NULL, "{\"text\":\"z\"}", 401, NULL },
        { "ann", "PATCH", NOTES ID("ff") "/", NULL, "{\"text\":\"z\"}", 404, NULL },
        { "ann", "PATCH", NOTES "x/", NULL, "{\"text\":\"z\"}", 404, NULL },
        { "ann", "PATCH", NOTES, NULL, "{\"text\":\"z\"}", 405, NULL },
        { "ann", "GET", MINE, NULL, NULL, 200, "\"text\":\"number me\"" },
    };
    RUN(*state, steps);
}

static void bytes_are_changed_as_anything_else(void **state)
{
    static const char *const path = NOTES ID("72") "/";
    const step steps[] = {
        { "ann", "POST", NOTES, NULL, IN1 ",\"id\":\"" ID("72") "\",\"seal\":\"AA==\"}", 201,
          "\"seal\":\"AA==\"" },
        { "ann", "PATCH", path, NULL, "{\"seal\":\"/w==\"}", 200, "\"seal\":\"/w==\"" },
        { "ann", "GET", path, NULL, NULL, 200, "\"seal\":\"/w==\"" },
        { "ann", "PATCH", path, NULL, "{\"seal\":null}", 200, "\"seal\":null" },
        { "ann", "GET", path, NULL, NULL, 200, "\"seal\":null" },
    };
    RUN(*state, steps);
}

static void if_match_refuses_who_saw_another_row(void **state)
{
    world *w = *state;
    tims_str path = TIMS_STR(NOTES ID("83") "/");
    reply r = ask(w, "ann", "POST", TIMS_STR(NOTES), "", IN1 ",\"id\":\"" ID("83") "\"}");
    assert_status(r, 201);
    const char *seen =
        tims_copy_c(w->arena, tims_print(w->arena, "If-Match: \"x\", %S\r\n", header(&r, "ETag")));
    r = ask(w, "ann", "PATCH", path, seen, "{\"number\":1}");
    assert_status(r, 200);
    r = ask(w, "ann", "PATCH", path, seen, "{\"number\":2}");
    assert_status(r, 412);
    r = ask(w, "ann", "DELETE", path, seen, NULL);
    assert_status(r, 412);
    r = ask(w, "ann", "PATCH", path, "If-Match: *\r\n", "{\"number\":3}");
    assert_status(r, 200);
    r = ask(w, "eve", "PATCH", path, seen, "{\"number\":2}");
    assert_status(r, 404);
}

/* --- delete ----------------------------------------------------------------------------------- */

static void deletes_remove_what_one_may(void **state)
{
    static const step steps[] = {
        { "ann", "POST", NOTES, NULL, IN1 ",\"id\":\"" ID("91") "\"}", 201, NULL },
        { "ann", "POST", NOTES, NULL, IN1 ",\"id\":\"" ID("92") "\",\"parent\":\"" ID("91") "\"}", 201,
          NULL },
        { NULL, "DELETE", NOTES ID("91") "/", NULL, NULL, 401, NULL },
        { "eve", "DELETE", NOTES ID("91") "/", NULL, NULL, 404, NULL },
        { "bob", "DELETE", NOTES ID("91") "/", NULL, NULL, 403, NULL },
        { "ann", "DELETE", NOTES ID("91") "/", NULL, NULL, 409, "\"foreign_key\"" },
        { "ann", "DELETE", NOTES ID("92") "/", NULL, NULL, 204, NULL },
        { "ann", "DELETE", NOTES ID("92") "/", NULL, NULL, 404, NULL },
        { "ann", "DELETE", NOTES ID("91") "/", NULL, NULL, 204, NULL },
        { "ann", "GET", NOTES ID("91") "/", NULL, NULL, 404, NULL },
        { "ann", "PATCH", NOTES NOTE("3") "/", NULL, "{\"text\":\"important\"}", 200, NULL },
        { "ann", "DELETE", NOTES NOTE("3") "/", NULL, NULL, 409, "\"important\"" },
        { "bob", "DELETE", "/api/members/" ID("31") "/", NULL, NULL, 403, NULL },
        { "ann", "DELETE", NOTES, NULL, NULL, 405, NULL },
    };
    RUN(*state, steps);
}

/* --- idempotency ------------------------------------------------------------------------------ */

static void a_key_creates_once_whatever_happens(void **state)
{
    static const step steps[] = {
        { "ann", "POST", NOTES, "Idempotency-Key: a key\r\n", IN1 "}", 400, "\"idempotency_key\"" },
        { "ann", "POST", NOTES, "Idempotency-Key:\r\n", IN1 "}", 400, "\"idempotency_key\"" },
        { "ann", "POST", NOTES, "Idempotency-Key: k-other\r\n", IN1 ",\"nothing\":1}", 422, NULL },
        { "ann", "POST", NOTES, "Idempotency-Key: k-other\r\n", IN1 "}", 201,
          NULL }, /* a failure is not kept */
        { "ann", "POST", NOTES, "Idempotency-Key: k-other\r\n", IN1 " }", 422, "\"idempotency_key_reused\"" },
        { "bob", "POST", NOTES, "Idempotency-Key: k-other\r\n", IN1 " }", 201,
          NULL }, /* keys belong to a user */
        { "ann", "POST", "/api/rooms/", "Idempotency-Key: k-other\r\n", IN1 "}", 422,
          "\"idempotency_key_reused\"" },
    };
    world *w = *state;
    RUN(w, steps);
    reply first =
        ask(w, "ann", "POST", TIMS_STR(NOTES), "Idempotency-Key: k-1\r\n", IN1 ",\"number\":424242}");
    assert_status(first, 201);
    assert_true(header(&first, "Idempotent-Replayed").data == NULL);
    for (int i = 0; i < 3; i++) {
        reply again =
            ask(w, "ann", "POST", TIMS_STR(NOTES), "Idempotency-Key: k-1\r\n", IN1 ",\"number\":424242}");
        assert_status(again, 201);
        assert_str(again.body, tims_copy_c(w->arena, first.body));
        assert_str(header(&again, "Location"), tims_copy_c(w->arena, header(&first, "Location")));
        assert_str(header(&again, "Idempotent-Replayed"), "true");
    }
    assert_contains(get(w, "ann", NOTES "?number=424242").body, "\"total\":1,");
}

/* An update whose answer was lost is sent again after somebody else has written: it has happened already. */
static void a_key_updates_and_deletes_once(void **state)
{
    world *w = *state;
    reply made = ask(w, "ann", "POST", TIMS_STR(NOTES), "", IN1 ",\"number\":515151}");
    tims_str url = tims_copy(w->arena, header(&made, "Location"));
    reply first = ask(w, "ann", "PATCH", url, "Idempotency-Key: k-up\r\n", "{\"number\":1}");
    assert_status(first, 200);
    assert_status(ask(w, "ann", "PATCH", url, "", "{\"number\":2}"), 200);
    reply again = ask(w, "ann", "PATCH", url, "Idempotency-Key: k-up\r\n", "{\"number\":1}");
    assert_status(again, 200);
    assert_str(again.body, tims_copy_c(w->arena, first.body));
    assert_str(header(&again, "Idempotent-Replayed"), "true");
    assert_contains(get(w, "ann", tims_copy_c(w->arena, url)).body, "\"number\":2");
    assert_status(ask(w, "ann", "PATCH", url, "Idempotency-Key: k-up\r\n", "{\"number\":3}"), 422);
    assert_status(ask(w, "ann", "DELETE", url, "Idempotency-Key: k-up\r\n", ""), 422);
    assert_status(ask(w, "ann", "DELETE", url, "Idempotency-Key: k-del\r\n", ""), 204);
    assert_status(ask(w, "ann", "DELETE", url, "Idempotency-Key: k-del\r\n", ""), 204);
    assert_status(ask(w, "ann", "DELETE", url, "", ""), 404);
}

/* --- throttle --------------------------------------------------------------------------------- */

static void who_writes_too_fast_is_told_when_to_return(void **state)
{
    world *w = *state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(w, "ann", "POST", TIMS_STR("/api/limited/"), "", "{\"title\":\"x\"}").status,
                         201);
    reply r = ask(w, "ann", "POST", TIMS_STR("/api/limited/"), "", "{\"title\":\"x\"}");
    assert_status(r, 429);
    int64_t seconds = 0;
    assert_true(tims_str_to_int(header(&r, "Retry-After"), 1, 60, &seconds));
    r = ask(w, "bob", "POST", TIMS_STR("/api/limited/"), "", "{\"title\":\"x\"}");
    assert_status(r, 201);
}

static void who_reads_too_fast_is_told_when_to_return_and_may_still_write(void **state)
{
    world *w = *state;
    assert_int_equal(get(w, "ann", "/api/rare/").status, 200);
    assert_int_equal(get(w, "ann", "/api/rare/" ROOM1 "/").status, 200);
    assert_int_equal(get(w, "ann", "/api/rare/" ROOM2 "/").status, 404); /* what finds nothing counts too */
    static const char *const targets[] = { "/api/rare/", "/api/rare/?limit=1", "/api/rare/" ROOM1 "/" };
    for (size_t i = 0; i < 3; i++) {
        reply r = get(w, "ann", targets[i]);
        assert_status(r, 429);
        int64_t seconds = 0;
        assert_true(tims_str_to_int(header(&r, "Retry-After"), 1, 60, &seconds));
    }
    reply r = ask(w, "ann", "GET", TIMS_STR("/api/rare/"), "Accept: text/event-stream\r\n", "");
    assert_status(r, 429);
    assert_int_equal(get(w, "bob", "/api/rare/").status, 200);
    assert_int_equal(get(w, "ann", "/api/rooms/").status, 200);
    r = ask(w, "ann", "POST", TIMS_STR("/api/rare/"), "", "{\"title\":\"x\"}");
    assert_status(r, 201);
    for (int i = 0; i < 3; i++) /* nobody's address is a bucket too */
        assert_int_equal(get(w, NULL, "/api/rare/").status, 401);
    assert_int_equal(get(w, NULL, "/api/rare/").status, 429);
}

static void endpoints_can_throttle_too(void **state)
{
    world *w = *state;
    assert_int_equal(get(w, NULL, "/throttled").status, 204);
    assert_int_equal(get(w, NULL, "/throttled").status, 204);
    assert_int_equal(get(w, NULL, "/throttled").status, 429);
    assert_int_equal(get(w, "ann", "/throttled").status,
                     204); /* an address has ten times the room for users */
    assert_int_equal(get(w, "ann", "/throttled").status, 204);
    assert_int_equal(get(w, "ann", "/throttled").status, 429);
    assert_int_equal(get(w, "bob", "/throttled").status, 204);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creates_answer_the_row_or_say_what_is_wrong),
        cmocka_unit_test(a_taken_id_is_answered_alike_whether_one_may_read_it_or_not),
        cmocka_unit_test(bodies_like_bombs_are_refused),
        cmocka_unit_test(a_created_row_reads_back_as_it_was_answered),
        cmocka_unit_test(updates_change_what_is_named_and_nothing_else),
        cmocka_unit_test(bytes_are_changed_as_anything_else),
        cmocka_unit_test(if_match_refuses_who_saw_another_row),
        cmocka_unit_test(deletes_remove_what_one_may),
        cmocka_unit_test(a_key_creates_once_whatever_happens),
        cmocka_unit_test(a_key_updates_and_deletes_once),
        cmocka_unit_test(who_writes_too_fast_is_told_when_to_return),
        cmocka_unit_test(who_reads_too_fast_is_told_when_to_return_and_may_still_write),
        cmocka_unit_test(endpoints_can_throttle_too),
    };
    return cmocka_run_group_tests(tests, start_world, stop_world);
}
