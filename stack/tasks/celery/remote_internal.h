/* remote_internal.h: what events and remote control share: the clock, transient messages, Python's way of
 * writing values; and the commands of the pidbox. */
#ifndef TASKS_CELERY_REMOTE_INTERNAL_H
#define TASKS_CELERY_REMOTE_INTERNAL_H

#include "tasks/celery/celery_internal.h"

enum {
    CELERY__EVENTS_MAGIC = 0x43455654,
    CELERY__CONTROL_MAGIC = 0x4350424f,
    CELERY__REPR_BYTES_MAX = 1024, /* as Celery cuts it */
    CELERY__REQUEST_BYTES_MAX = 256 * 1024,
    CELERY__REPLY_BYTES_MAX = 4 * 1024 * 1024,
    CELERY__HEARTBEAT_S = 2,
    CELERY__IDS_MAX = 1000,
};

#define CELERY__SOFTWARE "tims"
#define CELERY__SOFTWARE_VERSION "0.1.0"

/* --- events.c ------------------------------------------------------------------------------------------------ */

struct celery__events {
    uint32_t magic;
    celery__store *celery;
    bool is_on;    /* task events are sent */
    bool is_alive; /* online was said, and offline not yet */
    int64_t clock; /* Lamport's */
    int64_t processed;
    tims_map *totals; /* of tasks that are known here: name → int64_t, how many were received */
    tims_timer beat, flush;
    tims_buf waiting; /* task events, with commas between them */
    size_t waiting_count;
};

int64_t celery__clock_forward(celery__events *events);
void celery__clock_adjust(celery__events *events, int64_t other);

/* --- remote_write.c --------------------------------------------------------------------------------------------- */

/* A message that nobody keeps, with a body in JSON. `headers`: JSON, too. */
void celery__write_transient(tims_buf *out, tims_str exchange, tims_str routing_key, tims_str headers,
                             tims_str body);
/* A JSON value as Python's repr() has it, cut to CELERY__REPR_BYTES_MAX. What is no JSON: "". */
tims_str celery__repr(tims_arena *arena, tims_str json);
tims_str celery__repr_of(tims_arena *arena, const tims_json *value);

/* --- control.c ---------------------------------------------------------------------------------------------------- */

/* What was asked; texts live in the arena. */
typedef struct celery__asked {
    tims_str method, ticket, pattern, matcher, reply_exchange, reply_key; /* reply_key empty: no reply */
    const tims_json *arguments, *destination;                             /* NULL: none */
    int64_t clock;
    double expires; /* Unix seconds; 0: never */
} celery__asked;
/* Errors: INVALID, with what is wrong with it. */
tims_status celery__control_read(tims_arena *arena, tims_str text, celery__asked *ret_asked, tims_error *err);
/* Whether it is meant for this node. */
bool celery__control_matches(const celery__asked *asked, tims_str node);

struct celery__control {
    uint32_t magic;
    celery__store *celery;
    size_t calls; /* fibers that answer */
    bool is_closed;
    tims_map *queue_names; /* of queues that were added: kept as long as the worker */
};

/* One that is being answered: writes one JSON value. May suspend. */
typedef struct celery__answer {
    celery__control *control;
    celery__store *celery;
    tims_arena *arena;
    const tims_json *arguments; /* NULL: none */
    tims_json_writer *w;
} celery__answer;

typedef struct celery__command {
    const char *name, *alias;
    void (*answer)(celery__answer *a);
} celery__command;

extern const celery__command
    celery__inspect_commands[]; /* control_inspect.c; end with a row without a name */
extern const celery__command celery__control_commands[]; /* control_command.c */

/* {"ok": …} and {"error": …} */
void celery__say_ok(celery__answer *a, const char *format, ...);
void celery__say_error(celery__answer *a, const char *format, ...);
/* An argument as text, as a number (also one that is written as text); empty, the fallback: it is not there.
 */
tims_str celery__text_argument(const celery__answer *a, const char *name);
int64_t celery__int_argument(const celery__answer *a, const char *name, int64_t fallback);
/* Ids as one, as a list, or as the keys of an object; at most CELERY__IDS_MAX; those that are none are left
 * out. `ret_ids` has room for as many. */
size_t celery__ids_argument(const celery__answer *a, const char *name, tims_str *ret_ids);

#endif
