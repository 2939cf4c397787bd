/* loop.h: event loops, fibers, timers, channels, the worker pool and byte streams. The only room that knows
 * libuv.
 *
 * One loop per core, sharing nothing. A fiber belongs to the loop that started it and runs until it waits.
 * Functions marked "Suspends" must be called on a fiber. */
#ifndef TIMS_LOOP_H
#define TIMS_LOOP_H

#include "tims/base.h"

typedef struct tims_loop tims_loop;
typedef void (*tims_loop_fn)(void *argument);
typedef struct tims_fiber tims_fiber;

/* --- loop ------------------------------------------------------------------------------------- */

typedef struct tims_loop_options {
    int index;                /* shown in the log */
    size_t fiber_stack_bytes; /* 0: 256 KiB of address space */
    uint32_t fibers_max;      /* 0: 100,000; past it tims_fiber_start returns NULL */
    uint32_t watchdog_ms;     /* a fiber or callback that holds the loop longer is logged; 0: 50 */
} tims_loop_options;

/* Also makes the process ignore SIGPIPE. `options` may be NULL. */
tims_status tims_loop_new(const tims_loop_options *options, tims_loop **ret_loop);
/* Everything on it must have been closed (asserted). Posts that came too late for run are run here. */
void tims_loop_free(tims_loop **loop);
/* Called as tims_loop_free begins, on its thread: whoever keeps sockets or timers on the loop lets go of
 * them. One per argument; `function` NULL: no longer. */
void tims_loop_on_free(tims_loop *loop, tims_loop_fn function, void *argument);
/* Until tims_loop_stop has been called and nothing is left to do: no fiber alive, no stream or listener open,
 * no process running that was not let go. Timers, signals and watches are no reason to go on. */
void tims_loop_run(tims_loop *loop);
void tims_loop_stop(tims_loop *loop); /* from any thread; pending posts still run */
tims_loop *tims_loop_self(void);      /* the loop this thread runs; NULL elsewhere */
/* Its number, from 0, as it was made with. */
int tims_loop_index(const tims_loop *loop);
int64_t tims_loop_now_us(const tims_loop *loop); /* monotonic, read once a tick */
/* Runs `function(argument)` on the loop's thread, soon, in order. From any thread; never blocks. */
void tims_loop_post(tims_loop *loop, tims_loop_fn function, void *argument);
/* Runs once at the end of the current tick (before the loop sleeps, after woken fibers and own posts): where
 * writes are gathered. Registering the same pair twice in a tick runs it once if `armed` (caller's flag,
 * cleared before the call) is already true. It runs before the on_closed of anything that was open when it
 * was registered. */
void tims_loop_at_tick_end(tims_loop *loop, bool *armed, tims_loop_fn function, void *argument);
void *tims_loop_get_slot(tims_loop *loop, int slot); /* per-loop state of the rooms above, 0–15 */
/* Sets what tims_loop_get_slot gives; borrowed. On the loop's thread. */
void tims_loop_set_slot(tims_loop *loop, int slot, void *value);
enum {
    TIMS_LOOP_SLOT_HTTP,
    TIMS_LOOP_SLOT_DB,
    TIMS_LOOP_SLOT_AUTH,
    TIMS_LOOP_SLOT_LIVE,
    TIMS_LOOP_SLOT_PAGES,
    TIMS_LOOP_SLOT_REST,
    TIMS_LOOP_SLOT_APP,
    TIMS_LOOP_SLOT_FETCH,
    TIMS_LOOP_SLOT_PUSH
};

/* A POSIX signal, delivered on this loop (as a callback, not a fiber). */
void tims_loop_on_signal(tims_loop *loop, int signal_number, tims_loop_fn function, void *argument);

/* --- fibers ----------------------------------------------------------------------------------- */

typedef void (*tims_fiber_fn)(void *argument);
/* Starts at once, on the calling loop's thread, and returns when it first waits or ends. The result may be
 * used only while the fiber is known to live; it is not NULL even if the fiber has already ended. NULL:
 * fibers_max is reached or no stack can be had; nothing has run. */
tims_fiber *tims_fiber_start(tims_loop *loop, tims_fiber_fn function, void *argument);
tims_fiber *tims_fiber_self(void); /* NULL outside fibers */
/* Leaves the fiber for good: its stack is simply abandoned, so what must be released was deferred. */
TIMS_NORETURN void tims_fiber_exit(void);
/* Called when the fiber ends, by return or exit, on its loop, off its stack. One per fiber. Must not
 * suspend. */
void tims_fiber_on_end(tims_fiber *fiber, tims_loop_fn function, void *argument);
/* Waits until tims_fiber_wake, the deadline, or cancel. Returns OK, TIMEOUT or CANCELLED. Suspends. A wake
 * before the suspend is kept (one), so OK may also be an old wake: wait in a loop, `while (!done && status ==
 * TIMS_OK)`. With TIMEOUT or CANCELLED a kept wake is dropped: take the fiber out of wherever it is to be
 * woken from, then return. */
tims_status tims_fiber_suspend(void);
/* Queues it for the end of the tick, never switches. Same loop only; safe while the fiber is running. */
void tims_fiber_wake(tims_fiber *fiber);
/* From any thread: takes effect at its loop. The fiber must be alive until then. */
void tims_fiber_wake_from_anywhere(tims_fiber *fiber);
void tims_fiber_cancel(tims_fiber *fiber); /* its current and next waits return CANCELLED; same loop */
/* Every wait past this monotonic time returns TIMEOUT; 0: none. Returns the former deadline. */
int64_t tims_fiber_set_deadline(int64_t monotonic_us);
/* For what must not be interrupted (a commit under way): true defers cancel and deadline. Returns the
 * former. */
bool tims_fiber_shield(bool on);
tims_status tims_sleep_ms(int64_t ms); /* Suspends. */
/* How many fibers live on the loop. */
size_t tims_fiber_count(const tims_loop *loop);

/* --- timers: cheap, coarse (one wheel per loop, 10 ms) ---------------------------------------- */

typedef struct tims_timer { /* embed it; zero it before first use */
    struct tims_timer *next, *previous;
    int64_t due_tick;
    tims_loop_fn function;
    void *argument;
    tims_loop *loop;
} tims_timer;
/* Calls `function(argument)` on the loop once, `after_ms` from now. */
void tims_timer_set(tims_loop *loop, tims_timer *timer, int64_t after_ms, tims_loop_fn function,
                    void *argument);
/* Never early; at most a tick and the loop's own lateness late. Setting a set timer moves it. */
void tims_timer_clear(tims_timer *timer); /* fine when not set */

/* --- channels: bounded queues of pointers between fibers of one loop -------------------------- */

typedef struct tims_channel tims_channel;
/* A channel for fibers of this loop that holds at most `capacity` items; yours to free. */
tims_channel *tims_channel_new(tims_loop *loop, size_t capacity);
void tims_channel_free(tims_channel **channel); /* closes it first: who waits gets CLOSED */
/* Suspends while full. CLOSED after close. */
tims_status tims_channel_send(tims_channel *channel, void *item);
/* Without waiting; false: it is full or closed. */
bool tims_channel_try_send(tims_channel *channel, void *item);
/* Suspends while empty. CLOSED at the end. */
tims_status tims_channel_receive(tims_channel *channel, void **ret_item);
/* Nothing more goes in; what is in it can still be received. Who waits is woken. */
void tims_channel_close(tims_channel *channel);

/* --- worker pool: blocking work off the loop -------------------------------------------------- */

/* Runs `function(argument)` on a pool thread while this fiber waits. Suspends, shielded: it returns only when
 * the function has. `argument` may be on the stack. The pool has four threads for the whole process. */
tims_status tims_work_run(void (*function)(void *argument), void *argument);

/* --- streams: TCP and Unix sockets, both ends ------------------------------------------------- */

typedef struct tims_stream tims_stream;
typedef struct tims_stream_events {
    void (*on_data)(void *ctx, tims_str bytes); /* the bytes are valid during the call only */
    void (*on_end)(void *ctx, tims_status why); /* CLOSED: orderly end of input; IO: error. Once. */
    void (*on_drain)(void *ctx);  /* everything queued has been written; not called if nothing was */
    void (*on_closed)(void *ctx); /* after tims_stream_close: nothing follows, ctx may go */
} tims_stream_events;

typedef struct tims_listener tims_listener;
typedef struct tims_listen_options {
    tims_str host;      /* address or "localhost"; empty: all, both families */
    uint16_t port;      /* 0: any free one */
    tims_str unix_path; /* instead of host and port */
    int fd;             /* > 0 instead: an inherited listening socket */
    int backlog;        /* 0: 1024 */
    bool reuse_port;    /* one listener per loop on the same port */
} tims_listen_options;
/* `on_accept` gets a stream that is not yet reading; it must call tims_stream_start or _close.
 * A socket file nobody listens on is replaced. Errors: BUSY (address in use), FORBIDDEN, UNAVAILABLE (no such
 * address), IO (also for an address or path that is none). */
tims_status tims_listen(tims_loop *loop, const tims_listen_options *options,
                        void (*on_accept)(void *ctx, tims_stream *stream), void *ctx,
                        tims_listener **ret_listener, tims_error *err);
/* The port; the one that was found where 0 was asked for. 0 for a Unix socket. */
uint16_t tims_listener_port(const tims_listener *listener);
/* The listening socket itself, to be inherited; still the listener's. */
int tims_listener_fd(const tims_listener *listener);
/* Accepts nothing any more and removes its socket file. Sets `*listener` to NULL; NULL is fine. */
void tims_listener_close(tims_listener **listener);

/* Suspends. Errors: UNAVAILABLE (refused, no such socket), TIMEOUT, CANCELLED, IO. Names are resolved. */
tims_status tims_connect_tcp(tims_loop *loop, tims_str host, uint16_t port, int64_t timeout_ms,
                             tims_stream **ret_stream, tims_error *err);
/* The same to a Unix socket. */
tims_status tims_connect_unix(tims_loop *loop, tims_str path, int64_t timeout_ms, tims_stream **ret_stream,
                              tims_error *err);

/* Begins to read; from now on the events are called with `ctx`. Once. */
void tims_stream_start(tims_stream *stream, const tims_stream_events *events, void *ctx);
/* Others take the stream over: their events, their `ctx`, from the next event on. */
void tims_stream_set_events(tims_stream *stream, const tims_stream_events *events, void *ctx);
/* No on_data and no on_end of the peer's until resume: backpressure. Costs nothing unless bytes arrive
 * meanwhile. */
void tims_stream_pause(tims_stream *stream);
/* Goes on after tims_stream_pause. */
void tims_stream_resume(tims_stream *stream);
typedef struct tims_slice_list {
    const tims_str *items;
    size_t count;
} tims_slice_list;
/* Tries to write at once with one writev; what the kernel does not take is copied and queued, without a
 * limit: who may be slow must be asked with tims_stream_queued or _wait_below. Errors: CLOSED, IO. */
tims_status tims_stream_write(tims_stream *stream, const tims_str *slices, size_t count);
/* As write, but the rest is not copied: `release(argument)` is called once when the bytes are no longer
 * needed (possibly before the call returns, and also when it fails). For shared frames and file buffers. */
tims_status tims_stream_write_owned(tims_stream *stream, const tims_str *slices, size_t count,
                                    tims_loop_fn release, void *argument);
size_t tims_stream_queued(const tims_stream *stream); /* bytes not yet taken by the kernel */
/* Waits until less than `bytes` are queued. Suspends. Errors: CLOSED, TIMEOUT, CANCELLED. */
tims_status tims_stream_wait_below(tims_stream *stream, size_t bytes);
/* No more writes; the peer sees the end after what is queued */
void tims_stream_shutdown(tims_stream *stream);
/* At once, dropping what is queued; on_closed follows (if started) */
void tims_stream_close(tims_stream *stream);
/* "127.0.0.1"; "unix" for Unix sockets; lives with it */
tims_str tims_stream_peer_address(tims_stream *stream);
/* The loop it lives on; only there it may be used. */
tims_loop *tims_stream_loop(tims_stream *stream);

/* --- processes and files: what the rooms above need of libuv ---------------------------------- */

typedef struct tims_process tims_process;
typedef struct tims_process_options {
    const char *const *arguments;         /* NULL-terminated; [0] is looked up in PATH */
    const char *const *environment_extra; /* "NAME=value", NULL-terminated; may be NULL */
    const char *directory;
    bool inherit_output;
} tims_process_options;
/* Starts a program; `on_exit` is called once on the loop, with its exit status or the signal that ended it.
 * Errors: NOT_FOUND, FORBIDDEN, UNAVAILABLE, IO. */
tims_status tims_process_start(tims_loop *loop, const tims_process_options *options,
                               void (*on_exit)(void *ctx, int64_t exit_status, int signal_number), void *ctx,
                               tims_process **ret_process, tims_error *err);
/* Its process id; valid until on_exit. */
int tims_process_pid(const tims_process *process);
/* Sends a signal; nothing happens when it has ended. */
void tims_process_signal(tims_process *process, int signal_number);
void tims_process_free(tims_process **process); /* after on_exit, or to stop caring */
/* The end of one that was asked to go, and of the handle: waits for its exit until `deadline_us` (monotonic),
 * then kills it. Blocks the loop, so it is for a loop that has nothing left to do; on_exit is not called any
 * more. */
void tims_process_end(tims_process **process, int64_t deadline_us);
/* A socket that a library owns (libpq, hiredis): calls on the loop when it can be read or written. Both are
 * said of one that failed: whoever reads learns why. Level-triggered. */
typedef struct tims_poll tims_poll;
enum { TIMS_READABLE = 1, TIMS_WRITABLE = 2 };
/* Waits for nothing yet (see tims_poll_set); yours to free. Errors: IO (no such descriptor). */
tims_status tims_poll_new(tims_loop *loop, int fd, void (*function)(void *argument, int events),
                          void *argument, tims_poll **ret_poll);
/* What to wait for from now on, 0: nothing. No reason for the loop to go on. */
void tims_poll_set(tims_poll *poll, int events);
void tims_poll_free(tims_poll **poll); /* before the socket is closed; from inside `function` too */
/* Calls on the loop whenever a file in the folder (not below) changes. */
typedef struct tims_watch tims_watch;
/* Yours to free. Errors: NOT_FOUND, FORBIDDEN, IO. */
tims_status tims_watch_path(tims_loop *loop, const char *path, tims_loop_fn function, void *argument,
                            tims_watch **ret_watch);
/* On its loop. Sets `*watch` to NULL; NULL is fine. */
void tims_watch_free(tims_watch **watch);

#endif
