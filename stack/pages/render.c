/* render.c: the render server: started, watched, asked.
 *
 * It is a process of its own behind a socket in a folder that only we may enter. It is asked with POST, whose
 * body is the page's data; of the client's request nothing goes there but the address, so no header of a
 * client can be taken for one of ours. When it dies it is started again after a pause that doubles.
 *
 * Who asks for a slow page gets its shell, and nobody else anything worse: a slow page says nothing about the
 * server. What says that it hangs is that *nothing at all* has come back since a late page was asked for.
 * Three such failures, or three connections refused, with no answer between them, and it is left alone for a
 * moment, in which pages are answered at once with their shells.
 *
 *   start ──► STARTING ──probe connects──► READY ──exits──► DOWN ──pause──► (process) ──probe connects──►
 * READY */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pages/pages_internal.h"

enum {
    TIMEOUT_MS = 3000,
    DEVELOPMENT_TIMEOUT_MS = 90000, /* a page is compiled when it is first asked for */
    SILENT_MAX = 3,
    REST_US = 2000000,
    PROBE_MS = 50,
    FIRST_START_US =
        20000000, /* how long visitors may have to wait for the very first start, each up to the timeout */
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 10000,
    LIVED_US = 30000000, /* lived so long: the next pause is the shortest again */
};

void pages__render_init(tims_pages *pages)
{
    pages__render *render = &pages->render;
    const tims_pages_options *options = &pages->options;
    bool has_url = options->render_url.length > 0;
    render->command = options->render_command;
    render->pause_ms = PAUSE_MIN_MS;
    render->timeout_ms = options->development             ? DEVELOPMENT_TIMEOUT_MS
                         : options->render_timeout_ms > 0 ? options->render_timeout_ms
                                                          : TIMEOUT_MS;
    if (has_url && tims_str_starts_with(options->render_url, TIMS_STR("unix:"))) {
        render->socket = tims_str_slice(options->render_url, 5, options->render_url.length);
        render->base = tims_print(pages->arena, "%S:", options->render_url);
    } else if (has_url)
        render->base = tims_copy(pages->arena, options->render_url);
    if (has_url)
        atomic_store(&render->state, PAGES__RENDER_READY); /* somebody else's: it is there or it is not */
}

tims_str pages__render_address(tims_arena *arena, const tims_pages *pages, tims_str target)
{
    return tims_print(arena, "%S%S", pages->render.base, target);
}

/* --- asking ------------------------------------------------------------------------------------------ */

/* Only for the first start: whoever comes that early waits a moment and gets the whole page. */
static void wait_for_first_start(pages__render *render)
{
    int64_t deadline_us = tims_monotonic_us() + render->timeout_ms * 1000;
    while (atomic_load(&render->state) == PAGES__RENDER_STARTING) {
        int64_t now_us = tims_monotonic_us();
        if (now_us > deadline_us || now_us - atomic_load(&render->started_us) > FIRST_START_US)
            return;
        if (tims_sleep_ms(PROBE_MS) != TIMS_OK)
            return;
    }
}

/* Any answer is a sign of life, a failed page's too. */
static void judge(pages__render *render, tims_status status, int64_t asked_us)
{
    if (status == TIMS_CANCELLED) /* the visitor has gone; that says nothing */
        return;
    if (status != TIMS_TIMEOUT && status != TIMS_UNAVAILABLE) {
        atomic_store(&render->answered_us, tims_monotonic_us());
        atomic_store(&render->silent_count, 0);
        return;
    }
    if (atomic_load(&render->answered_us) >= asked_us) /* it is busy with others */
        return;
    if (atomic_fetch_add(&render->silent_count, 1) + 1 < SILENT_MAX)
        return;
    atomic_store(&render->silent_count, 0);
    atomic_store(&render->rests_until_us, tims_monotonic_us() + REST_US);
    tims_log(TIMS_LOG_WARN, "pages", "the render server gave no sign of life %d times; shells for a moment",
             SILENT_MAX);
}

static tims_status ask(tims_request *rq, tims_pages *pages, tims_str target, tims_str data, tims_str nonce,
                       tims_fetched *ret_answer, tims_error *err)
{
    const tims_header headers[] = { { TIMS_STR("Content-Type"), TIMS_STR("application/json") },
                                    { TIMS_STR("X-Nonce"), nonce } };
    const tims_fetch_options options = { .method = TIMS_METHOD_POST,
                                         .url = pages__render_address(rq->arena, pages, target),
                                         .headers = headers,
                                         .header_count = sizeof headers / sizeof headers[0],
                                         .body = data,
                                         .timeout_ms = pages->render.timeout_ms };
    int64_t asked_us = tims_monotonic_us();
    tims_status status = tims_fetch(rq->arena, &options, ret_answer, err);
    judge(&pages->render, status, asked_us);
    return status;
}

tims_status pages__render_page(tims_request *rq, tims_pages *pages, tims_str target, tims_str data,
                               tims_str nonce, int *ret_status, tims_str *ret_html, tims_error *err)
{
    pages__render *render = &pages->render;
    tims_fetched answer = { 0 };
    wait_for_first_start(render);
    if (atomic_load(&render->state) != PAGES__RENDER_READY)
        return tims_fail(err, TIMS_UNAVAILABLE, "no_renderer", "No render server is running.");
    if (tims_monotonic_us() < atomic_load(&render->rests_until_us))
        return tims_fail(err, TIMS_UNAVAILABLE, "renderer_rests",
                         "The render server is not asked for a moment.");
    tims_status status = ask(rq, pages, target, data, nonce, &answer, err);
    if (status == TIMS_OK && answer.status != 200 && answer.status != 404)
        status =
            tims_fail(err, TIMS_UNAVAILABLE, "not_rendered", "The render server answered %d.", answer.status);
    if (status != TIMS_OK) {
        tims_log(TIMS_LOG_WARN, "pages", "not rendered, the shell is sent path=%S why=%s", rq->path,
                 err->message);
        return status;
    }
    *ret_status = answer.status;
    *ret_html = answer.body;
    return TIMS_OK;
}

/* --- the process ------------------------------------------------------------------------------------- */

static void start_process(void *argument);

static void probe_until_ready(void *argument)
{
    pages__render *render = argument;
    while (!render->stopping && render->process != NULL) {
        tims_stream *stream;
        tims_error err = { 0 };
        if (tims_connect_unix(render->loop, render->socket, 1000, &stream, &err) == TIMS_OK) {
            tims_stream_close(stream);
            atomic_store(&render->state, PAGES__RENDER_READY);
            tims_log(TIMS_LOG_INFO, "pages", "the render server is ready after_ms=%lld",
                     (long long)((tims_monotonic_us() - atomic_load(&render->started_us)) / 1000));
            break;
        }
        if (tims_sleep_ms(PROBE_MS) != TIMS_OK)
            break;
    }
}

static void forget_probe(void *argument)
{
    ((pages__render *)argument)->probe = NULL;
}

static void start_again_later(pages__render *render)
{
    tims_timer_set(render->loop, &render->timer, render->pause_ms, start_process, render);
    render->pause_ms = render->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : render->pause_ms * 2;
}

static void notice_exit(void *ctx, int64_t exit_status, int signal_number)
{
    pages__render *render = ctx;
    tims_process_free(&render->process);
    if (render->stopping)
        return;
    atomic_store(&render->state, PAGES__RENDER_DOWN);
    if (tims_monotonic_us() - atomic_load(&render->started_us) > LIVED_US)
        render->pause_ms = PAUSE_MIN_MS;
    tims_log(TIMS_LOG_WARN, "pages", "the render server has ended exit=%lld signal=%d again_in_ms=%lld",
             (long long)exit_status, signal_number, (long long)render->pause_ms);
    start_again_later(render);
}

static tims_status run_command(pages__render *render, tims_error *err)
{
    const char *const arguments[] = { "/bin/sh", "-c", render->line, NULL };
    const char *const environment[] = { render->socket_setting, NULL };
    const tims_process_options options = { .arguments = arguments,
                                           .environment_extra = environment,
                                           .inherit_output = true };
    (void)unlink(render->socket.data); /* terminated; left behind by one that was killed */
    return tims_process_start(render->loop, &options, notice_exit, render, &render->process, err);
}

static void start_process(void *argument)
{
    pages__render *render = argument;
    tims_error err = { 0 };
    atomic_store(&render->started_us, tims_monotonic_us());
    if (run_command(render, &err) != TIMS_OK) {
        tims_log(TIMS_LOG_ERROR, "pages", "the render server cannot be started: %s", err.message);
        atomic_store(&render->state, PAGES__RENDER_DOWN);
        start_again_later(render);
        return;
    }
    render->probe = tims_fiber_start(render->loop, probe_until_ready, render);
    if (render->probe != NULL)
        tims_fiber_on_end(render->probe, forget_probe, render);
}

static tims_status make_socket_folder(tims_pages *pages, tims_error *err)
{
    const char *base = getenv("TMPDIR");
    pages__render *render = &pages->render;
    char *folder =
        (char *)(uintptr_t)tims_copy_c(pages->arena, tims_print(pages->arena, "%s/tims-render-XXXXXX",
                                                                base != NULL && base[0] ? base : "/tmp"));
    if (mkdtemp(folder) == NULL) /* mode 0700 */
        return tims_fail(err, TIMS_IO, "render_socket",
                         "No folder for the render server's socket can be made.");
    render->folder = tims_str_from(folder);
    render->socket = tims_print(pages->arena, "%s/render.sock", folder);
    render->base = tims_print(pages->arena, "unix:%S:", render->socket);
    return TIMS_OK;
}

tims_status tims_pages_start(tims_pages *pages, tims_loop *loop, tims_error *err)
{
    TIMS_CHECK_MAGIC(pages, PAGES__MAGIC);
    pages__render *render = &pages->render;
    if (render->command == NULL)
        return TIMS_OK;
    render->loop = loop;
    render->stopping = false;
    if (render->socket.length == 0) {
        tims_status status = make_socket_folder(pages, err);
        if (status != TIMS_OK)
            return status;
    }
    render->socket = tims_copy(pages->arena, render->socket); /* terminated */
    render->line = tims_copy_c(pages->arena, tims_print(pages->arena, "exec %s", render->command));
    render->socket_setting =
        tims_copy_c(pages->arena, tims_print(pages->arena, "TIMS_RENDER_SOCKET=%S", render->socket));
    atomic_store(&render->state, PAGES__RENDER_STARTING);
    start_process(render);
    return TIMS_OK;
}

void tims_pages_stop(tims_pages *pages)
{
    TIMS_CHECK_MAGIC(pages, PAGES__MAGIC);
    pages__render *render = &pages->render;
    if (render->loop == NULL || render->stopping)
        return;
    render->stopping = true;
    atomic_store(&render->state, PAGES__RENDER_DOWN);
    tims_timer_clear(&render->timer);
    if (render->probe != NULL)
        tims_fiber_cancel(render->probe);
    if (render->process != NULL) {
        tims_process_signal(render->process, SIGTERM);
        tims_process_free(&render->process);
    }
    (void)unlink(render->socket.data);
    if (render->folder.length > 0)
        (void)rmdir(render->folder.data);
}
