/* log.c: the access log: one line per request, gathered and written once a tick.
 *
 * The path is shown as it was asked for, without its query: queries carry tokens and searches. */
#include "http_internal.h"

#include <string.h>

enum { LINE_MAX_BYTES = 640, PATH_SHOWN_MAX = 256 };

static void flush(void *argument)
{
    (void)argument;
    tims_log_flush();
}

/* A request target has no control characters, but a line must stay a line whatever comes. */
static char *put_path(char *at, tims_str path)
{
    size_t length = path.length < PATH_SHOWN_MAX ? path.length : PATH_SHOWN_MAX;
    while (length < path.length && length > 0 && ((unsigned char)path.data[length] & 0xc0) == 0x80)
        length--;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)path.data[i];
        *at++ = c <= 0x20 || c == 0x7f || c == '"' || c == '\\' ? '?' : (char)c;
    }
    return at;
}

static void put_clock(const http__worker *worker, char *ret_clock)
{
    memcpy(ret_clock, worker->date + 17, 8); /* hh:mm:ss of the Date header, UTC */
}

static size_t write_human(const http__exchange *exchange, int64_t took_us, char *line)
{
    const tims_request *rq = &exchange->rq;
    char *at = line;
    put_clock(exchange->worker, at);
    at = http__put(at + 8, TIMS_STR(" info  access "));
    at = http__put_number(at, (uint64_t)exchange->status);
    *at++ = ' ';
    at = http__put(at, tims_str_from(tims_method_name(rq->method)));
    *at++ = ' ';
    at = put_path(at, rq->path);
    *at++ = ' ';
    at = http__put_number(at, exchange->sent_bytes);
    at = http__put(at, TIMS_STR("B "));
    at = http__put_number(at, (uint64_t)took_us);
    at = http__put(at, TIMS_STR("us "));
    at = http__put(at, rq->peer);
    *at++ = ' ';
    at = http__put(at, rq->id);
    *at++ = '\n';
    return (size_t)(at - line);
}

static size_t write_json(const http__exchange *exchange, int64_t took_us, char *line)
{
    const tims_request *rq = &exchange->rq;
    char time[TIMS_TIME_TEXT_LENGTH];
    tims_time_format(tims_now(), time);
    char *at = http__put(line, TIMS_STR("{\"time\":\""));
    at = http__put(at, (tims_str){ time, sizeof(time) });
    at = http__put(at, TIMS_STR("\",\"level\":\"info\",\"room\":\"access\",\"status\":"));
    at = http__put_number(at, (uint64_t)exchange->status);
    at = http__put(at, TIMS_STR(",\"method\":\""));
    at = http__put(at, tims_str_from(tims_method_name(rq->method)));
    at = http__put(at, TIMS_STR("\",\"path\":\""));
    at = put_path(at, rq->path);
    at = http__put(at, TIMS_STR("\",\"bytes\":"));
    at = http__put_number(at, exchange->sent_bytes);
    at = http__put(at, TIMS_STR(",\"took_us\":"));
    at = http__put_number(at, (uint64_t)took_us);
    at = http__put(at, TIMS_STR(",\"peer\":\""));
    at = http__put(at, rq->peer);
    at = http__put(at, TIMS_STR("\",\"scope\":\""));
    at = http__put(at, rq->id);
    at = http__put(at, TIMS_STR("\"}\n"));
    return (size_t)(at - line);
}

void http__log_access(http__exchange *exchange)
{
    http__worker *worker = exchange->worker;
    if (!worker->server->options.access_log || !tims_log_enabled(TIMS_LOG_INFO))
        return;
    http__worker_date(worker);
    int64_t took_us = tims_monotonic_us() - exchange->started_us;
    char line[LINE_MAX_BYTES];
    size_t length =
        tims_log_is_json() ? write_json(exchange, took_us, line) : write_human(exchange, took_us, line);
    TIMS_ASSERT(length <= sizeof(line));
    tims_log_append_line((tims_str){ line, length });
    tims_loop_at_tick_end(worker->loop, &worker->log_armed, flush, NULL);
}
