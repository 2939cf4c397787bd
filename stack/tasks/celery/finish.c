/* finish.c: ends. First the database (rows that people follow, chains and groups of ours, the dead list),
 * then Redis, in one step for each job: the tag is taken out, and if it was still there the result is written
 * and what follows is pushed. */
#include <stdlib.h>

#include "tasks/celery/celery_internal.h"
#include "tasks/sql/sql_internal.h"

enum {
    KEEP_S = 24 * 3600,
    ARENA_BYTES_MAX = 1024 * 1024 * 1024,
    CHUNK_ENDS = 500,
    CHUNK_BYTES = 1024 * 1024,
    ENVELOPE_BYTES_MAX = 2 * CELERY__MESSAGE_BYTES_MAX,
};
#define DAY_US (INT64_C(24) * 3600 * 1000000)

static bool is_over(const tasks__outcome *outcome)
{
    return outcome->end != TASKS__AGAIN && outcome->end != TASKS__BACK && outcome->end != TASKS__LOST;
}

/* Python's workers refuse a task that they do not know at once; ours wait for one that does, but not with
 * what others sent. */
static void refuse_unknown(tasks__outcome *outcome)
{
    const celery__message *message = celery__message_of(outcome->job);
    if (outcome->end == TASKS__AGAIN && !message->is_ours && outcome->code != NULL &&
        strcmp(outcome->code, "unknown_task") == 0)
        outcome->end = TASKS__DEAD;
}

/* --- the database's part -------------------------------------------------------------------------------------- */

static bool needs_database(const tasks__outcome *outcome)
{
    const tasks__job *job = outcome->job;
    if (celery__message_of(job)->is_told || outcome->end == TASKS__LOST)
        return false;
    if (!is_over(outcome))
        return job->tracked || job->key.present;
    return outcome->end == TASKS__DEAD || job->tracked || job->key.present || job->group_id.present ||
           job->steps.present || (job->unique_key.present && job->unique_while != TIMS_UNIQUE_FOR);
}

/* What came with a foreign message, so that it can be tried again from the dead list. */
static tims_str make_trace(tims_arena *arena, const tasks__job *job)
{
    const celery__message *message = celery__message_of(job);
    celery__envelope envelope;
    if (message->is_ours || message->is_malformed ||
        celery__read(NULL, arena, job->queue, message->raw, &envelope, NULL) != TIMS_OK)
        return job->trace;
    tims_buf out;
    tims_buf_init(&out, arena, ENVELOPE_BYTES_MAX);
    tims_json_writer w = tims_json_to(&out);
    const tims_str keys[] = { TIMS_STR("id"), TIMS_STR("root_id"), TIMS_STR("parent_id"), TIMS_STR("group"),
                              TIMS_STR("reply_to") };
    const tims_str values[] = { message->id, message->root_id, message->parent_id, message->group,
                                envelope.reply_to };
    tims_json_begin_object(&w);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (values[i].length > 0) {
            tims_json_key(&w, keys[i]);
            tims_json_str(&w, values[i]);
        }
    tims_json_key(&w, TIMS_STR("ignore_result"));
    tims_json_bool(&w, message->ignore_result);
    if (message->has_embed) {
        tims_json_key(&w, TIMS_STR("embed"));
        tims_json_raw(&w, tims_json_to_text(arena, envelope.embed));
    }
    tims_json_end_object(&w);
    return out.overflow ? job->trace : tims_buf_str(&out);
}

/* As text that every database takes. */
static tims_str make_clean(tims_arena *arena, tims_str raw)
{
    tims_str shown = tims_str_slice(raw, 0, TIMS_ARGUMENTS_BYTES_MAX);
    bool is_clean = tims_str_is_utf8(shown);
    for (size_t i = 0; is_clean && i < shown.length; i++)
        is_clean = shown.data[i] != '\0';
    if (is_clean)
        return shown;
    tims_buf out;
    tims_buf_init(&out, arena, ENVELOPE_BYTES_MAX);
    tims_json_escape(&out, shown);
    return tims_buf_str(&out);
}

/* A chain's next step and a group's count happen once, however often a message is delivered. */
static tims_status is_first_end(tims_db_session *session, tims_arena *arena, const tasks__job *job,
                                int64_t now_us, bool *ret_first, tims_error *err)
{
    int64_t changed = 0;
    const tims_db_value values[] = { tims_db_id(tims_id_new()),
                                     tims_db_text(tims_print(arena, "ended:%I", job->id)),
                                     tims_db_id(job->id), tims_db_int(now_us + DAY_US) };
    *ret_first = true;
    if (!job->steps.present && !job->group_id.present)
        return TIMS_OK;
    tims_status status = tims_db_run(session,
                                     TIMS_STR("INSERT INTO tims_job_unique (id, key, job, until) VALUES "
                                              "(?1, ?2, ?3, ?4) ON CONFLICT (key) DO NOTHING"),
                                     values, 4, &changed, err);
    *ret_first = changed > 0;
    return status;
}

static tims_status tell_end(tasks__work *work, const tasks__outcome *outcome, tims_error *err)
{
    tims_tasks *tasks = work->store->tasks;
    const tasks__job *job = outcome->job;
    bool is_first = true;
    tims_status status = TIMS_OK;
    if (celery__message_of(job)->is_malformed)
        return tasks__bury(tasks, work->session, outcome,
                           (tims_opt_str){ true, make_clean(work->arena, celery__message_of(job)->raw) },
                           err);
    tasks__job traced = *job;
    tasks__outcome told = *outcome;
    told.job = &traced;
    if (outcome->end == TASKS__DEAD)
        traced.trace = make_trace(work->arena, job);
    else
        status = is_first_end(work->session, work->arena, job, tasks__now(tasks).us, &is_first, err);
    return status == TIMS_OK && is_first ? tasks__after(tasks, work->session, work->arena, &told, err)
                                         : status;
}

static tims_status tell_all(tasks__work *work, tims_error *err)
{
    tims_status status = TIMS_OK;
    for (const tasks__outcome *at = work->argument; status == TIMS_OK && at != NULL; at = at->next) {
        const tasks__job *job = at->job;
        if (!needs_database(at))
            continue;
        if (is_over(at))
            status = tell_end(work, at, err);
        else if (job->tracked)
            status = tasks__status_wait(work->session, job->id, at->message, err);
        if (status == TIMS_OK && !is_over(at) && job->key.present)
            status = tasks__limit_release(work->store->tasks, work->session, job, err);
    }
    return status;
}

/* Of a job that somebody else has meanwhile the database is told nothing. */
static tims_status drop_lost(celery__store *celery, tims_arena *arena, tasks__outcome *list, tims_error *err)
{
    const tims_redis_reply *reply;
    celery__arguments arguments = { .arena = arena };
    for (const tasks__outcome *at = list; at != NULL; at = at->next)
        if (needs_database(at))
            celery__add(&arguments, tims_str_from(celery__message_of(at->job)->tag));
    tims_status status = celery__call(celery, arena, CELERY__HELD, celery__list(&arguments), &reply, err);
    size_t i = 0;
    for (tasks__outcome *at = list; status == TIMS_OK && at != NULL; at = at->next)
        if (needs_database(at) && tims_redis_int(tims_redis_item(reply, i++)) == 0)
            at->end = TASKS__LOST;
    return status;
}

static tims_status tell_database(celery__store *celery, tims_arena *arena, tasks__outcome *list,
                                 tims_error *err)
{
    bool any = false;
    for (const tasks__outcome *at = list; !any && at != NULL; at = at->next)
        any = needs_database(at);
    if (!any)
        return TIMS_OK;
    tims_status status = drop_lost(celery, arena, list, err);
    if (status == TIMS_OK)
        status = tasks__sql_transact(celery->store.tasks->sql, tell_all, list, err);
    for (tasks__outcome *at = list; status == TIMS_OK && at != NULL; at = at->next)
        celery__message_of(at->job)->is_told = true;
    return status;
}

/* --- Redis's part ------------------------------------------------------------------------------------------------ */

static bool wants_result(const tasks__outcome *outcome)
{
    const celery__message *message = celery__message_of(outcome->job);
    if (message->ignore_result || message->is_malformed || outcome->end == TASKS__BACK)
        return false;
    return !message->is_ours || outcome->end != TASKS__DONE || outcome->result.data != NULL;
}

static celery__push *push_back(tims_arena *arena, const tasks__outcome *outcome, tims_time now)
{
    const tasks__job *job = outcome->job;
    const celery__message *message = celery__message_of(job);
    celery__push *push = TIMS_NEW(arena, celery__push);
    bool is_later = message->due_us > now.us;
    *push = (celery__push){ .list = celery__list_of(arena, job->queue, job->priority),
                            .message = message->raw,
                            .due_us = is_later ? message->due_us : 0,
                            .is_first = !is_later };
    return push;
}

static celery__push *push_again(tims_arena *arena, const tasks__outcome *outcome, tims_time now,
                                tims_time run_at)
{
    const tasks__job *job = outcome->job;
    const celery__message *message = celery__message_of(job);
    celery__envelope envelope;
    tims_buf out;
    if (celery__read(NULL, arena, job->queue, message->raw, &envelope, NULL) != TIMS_OK)
        return NULL; /* it could be read when it came */
    tims_buf_init(&out, arena, ENVELOPE_BYTES_MAX);
    const celery__again again = { .retries =
                                      message->retries + (outcome->crashed ? 0 : 1), /* or counted there */
                                  .crashes = job->crashes + (outcome->crashed ? 1 : 0),
                                  .eta = { true, run_at } };
    celery__write_again(&out, arena, &envelope, &again);
    celery__push *push = TIMS_NEW(arena, celery__push);
    *push = (celery__push){ .list = celery__list_of(arena, job->queue, job->priority),
                            .message = tims_buf_str(&out),
                            .due_us = run_at.us > now.us ? run_at.us : 0 };
    return push;
}

/* What the database's clock says, by Redis's. */
static tims_time by_redis(const celery__store *celery, tims_time time)
{
    return (tims_time){ time.us + celery__now(celery).us - tasks__now(celery->store.tasks).us };
}

static void add_end(celery__store *celery, celery__arguments *arguments, const tasks__outcome *outcome)
{
    tims_arena *arena = arguments->arena;
    celery__message *message = celery__message_of(outcome->job);
    celery__push *pushes = NULL;
    int64_t count = 0;
    tims_time now = celery__now(celery);
    if (outcome->end == TASKS__BACK)
        pushes = push_back(arena, outcome, now);
    else if (outcome->end == TASKS__AGAIN)
        pushes = push_again(arena, outcome, now, by_redis(celery, outcome->run_at));
    else if (message->has_embed)
        celery__follow(celery, arena, outcome, &pushes);
    celery__add(arguments, tims_str_from(message->tag));
    if (wants_result(outcome)) {
        tims_buf out;
        celery__result result;
        tims_buf_init(&out, arena, 2 * ENVELOPE_BYTES_MAX);
        celery__result_of(arena, outcome, now, &result);
        celery__result_write(&out, &result);
        celery__add(arguments, tims_print(arena, "celery-task-meta-%S", message->id));
        celery__add(arguments, tims_buf_str(&out));
    } else {
        celery__add(arguments, TIMS_STR(""));
        celery__add(arguments, TIMS_STR(""));
    }
    celery__add_int(arguments, KEEP_S);
    for (const celery__push *at = pushes; at != NULL; at = at->next)
        count += at->group.data != NULL ? 3 : 1;
    celery__add_int(arguments, count);
    for (const celery__push *at = pushes; at != NULL; at = at->next) {
        celery__add(arguments, at->list);
        celery__add(arguments, at->message);
        if (at->group.data != NULL) {
            const tims_str more[] = { TIMS_STR("-3"),  at->group,   at->score,   at->member,
                                      at->failure_key, at->failure, TIMS_STR("") };
            for (size_t i = 0; i < sizeof more / sizeof *more; i++)
                celery__add(arguments, more[i]);
            continue;
        }
        celery__add_int(arguments, at->is_result ? -2 : at->is_first ? -1 : at->due_us);
    }
    message->was_sent = true;
}

static void tell_events(const celery__store *celery, const tasks__outcome *outcome)
{
    static const char *const types[] = {
        [TASKS__DONE] = "task-succeeded",  [TASKS__COMMITTED] = NULL, [TASKS__AGAIN] = "task-retried",
        [TASKS__DEAD] = "task-failed",     [TASKS__BACK] = NULL,      [TASKS__CANCELLED] = "task-revoked",
        [TASKS__EXPIRED] = "task-revoked", [TASKS__LOST] = NULL
    };
    if (celery->events != NULL && types[outcome->end] != NULL &&
        !celery__message_of(outcome->job)->is_malformed)
        celery__events_task(celery->events, types[outcome->end], outcome->job, outcome);
}

/* One chunk of the list, from `*at`. */
static tims_status write_chunk(celery__store *celery, tasks__outcome **at, tims_error *err)
{
    tasks__outcome *first = *at, *last = first;
    const tims_redis_reply *reply;
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    celery__arguments arguments = { .arena = arena };
    bool was_sent[CHUNK_ENDS] = { false };
    size_t count = 0;
    for (; last != NULL && count < CHUNK_ENDS && arguments.bytes < CHUNK_BYTES; last = last->next) {
        const celery__message *message = celery__message_of(last->job);
        if (message->is_acknowledged || last->end == TASKS__LOST)
            continue;
        was_sent[count++] = message->was_sent;
        add_end(celery, &arguments, last);
    }
    tims_status status = TIMS_OK;
    if (count > 0)
        status = celery__call(celery, arena, CELERY__FINISH, celery__list(&arguments), &reply, err);
    size_t i = 0;
    for (tasks__outcome *end = first; count > 0 && status == TIMS_OK && end != last; end = end->next) {
        celery__message *message = celery__message_of(end->job);
        if (message->is_acknowledged || end->end == TASKS__LOST)
            continue;
        message->is_acknowledged = true;
        bool is_held = tims_redis_int(tims_redis_item(reply, i)) != 0;
        if (is_held || was_sent[i]) /* an answer that was lost: it was written */
            tell_events(celery, end);
        else
            tims_log(TIMS_LOG_WARN, "tasks",
                     "event=lost task=%S job=%I message=another worker has it meanwhile", end->job->task,
                     end->job->id);
        i++;
    }
    tims_arena_free(&arena);
    *at = last;
    return status;
}

static tims_status finish_messages(tasks__store *store, tasks__outcome *list, tims_error *err)
{
    celery__store *celery = celery__of(store);
    for (tasks__outcome *at = list; at != NULL; at = at->next)
        refuse_unknown(at);
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    tims_status status = tell_database(celery, arena, list, err);
    tims_arena_free(&arena);
    for (tasks__outcome *at = list; status == TIMS_OK && at != NULL;)
        status = write_chunk(celery, &at, err);
    return status;
}

/* Jobs of the database end there. */
tims_status celery__finish(tasks__store *store, tasks__outcome *list, tims_error *err)
{
    tasks__outcome *here = NULL, *messages = NULL, **end_here = &here, **end_messages = &messages;
    for (tasks__outcome *at = list, *next; at != NULL; at = next) {
        next = at->next;
        at->next = NULL;
        tasks__outcome ***end = at->job->store_data == NULL ? &end_here : &end_messages;
        **end = at;
        *end = &at->next;
    }
    tasks__store *sql = store->tasks->sql;
    tims_status status = here != NULL ? sql->api->finish(sql, here, err) : TIMS_OK;
    if (status == TIMS_OK && messages != NULL)
        status = finish_messages(store, messages, err);
    *end_here = messages; /* one list again: who asked may try again */
    return status;
}

/* --- ends without a run --------------------------------------------------------------------------------------- */

static void free_ended(tasks__outcome *list)
{
    for (tasks__outcome *next; list != NULL; list = next) {
        next = list->next;
        celery__forget(list->job);
        tims_arena_free(&list->arena);
        tasks__job_free(&list->job);
        free(list);
    }
}

tims_status celery__finish_ended(celery__store *celery, tims_error *err)
{
    tasks__outcome *list = celery->ended;
    celery->ended = NULL;
    if (list == NULL)
        return TIMS_OK;
    tims_status status = celery__finish(&celery->store, list, err);
    if (status == TIMS_OK) {
        free_ended(list);
        return TIMS_OK;
    }
    tasks__outcome **tail = &celery->ended;
    while (*tail != NULL)
        tail = &(*tail)->next;
    *tail = list;
    return status;
}
