/* loop_internal.h: what the files of the loop room share. Nobody else includes it, nor <uv.h>. */
#ifndef TIMS_LOOP_INTERNAL_H
#define TIMS_LOOP_INTERNAL_H

#include <pthread.h>
#include <uv.h>

#include "tims/loop.h"

enum {
    LOOP_MAGIC = 0x4c4f4f50,
    FIBER_MAGIC = 0x46494252,
    STREAM_MAGIC = 0x5354524d,
    LISTENER_MAGIC = 0x4c49534e,
    PROCESS_MAGIC = 0x50524f43,
    WATCH_MAGIC = 0x57415443,
    CHANNEL_MAGIC = 0x4348414e,
    POLL_MAGIC = 0x504f4c4c,

    SLOTS_COUNT = 16,
    READ_BUFFER_BYTES = 65536,
    TICK_US = 10000,
    WHEEL_SLOTS = 2048, /* a turn is 20 s; longer timers are looked at once a turn */
};

/* --- execution contexts (context.c) ----------------------------------------------------------- */

/* A place of execution that can be left and entered again: a thread's own stack, or a fiber's. */
typedef struct loop__context {
    void *stack_pointer; /* assembly: where everything else was pushed; ucontext: a ucontext_t */
    void *stack_bottom;  /* lowest usable address; of a thread: learnt by ASan at the first switch */
    size_t stack_bytes;
    void *fake_stack; /* ASan's */
    void *tsan_fiber; /* TSan's */
} loop__context;

/* Prepares `context` to run `entry(argument)` on its stack. `entry` must never return. */
void loop__context_make(loop__context *context, void (*entry)(void *), void *argument);
/* Leaves `from`, whose state is kept, for `to`. `last`: `from` will never be entered again. */
void loop__context_switch(loop__context *from, loop__context *to, bool last);
/* First thing to do in an entry function: completes the switch that led there. */
void loop__context_entered(loop__context *context, loop__context *from);
void loop__context_free(loop__context *context); /* what make allocated; not the stack */

/* --- fibers (fiber.c) ------------------------------------------------------------------------- */

typedef enum fiber_state { FIBER_FREE, FIBER_RUNNING, FIBER_SUSPENDED, FIBER_READY, FIBER_ENDED } fiber_state;

struct tims_fiber {
    uint32_t magic;
    uint8_t state;
    bool woken;     /* a wake nobody has waited for yet */
    bool cancelled; /* sticky */
    bool shielded;
    bool trimmed; /* pooled, and its stack given back to the kernel */
    tims_loop *loop;
    tims_fiber *next_ready;
    tims_fiber *starter; /* the fiber under it; NULL: the loop's own stack */
    tims_fiber_fn function;
    void *argument;
    tims_loop_fn on_end;
    void *on_end_argument;
    const char *scope; /* the log's, while it does not run */
    int64_t deadline_us;
    tims_timer deadline_timer;
    loop__context context;
};

/* Released fibers, the most recently used on top. */
typedef struct fiber_pool {
    tims_fiber **items;
    size_t count, capacity;
    size_t unused_count; /* the fewest there were since the last trim: nobody needed those */
    tims_timer trim_timer;
} fiber_pool;

void loop__fibers_init(tims_loop *loop);
void loop__fibers_free(tims_loop *loop);
void loop__fibers_run_ready(tims_loop *loop);

/* --- timers (timer.c) ------------------------------------------------------------------------- */

typedef struct timer_wheel {
    uv_timer_t clock;
    int64_t done_tick;  /* everything due up to here has fired */
    int64_t armed_tick; /* when the clock will ring; INT64_MAX: it will not */
    tims_timer *firing; /* taken out of its slot, about to be called */
    size_t count;
    uint64_t occupied[WHEEL_SLOTS / 64];
    tims_timer *slots[WHEEL_SLOTS];
} timer_wheel;

void loop__timers_init(tims_loop *loop);

/* --- the loop (loop.c) ------------------------------------------------------------------------ */

typedef struct call {
    tims_loop_fn function;
    void *argument;
    bool *armed; /* of tick ends */
} call;

typedef struct call_list {
    call *items;
    size_t count, capacity;
} call_list;

typedef struct loop_signal {
    uv_signal_t handle;
    struct loop_signal *next;
    tims_loop_fn function;
    void *argument;
} loop_signal;

struct tims_loop {
    uint32_t magic;
    int index;
    uv_loop_t uv;
    uv_async_t wake;      /* a post from another thread; referenced while the loop must go on */
    uv_prepare_t prepare; /* before the loop sleeps */
    uv_check_t check;     /* after the callbacks of what had happened */
    uv_idle_t hurry;      /* active: there is more to do, do not sleep */
    int64_t now_us;       /* 0: to be read */
    bool stopping;
    bool running;
    uint32_t watchdog_ms;
    int64_t left_ms; /* when a fiber last gave the loop back */
    void *slots[SLOTS_COUNT];
    loop_signal *signals;

    pthread_mutex_t posts_lock;
    call_list posts;         /* under the lock */
    call_list posts_running; /* the loop's: taken out, being run */
    call_list tick_ends;
    call_list tick_ends_running;
    call_list on_free;

    tims_fiber *current;
    tims_fiber *ready_first, *ready_last;
    loop__context main_context;
    fiber_pool pool;
    size_t fibers_count, fibers_max, fiber_stack_bytes;

    timer_wheel wheel;
    char *read_buffer;
};

/* Milliseconds of a clock that costs a few nanoseconds and is some milliseconds behind. */
int64_t loop__coarse_ms(void);
/* Keeps the loop going while it is not stopped or has fibers; called when either changes. */
void loop__update_keepalive(tims_loop *loop);
/* Makes `loop` the calling thread's, when it has none (set-up before run). Returns the former. */
tims_loop *loop__enter(tims_loop *loop);
void loop__leave(tims_loop *former);

/* --- errors (status.c) ------------------------------------------------------------------------ */

tims_status loop__status_from_uv(int uv_error);
/* Fills `err` with a sentence about `what` ("127.0.0.1:8000") and returns the status. */
tims_status loop__fail_uv(tims_error *err, int uv_error, const char *doing, const char *what);

/* --- streams (stream.c, outbox.c) ------------------------------------------------------------- */

/* One call's bytes that the kernel has not taken yet: copied (`data`), or borrowed slices with a release. */
typedef struct chunk {
    struct chunk *next;
    tims_loop_fn release;
    void *release_argument;
    size_t slice, slices_count; /* the first not yet written, and how many there are */
    tims_str *slices;           /* the first is cut as it is written */
    size_t room;                /* bytes of `data` still free: later small writes go there */
    char *data;
} chunk;

typedef struct drain_waiter {
    struct drain_waiter *next;
    tims_fiber *fiber;
    size_t below_bytes;
    bool done;
    tims_status status;
} drain_waiter;

/* What a stream has only while it has something queued. */
typedef struct outbox {
    uv_write_t request;
    bool in_flight;
    size_t in_flight_bytes; /* of the batch given to libuv */
    size_t bytes;           /* all, the batch included */
    chunk *first, *last;
} outbox;

struct tims_stream {
    uint32_t magic;
    bool is_pipe;
    bool started;
    bool paused;
    bool reading; /* libuv reads; may stay on while paused until something arrives */
    bool ended;   /* on_end has been called */
    bool shut;    /* no more writes are accepted */
    bool shut_sent;
    bool broken; /* a write failed */
    bool closing;
    tims_loop *loop;
    const tims_stream_events *events;
    void *ctx;
    outbox *outbox;
    drain_waiter *waiters;
    char *peer;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
};

tims_stream *loop__stream_new(tims_loop *loop, bool is_pipe);
/* Of the outbox: everything not written is released; waiters learn `status`. */
void loop__outbox_drop(tims_stream *stream);
void loop__outbox_wake(tims_stream *stream, tims_status status);
void loop__stream_fail(tims_stream *stream, int uv_error);
void loop__stream_drained(tims_stream *stream);

/* --- processes (process.c) -------------------------------------------------------------------- */

void loop__process_abandon(uv_handle_t *handle); /* the loop ends before the process does */

#endif
