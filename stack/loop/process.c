/* process.c: child processes, watched until they exit.
 *
 * A handle let go before its process has exited stays behind, unreferenced, so that the child is still waited
 * for and leaves no zombie. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/loop_internal.h"

struct tims_process {
    uint32_t magic;
    bool exited;
    bool let_go;
    void (*on_exit)(void *ctx, int64_t exit_status, int signal_number);
    void *ctx;
    uv_process_t handle;
};

static void finish_close(uv_handle_t *handle)
{
    tims_process *process = handle->data;
    process->magic = 0;
    free(process);
}

void loop__process_abandon(uv_handle_t *handle)
{
    uv_close(handle, finish_close);
}

static void exit_process(uv_process_t *handle, int64_t exit_status, int signal_number)
{
    tims_process *process = handle->data;
    process->exited = true;
    if (process->let_go)
        uv_close((uv_handle_t *)handle, finish_close);
    else if (process->on_exit != NULL)
        process->on_exit(process->ctx, exit_status, signal_number);
}

static size_t count_names(const char *const *names)
{
    size_t count = 0;
    while (names != NULL && names[count] != NULL)
        count++;
    return count;
}

static bool sets_same_variable(const char *a, const char *b)
{
    size_t length = strcspn(a, "=");
    return strcspn(b, "=") == length && strncmp(a, b, length) == 0;
}

/* Ours, without what `extra` sets, then `extra`. The strings are borrowed. */
static char **make_environment(const char *const *extra)
{
    const char *const *ours = (const char *const *)(void *)environ;
    size_t extra_count = count_names(extra);
    char **made = calloc(count_names(ours) + extra_count + 1, sizeof *made);
    TIMS_ASSERT(made != NULL);
    size_t count = 0;
    for (size_t i = 0; ours != NULL && ours[i] != NULL; i++) {
        bool replaced = false;
        for (size_t j = 0; j < extra_count && !replaced; j++)
            replaced = sets_same_variable(ours[i], extra[j]);
        if (!replaced)
            made[count++] = (char *)(uintptr_t)ours[i];
    }
    for (size_t j = 0; j < extra_count; j++)
        made[count++] = (char *)(uintptr_t)extra[j];
    return made;
}

tims_status tims_process_start(tims_loop *loop, const tims_process_options *options,
                               void (*on_exit)(void *ctx, int64_t exit_status, int signal_number), void *ctx,
                               tims_process **ret_process, tims_error *err)
{
    TIMS_ASSERT(options->arguments != NULL && options->arguments[0] != NULL);
    tims_process *process = calloc(1, sizeof *process);
    TIMS_ASSERT(process != NULL);
    process->magic = PROCESS_MAGIC;
    process->on_exit = on_exit;
    process->ctx = ctx;
    process->handle.data = process;
    uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE },
                                      { .flags = UV_IGNORE },
                                      { .flags = UV_IGNORE } };
    for (int fd = 1; fd < 3 && options->inherit_output; fd++)
        stdio[fd] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = fd };
    char **environment = make_environment(options->environment_extra);
    uv_process_options_t spawn = { .exit_cb = exit_process,
                                   .file = options->arguments[0],
                                   .args = (char **)(uintptr_t)options->arguments,
                                   .env = environment,
                                   .cwd = options->directory,
                                   .stdio_count = 3,
                                   .stdio = stdio };
    int failed = uv_spawn(&loop->uv, &process->handle, &spawn);
    free(environment);
    if (failed != 0) {
        uv_close((uv_handle_t *)&process->handle, finish_close);
        return loop__fail_uv(err, failed, "start a process", options->arguments[0]);
    }
    *ret_process = process;
    return TIMS_OK;
}

int tims_process_pid(const tims_process *process)
{
    TIMS_CHECK_MAGIC(process, PROCESS_MAGIC);
    return process->handle.pid;
}

void tims_process_signal(tims_process *process, int signal_number)
{
    TIMS_CHECK_MAGIC(process, PROCESS_MAGIC);
    if (!process->exited) /* its number may be somebody else's by now */
        (void)uv_process_kill(&process->handle, signal_number);
}

void tims_process_free(tims_process **pointer)
{
    tims_process *process = *pointer;
    if (process == NULL)
        return;
    TIMS_CHECK_MAGIC(process, PROCESS_MAGIC);
    *pointer = NULL;
    process->let_go = true;
    if (process->exited)
        uv_close((uv_handle_t *)&process->handle, finish_close);
    else
        uv_unref((uv_handle_t *)&process->handle);
}

static bool await_exit(int fd, int64_t deadline_us)
{
    int64_t left_ms = (deadline_us - tims_monotonic_us()) / 1000;
    struct pollfd exit = { .fd = fd, .events = POLLIN };
    return poll(&exit, 1, left_ms > 0 ? (int)left_ms : 0) == 1;
}

void tims_process_end(tims_process **pointer, int64_t deadline_us)
{
    tims_process *process = *pointer;
    if (process == NULL)
        return;
    TIMS_CHECK_MAGIC(process, PROCESS_MAGIC);
    if (!process->exited) {
        int fd = pidfd_open(process->handle.pid, 0);
        if (fd < 0 || !await_exit(fd, deadline_us))
            (void)kill(process->handle.pid, SIGKILL);
        if (fd >= 0)
            (void)close(fd);
        (void)waitpid(process->handle.pid, NULL, 0);
        process->exited = true;
    }
    tims_process_free(pointer);
}
