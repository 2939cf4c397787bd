/* message.c: envelopes as they come from Redis. Anybody may have written them: nothing in them is trusted,
 * and what cannot be read is refused with a reason. */
#include <stdlib.h>

#include "tasks/celery/celery_internal.h"

enum { RETRIES_MAX = 1000000, MEMBER_BYTES = 64, BODY_ITEMS = 3 };

typedef struct reading {
    const tims_tasks *tasks;
    tims_arena *arena;
    celery__envelope *envelope;
    tims_error *err;
} reading;

static tims_status refuse(const reading *r, const char *why)
{
    return tims_fail(r->err, TIMS_INVALID, "malformed_message", "The message cannot be read: %s.", why);
}

/* --- small values -------------------------------------------------------------------------------------------- */

static bool is_absent(const tims_json *value)
{
    return value == NULL || tims_json_type_of(value) == TIMS_JSON_NULL;
}

/* Absent, or text of a bounded length. */
static bool read_id(const tims_json *object, tims_str key, tims_str *ret_text)
{
    const tims_json *value = tims_json_get(object, key);
    if (is_absent(value))
        return true;
    *ret_text = tims_json_as_str(value, TIMS_STR(""));
    return ret_text->length > 0 && ret_text->length <= CELERY__ID_BYTES_MAX;
}

/* ISO 8601; without an offset it is UTC. */
static bool read_time(tims_arena *arena, const tims_json *value, tims_opt_time *ret_time)
{
    if (is_absent(value))
        return true;
    tims_str text = tims_json_as_str(value, TIMS_STR(""));
    if (text.length == 0 || text.length > MEMBER_BYTES)
        return false;
    ret_time->present = tims_time_parse(text, &ret_time->value) ||
                        tims_time_parse(tims_print(arena, "%SZ", text), &ret_time->value);
    return ret_time->present;
}

tims_id celery__id_from_text(tims_str text)
{
    tims_id id;
    if (tims_id_parse(text, &id))
        return id;
    char hex[32], uuid[TIMS_ID_TEXT_LENGTH];
    tims_content_hash(text, hex);
    hex[12] = '8'; /* a UUID that means something to its maker only */
    hex[16] = '8';
    for (size_t i = 0, at = 0; at < sizeof uuid; at++)
        uuid[at] = at == 8 || at == 13 || at == 18 || at == 23 ? '-' : hex[i++];
    TIMS_ASSERT(tims_id_parse((tims_str){ uuid, sizeof uuid }, &id));
    return id;
}

/* --- the body ------------------------------------------------------------------------------------------------ */

static tims_status read_body(const reading *r, const tims_json *properties, const tims_json **ret_body)
{
    const tims_json *value = tims_json_get(r->envelope->root, TIMS_STR("body"));
    tims_str text = tims_json_as_str(value, (tims_str){ 0 });
    tims_str encoding = tims_json_get_str(properties, TIMS_STR("body_encoding"), TIMS_STR(""));
    tims_error err = { 0 };
    if (text.data == NULL)
        return refuse(r, "it has no body");
    if (tims_str_equal(encoding, TIMS_STR("base64"))) {
        if (!tims_base64_decode(r->arena, text, &text))
            return refuse(r, "its body is no base64");
    } else if (encoding.length > 0) {
        return refuse(r, "its body_encoding is not known");
    }
    if (tims_json_parse(r->arena, text, ret_body, &err) != TIMS_OK)
        return tims_fail(r->err, TIMS_INVALID, "malformed_message",
                         "The message cannot be read: its body: %.150s", err.message);
    if (tims_json_type_of(*ret_body) != TIMS_JSON_ARRAY || tims_json_count(*ret_body) != BODY_ITEMS ||
        tims_json_type_of(tims_json_at(*ret_body, 0)) != TIMS_JSON_ARRAY ||
        tims_json_type_of(tims_json_at(*ret_body, 1)) != TIMS_JSON_OBJECT)
        return refuse(r, "its body is no list of args, kwargs and embed");
    return TIMS_OK;
}

/* By name: what stands at a place gets the name of the field there. What has no field gets one that no task
 * has, so that the run refuses it as any other argument that does not fit. */
static tims_status bind_by_name(const reading *r, const tims_json *args, const tims_json *kwargs,
                                tims_str *ret_arguments)
{
    tims_str name;
    const tims_json *value;
    void *cursor = NULL;
    size_t count = tims_json_count(args);
    const tims_task *task = r->tasks != NULL ? tims_tasks_find(r->tasks, r->envelope->job.task) : NULL;
    if (count == 0) {
        *ret_arguments = tims_json_count(kwargs) == 0 ? TIMS_STR("{}") : tims_json_to_text(r->arena, kwargs);
    } else {
        tims_buf out;
        tims_buf_init(&out, r->arena, 4 * CELERY__MESSAGE_BYTES_MAX);
        tims_json_writer w = tims_json_to(&out);
        tims_json_begin_object(&w);
        for (size_t i = 0; i < count; i++) {
            bool has_field = task != NULL && i < task->fields.count;
            tims_json_key(&w, has_field ? tims_str_from(task->fields.items[i].name)
                                        : tims_print(r->arena, "args[%zu]", i));
            tims_json_raw(&w, tims_json_to_text(r->arena, tims_json_at(args, i)));
        }
        while (tims_json_next(kwargs, &cursor, &name, &value)) {
            tims_json_key(&w, name);
            tims_json_raw(&w, tims_json_to_text(r->arena, value));
        }
        tims_json_end_object(&w);
        *ret_arguments = out.overflow ? (tims_str){ 0 } : tims_buf_str(&out);
    }
    if (ret_arguments->data == NULL || ret_arguments->length > TIMS_ARGUMENTS_BYTES_MAX)
        return refuse(r, "its arguments are too large");
    return TIMS_OK;
}

static bool has_any(const tims_json *embed)
{
    static const tims_str names[] = { TIMS_STR_INIT("callbacks"), TIMS_STR_INIT("errbacks"),
                                      TIMS_STR_INIT("chain"), TIMS_STR_INIT("chord") };
    for (size_t i = 0; embed != NULL && i < sizeof names / sizeof *names; i++)
        if (tims_json_count(tims_json_get(embed, names[i])) > 0)
            return true;
    return false;
}

/* --- headers ------------------------------------------------------------------------------------------------- */

static tims_opt_str read_opt(const tims_json *object, tims_str key)
{
    tims_str text = tims_json_get_str(object, key, (tims_str){ 0 });
    return (tims_opt_str){ text.data != NULL, text };
}

static bool read_opt_id(const tims_json *object, tims_str key, tims_opt_id *ret_id)
{
    tims_opt_str text = read_opt(object, key);
    ret_id->present = text.present && tims_id_parse(text.value, &ret_id->value);
    return ret_id->present == text.present;
}

/* What our relay adds. */
static tims_status read_ours(const reading *r, const tims_json *ours)
{
    tasks__job *job = &r->envelope->job;
    int64_t unique_while = tims_json_get_int(ours, TIMS_STR("unique_while"), 0);
    if (!read_opt_id(ours, TIMS_STR("user"), &job->user) ||
        !read_opt_id(ours, TIMS_STR("group_id"), &job->group_id) || unique_while < TIMS_UNIQUE_QUEUED ||
        unique_while > TIMS_UNIQUE_FOR)
        return refuse(r, "its header \"tims\" is not as it should be");
    job->unique_while = (tims_unique)unique_while;
    job->version = tims_json_get_int(ours, TIMS_STR("version"), 0);
    job->run_at.us = tims_json_get_int(ours, TIMS_STR("run_at"), job->run_at.us);
    job->enqueued_at.us = tims_json_get_int(ours, TIMS_STR("enqueued_at"), job->enqueued_at.us);
    job->key = read_opt(ours, TIMS_STR("key"));
    job->unique_key = read_opt(ours, TIMS_STR("unique_key"));
    job->group_index = tims_json_get_int(ours, TIMS_STR("group_index"), 0);
    job->steps = read_opt(ours, TIMS_STR("steps"));
    job->previous = read_opt(ours, TIMS_STR("previous"));
    job->tracked = tims_json_get_bool(ours, TIMS_STR("tracked"), false);
    r->envelope->message.is_ours = true;
    return TIMS_OK;
}

static tims_status read_headers(const reading *r, const tims_json *headers)
{
    celery__envelope *envelope = r->envelope;
    tasks__job *job = &envelope->job;
    celery__message *message = &envelope->message;
    const tims_json *task = tims_json_get(headers, TIMS_STR("task")),
                    *retries = tims_json_get(headers, TIMS_STR("retries")),
                    *ours = tims_json_get(headers, TIMS_STR("tims"));
    job->task = tims_json_as_str(task, TIMS_STR(""));
    if (job->task.length == 0 || job->task.length > TASKS__NAME_BYTES_MAX)
        return refuse(r, "it names no task");
    if (!read_id(headers, TIMS_STR("id"), &message->id) || message->id.length == 0)
        return refuse(r, "it has no id");
    job->id = celery__id_from_text(message->id);
    if (!read_id(headers, TIMS_STR("root_id"), &message->root_id) ||
        !read_id(headers, TIMS_STR("parent_id"), &message->parent_id) ||
        !read_id(headers, TIMS_STR("group"), &message->group))
        return refuse(r, "its root_id, parent_id or group is no id");
    message->retries = tims_json_as_int(retries, 0);
    if (message->retries < 0 || message->retries > RETRIES_MAX)
        return refuse(r, "its retries are no number");
    if (!read_time(r->arena, tims_json_get(headers, TIMS_STR("eta")), &envelope->eta) ||
        !read_time(r->arena, tims_json_get(headers, TIMS_STR("expires")), &job->expires_at))
        return refuse(r, "its eta or expires is no time");
    message->ignore_result = tims_json_get_bool(headers, TIMS_STR("ignore_result"), false);
    envelope->group_index = tims_json_get_int(headers, TIMS_STR("group_index"), -1);
    job->crashes = tims_json_get_int(headers, TIMS_STR("tims_crashes"), 0);
    if (job->crashes < 0 || job->crashes > RETRIES_MAX)
        job->crashes = 0;
    job->attempt = message->retries + job->crashes + 1;
    return ours != NULL && tims_json_type_of(ours) == TIMS_JSON_OBJECT ? read_ours(r, ours) : TIMS_OK;
}

/* --- all of it ------------------------------------------------------------------------------------------------- */

static tims_status read_root(const reading *r, tims_str text)
{
    tims_error err = { 0 };
    if (text.length > CELERY__MESSAGE_BYTES_MAX)
        return refuse(r, "it is too large");
    if (tims_json_parse(r->arena, text, &r->envelope->root, &err) != TIMS_OK)
        return tims_fail(r->err, TIMS_INVALID, "malformed_message", "The message cannot be read: %.200s",
                         err.message);
    if (tims_json_type_of(r->envelope->root) != TIMS_JSON_OBJECT)
        return refuse(r, "it is no object");
    tims_str type = tims_json_get_str(r->envelope->root, TIMS_STR("content-type"), TIMS_STR(""));
    tims_str encoding = tims_json_get_str(r->envelope->root, TIMS_STR("content-encoding"), TIMS_STR("utf-8"));
    if (!tims_str_equal(type, TIMS_STR("application/json")))
        return tims_fail(r->err, TIMS_INVALID, "malformed_message",
                         "The message cannot be read: only application/json is taken, not \"%.*s\".",
                         TIMS_PRINT(tims_str_slice(type, 0, 100)));
    if (!tims_str_equal_ignoring_case(encoding, TIMS_STR("utf-8")) &&
        !tims_str_equal_ignoring_case(encoding, TIMS_STR("us-ascii")))
        return refuse(r, "its content-encoding is not UTF-8");
    return TIMS_OK;
}

static int64_t read_priority(const tims_json *properties)
{
    int64_t priority = tims_json_get_int(properties, TIMS_STR("priority"), 0);
    return priority < 0 ? 0 : priority > TIMS_PRIORITY_LAST ? TIMS_PRIORITY_LAST : priority;
}

tims_status celery__read(const tims_tasks *tasks, tims_arena *arena, tims_str queue, tims_str text,
                         celery__envelope *ret_envelope, tims_error *err)
{
    *ret_envelope = (celery__envelope){ .job = { .queue = queue, .trace = TIMS_STR(""), .attempt = 1 },
                                        .message = { .magic = CELERY__MESSAGE_MAGIC, .raw = text },
                                        .group_index = -1 };
    const reading r = { tasks, arena, ret_envelope, err };
    const tims_json *body = NULL;
    tims_status status = read_root(&r, text);
    if (status != TIMS_OK)
        return status;
    const tims_json *headers = tims_json_get(ret_envelope->root, TIMS_STR("headers")),
                    *properties = tims_json_get(ret_envelope->root, TIMS_STR("properties"));
    if (headers == NULL || tims_json_type_of(headers) != TIMS_JSON_OBJECT)
        return refuse(&r, "it has no headers");
    if (properties == NULL || tims_json_type_of(properties) != TIMS_JSON_OBJECT)
        return refuse(&r, "it has no properties");
    ret_envelope->headers = headers;
    ret_envelope->job.priority = read_priority(properties);
    ret_envelope->reply_to = tims_json_get_str(properties, TIMS_STR("reply_to"), TIMS_STR(""));
    status = read_headers(&r, headers);
    if (status == TIMS_OK)
        status = read_body(&r, properties, &body);
    if (status == TIMS_OK)
        status = bind_by_name(&r, tims_json_at(body, 0), tims_json_at(body, 1), &ret_envelope->job.arguments);
    if (status != TIMS_OK)
        return status;
    const tims_json *embed = tims_json_at(body, 2);
    ret_envelope->embed = tims_json_type_of(embed) == TIMS_JSON_OBJECT ? embed : NULL;
    ret_envelope->message.has_embed = has_any(ret_envelope->embed);
    return TIMS_OK;
}
