/* child.c: the process of blocking tasks: `program task-process SOCKET`, started by a worker.
 *
 * It does one job at a time, on a fiber, with a database connection of its own; a run may compute for minutes
 * without ever waiting. So a thread of its own listens to the worker: that it should stop is heard while it
 * computes, progress is told meanwhile, and when the worker has gone the process goes, too: at once, as if
 * killed, since nobody waits for what it does. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tasks/process/wire.h"

enum {
    PROGRESS_MS = 100,
    PROGRESS_BYTES = 1000,
    STACK_BYTES = 8 * 1024 * 1024, /* what runs here may be any library */
    WATCHDOG_MS = INT32_MAX,       /* and is here because it takes its time */
    JOB_BYTES_MAX = 512 * 1024 * 1024,
};

typedef struct process {
    tims_tasks *tasks;
    tims_loop *loop;
    int fd;
    _Atomic bool is_busy; /* set by the thread that listens, cleared when the end has been told */
    tasks__control control;
    pthread_mutex_t lock; /* what is said, and: */
    bool has_progress;
    double fraction;
    char text[PROGRESS_BYTES];
    size_t text_length;
} process;

typedef struct heard {
    process *process;
    size_t length;
    char body[];
} heard;

/* --- saying ----------------------------------------------------------------------------------------------- */

/* The worker has gone, or what it says makes no sense. */
TIMS_NORETURN static void vanish(void)
{
    _exit(1);
}

static void send_all(process *p, tims_buf *out)
{
    TIMS_ASSERT(!out->overflow);
    for (size_t sent = 0; sent < out->length;) {
        ssize_t count = send(p->fd, out->data + sent, out->length - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            vanish();
        sent += (size_t)count;
    }
    tims_buf_free(out);
}

static void say_hello(process *p)
{
    tims_buf out;
    tims_buf_init(&out, NULL, TASKS__SAID_FRAME_MAX);
    tasks__hello_write(&out, getpid());
    send_all(p, &out);
}

static void say_end(process *p, const tasks__outcome *outcome)
{
    tims_buf out;
    tims_buf_init(&out, NULL, TASKS__SAID_FRAME_MAX);
    tasks__end_write(&out, outcome);
    pthread_mutex_lock(&p->lock);
    p->has_progress = false; /* it would be taken for the next job's */
    atomic_store(&p->is_busy, false);
    send_all(p, &out);
    pthread_mutex_unlock(&p->lock);
}

static void say_progress(process *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->has_progress) {
        tims_buf out;
        p->has_progress = false;
        tims_buf_init(&out, NULL, TASKS__SAID_FRAME_MAX);
        tasks__progress_write(&out, p->fraction, (tims_str){ p->text, p->text_length });
        send_all(p, &out);
    }
    pthread_mutex_unlock(&p->lock);
}

static void note_progress(tasks__control *control, double fraction, tims_str text)
{
    process *p = control->data;
    pthread_mutex_lock(&p->lock);
    p->has_progress = true;
    p->fraction = fraction;
    p->text_length = text.length < sizeof p->text ? text.length : sizeof p->text;
    memcpy(p->text, text.data, p->text_length);
    pthread_mutex_unlock(&p->lock);
}

/* --- a job ------------------------------------------------------------------------------------------------ */

static void do_assignment(process *p, tims_arena *arena, tims_str body)
{
    tasks__assignment given;
    tasks__outcome outcome;
    tims_error err = { 0 };
    if (tasks__assignment_read(arena, body, &given, &err) != TIMS_OK) {
        tims_log(TIMS_LOG_ERROR, "tasks", "event=bad_assignment message=%s", err.message);
        vanish();
    }
    tasks__store *store = p->tasks->store;
    store->worker = given.worker; /* whose the job is: the fence of its end */
    store->loop = p->loop;
    atomic_store(&p->tasks->clock_offset_us, given.clock_us);
    p->control.fiber = tims_fiber_self();
    tasks__run_job(p->tasks, p->loop, store, &given.job, &p->control, &outcome);
    say_end(p, &outcome);
    tims_arena_free(&outcome.arena);
}

static void work(void *argument)
{
    heard *h = argument;
    tims_arena *arena = tims_arena_new(JOB_BYTES_MAX, NULL, NULL);
    do_assignment(h->process, arena, (tims_str){ h->body, h->length });
    tims_arena_free(&arena);
    free(h);
}

static void take_job(void *argument)
{
    heard *h = argument;
    TIMS_ASSERT(tims_fiber_start(h->process->loop, work, h) != NULL);
}

/* --- hearing ---------------------------------------------------------------------------------------------- */

static void hear(process *p, const tasks__frame *frame)
{
    if (frame->letter == TASKS__SAYS_STOP) {
        atomic_store(&p->control.stop, true);
        return;
    }
    if (frame->letter != TASKS__SAYS_JOB || atomic_exchange(&p->is_busy, true))
        vanish();
    heard *h = malloc(sizeof *h + frame->body.length);
    TIMS_ASSERT(h != NULL);
    h->process = p;
    h->length = frame->body.length;
    memcpy(h->body, frame->body.data, frame->body.length);
    atomic_store(&p->control.stop, false); /* here: the next frame may ask for a stop already */
    tims_loop_post(p->loop, take_job, h);
}

static void hear_all(process *p, tims_buf *in)
{
    tasks__frame frame;
    tasks__frame_state state;
    while ((state = tasks__frame_read(tims_buf_str(in), TASKS__JOB_FRAME_MAX, &frame)) ==
           TASKS__FRAME_WHOLE) {
        hear(p, &frame);
        tims_buf_consume(in, frame.bytes);
    }
    if (state == TASKS__FRAME_BAD)
        vanish();
}

/* False: the worker says no more. */
static bool receive(process *p, tims_buf *in)
{
    enum { CHUNK = 64 * 1024 };
    TIMS_ASSERT(tims_buf_reserve(in, CHUNK));
    ssize_t count = recv(p->fd, in->data + in->length, CHUNK, 0);
    if (count < 0 && errno == EINTR)
        return true;
    if (count <= 0)
        return false;
    in->length += (size_t)count;
    hear_all(p, in);
    return true;
}

static void leave(void *argument)
{
    process *p = argument;
    tims_fetch_shutdown(p->loop);
    tims_loop_stop(p->loop);
}

static void *listen_to_worker(void *argument)
{
    process *p = argument;
    tims_buf in;
    tims_buf_init(&in, NULL, 2 * (size_t)TASKS__JOB_FRAME_MAX);
    for (bool is_there = true; is_there;) {
        struct pollfd ready = { .fd = p->fd, .events = POLLIN };
        int count = poll(&ready, 1, atomic_load(&p->is_busy) ? PROGRESS_MS : -1);
        say_progress(p);
        if (count > 0)
            is_there = receive(p, &in);
    }
    if (atomic_load(&p->is_busy))
        vanish();
    tims_buf_free(&in);
    tims_loop_post(p->loop, leave, p);
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------------------- */

static void ignore(int signal_number)
{
    (void)signal_number;
}

/* What is sent to the whole group is the worker's business: it lets runs end, and says so. Programs that a
 * task starts get the signals as usual. */
static void leave_signals_to_worker(void)
{
    const struct sigaction quiet = { .sa_handler = ignore, .sa_flags = SA_RESTART };
    (void)sigaction(SIGTERM, &quiet, NULL);
    (void)sigaction(SIGINT, &quiet, NULL);
    (void)sigaction(SIGHUP, &quiet, NULL);
}

static int connect_to_worker(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, length + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int tims_task_process(tims_tasks *tasks, const char *socket_path)
{
    TIMS_CHECK_MAGIC(tasks, TASKS__MAGIC);
    pthread_t listener;
    tims_loop_options options = { .fiber_stack_bytes = STACK_BYTES, .watchdog_ms = WATCHDOG_MS };
    process p = { .tasks = tasks, .control = { .on_progress = note_progress } };
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    leave_signals_to_worker();
    p.control.data = &p;
    p.fd = connect_to_worker(socket_path);
    if (p.fd < 0 || tims_loop_new(&options, &p.loop) != TIMS_OK) {
        tims_log(TIMS_LOG_ERROR, "tasks", "event=no_worker socket=%s message=There is no worker at it.",
                 socket_path);
        return 1;
    }
    pthread_mutex_init(&p.lock, NULL);
    TIMS_ASSERT(pthread_create(&listener, NULL, listen_to_worker, &p) == 0);
    say_hello(&p);
    tims_loop_run(p.loop);
    (void)pthread_join(listener, NULL);
    tims_loop_free(&p.loop);
    pthread_mutex_destroy(&p.lock);
    (void)close(p.fd);
    return 0;
}
