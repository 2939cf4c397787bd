/* What a process, or its worker, may say, any bytes: understood or refused, never more. What was understood
 * can be said again, and is understood again. */
#include "tasks/process/wire.h"

enum { BYTES_MAX = 256 * 1024 * 1024 };

static tims_str body_of(const tims_buf *frame)
{
    tasks__frame read;
    TIMS_ASSERT(tasks__frame_read(tims_buf_str(frame), TASKS__JOB_FRAME_MAX, &read) == TASKS__FRAME_WHOLE);
    TIMS_ASSERT(read.bytes == frame->length);
    return read.body;
}

static void read_assignment(tims_arena *arena, tims_str body)
{
    tasks__assignment given, again;
    tims_error err = { 0 };
    if (tasks__assignment_read(arena, body, &given, &err) != TIMS_OK)
        return;
    tims_buf out;
    tims_buf_init(&out, arena, TASKS__JOB_FRAME_MAX);
    tasks__assignment_write(&out, &given);
    TIMS_ASSERT(tasks__assignment_read(arena, body_of(&out), &again, &err) == TIMS_OK);
    TIMS_ASSERT(tims_same_id(given.job.id, again.job.id) &&
                tims_str_equal(given.job.arguments, again.job.arguments));
}

static void read_end(tims_arena *arena, tims_str body)
{
    tasks__outcome outcome = { 0 }, again = { 0 };
    tims_error err = { 0 };
    if (tasks__end_read(arena, body, &outcome, &err) != TIMS_OK)
        return;
    TIMS_ASSERT(outcome.result.length <= TASKS__RESULT_BYTES_MAX);
    tims_buf out;
    tims_buf_init(&out, arena, TASKS__JOB_FRAME_MAX);
    tasks__end_write(&out, &outcome);
    TIMS_ASSERT(tasks__end_read(arena, body_of(&out), &again, &err) == TIMS_OK);
    TIMS_ASSERT(outcome.end == again.end && tims_str_equal(outcome.result, again.result));
    tims_arena_free(&outcome.arena);
    tims_arena_free(&again.arena);
}

static void read_rest(tims_arena *arena, tims_str body)
{
    int64_t pid;
    double fraction;
    tims_str text;
    tims_error err = { 0 };
    if (tasks__hello_read(arena, body, &pid, &err) == TIMS_OK)
        TIMS_ASSERT(pid > 0);
    if (tasks__progress_read(arena, body, &fraction, &text, &err) == TIMS_OK)
        TIMS_ASSERT(fraction >= 0 && fraction <= 1);
}

/* Any text where a text may be. */
static void say_text(tims_arena *arena, tims_str text)
{
    const tasks__assignment given = { .job = { .task = TIMS_STR("t"),
                                               .queue = TIMS_STR("q"),
                                               .arguments = text,
                                               .previous = { true, text } } };
    const tasks__outcome outcome = { .result = text, .message = text, .code = "c" };
    tims_buf out;
    tims_buf_init(&out, arena, TASKS__JOB_FRAME_MAX);
    tasks__assignment_write(&out, &given);
    read_assignment(arena, body_of(&out));
    out.length = 0;
    tasks__end_write(&out, &outcome);
    read_end(arena, body_of(&out));
    out.length = 0;
    tasks__progress_write(&out, 0.5, text);
    read_rest(arena, body_of(&out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_str bytes = { (const char *)data, size };
    tasks__frame frame = { 0 };
    tims_arena *arena = tims_arena_new(BYTES_MAX, NULL, NULL);
    if (tasks__frame_read(bytes, TASKS__SAID_FRAME_MAX, &frame) == TASKS__FRAME_WHOLE)
        TIMS_ASSERT(frame.bytes <= size && frame.body.data + frame.body.length <= bytes.data + size);
    read_assignment(arena, bytes);
    read_end(arena, bytes);
    read_rest(arena, bytes);
    say_text(arena, bytes);
    tims_arena_free(&arena);
    return 0;
}
