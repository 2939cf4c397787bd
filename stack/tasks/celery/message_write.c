/* message_write.c: envelopes as Celery's workers expect them. `delivery_info` and `delivery_tag` must be
 * there: a Python worker dies without. */
#include "tasks/celery/celery_internal.h"

enum { STEP_FIRST = 3, STEP_LAST = 9 };

tims_str celery__list_of(tims_arena *arena, tims_str queue, int64_t priority)
{
    int64_t step = priority / STEP_FIRST * STEP_FIRST;
    if (step < STEP_FIRST)
        return queue;
    return tims_print(arena, "%S\x06\x16%lld", queue, (long long)(step > STEP_LAST ? STEP_LAST : step));
}

/* --- members --------------------------------------------------------------------------------------------------- */

static void write_text(tims_json_writer *w, const char *key, tims_str text)
{
    tims_json_key(w, tims_str_from(key));
    if (text.length > 0)
        tims_json_str(w, text);
    else
        tims_json_null(w);
}

static void write_time(tims_json_writer *w, const char *key, tims_opt_time time)
{
    tims_json_key(w, tims_str_from(key));
    if (time.present)
        tims_json_time(w, time.value);
    else
        tims_json_null(w);
}

static void write_int(tims_json_writer *w, const char *key, int64_t number)
{
    tims_json_key(w, tims_str_from(key));
    tims_json_int(w, number);
}

static void write_headers(tims_json_writer *w, const celery__sending *s)
{
    tims_json_key(w, TIMS_STR("headers"));
    tims_json_begin_object(w);
    write_text(w, "lang", TIMS_STR("c"));
    write_text(w, "task", s->task);
    write_text(w, "id", s->id);
    write_text(w, "shadow", TIMS_STR(""));
    write_time(w, "eta", s->eta);
    write_time(w, "expires", s->expires);
    write_text(w, "group", s->group);
    tims_json_key(w, TIMS_STR("group_index"));
    if (s->group_index.present)
        tims_json_int(w, s->group_index.value);
    else
        tims_json_null(w);
    write_int(w, "retries", s->retries);
    tims_json_key(w, TIMS_STR("timelimit"));
    tims_json_raw(w, TIMS_STR("[null,null]"));
    write_text(w, "root_id", s->root_id.length > 0 ? s->root_id : s->id);
    write_text(w, "parent_id", s->parent_id);
    write_text(w, "origin", TIMS_STR("tims"));
    tims_json_key(w, TIMS_STR("ignore_result"));
    tims_json_bool(w, s->ignore_result);
    if (s->tims.data != NULL) {
        tims_json_key(w, TIMS_STR("tims"));
        tims_json_raw(w, s->tims);
    }
    tims_json_end_object(w);
}

static void write_properties(tims_json_writer *w, const celery__sending *s)
{
    tims_json_key(w, TIMS_STR("properties"));
    tims_json_begin_object(w);
    write_text(w, "correlation_id", s->id);
    if (s->reply_to.length > 0)
        write_text(w, "reply_to", s->reply_to);
    write_int(w, "delivery_mode", 2);
    tims_json_key(w, TIMS_STR("delivery_info"));
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("exchange"));
    tims_json_str(w, TIMS_STR(""));
    write_text(w, "routing_key", s->queue);
    tims_json_end_object(w);
    write_int(w, "priority", s->priority);
    if (!s->is_open)
        write_text(w, "body_encoding", TIMS_STR("base64"));
    tims_json_key(w, TIMS_STR("delivery_tag"));
    tims_json_id(w, tims_id_new());
    tims_json_end_object(w);
}

static void write_body(tims_json_writer *w, const celery__sending *s)
{
    static const tims_str no_embed =
        TIMS_STR_INIT("{\"callbacks\":null,\"errbacks\":null,\"chain\":null,\"chord\":null}");
    tims_buf body;
    tims_buf_init(&body, NULL, 2 * CELERY__MESSAGE_BYTES_MAX);
    tims_buf_print(&body, "[%S,%S,%S]", s->args.data != NULL ? s->args : TIMS_STR("[]"),
                   s->kwargs.data != NULL ? s->kwargs : TIMS_STR("{}"),
                   s->embed.data != NULL ? s->embed : no_embed);
    tims_json_key(w, TIMS_STR("body"));
    if (s->is_open)
        tims_json_str(w, tims_buf_str(&body));
    else
        tims_json_bytes(w, tims_buf_str(&body));
    w->out->overflow = w->out->overflow || body.overflow;
    tims_buf_free(&body);
}

void celery__write(tims_buf *out, const celery__sending *sending)
{
    tims_json_writer w = tims_json_to(out);
    tims_json_begin_object(&w);
    write_body(&w, sending);
    write_text(&w, "content-encoding", TIMS_STR("utf-8"));
    write_text(&w, "content-type", TIMS_STR("application/json"));
    write_headers(&w, sending);
    write_properties(&w, sending);
    tims_json_end_object(&w);
}

/* --- jobs of ours ------------------------------------------------------------------------------------------------ */

static void write_opt_text(tims_json_writer *w, const char *key, tims_opt_str text)
{
    if (!text.present)
        return;
    tims_json_key(w, tims_str_from(key));
    tims_json_str(w, text.value);
}

static void write_opt_id(tims_json_writer *w, const char *key, tims_opt_id id)
{
    if (!id.present)
        return;
    tims_json_key(w, tims_str_from(key));
    tims_json_id(w, id.value);
}

static void write_ours(tims_buf *out, const tasks__job *job)
{
    tims_json_writer w = tims_json_to(out);
    tims_json_begin_object(&w);
    write_int(&w, "version", job->version);
    write_int(&w, "run_at", job->run_at.us);
    write_int(&w, "enqueued_at", job->enqueued_at.us);
    write_opt_id(&w, "user", job->user);
    write_opt_text(&w, "key", job->key);
    write_opt_text(&w, "unique_key", job->unique_key);
    if (job->unique_key.present)
        write_int(&w, "unique_while", job->unique_while);
    write_opt_id(&w, "group_id", job->group_id);
    if (job->group_id.present)
        write_int(&w, "group_index", job->group_index);
    write_opt_text(&w, "steps", job->steps);
    write_opt_text(&w, "previous", job->previous);
    if (job->tracked) {
        tims_json_key(&w, TIMS_STR("tracked"));
        tims_json_bool(&w, true);
    }
    tims_json_end_object(&w);
}

/* A dead foreign message that staff tries again is still a foreign one: its `trace` is what came with it. */
static void take_trace(tims_arena *arena, const tasks__job *job, celery__sending *sending)
{
    const tims_json *trace;
    if (job->trace.length == 0 || tims_json_parse(arena, job->trace, &trace, NULL) != TIMS_OK)
        return;
    const tims_json *embed = tims_json_get(trace, TIMS_STR("embed"));
    sending->id = tims_json_get_str(trace, TIMS_STR("id"), sending->id);
    sending->root_id = tims_json_get_str(trace, TIMS_STR("root_id"), (tims_str){ 0 });
    sending->parent_id = tims_json_get_str(trace, TIMS_STR("parent_id"), (tims_str){ 0 });
    sending->group = tims_json_get_str(trace, TIMS_STR("group"), (tims_str){ 0 });
    sending->reply_to = tims_json_get_str(trace, TIMS_STR("reply_to"), (tims_str){ 0 });
    sending->ignore_result = tims_json_get_bool(trace, TIMS_STR("ignore_result"), false);
    sending->embed = embed != NULL ? tims_json_to_text(arena, embed) : (tims_str){ 0 };
    sending->tims = (tims_str){ 0 };
}

void celery__write_job(tims_buf *out, tims_arena *arena, const tasks__job *job, bool ignore_result)
{
    tims_buf ours;
    char id[TIMS_ID_TEXT_LENGTH];
    tims_id_format(job->id, id);
    tims_buf_init(&ours, arena, 2 * CELERY__MESSAGE_BYTES_MAX);
    write_ours(&ours, job);
    celery__sending sending = { .id = { id, sizeof id },
                                .task = job->task,
                                .queue = job->queue,
                                .priority = job->priority,
                                .kwargs = job->arguments,
                                .expires = job->expires_at,
                                .ignore_result = ignore_result,
                                .tims = tims_buf_str(&ours) };
    take_trace(arena, job, &sending);
    celery__write(out, &sending);
    out->overflow = out->overflow || ours.overflow;
}

/* --- again ------------------------------------------------------------------------------------------------------- */

static void copy_but(tims_json_writer *w, tims_arena *arena, const tims_json *object, tims_names without)
{
    tims_str key;
    const tims_json *value;
    void *cursor = NULL;
    while (tims_json_next(object, &cursor, &key, &value))
        if (!tims_names_contain(without, key)) {
            tims_json_key(w, key);
            tims_json_raw(w, tims_json_to_text(arena, value));
        }
}

static void write_delivery(tims_json_writer *w, tims_arena *arena, const celery__envelope *envelope,
                           bool is_redelivered)
{
    const tims_json *properties = tims_json_get(envelope->root, TIMS_STR("properties")),
                    *info = tims_json_get(properties, TIMS_STR("delivery_info"));
    tims_json_key(w, TIMS_STR("properties"));
    tims_json_begin_object(w);
    copy_but(w, arena, properties, TIMS_NAMES("delivery_tag", "delivery_info"));
    tims_json_key(w, TIMS_STR("delivery_info"));
    tims_json_begin_object(w);
    if (info != NULL)
        copy_but(w, arena, info, TIMS_NAMES("redelivered", "exchange", "routing_key"));
    tims_json_key(w, TIMS_STR("exchange"));
    tims_json_str(w, tims_json_get_str(info, TIMS_STR("exchange"), TIMS_STR("")));
    tims_json_key(w, TIMS_STR("routing_key"));
    tims_json_str(w, tims_json_get_str(info, TIMS_STR("routing_key"), envelope->job.queue));
    if (is_redelivered) {
        tims_json_key(w, TIMS_STR("redelivered"));
        tims_json_bool(w, true);
    }
    tims_json_end_object(w);
    tims_json_key(w, TIMS_STR("delivery_tag"));
    tims_json_id(w, tims_id_new());
    tims_json_end_object(w);
}

void celery__write_again(tims_buf *out, tims_arena *arena, const celery__envelope *envelope,
                         const celery__again *again)
{
    tims_json_writer w = tims_json_to(out);
    tims_json_begin_object(&w);
    copy_but(&w, arena, envelope->root, TIMS_NAMES("headers", "properties"));
    tims_json_key(&w, TIMS_STR("headers"));
    tims_json_begin_object(&w);
    copy_but(&w, arena, envelope->headers, TIMS_NAMES("retries", "eta", "tims_crashes", "redelivered"));
    write_int(&w, "retries", again->retries);
    write_time(&w, "eta", again->eta);
    if (again->crashes > 0)
        write_int(&w, "tims_crashes", again->crashes);
    if (again->is_redelivered) {
        tims_json_key(&w, TIMS_STR("redelivered"));
        tims_json_bool(&w, true);
    }
    tims_json_end_object(&w);
    write_delivery(&w, arena, envelope, again->is_redelivered);
    tims_json_end_object(&w);
}
