/* celery_internal.h: jobs as messages in Celery's protocol v2, over Redis as kombu keeps them.
 *
 * store.c (life, lease, cancelling), take.c (from Redis to the worker), finish.c (ends: results,
 * acknowledgements, what follows), restore.c (jobs of dead workers, what is due), message.c and
 * message_write.c (envelopes), result.c, canvas.c (chains and callbacks of foreign messages), relay.c (from
 * the database to Redis, after the commit), scripts.c (Lua), events.c (what Flower listens to), control.c
 * (what `celery inspect` and `celery control` ask).
 *
 * Keys of Celery: <queue> and <queue>\x06\x16{3,6,9} (lists), unacked, unacked_index, unacked_mutex,
 * celery-task-meta-<id>. Keys of ours: see scripts.c. */
#ifndef TASKS_CELERY_INTERNAL_H
#define TASKS_CELERY_INTERNAL_H

#include "tasks/tasks_internal.h"

typedef struct celery__store celery__store;
typedef struct celery__events celery__events;
typedef struct celery__control celery__control;
typedef struct celery__relay celery__relay;

enum {
    CELERY__MAGIC = 0x43454c45,
    CELERY__MESSAGE_MAGIC = 0x434d5347,
    CELERY__ID_BYTES_MAX = 255,
    CELERY__MESSAGE_BYTES_MAX = 2 * 1024 * 1024,
    CELERY__TAG_BYTES = 100,
    CELERY__BASE_BYTES = 70,
    CELERY__LOOPS_MAX = 64,
};

/* --- a message that was taken: job->store_data --------------------------------------------------------------- */

typedef struct celery__message {
    uint32_t magic;
    char tag[CELERY__TAG_BYTES]; /* under which it is held in `unacked`; a new one each time it is taken */
    tims_str raw;                /* the envelope as it came */
    tims_str id;                 /* as who sent it writes it: a UUID, usually */
    tims_str root_id, parent_id, group; /* empty: none */
    int64_t retries;
    int64_t due_us;     /* its eta; 0: none */
    bool is_ours;       /* relayed by this app: it has a "tims" header */
    bool ignore_result; /* whoever sent it wants none */
    bool has_embed;     /* a chain, callbacks, a chord: to be read again at its end */
    bool is_malformed;  /* cannot be run: to the dead list as it came */
    bool is_told, is_acknowledged, was_sent, is_held; /* how far its end has come: finish.c */
    int64_t taken_us;                                 /* monotonic */
    celery__store *store;
    struct celery__message *next, *previous; /* all that are held */
} celery__message;

/* The message of a job that came from Redis. */
celery__message *celery__message_of(const tasks__job *job);
/* The id as Celery's side knows it. */
tims_str celery__id_of(const tasks__job *job);
/* A foreign id as a job's: itself where it is a UUID, else one made of it, always the same. */
tims_id celery__id_from_text(tims_str text);

/* --- the store ----------------------------------------------------------------------------------------------- */

struct celery__store {
    tasks__store store; /* first; store.tasks, store.loop, store.worker_name, store.queues_text */
    uint32_t magic;
    tims_redis *redis; /* commands on the loops that have started: tims_redis_send, _call */
    int64_t database;  /* its number, for channels: /<database>.celery.pidbox */
    tims_str hostname; /* name@host, as Celery's workers are called; set when a worker starts */
    celery__events *events;
    celery__control *control; /* NULL while no worker runs */
    celery__relay *relay;
    bool is_up;                 /* Redis answers, and channels are heard */
    int64_t look_at_limited_us; /* monotonic: not before */
    int64_t up_since_us;        /* monotonic */
    int64_t started_us;         /* monotonic: when the worker started */
    bool is_registered;         /* its lease is in Redis */
    bool is_registering;
    bool loops[CELERY__LOOPS_MAX], loop_is_own;
    int64_t clock_offset_us;              /* what Redis's clock is ahead of ours */
    int64_t batch;                        /* of the last take: part of its tags */
    char known_batch[CELERY__BASE_BYTES]; /* the last take whose messages came; another one's are put back */
    tims_map *revoked;                    /* ids → the store: a set */
    char revoked_cursor[32];              /* score up to which it is known */
    celery__message *held;                /* all that are taken and not acknowledged */
    size_t held_count;
    tasks__outcome *ended; /* ends that need no run, not yet written: malformed and revoked ones */
    int64_t touched_us, restored_us, beat_us; /* monotonic: when it last did */
};

static inline celery__store *celery__of(tasks__store *store)
{
    celery__store *celery = (celery__store *)store;
    TIMS_CHECK_MAGIC(celery, CELERY__MAGIC);
    return celery;
}
/* Redis's clock. */
tims_time celery__now(const celery__store *celery);
/* Revokes: runs are asked to stop, messages that wait end as REVOKED when they are taken. Kept in Redis for a
 * day, so that workers that start later know it. Nobody waits for it. False: Redis is away. On a loop that
 * has started. */
bool celery__revoke(celery__store *celery, tims_str id);
/* The same, but what runs goes on to its end: Celery's revoke without "terminate". */
bool celery__revoke_waiting(celery__store *celery, tims_str id);
/* How many are known to be revoked; steps through them with *cursor = 0. */
size_t celery__revoked_count(const celery__store *celery);
bool celery__revoked_next(const celery__store *celery, size_t *cursor, tims_str *ret_id);
/* Publishes, if Redis is there; nobody waits for it. */
void celery__publish(celery__store *celery, tims_str channel, tims_str message);

/* --- scripts.c ----------------------------------------------------------------------------------------------- */

typedef enum celery__script_id {
    CELERY__LOOK,
    CELERY__COUNT,
    CELERY__TAKE,
    CELERY__BEAT,
    CELERY__TOUCH,
    CELERY__FINISH,
    CELERY__HELD,
    CELERY__PUSH,
    CELERY__DUE,
    CELERY__FIND_LOST,
    CELERY__MOVE_LOST,
    CELERY__RELEASE,
    CELERY__REVOKE,
    CELERY__SCRIPT_COUNT
} celery__script_id;
/* A script with its arguments; it has no KEYS: a Cluster is refused. Suspends. Errors: as tims_redis_call. */
tims_status celery__call(celery__store *celery, tims_arena *arena, celery__script_id script,
                         tims_slice_list arguments, const tims_redis_reply **ret_reply, tims_error *err);
/* The same, and nobody waits. */
bool celery__send(celery__store *celery, celery__script_id script, tims_slice_list arguments);
/* Arguments that are gathered: slices live as long as the arena, or as who gave them. */
typedef struct celery__arguments {
    tims_arena *arena;
    tims_str *items;
    size_t count, capacity, bytes;
} celery__arguments;
void celery__add(celery__arguments *arguments, tims_str text);
void celery__add_int(celery__arguments *arguments, int64_t number);
static inline tims_slice_list celery__list(const celery__arguments *arguments)
{
    return (tims_slice_list){ arguments->items, arguments->count };
}

/* --- message.c: envelopes in --------------------------------------------------------------------------------- */

typedef struct celery__envelope {
    tasks__job job;          /* texts in the arena; the arguments bound by name, positional ones too */
    celery__message message; /* id, root_id, parent_id, group, retries and the flags */
    tims_opt_time eta;
    int64_t group_index;
    tims_str reply_to;
    const tims_json *root, *headers, *embed; /* embed: NULL where there is none */
} celery__envelope;
/* `tasks` (may be NULL) names the fields of positional arguments. Errors: INVALID, with what is wrong with
 * it. */
tims_status celery__read(const tims_tasks *tasks, tims_arena *arena, tims_str queue, tims_str text,
                         celery__envelope *ret_envelope, tims_error *err);

/* message_quick.c: the same for a message of the usual kind, without `root`, `headers`, `embed` and
 * `reply_to`. False: it is none; read it the long way. */
bool celery__read_quickly(const tims_tasks *tasks, tims_arena *arena, tims_str queue, tims_str text,
                          celery__envelope *ret_envelope);

/* --- message_write.c: envelopes out --------------------------------------------------------------------------- */

/* The list of a queue and priority. */
tims_str celery__list_of(tims_arena *arena, tims_str queue, int64_t priority);

typedef struct celery__sending {
    tims_str id, task, queue;
    int64_t priority, retries;
    tims_str args, kwargs, embed; /* JSON; data == NULL: [], {}, none */
    tims_opt_time eta, expires;
    tims_str root_id, parent_id, group, reply_to; /* data == NULL: id, none, none, none */
    tims_opt_int group_index;
    bool ignore_result;
    bool is_open;  /* the body is text, not base64: something is put into it later */
    tims_str tims; /* JSON: what our own workers need besides; data == NULL: none */
} celery__sending;
void celery__write(tims_buf *out, const celery__sending *sending);
/* A job of ours. */
void celery__write_job(tims_buf *out, tims_arena *arena, const tasks__job *job, bool ignore_result);
/* A message that was taken, to be delivered again: everything as it came but for this. */
typedef struct celery__again {
    int64_t retries, crashes;
    tims_opt_time eta;
    bool is_redelivered;
} celery__again;
void celery__write_again(tims_buf *out, tims_arena *arena, const celery__envelope *envelope,
                         const celery__again *again);

/* --- result.c -------------------------------------------------------------------------------------------------- */

typedef struct celery__result {
    const char *state;                       /* "SUCCESS", "FAILURE", "RETRY", "REVOKED" */
    tims_str id, parent_id, group, children; /* children: JSON; data == NULL: [] */
    tims_str value;                          /* SUCCESS: JSON; data == NULL: null */
    const char *error_type, *error_module;   /* else */
    tims_str error, traceback;
    tims_time done_at; /* zero: not yet */
} celery__result;
void celery__result_write(tims_buf *out, const celery__result *result);
/* The value of one that is an error. */
void celery__result_write_error(tims_json_writer *w, const celery__result *result);
/* `ret_result`: state, value, error, error_type. Errors: INVALID. */
tims_status celery__result_read(tims_arena *arena, tims_str text, tims_task_outcome *ret_outcome,
                                tims_error *err);
/* How an end is told to who waits for the result. */
void celery__result_of(tims_arena *arena, const tasks__outcome *outcome, tims_time now,
                       celery__result *ret_result);

/* --- take.c, finish.c, restore.c: see tasks__store_api ----------------------------------------------------------- */

tims_status celery__look(tasks__store *store, const tims_str *queues, size_t count, bool *ret_has,
                         tims_error *err);
tims_status celery__count(tasks__store *store, const tims_str *queues, size_t count, int64_t *ret_waiting,
                          tims_error *err); /* count.c */
tims_status celery__claim(tasks__store *store, tims_str queue, size_t max, tasks__job **ret_jobs,
                          size_t *ret_count, tims_error *err);
tims_status celery__finish(tasks__store *store, tasks__outcome *list, tims_error *err);
tims_status celery__tidy(tasks__store *store, tims_time *ret_next, tims_error *err);
/* Whether the server would do, if it is there. Suspends. */
tims_status celery__probe(celery__store *celery, tims_loop *loop, tims_error *err);
/* Signs on in the database, where the relay takes jobs from. */
tims_status celery__open_database(celery__store *celery, tims_loop *loop, tims_error *err);
/* A lease for this incarnation. */
tims_status celery__register(celery__store *celery, tims_error *err);
/* Writes the ends that needed no run; what cannot be written now stays. */
tims_status celery__finish_ended(celery__store *celery, tims_error *err);
void celery__forget(tasks__job *job);
void celery__hold(celery__store *celery, celery__message *message);

/* --- canvas.c: what follows a foreign message --------------------------------------------------------------------- */

/* Where a message goes, written together with the end that brings it. */
typedef struct celery__push {
    tims_str list, message;
    int64_t due_us; /* 0: now */
    bool is_first;  /* to the end from which is taken */
    bool is_result; /* `list` is the key of a result */
    /* A chord's callback, sent when all of the group have ended; data == NULL: it is none. */
    tims_str group, score, member, failure_key, failure;
    struct celery__push *next;
} celery__push;
/* The chain's next task and the callbacks of one that is done; the errbacks of one that is dead. In front of
 * `*pushes`. */
void celery__follow(celery__store *celery, tims_arena *arena, const tasks__outcome *outcome,
                    celery__push **pushes);

/* --- relay.c ------------------------------------------------------------------------------------------------------- */

/* On this loop, with the database's store registered: until stop. */
celery__relay *celery__relay_new(celery__store *celery, bool is_alone);
void celery__relay_wake(celery__relay *relay);  /* on its loop */
void celery__relay_stop(celery__relay **relay); /* suspends until it has ended */

/* --- events.c: to the channel /<db>.celeryev/… ------------------------------------------------------------- */

celery__events *celery__events_new(celery__store *store);
void celery__events_free(celery__events **events);
/* worker-online, -heartbeat, -offline; task-received, -started, -succeeded, -failed, -retried, -revoked,
 * -rejected. Nobody waits for them; while Redis is away they are lost. Task events only while they are
 * enabled. */
void celery__events_worker(celery__events *events, const char *type);
void celery__events_task(celery__events *events, const char *type, const tasks__job *job,
                         const tasks__outcome *outcome);
void celery__events_enable(celery__events *events, bool on);

/* --- control.c: /<db>.celery.pidbox ------------------------------------------------------------------------ */

celery__control *celery__control_new(celery__store *store);
void celery__control_free(celery__control **control);
/* A message from the pidbox channel. Malformed ones are logged and dropped. */
void celery__control_hear(celery__control *control, tims_str message);

#endif
