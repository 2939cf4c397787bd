/* poll.c: waiting for a socket that a library owns. */
#include <stdlib.h>

#include "loop/loop_internal.h"

struct tims_poll {
    uint32_t magic;
    int events;
    void (*function)(void *argument, int events);
    void *argument;
    uv_poll_t handle;
};

static void finish_close(uv_handle_t *handle)
{
    tims_poll *poll = handle->data;
    poll->magic = 0;
    free(poll);
}

static int watched(int events)
{
    return ((events & TIMS_READABLE) != 0 ? UV_READABLE : 0) |
           ((events & TIMS_WRITABLE) != 0 ? UV_WRITABLE : 0);
}

/* libuv stops watching a socket that failed; there may still be something to read before the reason. */
static void notice(uv_poll_t *handle, int status, int events)
{
    tims_poll *poll = handle->data;
    if (status != 0)
        (void)uv_poll_start(handle, watched(poll->events), notice);
    int seen = 0;
    if (status != 0 || (events & (UV_READABLE | UV_DISCONNECT)) != 0)
        seen |= TIMS_READABLE;
    if (status != 0 || (events & UV_WRITABLE) != 0)
        seen |= TIMS_WRITABLE;
    poll->function(poll->argument, seen);
}

tims_status tims_poll_new(tims_loop *loop, int fd, void (*function)(void *argument, int events),
                          void *argument, tims_poll **ret_poll)
{
    TIMS_ASSERT(fd >= 0 && function != NULL);
    tims_poll *poll = calloc(1, sizeof *poll);
    TIMS_ASSERT(poll != NULL);
    *poll = (tims_poll){ .magic = POLL_MAGIC, .function = function, .argument = argument };
    int err = uv_poll_init(&loop->uv, &poll->handle, fd);
    if (err != 0) {
        free(poll);
        return loop__status_from_uv(err);
    }
    poll->handle.data = poll;
    uv_unref((uv_handle_t *)&poll->handle); /* waiting is no reason to go on */
    *ret_poll = poll;
    return TIMS_OK;
}

void tims_poll_set(tims_poll *poll, int events)
{
    TIMS_CHECK_MAGIC(poll, POLL_MAGIC);
    if (events == poll->events)
        return;
    poll->events = events;
    int err = watched(events) != 0 ? uv_poll_start(&poll->handle, watched(events), notice)
                                   : uv_poll_stop(&poll->handle);
    TIMS_ASSERT(err == 0);
}

void tims_poll_free(tims_poll **pointer)
{
    tims_poll *poll = *pointer;
    if (poll == NULL)
        return;
    TIMS_CHECK_MAGIC(poll, POLL_MAGIC);
    *pointer = NULL;
    uv_close((uv_handle_t *)&poll->handle, finish_close);
}
