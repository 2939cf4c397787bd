/* process_wire_test: frames in pieces, jobs and ends there and back, and what is refused. */
#include "base/testing.h"
#include "tasks/process/wire.h"

static tims_arena *arena;

static tims_str body_of(const tims_buf *out, char letter)
{
    tasks__frame frame = { 0 };
    assert_int_equal(tasks__frame_read(tims_buf_str(out), TASKS__JOB_FRAME_MAX, &frame), TASKS__FRAME_WHOLE);
    assert_int_equal(frame.letter, letter);
    assert_int_equal(frame.bytes, out->length);
    return frame.body;
}

static tims_buf new_frame(void)
{
    tims_buf out;
    tims_buf_init(&out, arena, TASKS__JOB_FRAME_MAX);
    return out;
}

static void a_frame_is_whole_only_with_its_last_byte(void **state)
{
    (void)state;
    tasks__frame frame;
    tims_buf out = new_frame();
    tasks__progress_write(&out, 0.5, TIMS_STR("half"));
    for (size_t length = 0; length < out.length; length++)
        assert_int_equal(tasks__frame_read((tims_str){ out.data, length }, TASKS__SAID_FRAME_MAX, &frame),
                         TASKS__FRAME_PART);
    tims_buf_append_str(&out, TIMS_STR("\0\0\0\0s"));
    assert_int_equal(tasks__frame_read(tims_buf_str(&out), TASKS__SAID_FRAME_MAX, &frame),
                     TASKS__FRAME_WHOLE);
    tims_buf_consume(&out, frame.bytes);
    assert_int_equal(tasks__frame_read(tims_buf_str(&out), TASKS__SAID_FRAME_MAX, &frame),
                     TASKS__FRAME_WHOLE);
    assert_int_equal(frame.letter, TASKS__SAYS_STOP);
    assert_int_equal(frame.body.length, 0);
}

static void a_frame_that_would_be_too_long_is_refused_by_its_head(void **state)
{
    (void)state;
    tasks__frame frame;
    assert_int_equal(tasks__frame_read(TIMS_STR("\0\0\1\0e"), 256, &frame), TASKS__FRAME_PART);
    assert_int_equal(tasks__frame_read(TIMS_STR("\0\0\1\1e"), 256, &frame), TASKS__FRAME_BAD);
    assert_int_equal(tasks__frame_read(TIMS_STR("\xff\xff\xff\xff\xff"), TASKS__JOB_FRAME_MAX, &frame),
                     TASKS__FRAME_BAD);
}

static tims_id id_of(uint8_t number)
{
    return (tims_id){ { number } };
}

static void a_job_arrives_as_it_was_sent(void **state)
{
    (void)state;
    tims_error err = { 0 };
    tims_buf out = new_frame();
    tasks__assignment again, given = { .job = { .id = id_of(1),
                                                .task = TIMS_STR("task"),
                                                .queue = TIMS_STR("queue"),
                                                .version = 2,
                                                .arguments = TIMS_STR("{\"a\":\"\\u00e4\\n\"}"),
                                                .priority = 3,
                                                .attempt = 4,
                                                .crashes = 5,
                                                .run_at = { INT64_MAX },
                                                .enqueued_at = { INT64_MIN },
                                                .expires_at = { true, { 7 } },
                                                .user = { true, id_of(8) },
                                                .key = { true, TIMS_STR("key") },
                                                .unique_key = { true, TIMS_STR("unique") },
                                                .unique_while = TIMS_UNIQUE_FOR,
                                                .group_id = { true, id_of(9) },
                                                .group_index = 10,
                                                .steps = { true, TIMS_STR("[1]") },
                                                .previous = { true, TIMS_STR("null") },
                                                .tracked = true },
                                       .worker = id_of(11),
                                       .clock_us = -12 };
    tasks__assignment_write(&out, &given);
    tims_status status = tasks__assignment_read(arena, body_of(&out, TASKS__SAYS_JOB), &again, &err);
    if (status != TIMS_OK)
        fail_msg("%s", err.message);
    assert_true(tims_same_id(again.worker, given.worker));
    assert_int_equal(again.clock_us, given.clock_us);
    const tasks__job *from = &given.job, *to = &again.job;
    assert_true(tims_same_id(to->id, from->id) && tims_same_id(to->user.value, from->user.value) &&
                tims_same_id(to->group_id.value, from->group_id.value));
    const tims_str texts[][2] = { { to->task, from->task },
                                  { to->queue, from->queue },
                                  { to->arguments, from->arguments },
                                  { to->key.value, from->key.value },
                                  { to->unique_key.value, from->unique_key.value },
                                  { to->steps.value, from->steps.value },
                                  { to->previous.value, from->previous.value } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_true(tims_str_equal(texts[i][0], texts[i][1]));
    const int64_t numbers[][2] = { { to->version, 2 },
                                   { to->priority, 3 },
                                   { to->attempt, 4 },
                                   { to->crashes, 5 },
                                   { to->run_at.us, INT64_MAX },
                                   { to->enqueued_at.us, INT64_MIN },
                                   { to->expires_at.value.us, 7 },
                                   { to->unique_while, TIMS_UNIQUE_FOR },
                                   { to->group_index, 10 },
                                   { to->tracked, true } };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_int_equal(numbers[i][0], numbers[i][1]);
}

static void what_a_job_has_not_is_not_there(void **state)
{
    (void)state;
    tims_error err = { 0 };
    tims_buf out = new_frame();
    tasks__assignment again, given = {
        .job = { .id = id_of(1), .task = TIMS_STR("t"), .queue = TIMS_STR("q"), .arguments = TIMS_STR("{}") },
        .worker = id_of(2)
    };
    tasks__assignment_write(&out, &given);
    assert_int_equal(tasks__assignment_read(arena, body_of(&out, TASKS__SAYS_JOB), &again, &err), TIMS_OK);
    const tasks__job *to = &again.job;
    assert_false(to->expires_at.present || to->user.present || to->key.present || to->unique_key.present ||
                 to->group_id.present || to->steps.present || to->previous.present || to->tracked);
    assert_null(to->previous.value.data);
}

static void an_end_arrives_as_it_was_sent(void **state)
{
    (void)state;
    tims_error err = { 0 };
    tims_buf out = new_frame();
    tasks__outcome again = { 0 }, none = { 0 };
    const tasks__outcome outcome = { .end = TASKS__AGAIN,
                                     .run_at = { 5 },
                                     .result = TIMS_STR("{\"a\":1}"),
                                     .code = "code",
                                     .message = TIMS_STR("why"),
                                     .runtime_us = 6 };
    tasks__end_write(&out, &outcome);
    assert_int_equal(tasks__end_read(arena, body_of(&out, TASKS__SAYS_END), &again, &err), TIMS_OK);
    assert_int_equal(again.end, TASKS__AGAIN);
    assert_int_equal(again.run_at.us, 5);
    assert_int_equal(again.runtime_us, 6);
    assert_string_equal(again.code, "code");
    assert_true(tims_str_equal(again.result, outcome.result) &&
                tims_str_equal(again.message, outcome.message));
    out.length = 0;
    tasks__end_write(&out, &(tasks__outcome){ .end = TASKS__COMMITTED });
    assert_int_equal(tasks__end_read(arena, body_of(&out, TASKS__SAYS_END), &none, &err), TIMS_OK);
    assert_int_equal(none.end, TASKS__COMMITTED);
    assert_null(none.result.data);
    assert_null(none.code);
    tims_arena_free(&again.arena);
    tims_arena_free(&none.arena);
}

static void bad_bodies_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "{",
                                       "[]",
                                       "{}",
                                       "{\"end\":null}",
                                       "{\"end\":-1}",
                                       "{\"end\":8}",
                                       "{\"end\":0,\"more\":1}",
                                       "{\"end\":0,\"result\":\"{\"}",
                                       "{\"end\":0,\"result\":5}",
                                       "{\"pid\":0}",
                                       "{\"pid\":99999999999}",
                                       "{\"fraction\":-0.1,\"text\":\"\"}",
                                       "{\"fraction\":1.1,\"text\":\"\"}",
                                       "{\"fraction\":0.5,\"text\":5}",
                                       "{\"id\":\"x\",\"worker\":\"x\",\"task\":\"t\",\"queue\":\"q\"}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tims_str body = tims_str_from(bad[i]), text;
        tims_error err = { 0 };
        tasks__assignment given;
        tasks__outcome outcome = { .end = TASKS__LOST };
        int64_t pid;
        double fraction;
        assert_int_not_equal(tasks__assignment_read(arena, body, &given, &err), TIMS_OK);
        assert_int_not_equal(tasks__end_read(arena, body, &outcome, &err), TIMS_OK);
        assert_int_not_equal(tasks__hello_read(arena, body, &pid, &err), TIMS_OK);
        assert_int_not_equal(tasks__progress_read(arena, body, &fraction, &text, &err), TIMS_OK);
        assert_int_equal(outcome.end, TASKS__LOST);
        assert_null(outcome.arena);
    }
}

static int make_arena(void **state)
{
    (void)state;
    arena = tims_arena_new((size_t)1 << 26, NULL, NULL);
    return 0;
}

static int free_arena(void **state)
{
    (void)state;
    tims_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_whole_only_with_its_last_byte),
        cmocka_unit_test(a_frame_that_would_be_too_long_is_refused_by_its_head),
        cmocka_unit_test(a_job_arrives_as_it_was_sent),
        cmocka_unit_test(what_a_job_has_not_is_not_there),
        cmocka_unit_test(an_end_arrives_as_it_was_sent),
        cmocka_unit_test(bad_bodies_are_refused),
    };
    return cmocka_run_group_tests_name("process_wire", tests, make_arena, free_arena);
}
