/* ask.c: one page rendered.
 *
 * A render process is asked with POST, whose body is the page's data; of the client's request nothing goes
 * there but the address, so no header of a client can be taken for one of ours. A page is rendered without a
 * trace, so where the process was lost under it (it died, it was replaced) another one is asked once. */
#include "pages/pool_internal.h"

/* A process that is ours for a moment, also when the request is ended in the middle. */
typedef struct hold {
    pool__process *process;
} hold;

static void let_go(void *argument)
{
    hold *held = argument;
    if (held->process != NULL)
        pool__release(held->process);
    held->process = NULL;
}

typedef struct asking {
    const pages__rendering *rendering;
    tims_str nonce;
    int64_t deadline_us;
    tims_fetched answer;
} asking;

static tims_status ask(tims_request *rq, pool__process *process, asking *a, tims_error *err)
{
    int64_t asked_us = tims_monotonic_us(), left_ms = (a->deadline_us - asked_us) / 1000;
    const tims_header headers[] = { { TIMS_STR("Content-Type"), TIMS_STR("application/json") },
                                    { TIMS_STR("X-Nonce"), a->nonce } };
    const tims_fetch_options options = {
        .method = TIMS_METHOD_POST,
        .url = tims_print(rq->arena, "%S%S", process->base, a->rendering->target),
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
        .body = a->rendering->data,
        .timeout_ms = left_ms > 1 ? left_ms : 1,
    };
    tims_status status = tims_fetch(rq->arena, &options, &a->answer, err);
    pool__judge(process, status, a->answer.status, asked_us);
    return status;
}

static bool is_of_this_build(tims_pages *pages, const pool__process *process, const tims_fetched *answer)
{
    tims_str name = tims_header_get(answer->headers, answer->header_count, TIMS_STR("x-build"));
    if (process->place != NULL)
        return process->build == atomic_load(&pages->build.number) &&
               (name.data == NULL || pages__build_is(pages, name));
    if (name.data != NULL)
        pages__build_hear(pages, name);
    return true;
}

static void take(tims_request *rq, tims_pages *pages, const asking *a, pages__rendering *rendering)
{
    rendering->status = a->answer.status;
    if (pages->options.development) { /* its scripts make more of them, which need the nonce */
        rendering->html = a->answer.body;
        rendering->sources = tims_print(rq->arena, " 'nonce-%S'", a->nonce);
    } else
        rendering->html = pages__seal(rq->arena, a->answer.body, a->nonce, &rendering->sources);
}

static tims_status try_to_render(tims_request *rq, tims_pages *pages, pages__rendering *rendering,
                                 tims_error *err)
{
    enum { TRIES = 2 };
    pages__pool *pool = pages->pool;
    hold *held = TIMS_NEW(rq->arena, hold);
    asking a = { .rendering = rendering,
                 .nonce = pages__nonce(rq->arena),
                 .deadline_us = tims_monotonic_us() + pool->timeout_ms * 1000 };
    const pool__process *lost = NULL; /* only compared: it may be gone */
    tims_status status = TIMS_UNAVAILABLE;
    tims_defer(rq, let_go, held);
    for (int i = 0; i < TRIES && status == TIMS_UNAVAILABLE; i++) {
        pages__why why = PAGES__FAILED;
        held->process = pool__acquire(pool, lost, &why);
        if (held->process == NULL && i > 0)
            break; /* what failed is in `err` */
        if (held->process == NULL) {
            rendering->why = why;
            return tims_fail(err, TIMS_UNAVAILABLE, "no_renderer",
                             why == PAGES__OVERLOADED ? "Too many pages wait to be rendered."
                                                      : "No render server is there to be asked.");
        }
        status = ask(rq, held->process, &a, err);
        rendering->why = status == TIMS_TIMEOUT ? PAGES__LATE : PAGES__FAILED;
        if (status == TIMS_OK)
            rendering->is_current = is_of_this_build(pages, held->process, &a.answer);
        lost = held->process;
        let_go(held);
    }
    if (status != TIMS_OK)
        return status;
    if (a.answer.status != 200 && a.answer.status != 404)
        return tims_fail(err, TIMS_UNAVAILABLE, "not_rendered", "The render server answered %d.",
                         a.answer.status);
    take(rq, pages, &a, rendering);
    return TIMS_OK;
}

tims_status pages__render(tims_request *rq, tims_pages *pages, pages__rendering *rendering, tims_error *err)
{
    pool__wait_for_start(pages->pool);
    tims_status status = try_to_render(rq, pages, rendering, err);
    if (status == TIMS_OK) {
        atomic_fetch_add(&pages->counts.renders, 1);
        return TIMS_OK;
    }
    atomic_fetch_add(&pages->counts.shells[rendering->why], 1);
    tims_log(TIMS_LOG_WARN, "pages", "not rendered, the shell is sent path=%S why=%s", rq->path,
             err->message);
    return status;
}
