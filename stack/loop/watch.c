/* watch.c: told when the files of a folder change. A hint: several changes may come as one call, one as
 * several. */
#include <stdlib.h>

#include "loop/loop_internal.h"

struct tims_watch {
    uint32_t magic;
    tims_loop_fn function;
    void *argument;
    uv_fs_event_t handle;
};

static void finish_close(uv_handle_t *handle)
{
    tims_watch *watch = handle->data;
    watch->magic = 0;
    free(watch);
}

static void notice(uv_fs_event_t *handle, const char *name, int events, int status)
{
    (void)name;
    (void)events;
    tims_watch *watch = handle->data;
    if (status == 0)
        watch->function(watch->argument);
}

tims_status tims_watch_path(tims_loop *loop, const char *path, tims_loop_fn function, void *argument,
                            tims_watch **ret_watch)
{
    TIMS_ASSERT(path != NULL && function != NULL);
    tims_watch *watch = calloc(1, sizeof *watch);
    TIMS_ASSERT(watch != NULL);
    *watch = (tims_watch){ .magic = WATCH_MAGIC, .function = function, .argument = argument };
    int err = uv_fs_event_init(&loop->uv, &watch->handle);
    TIMS_ASSERT(err == 0);
    watch->handle.data = watch;
    err = uv_fs_event_start(&watch->handle, notice, path, 0);
    if (err != 0) {
        uv_close((uv_handle_t *)&watch->handle, finish_close);
        return err == UV_ENOENT ? TIMS_NOT_FOUND : loop__status_from_uv(err);
    }
    uv_unref((uv_handle_t *)&watch->handle); /* watching is no reason to go on */
    *ret_watch = watch;
    return TIMS_OK;
}

void tims_watch_free(tims_watch **pointer)
{
    tims_watch *watch = *pointer;
    if (watch == NULL)
        return;
    TIMS_CHECK_MAGIC(watch, WATCH_MAGIC);
    *pointer = NULL;
    uv_close((uv_handle_t *)&watch->handle, finish_close);
}
