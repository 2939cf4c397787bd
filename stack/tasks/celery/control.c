/* control.c: the pidbox: commands that anybody on this Redis may broadcast, and where their answers go.
 *
 * A fiber answers each, so that an answer may ask Redis or the database; a few at a time. A command that
 * cannot be read, is late, or is meant for others is dropped. Answers go to a list that the asker has bound;
 * one that has gone leaves nothing behind for longer than a minute. */
#include <stdlib.h>

#include "tasks/celery/remote_internal.h"

enum {
    CALLS_MAX = 64,
    ARENA_BYTES_MAX = 64 * 1024 * 1024,
    S_US = 1000000,
};

static const tims_str reply_exchange = TIMS_STR_INIT("reply.celery.pidbox");

typedef struct call {
    celery__control *control;
    tims_arena *arena;
    celery__asked asked;
} call;

/* --- life ----------------------------------------------------------------------------------------------------- */

celery__control *celery__control_new(celery__store *store)
{
    celery__control *control = calloc(1, sizeof *control);
    TIMS_ASSERT(control != NULL);
    *control = (celery__control){ .magic = CELERY__CONTROL_MAGIC, .celery = store };
    control->queue_names = tims_map_new();
    return control;
}

static void free_control(celery__control *control)
{
    size_t cursor = 0;
    tims_str name;
    void *copy;
    while (tims_map_next(control->queue_names, &cursor, &name, &copy))
        free(copy);
    tims_map_free(&control->queue_names);
    control->magic = 0;
    free(control);
}

/* What is being answered ends on its own, without an answer. */
void celery__control_free(celery__control **control)
{
    celery__control *old = *control;
    *control = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, CELERY__CONTROL_MAGIC);
    old->is_closed = true;
    if (old->calls == 0)
        free_control(old);
}

static void end_call(void *argument)
{
    call *c = argument;
    celery__control *control = c->control;
    tims_arena_free(&c->arena);
    free(c);
    control->calls--;
    if (control->is_closed && control->calls == 0)
        free_control(control);
}

/* --- answers -------------------------------------------------------------------------------------------------- */

static void say(celery__answer *a, const char *key, const char *format, va_list arguments)
{
    tims_json_begin_object(a->w);
    tims_json_key(a->w, tims_str_from(key));
    tims_json_str(a->w, tims_print_v(a->arena, format, arguments));
    tims_json_end_object(a->w);
}

void celery__say_ok(celery__answer *a, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(a, "ok", format, arguments);
    va_end(arguments);
}

void celery__say_error(celery__answer *a, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(a, "error", format, arguments);
    va_end(arguments);
}

tims_str celery__text_argument(const celery__answer *a, const char *name)
{
    return tims_json_get_str(a->arguments, tims_str_from(name), TIMS_STR(""));
}

int64_t celery__int_argument(const celery__answer *a, const char *name, int64_t fallback)
{
    int64_t number = fallback;
    const tims_json *value = tims_json_get(a->arguments, tims_str_from(name));
    if (value == NULL || tims_json_type_of(value) == TIMS_JSON_NULL)
        return fallback;
    if (tims_json_type_of(value) == TIMS_JSON_STR &&
        !tims_str_to_int(tims_json_as_str(value, TIMS_STR("")), INT32_MIN, INT32_MAX, &number))
        return fallback;
    return tims_json_as_int(value, number);
}

size_t celery__ids_argument(const celery__answer *a, const char *name, tims_str *ret_ids)
{
    size_t count = 0;
    tims_str key;
    void *cursor = NULL;
    const tims_json *value = tims_json_get(a->arguments, tims_str_from(name)), *ignored;
    if (value == NULL)
        return 0;
    switch (tims_json_type_of(value)) {
    case TIMS_JSON_STR:
        ret_ids[count++] = tims_json_as_str(value, TIMS_STR(""));
        break;
    case TIMS_JSON_ARRAY:
        for (size_t i = 0; i < tims_json_count(value) && count < CELERY__IDS_MAX; i++)
            ret_ids[count++] = tims_json_as_str(tims_json_at(value, i), TIMS_STR(""));
        break;
    case TIMS_JSON_OBJECT:
        while (count < CELERY__IDS_MAX && tims_json_next(value, &cursor, &key, &ignored))
            ret_ids[count++] = key;
        break;
    default:
        break;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (ret_ids[i].length > 0 && ret_ids[i].length <= CELERY__ID_BYTES_MAX)
            ret_ids[kept++] = ret_ids[i];
    return kept;
}

/* --- the reply ------------------------------------------------------------------------------------------------ */

/* Members are routing_key, pattern, queue, with \x06\x16 between them. Only queues of replies: a binding must
 * not lead an answer into the list of somebody's jobs. */
static tims_str find_queue(const tims_redis_reply *bindings, tims_str key)
{
    static const tims_str separator = TIMS_STR_INIT("\x06\x16");
    for (size_t i = 0; i < tims_redis_count(bindings); i++) {
        tims_str member = tims_redis_text(tims_redis_item(bindings, i));
        size_t first = tims_str_find(member, separator);
        if (first == SIZE_MAX || !tims_str_equal(tims_str_slice(member, 0, first), key))
            continue;
        tims_str rest = tims_str_slice(member, first + separator.length, member.length);
        size_t second = tims_str_find(rest, separator);
        if (second == SIZE_MAX)
            continue;
        tims_str queue = tims_str_slice(rest, second + separator.length, rest.length);
        if (tims_str_ends_with(queue, reply_exchange))
            return queue;
    }
    return TIMS_STR("");
}

static tims_str write_reply(const call *c, tims_str value)
{
    tims_buf body, headers, message;
    const celery__store *celery = c->control->celery;
    tims_buf_init(&body, c->arena, 2 * (size_t)CELERY__REPLY_BYTES_MAX);
    tims_buf_init(&headers, c->arena, CELERY__REQUEST_BYTES_MAX);
    tims_buf_init(&message, c->arena, 4 * (size_t)CELERY__REPLY_BYTES_MAX);
    tims_json_writer w = tims_json_to(&body);
    tims_json_begin_object(&w);
    tims_json_key(&w, celery->hostname);
    tims_json_raw(&w, value);
    tims_json_end_object(&w);
    w = tims_json_to(&headers);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("ticket"));
    tims_json_str(&w, c->asked.ticket);
    tims_json_key(&w, TIMS_STR("clock"));
    tims_json_int(&w, celery__clock_forward(celery->events));
    tims_json_end_object(&w);
    celery__write_transient(&message, reply_exchange, c->asked.reply_key, tims_buf_str(&headers),
                            tims_buf_str(&body));
    return tims_buf_str(&message);
}

static void reply(const call *c, tims_str value)
{
    celery__control *control = c->control;
    const tims_redis_reply *answer;
    tims_error err = { 0 };
    tims_str key = tims_print(c->arena, "_kombu.binding.%S", reply_exchange);
    tims_status status = tims_redis_call(control->celery->redis, c->arena,
                                         TIMS_REDIS_COMMAND(TIMS_STR("SMEMBERS"), key), &answer, &err);
    if (control->is_closed)
        return;
    tims_str queue = status == TIMS_OK ? find_queue(answer, c->asked.reply_key) : TIMS_STR("");
    if (queue.length == 0) {
        tims_log(TIMS_LOG_WARN, "tasks", "event=no_reply method=%S message=%s", c->asked.method,
                 status == TIMS_OK ? "Nobody has bound the queue of the reply." : err.message);
        return;
    }
    tims_str message = write_reply(c, value);
    (void)tims_redis_send(control->celery->redis, TIMS_REDIS_COMMAND(TIMS_STR("LPUSH"), queue, message), NULL,
                          NULL);
    (void)tims_redis_send(control->celery->redis,
                          TIMS_REDIS_COMMAND(TIMS_STR("EXPIRE"), queue, TIMS_STR("60")), NULL, NULL);
}

/* --- one command ---------------------------------------------------------------------------------------------- */

static const celery__command *find_command(const celery__command *table, tims_str method)
{
    for (const celery__command *at = table; at->name != NULL; at++)
        if (tims_str_equal(method, tims_str_from(at->name)) ||
            (at->alias != NULL && tims_str_equal(method, tims_str_from(at->alias))))
            return at;
    return NULL;
}

static tims_str answer_of(call *c)
{
    tims_buf value;
    tims_buf_init(&value, c->arena, CELERY__REPLY_BYTES_MAX);
    tims_json_writer w = tims_json_to(&value);
    celery__answer a = { .control = c->control,
                         .celery = c->control->celery,
                         .arena = c->arena,
                         .arguments = c->asked.arguments,
                         .w = &w };
    const celery__command *command = find_command(celery__inspect_commands, c->asked.method);
    if (command == NULL)
        command = find_command(celery__control_commands, c->asked.method);
    if (command != NULL)
        command->answer(&a);
    else /* as a Python worker says it */
        celery__say_error(&a, "KeyError('%S')", tims_str_slice(c->asked.method, 0, 100));
    if (!value.overflow)
        return tims_buf_str(&value);
    return TIMS_STR("{\"error\":\"The answer is too large.\"}");
}

static void answer(void *argument)
{
    call *c = argument;
    tims_fiber_on_end(tims_fiber_self(), end_call, c);
    tims_str value = answer_of(c);
    if (c->asked.reply_key.length > 0 && !c->control->is_closed)
        reply(c, value);
}

static void give_up(void *argument)
{
    const call *c = argument;
    tims_log(TIMS_LOG_WARN, "tasks", "event=no_reply method=%S message=It needs too much memory.",
             c->asked.method);
    tims_fiber_exit();
}

static bool is_for_us(const celery__control *control, const celery__asked *asked)
{
    double now_s = (double)tims_now().us / S_US;
    if (!celery__control_matches(asked, control->celery->hostname))
        return false;
    if (asked->expires <= 0 || asked->expires > now_s)
        return true;
    tims_log(TIMS_LOG_INFO, "tasks", "event=late_command method=%S", asked->method);
    return false;
}

/* Reading is bounded by the message's size, so only an answer can meet the limit of its arena, on its fiber.
 */
void celery__control_hear(celery__control *control, tims_str message)
{
    TIMS_CHECK_MAGIC(control, CELERY__CONTROL_MAGIC);
    tims_error err = { 0 };
    if (control->calls >= CALLS_MAX) {
        tims_log(TIMS_LOG_WARN, "tasks", "event=command_dropped message=Too many are being answered.");
        return;
    }
    call *c = calloc(1, sizeof *c);
    TIMS_ASSERT(c != NULL);
    c->control = control;
    c->arena = tims_arena_new(ARENA_BYTES_MAX, give_up, c);
    control->calls++;
    if (celery__control_read(c->arena, message, &c->asked, &err) != TIMS_OK) {
        tims_log(TIMS_LOG_WARN, "tasks", "event=malformed_command message=%s", err.message);
        end_call(c);
        return;
    }
    celery__clock_adjust(control->celery->events, c->asked.clock);
    if (!is_for_us(control, &c->asked) || tims_fiber_start(control->celery->store.loop, answer, c) == NULL)
        end_call(c);
}
