/* exchange.c: one request and its answer, from the head's arrival until the last byte of the answer is the
 * kernel's.
 *
 *   new (copied, routed) ─► fiber: begin ─► handler ─► finish ─► send ─► ended ─► released
 *
 * A raise enters the same road behind the handler. What was raised because two transactions got in each
 * other's way (CONFLICT "serialization") is not answered where it need not be: the request is run again from
 * its start, on a fiber of its own. Exchanges are pooled with their arenas, so that a request
 * in steady state allocates nothing from malloc. The arena outlives the fiber while a write still reads from
 * it (holds). */
#include "http_internal.h"

#include "tims/crypto.h"

#include <stdlib.h>
#include <string.h>

enum {
    HANDLER_MS = 30 * 1000,
    BODY_BYTES_MAX = 1024 * 1024,
    SPARE_BYTES_MAX = 256 * 1024,
    RUNS_MAX = 4,     /* of one request */
    RUN_AGAIN_MS = 10 /* waits at most this long, then twice, four times as long */
};

/* --- pool ------------------------------------------------------------------------------------- */

/* The arena is full. What still has to be done (roll back, say so) gets another, small one. */
static void limit_passed(void *argument)
{
    http__exchange *exchange = argument;
    tims_request *rq = &exchange->rq;
    if (exchange->spare_arena || !tims_fiber_self()) {
        tims_log(TIMS_LOG_ERROR, "http", "memory limit passed again while failing: %S", rq->id);
        TIMS_ASSERT(tims_fiber_self() != NULL);
        tims_fiber_exit();
    }
    exchange->spare_arena = tims_arena_new(SPARE_BYTES_MAX, limit_passed, exchange);
    rq->arena = exchange->spare_arena;
    tims_log(TIMS_LOG_WARN, "http", "request passed its memory limit of %lld bytes: %s %S",
             (long long)exchange->worker->server->options.memory_bytes_max, tims_method_name(rq->method),
             rq->path);
    if (exchange->reading_body)
        tims_raise(rq, 413, "too_large", "The input is too large.");
    tims_raise(rq, 500, "memory_limit", "This needs more memory than one request may use.");
}

static http__exchange *take_from_pool(http__worker *worker)
{
    http__exchange *exchange = worker->free_exchanges;
    if (exchange) {
        worker->free_exchanges = exchange->next_free;
        worker->free_exchange_count--;
    } else {
        exchange = calloc(1, sizeof(*exchange));
        TIMS_ASSERT(exchange != NULL);
        exchange->arena = tims_arena_new(worker->server->options.memory_bytes_max, limit_passed, exchange);
    }
    exchange->magic = HTTP__EXCHANGE_MAGIC;
    exchange->worker = worker;
    return exchange;
}

static void give_to_pool(http__exchange *exchange)
{
    http__worker *worker = exchange->worker;
    http__body_free(exchange);
    tims_arena *arena = exchange->arena;
    tims_arena_free(&exchange->spare_arena);
    if (worker->free_exchange_count >= HTTP__POOL_MAX) {
        tims_arena_free(&arena);
        exchange->magic = 0;
        free(exchange);
        return;
    }
    tims_arena_reset(arena);
    memset(exchange, 0, sizeof(*exchange));
    exchange->arena = arena;
    exchange->next_free = worker->free_exchanges;
    worker->free_exchanges = exchange;
    worker->free_exchange_count++;
}

void http__exchange_hold(http__exchange *exchange)
{
    exchange->holds++;
}

void http__exchange_release(void *argument)
{
    http__exchange *exchange = argument;
    TIMS_CHECK_MAGIC(exchange, HTTP__EXCHANGE_MAGIC);
    TIMS_ASSERT(exchange->holds > 0);
    if (--exchange->holds == 0)
        give_to_pool(exchange);
}

void http__exchange_drop(http__exchange *exchange)
{
    TIMS_ASSERT(!exchange->fiber_started);
    http__exchange_release(exchange);
}

/* --- a new request ---------------------------------------------------------------------------- */

/* Ids name a request in the log; they need not be hard to guess, only be different. */
static void make_id(http__exchange *exchange)
{
    static const char digits[] = "0123456789abcdef";
    http__worker *worker = exchange->worker;
    uint64_t number = worker->id_next++;
    memcpy(exchange->id, worker->id_prefix, HTTP__ID_LENGTH);
    for (size_t i = HTTP__ID_LENGTH; i-- > HTTP__ID_LENGTH - 8; number >>= 4)
        exchange->id[i] = digits[number & 15];
    exchange->id[HTTP__ID_LENGTH] = 0;
    exchange->rq.id = (tims_str){ exchange->id, HTTP__ID_LENGTH };
}

static void set_up_body(http__exchange *exchange, const tims_http1_head *head)
{
    uint64_t limit =
        exchange->found && exchange->found->body_bytes_max ? exchange->found->body_bytes_max : BODY_BYTES_MAX;
    uint64_t most = exchange->worker->server->options.limits.body_bytes_max;
    exchange->body_limit = limit < most ? limit : most;
    exchange->content_length = head->content_length;
    exchange->body_expected = head->chunked || head->content_length > 0;
    exchange->expect_continue = head->expect_continue && exchange->body_expected;
    exchange->body_started_us = exchange->started_us;
    if (head->content_length > 0 && (uint64_t)head->content_length > exchange->body_limit)
        exchange->body_failure = 413;
}

static void set_up_request(http__exchange *exchange, const tims_http1_head *head)
{
    http__connection *connection = exchange->connection;
    tims_request *rq = &exchange->rq;
    rq->magic = TIMS_REQUEST_MAGIC;
    rq->arena = exchange->arena;
    rq->loop = exchange->worker->loop;
    rq->server_data = exchange->worker->server->options.data;
    rq->exchange = exchange;
    rq->method = head->method;
    rq->peer = (tims_str){ connection->peer, (size_t)connection->peer_length };
    rq->secure = connection->tls != NULL;
    tims_http1_head kept = tims_http1_head_copy(rq->arena, head);
    rq->target = kept.target;
    rq->headers = kept.headers;
    rq->header_count = kept.header_count;
    make_id(exchange);
    http__peer_resolve(exchange);
}

http__exchange *http__exchange_new(http__connection *connection, const tims_http1_head *head)
{
    http__exchange *exchange = take_from_pool(connection->worker);
    exchange->connection = connection;
    exchange->holds = 1;
    exchange->started_us = tims_loop_now_us(exchange->worker->loop);
    exchange->is_head = head->method == TIMS_METHOD_HEAD;
    exchange->old_version = head->minor_version == 0;
    exchange->keep_alive = head->keep_alive;
    set_up_request(exchange, head);
    tims_request *rq = &exchange->rq;
    exchange->failure = tims_url_split_target(rq->arena, rq->target, &rq->path, &rq->query_text, &rq->raised);
    if (exchange->failure == TIMS_OK)
        exchange->found =
            tims_router_find(exchange->worker->server->options.router, rq->arena, rq->method, rq->path,
                             &rq->path_params, &exchange->allowed, &exchange->redirect);
    else
        rq->path = TIMS_STR("/");
    rq->route = exchange->found;
    set_up_body(exchange, head);
    return exchange;
}

/* --- answering, on the fiber ------------------------------------------------------------------ */

static tims_str allow_text(tims_request *rq, uint32_t allowed)
{
    tims_buf text;
    tims_buf_init(&text, rq->arena, 256);
    for (uint32_t method = TIMS_METHOD_GET; method <= TIMS_METHOD_OPTIONS; method <<= 1)
        if (allowed & method)
            tims_buf_print(&text, "%s%s", text.length > 0 ? ", " : "", tims_method_name((tims_method)method));
    return tims_buf_str(&text);
}

static tims_str redirect_location(http__exchange *exchange)
{
    tims_request *rq = &exchange->rq;
    tims_buf location;
    tims_buf_init(&location, rq->arena, 64 * 1024);
    tims_str rest = http__rest(exchange->redirect, 1);
    do {
        tims_str segment = tims_str_cut(&rest, '/');
        tims_buf_append_char(&location, '/');
        tims_buf_append_str(&location, tims_url_encode(rq->arena, segment));
    } while (rest.data != NULL);
    if (rq->query_text.length > 0)
        tims_buf_print(&location, "?%S", rq->query_text);
    return tims_buf_str(&location);
}

/* The path is known, the method is not; or only the slash at the end is wrong. */
static tims_answer answer_without_route(http__exchange *exchange)
{
    tims_request *rq = &exchange->rq;
    if (exchange->redirect.data) {
        bool safe = rq->method == TIMS_METHOD_GET || rq->method == TIMS_METHOD_HEAD;
        return tims_answer_redirect(rq, safe ? 301 : 308, redirect_location(exchange));
    }
    tims_set_header(rq, TIMS_STR("Allow"), allow_text(rq, exchange->allowed));
    if (rq->method == TIMS_METHOD_OPTIONS)
        return tims_answer_empty(204);
    tims_raise(rq, 405, "method_not_allowed", "This address does not take %s.", tims_method_name(rq->method));
}

static tims_answer not_found(tims_request *rq)
{
    tims_raise(rq, 404, "not_found", "%s", tims_status_text(TIMS_NOT_FOUND));
}

static tims_answer respond(http__exchange *exchange)
{
    tims_request *rq = &exchange->rq;
    const tims_server_options *options = &exchange->worker->server->options;
    if (exchange->failure != TIMS_OK) {
        tims_error err = rq->raised;
        tims_raise_error(rq, &err);
    }
    if (options->cors_origins.count > 0) {
        http__cors_apply(exchange);
        if (http__cors_is_preflight(rq))
            return http__cors_preflight(exchange, exchange->allowed);
    }
    if (exchange->body_failure == 413)
        tims_raise(rq, 413, "too_large", "The body may be at most %lld bytes.",
                   (long long)exchange->body_limit);
    if (!exchange->found && (exchange->allowed || exchange->redirect.data))
        return answer_without_route(exchange);
    tims_handler handler = exchange->found      ? exchange->found->handler
                           : options->not_found ? options->not_found
                                                : not_found;
    rq->finish = options->finish;
    if (options->begin)
        options->begin(rq);
    return handler(rq);
}

bool tims_runs_again(const tims_request *rq)
{
    const http__exchange *exchange = rq->exchange;
    if (!exchange || !rq->has_raised || rq->raised.status != TIMS_CONFLICT || !rq->raised.code ||
        strcmp(rq->raised.code, "serialization") != 0)
        return false;
    bool is_untouched = !exchange->completing && !exchange->head_sent && !exchange->upgraded;
    bool has_body = exchange->given.max == 0; /* no piece of it is gone */
    return exchange->runs < RUNS_MAX && is_untouched && has_body && !exchange->client_gone &&
           !exchange->spare_arena;
}

/* The hooks, then the answer. Entered once; a raise in `finish` enters it again with the hooks done. */
static void complete(http__exchange *exchange, tims_answer answer)
{
    tims_request *rq = &exchange->rq;
    if (rq->finish && !rq->has_finished) {
        rq->has_finished = true;
        bool was_shielded = rq->has_raised ? tims_fiber_shield(true) : false;
        rq->finish(rq, &answer);
        if (rq->has_raised)
            tims_fiber_shield(was_shielded);
    }
    if (tims_runs_again(rq)) {
        exchange->runs_again = true;
        tims_fiber_exit();
    }
    exchange->completing = true;
    http__answer_send(exchange, &answer);
}

TIMS_NORETURN static void end_raised(http__exchange *exchange)
{
    tims_request *rq = &exchange->rq;
    if (rq->raised_http >= 500 && rq->raised.status != TIMS_CANCELLED)
        tims_log(TIMS_LOG_ERROR, "http", "%s %S raised %d %s: %s %s", tims_method_name(rq->method), rq->path,
                 rq->raised_http, rq->raised.code, rq->raised.message, rq->raised.detail);
    if (!exchange->completing) {
        if (exchange->head_sent || exchange->upgraded)
            complete(exchange, tims_answer_sent());
        else
            complete(exchange, http__problem_of_raise(rq));
    }
    tims_fiber_exit();
}

void http__request_end(tims_request *rq)
{
    if (!rq->exchange)
        http__scope_end(rq);
    TIMS_CHECK_MAGIC(rq->exchange, HTTP__EXCHANGE_MAGIC);
    end_raised(rq->exchange);
}

/* --- the fiber -------------------------------------------------------------------------------- */

static void run(void *argument);

/* As it was before its first run. What that one allocated stays until the end; it was little. */
static bool run_again(http__exchange *exchange)
{
    tims_request *rq = &exchange->rq;
    memset(rq->slots, 0, sizeof(rq->slots));
    rq->out_header_count = rq->out_header_bytes = 0;
    rq->raised = (tims_error){ 0 };
    rq->raised_http = 0;
    rq->has_raised = rq->has_finished = false;
    rq->finish = NULL;
    exchange->runs_again = exchange->fiber_ended = false;
    tims_log(TIMS_LOG_INFO, "http", "%s %S runs again", tims_method_name(rq->method), rq->path);
    return tims_fiber_start(exchange->worker->loop, run, exchange) != NULL;
}

static void ended(void *argument)
{
    http__exchange *exchange = argument;
    exchange->fiber_ended = true;
    exchange->fiber = NULL;
    if (exchange->runs_again && !exchange->client_gone && run_again(exchange))
        return;
    http__log_access(exchange);
    http__connection *connection = exchange->connection;
    if (connection)
        http__connection_answered(connection, exchange);
    http__exchange_release(exchange);
    if (connection)
        http__connection_pump(connection);
}

/* A while that chance decides, so that the two do not meet again. Whoever cancels it is answered by the next
 * wait. */
static void wait_for_the_other(const http__exchange *exchange)
{
    uint32_t chance, range_ms = RUN_AGAIN_MS << (exchange->runs - 2);
    tims_random(&chance, sizeof(chance));
    (void)!tims_sleep_ms(chance % range_ms);
}

static void run(void *argument)
{
    http__exchange *exchange = argument;
    exchange->fiber_started = true;
    exchange->fiber = tims_fiber_self();
    tims_fiber_on_end(exchange->fiber, ended, exchange);
    uint32_t timeout_ms = exchange->found ? exchange->found->timeout_ms : 0;
    tims_fiber_set_deadline(exchange->started_us + (int64_t)(timeout_ms ? timeout_ms : HANDLER_MS) * 1000);
    tims_log_scope(exchange->id);
    if (exchange->runs++ > 0)
        wait_for_the_other(exchange);
    complete(exchange, respond(exchange));
}

bool http__exchange_start(http__exchange *exchange)
{
    const char *scope = tims_log_scope(NULL);
    bool *started = &exchange->fiber_started;
    http__exchange_hold(exchange); /* so that `started` can be read behind the end of the fiber */
    tims_fiber_start(exchange->worker->loop, run, exchange);
    bool has_started = *started;
    tims_log_scope(scope);
    http__exchange_release(exchange);
    return has_started;
}

void http__exchange_client_gone(http__exchange *exchange)
{
    exchange->client_gone = true;
    if (exchange->fiber && !exchange->fiber_ended)
        tims_fiber_cancel(exchange->fiber);
}
