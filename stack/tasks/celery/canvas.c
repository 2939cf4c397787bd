/* canvas.c: what follows a foreign message: the chain's next task, callbacks, errbacks, as Celery's own
 * workers call them.
 *
 * A signature is {"task", "args", "kwargs", "options", "immutable", "subtask_type"}. What the task gave goes
 * in front of its args, unless it is immutable. A chain waits in reverse: its last element is next. */
#include "tasks/celery/celery_internal.h"

enum { MEMBERS_MAX = 1000, DEPTH_MAX = 8, JSON_BYTES_MAX = CELERY__MESSAGE_BYTES_MAX };

typedef struct following {
    celery__store *celery;
    tims_arena *arena;
    const tasks__job *job;
    const celery__message *message;
    tims_str given; /* JSON: goes in front of args */
    celery__push **pushes;
    int depth;
    bool is_open; /* what is given is put in later */
} following;

static void apply(following *f, const tims_json *signature, tims_str chain);

/* --- parts of the next message ------------------------------------------------------------------------------------- */

static tims_str join_args(const following *f, const tims_json *signature)
{
    const tims_json *args = tims_json_get(signature, TIMS_STR("args"));
    tims_buf out;
    tims_buf_init(&out, f->arena, JSON_BYTES_MAX);
    bool is_first = true;
    tims_buf_append_char(&out, '[');
    if (!tims_json_get_bool(signature, TIMS_STR("immutable"), false) && f->given.data != NULL) {
        tims_buf_append_str(&out, f->given);
        is_first = false;
    }
    for (size_t i = 0;
         args != NULL && tims_json_type_of(args) == TIMS_JSON_ARRAY && i < tims_json_count(args); i++) {
        tims_buf_print(&out, "%s%S", is_first ? "" : ",", tims_json_to_text(f->arena, tims_json_at(args, i)));
        is_first = false;
    }
    tims_buf_append_char(&out, ']');
    return out.overflow ? TIMS_STR("[]") : tims_buf_str(&out);
}

/* Links are one signature or a list of them. */
static tims_str as_list(tims_arena *arena, const tims_json *value)
{
    if (value == NULL || tims_json_type_of(value) == TIMS_JSON_NULL)
        return TIMS_STR("null");
    tims_str text = tims_json_to_text(arena, value);
    return tims_json_type_of(value) == TIMS_JSON_OBJECT ? tims_print(arena, "[%S]", text) : text;
}

static tims_str make_embed(const following *f, const tims_json *options, tims_str chain)
{
    const tims_json *chord = tims_json_get(options, TIMS_STR("chord"));
    return tims_print(f->arena, "{\"callbacks\":%S,\"errbacks\":%S,\"chain\":%S,\"chord\":%S}",
                      as_list(f->arena, tims_json_get(options, TIMS_STR("link"))),
                      as_list(f->arena, tims_json_get(options, TIMS_STR("link_error"))),
                      chain.data != NULL ? chain : TIMS_STR("null"),
                      chord != NULL ? tims_json_to_text(f->arena, chord) : TIMS_STR("null"));
}

/* Where the signature says; a task that is declared here goes to its queue, another where this one came from.
 */
static tims_str find_queue(const following *f, tims_str task, const tims_json *options)
{
    const tims_task *known = tims_tasks_find(f->celery->store.tasks, task);
    tims_str queue = tims_json_get_str(options, TIMS_STR("queue"), (tims_str){ 0 });
    if (queue.length == 0)
        queue = tims_json_get_str(options, TIMS_STR("routing_key"), (tims_str){ 0 });
    if (queue.length == 0 || queue.length > TASKS__NAME_BYTES_MAX)
        queue = known != NULL ? tims_str_from(tasks__queue_of(known)) : f->job->queue;
    return queue;
}

static int64_t find_priority(const following *f, const tims_json *options)
{
    int64_t priority = tims_json_get_int(options, TIMS_STR("priority"), f->job->priority);
    return priority < 0 || priority > TIMS_PRIORITY_LAST ? 0 : priority;
}

static tims_opt_time find_eta(const following *f, const tims_json *options)
{
    enum { SECOND_US = 1000000 };
    tims_opt_time eta = { 0 };
    double countdown = tims_json_as_double(tims_json_get(options, TIMS_STR("countdown")), 0);
    tims_str text = tims_json_get_str(options, TIMS_STR("eta"), TIMS_STR(""));
    if (countdown > 0 && countdown < 1e9) {
        eta.present = true;
        eta.value.us = celery__now(f->celery).us + (int64_t)(countdown * SECOND_US);
    } else if (text.length > 0) {
        eta.present = tims_time_parse(text, &eta.value) ||
                      tims_time_parse(tims_print(f->arena, "%SZ", text), &eta.value);
    }
    return eta;
}

/* --- one signature ------------------------------------------------------------------------------------------------- */

static void push(following *f, const celery__sending *sending)
{
    tims_buf out;
    tims_buf_init(&out, f->arena, 2 * CELERY__MESSAGE_BYTES_MAX);
    celery__write(&out, sending);
    if (out.overflow) {
        tims_log(TIMS_LOG_ERROR, "tasks", "event=follow_too_large task=%S after=%S", sending->task,
                 f->job->task);
        return;
    }
    celery__push *made = TIMS_NEW(f->arena, celery__push);
    bool is_later = sending->eta.present && sending->eta.value.us > celery__now(f->celery).us;
    *made = (celery__push){ .list = celery__list_of(f->arena, sending->queue, sending->priority),
                            .message = tims_buf_str(&out),
                            .due_us = is_later ? sending->eta.value.us : 0,
                            .next = *f->pushes };
    *f->pushes = made;
}

static void apply_task(following *f, const tims_json *signature, tims_str task, tims_str chain)
{
    const tims_json *options = tims_json_get(signature, TIMS_STR("options")),
                    *kwargs = tims_json_get(signature, TIMS_STR("kwargs"));
    bool has_kwargs = kwargs != NULL && tims_json_type_of(kwargs) == TIMS_JSON_OBJECT;
    tims_str id = tims_json_get_str(options, TIMS_STR("task_id"), (tims_str){ 0 });
    int64_t group_index = tims_json_get_int(options, TIMS_STR("group_index"), -1);
    if (id.length == 0 || id.length > CELERY__ID_BYTES_MAX)
        id = tims_print(f->arena, "%I", tims_id_new());
    const celery__sending sending = {
        .id = id,
        .task = task,
        .queue = find_queue(f, task, options),
        .priority = find_priority(f, options),
        .args = join_args(f, signature),
        .kwargs = has_kwargs ? tims_json_to_text(f->arena, kwargs) : (tims_str){ 0 },
        .embed = make_embed(f, options, chain),
        .eta = find_eta(f, options),
        .root_id = f->message->root_id.length > 0 ? f->message->root_id : f->message->id,
        .parent_id = f->message->id,
        .is_open = f->is_open,
        .group = tims_json_get_str(options, TIMS_STR("group_id"), (tims_str){ 0 }),
        .group_index = { group_index >= 0, group_index },
        .reply_to = tims_json_get_str(options, TIMS_STR("reply_to"), (tims_str){ 0 }),
    };
    push(f, &sending);
}

/* The first now, the others behind it, in reverse. */
static void apply_chain(following *f, const tims_json *tasks, tims_str chain)
{
    size_t count = tims_json_count(tasks);
    tims_buf out;
    if (count == 0 || count > MEMBERS_MAX)
        return;
    tims_buf_init(&out, f->arena, JSON_BYTES_MAX);
    tims_buf_append_char(&out, '[');
    bool is_first = true;
    if (chain.length > 2) { /* what was to follow all of it stays last */
        tims_buf_append_str(&out, tims_str_slice(chain, 1, chain.length - 1));
        is_first = false;
    }
    for (size_t i = count; i > 1; i--) {
        tims_buf_print(&out, "%s%S", is_first ? "" : ",",
                       tims_json_to_text(f->arena, tims_json_at(tasks, i - 1)));
        is_first = false;
    }
    tims_buf_append_char(&out, ']');
    if (!out.overflow)
        apply(f, tims_json_at(tasks, 0), is_first ? (tims_str){ 0 } : tims_buf_str(&out));
}

static void apply(following *f, const tims_json *signature, tims_str chain)
{
    tims_str task = tims_json_get_str(signature, TIMS_STR("task"), TIMS_STR(""));
    const tims_json *members = tims_json_get(tims_json_get(signature, TIMS_STR("kwargs")), TIMS_STR("tasks"));
    if (task.length == 0 || task.length > TASKS__NAME_BYTES_MAX || f->depth >= DEPTH_MAX) {
        tims_log(TIMS_LOG_ERROR, "tasks",
                 "event=follow_malformed job=%S message=a signature that names no task", f->message->id);
        return;
    }
    f->depth++;
    if (tims_str_equal(task, TIMS_STR("celery.chain")))
        apply_chain(f, members, chain);
    else if (tims_str_equal(task, TIMS_STR("celery.group")) && chain.data == NULL)
        for (size_t i = 0; i < tims_json_count(members) && i < MEMBERS_MAX; i++)
            apply(f, tims_json_at(members, i), (tims_str){ 0 });
    else if (tims_str_starts_with(task, TIMS_STR("celery.")))
        tims_log(TIMS_LOG_ERROR, "tasks", "event=follow_unknown job=%S task=%S", f->message->id, task);
    else
        apply_task(f, signature, task, chain);
    f->depth--;
}

/* --- all that follow ------------------------------------------------------------------------------------------------ */

static void apply_each(following *f, const tims_json *list)
{
    for (size_t i = 0; i < tims_json_count(list) && i < MEMBERS_MAX; i++)
        if (tims_json_type_of(list) == TIMS_JSON_ARRAY)
            apply(f, tims_json_at(list, i), (tims_str){ 0 });
}

static void go_on(following *f, const tims_json *chain)
{
    size_t count = tims_json_count(chain);
    if (count == 0 || tims_json_type_of(chain) != TIMS_JSON_ARRAY)
        return;
    tims_buf rest;
    tims_buf_init(&rest, f->arena, JSON_BYTES_MAX);
    tims_buf_append_char(&rest, '[');
    for (size_t i = 0; i + 1 < count; i++)
        tims_buf_print(&rest, "%s%S", i > 0 ? "," : "", tims_json_to_text(f->arena, tims_json_at(chain, i)));
    tims_buf_append_char(&rest, ']');
    if (!rest.overflow)
        apply(f, tims_json_at(chain, count - 1), count > 1 ? tims_buf_str(&rest) : (tims_str){ 0 });
}

/* Who waits for a chain waits for its last result: those that will never run have failed, too. */
static void fail_rest(following *f, const tasks__outcome *outcome, const tims_json *chain)
{
    for (size_t i = 0; i < tims_json_count(chain) && tims_json_type_of(chain) == TIMS_JSON_ARRAY; i++) {
        const tims_json *options = tims_json_get(tims_json_at(chain, i), TIMS_STR("options"));
        tims_str id = tims_json_get_str(options, TIMS_STR("task_id"), TIMS_STR(""));
        if (id.length == 0 || id.length > CELERY__ID_BYTES_MAX)
            continue;
        celery__result result;
        tims_buf out;
        celery__result_of(f->arena, outcome, celery__now(f->celery), &result);
        result.id = id;
        tims_buf_init(&out, f->arena, 2 * CELERY__MESSAGE_BYTES_MAX);
        celery__result_write(&out, &result);
        celery__push *made = TIMS_NEW(f->arena, celery__push);
        *made = (celery__push){ .list = tims_print(f->arena, "celery-task-meta-%S", id),
                                .message = tims_buf_str(&out),
                                .is_result = true,
                                .next = *f->pushes };
        *f->pushes = made;
    }
}

/* --- chords --------------------------------------------------------------------------------------------------------- */

/* [1, id, state, result]: as Celery's workers leave it for the last of them. */
static tims_str write_member(following *f, const celery__result *result)
{
    tims_buf out;
    tims_buf_init(&out, f->arena, 2 * CELERY__MESSAGE_BYTES_MAX);
    tims_json_writer w = tims_json_to(&out);
    tims_json_begin_array(&w);
    tims_json_int(&w, 1);
    tims_json_str(&w, result->id);
    tims_json_str(&w, tims_str_from(result->state));
    if (result->error_type != NULL)
        celery__result_write_error(&w, result);
    else
        tims_json_raw(&w, result->value.data != NULL ? result->value : TIMS_STR("null"));
    tims_json_end_array(&w);
    return tims_buf_str(&out);
}

/* That of the callback, when one of the members has failed. */
static tims_str write_failure(following *f, const celery__result *of_member, tims_str callback)
{
    tims_buf out;
    celery__result result = { .state = "FAILURE",
                              .id = callback,
                              .error_type = "ChordError",
                              .error_module = "celery.exceptions",
                              .done_at = celery__now(f->celery) };
    result.error =
        tims_print(f->arena, "Dependency %S raised %s(%S)", of_member->id,
                   of_member->error_type != NULL ? of_member->error_type : "an error", of_member->error);
    tims_buf_init(&out, f->arena, 2 * CELERY__MESSAGE_BYTES_MAX);
    celery__result_write(&out, &result);
    return tims_buf_str(&out);
}

static void join_chord(following *f, const celery__envelope *envelope, const tasks__outcome *outcome)
{
    const tims_json *callback = tims_json_get(envelope->embed, TIMS_STR("chord"));
    if (f->message->group.length == 0 || tims_json_count(callback) == 0)
        return;
    celery__push *made = NULL, **before = f->pushes;
    celery__result result;
    f->pushes = &made;
    f->given = TIMS_STR("\"tims:results\"");
    f->is_open = true;
    apply(f, callback, (tims_str){ 0 });
    f->pushes = before;
    if (made == NULL || made->next != NULL) {
        tims_log(TIMS_LOG_ERROR, "tasks", "event=chord_unknown job=%S", f->message->id);
        return;
    }
    tims_str id = tims_json_get_str(tims_json_get(callback, TIMS_STR("options")), TIMS_STR("task_id"),
                                    TIMS_STR("unknown"));
    celery__result_of(f->arena, outcome, celery__now(f->celery), &result);
    made->group = f->message->group;
    made->score = envelope->group_index >= 0 ? tims_print(f->arena, "%lld", (long long)envelope->group_index)
                                             : TIMS_STR("+inf");
    made->member = write_member(f, &result);
    made->failure_key = tims_print(f->arena, "celery-task-meta-%S", id);
    made->failure = write_failure(f, &result, id);
    made->next = *f->pushes;
    *f->pushes = made;
}

void celery__follow(celery__store *celery, tims_arena *arena, const tasks__outcome *outcome,
                    celery__push **pushes)
{
    celery__envelope envelope;
    const tasks__job *job = outcome->job;
    following f = {
        .celery = celery, .arena = arena, .job = job, .message = celery__message_of(job), .pushes = pushes
    };
    if (celery__read(NULL, arena, job->queue, f.message->raw, &envelope, NULL) != TIMS_OK)
        return; /* it could be read when it came */
    if (outcome->end == TASKS__DONE) {
        f.given = outcome->result.data != NULL ? outcome->result : TIMS_STR("null");
        apply_each(&f, tims_json_get(envelope.embed, TIMS_STR("callbacks")));
        go_on(&f, tims_json_get(envelope.embed, TIMS_STR("chain")));
    } else if (outcome->end == TASKS__DEAD) {
        tims_buf id;
        tims_buf_init(&id, arena, 8 * CELERY__ID_BYTES_MAX);
        tims_json_escape(&id, f.message->id);
        f.given = tims_buf_str(&id); /* as Celery: errbacks are told which task it was */
        apply_each(&f, tims_json_get(envelope.embed, TIMS_STR("errbacks")));
        fail_rest(&f, outcome, tims_json_get(envelope.embed, TIMS_STR("chain")));
    }
    join_chord(&f, &envelope, outcome);
}
