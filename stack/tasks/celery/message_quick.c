/* message_quick.c: envelopes of the usual kind, read without a tree of them: a tenth of the time. What is not
 * as usual in any way is left to message.c, which also says what is wrong. */
#include "tasks/celery/celery_internal.h"
#include "tasks/celery/scan.h"

enum { RETRIES_MAX = 1000000 };

static bool is_id(tims_str text)
{
    return text.length <= CELERY__ID_BYTES_MAX;
}

static bool read_time(const celery__scan *headers, tims_str key, tims_opt_time *ret_time)
{
    tims_str text = { 0 };
    if (!celery__scan_str(headers, key, &text))
        return false;
    ret_time->present = text.data != NULL;
    return text.data == NULL || tims_time_parse(text, &ret_time->value);
}

static bool read_id(const celery__scan *scan, tims_str key, tims_opt_id *ret_id)
{
    tims_str text = { 0 };
    if (!celery__scan_str(scan, key, &text))
        return false;
    ret_id->present = text.data != NULL;
    return text.data == NULL || tims_id_parse(text, &ret_id->value);
}

static bool read_ours(tims_str text, celery__envelope *envelope)
{
    celery__scan ours;
    tasks__job *job = &envelope->job;
    int64_t unique_while = 0;
    if (!celery__scan_object(text, &ours) || !celery__scan_int(&ours, TIMS_STR("version"), &job->version) ||
        !celery__scan_int(&ours, TIMS_STR("run_at"), &job->run_at.us) ||
        !celery__scan_int(&ours, TIMS_STR("enqueued_at"), &job->enqueued_at.us) ||
        !celery__scan_int(&ours, TIMS_STR("group_index"), &job->group_index) ||
        !celery__scan_int(&ours, TIMS_STR("unique_while"), &unique_while) ||
        !celery__scan_opt_str(&ours, TIMS_STR("key"), &job->key) ||
        !celery__scan_opt_str(&ours, TIMS_STR("unique_key"), &job->unique_key) ||
        !celery__scan_opt_str(&ours, TIMS_STR("steps"), &job->steps) ||
        !celery__scan_opt_str(&ours, TIMS_STR("previous"), &job->previous) ||
        !celery__scan_bool(&ours, TIMS_STR("tracked"), &job->tracked) ||
        !read_id(&ours, TIMS_STR("user"), &job->user) ||
        !read_id(&ours, TIMS_STR("group_id"), &job->group_id) || unique_while < TIMS_UNIQUE_QUEUED ||
        unique_while > TIMS_UNIQUE_FOR)
        return false;
    job->unique_while = (tims_unique)unique_while;
    envelope->message.is_ours = true;
    return true;
}

static bool read_headers(tims_str text, celery__envelope *envelope)
{
    celery__scan headers;
    tasks__job *job = &envelope->job;
    celery__message *message = &envelope->message;
    if (!celery__scan_object(text, &headers) || !celery__scan_str(&headers, TIMS_STR("task"), &job->task) ||
        !celery__scan_str(&headers, TIMS_STR("id"), &message->id) ||
        !celery__scan_str(&headers, TIMS_STR("root_id"), &message->root_id) ||
        !celery__scan_str(&headers, TIMS_STR("parent_id"), &message->parent_id) ||
        !celery__scan_str(&headers, TIMS_STR("group"), &message->group) ||
        !celery__scan_int(&headers, TIMS_STR("retries"), &message->retries) ||
        !celery__scan_int(&headers, TIMS_STR("tims_crashes"), &job->crashes) ||
        !celery__scan_int(&headers, TIMS_STR("group_index"), &envelope->group_index) ||
        !celery__scan_bool(&headers, TIMS_STR("ignore_result"), &message->ignore_result) ||
        !read_time(&headers, TIMS_STR("eta"), &envelope->eta) ||
        !read_time(&headers, TIMS_STR("expires"), &job->expires_at))
        return false;
    if (job->task.length == 0 || job->task.length > TASKS__NAME_BYTES_MAX || message->id.length == 0 ||
        !is_id(message->id) || !is_id(message->root_id) || !is_id(message->parent_id) ||
        !is_id(message->group) || (message->root_id.data != NULL && message->root_id.length == 0) ||
        (message->parent_id.data != NULL && message->parent_id.length == 0) ||
        (message->group.data != NULL && message->group.length == 0))
        return false;
    if (message->retries < 0 || message->retries > RETRIES_MAX || job->crashes < 0 ||
        job->crashes > RETRIES_MAX)
        return false;
    job->id = celery__id_from_text(message->id);
    job->attempt = message->retries + job->crashes + 1;
    const celery__member *ours = celery__scan_get(&headers, TIMS_STR("tims"));
    return ours == NULL || (*ours->value.data == '{' && read_ours(ours->value, envelope));
}

/* --- the body ------------------------------------------------------------------------------------------------------ */

/* args by the names of the task's fields, then kwargs, as they stand there. */
static bool bind_by_name(const tims_tasks *tasks, tims_arena *arena, tims_str args, tims_str kwargs,
                         celery__envelope *envelope)
{
    celery__scan list;
    if (!celery__scan_array(args, &list))
        return false;
    envelope->job.arguments = kwargs;
    if (list.count == 0)
        return true;
    const tims_task *task = tasks != NULL ? tims_tasks_find(tasks, envelope->job.task) : NULL;
    if (task == NULL || list.count > task->fields.count)
        return false;
    tims_buf out;
    tims_buf_init(&out, arena, 4 * CELERY__MESSAGE_BYTES_MAX);
    for (size_t i = 0; i < list.count; i++)
        tims_buf_print(&out, "%c\"%s\":%S", i == 0 ? '{' : ',', task->fields.items[i].name,
                       list.members[i].value);
    tims_str rest = tims_str_trim(tims_str_slice(kwargs, 1, kwargs.length));
    tims_buf_print(&out, "%s%S", rest.length > 1 ? "," : "", rest);
    envelope->job.arguments = tims_buf_str(&out);
    return !out.overflow;
}

/* Whether a container has anything in it. */
static bool has_any(const celery__scan *embed, tims_str key)
{
    const celery__member *member = celery__scan_get(embed, key);
    if (member == NULL || (*member->value.data != '[' && *member->value.data != '{'))
        return false;
    return tims_str_trim(tims_str_slice(member->value, 1, member->value.length - 1)).length > 0;
}

static bool read_body(const tims_tasks *tasks, tims_arena *arena, tims_str text, celery__envelope *envelope)
{
    celery__scan body, embed;
    if (!tims_base64_decode(arena, text, &text) || !tims_str_is_utf8(text) ||
        !celery__scan_array(text, &body) || body.count != 3)
        return false;
    tims_str args = body.members[0].value, kwargs = body.members[1].value, rest = body.members[2].value;
    if (*args.data != '[' || *kwargs.data != '{')
        return false;
    if (*rest.data == '{') {
        if (!celery__scan_object(rest, &embed))
            return false;
        envelope->message.has_embed =
            has_any(&embed, TIMS_STR("callbacks")) || has_any(&embed, TIMS_STR("errbacks")) ||
            has_any(&embed, TIMS_STR("chain")) || has_any(&embed, TIMS_STR("chord"));
    }
    return bind_by_name(tasks, arena, args, kwargs, envelope) &&
           envelope->job.arguments.length <= TIMS_ARGUMENTS_BYTES_MAX;
}

/* --- all of it -------------------------------------------------------------------------------------------------------- */

bool celery__read_quickly(const tims_tasks *tasks, tims_arena *arena, tims_str queue, tims_str text,
                          celery__envelope *ret_envelope)
{
    celery__scan root, properties;
    tims_str type = TIMS_STR(""), encoding = TIMS_STR("utf-8"), body = { 0 }, body_encoding = TIMS_STR("");
    *ret_envelope = (celery__envelope){ .job = { .queue = queue, .trace = TIMS_STR(""), .attempt = 1 },
                                        .message = { .magic = CELERY__MESSAGE_MAGIC, .raw = text },
                                        .group_index = -1 };
    if (!celery__scan_object(text, &root) || !tims_str_is_utf8(text))
        return false;
    const celery__member *headers = celery__scan_get(&root, TIMS_STR("headers")),
                         *props = celery__scan_get(&root, TIMS_STR("properties"));
    if (headers == NULL || *headers->value.data != '{' || props == NULL ||
        !celery__scan_object(props->value, &properties) ||
        !celery__scan_str(&root, TIMS_STR("content-type"), &type) ||
        !celery__scan_str(&root, TIMS_STR("content-encoding"), &encoding) ||
        !celery__scan_str(&root, TIMS_STR("body"), &body) || body.data == NULL ||
        !celery__scan_str(&properties, TIMS_STR("body_encoding"), &body_encoding) ||
        !celery__scan_int(&properties, TIMS_STR("priority"), &ret_envelope->job.priority))
        return false;
    return tims_str_equal(type, TIMS_STR("application/json")) &&
           tims_str_equal(encoding, TIMS_STR("utf-8")) && tims_str_equal(body_encoding, TIMS_STR("base64")) &&
           ret_envelope->job.priority >= 0 && ret_envelope->job.priority <= TIMS_PRIORITY_LAST &&
           read_headers(headers->value, ret_envelope) && read_body(tasks, arena, body, ret_envelope);
}
