/* problem.c: errors as RFC 9457 problem documents, written with the request's id so that a log line can be
 * found. */
#include "http_internal.h"

#include <stdio.h>

enum { PROBLEM_BYTES_MAX = 64 * 1024 };

static void write_fields(tims_json_writer *writer, const tims_field_error *fields)
{
    tims_json_key(writer, TIMS_STR("errors"));
    tims_json_begin_array(writer);
    for (; fields; fields = fields->next) {
        tims_json_begin_object(writer);
        tims_json_key(writer, TIMS_STR("pointer"));
        tims_json_str(writer, fields->pointer);
        tims_json_key(writer, TIMS_STR("code"));
        tims_json_str(writer, tims_str_from(fields->code));
        tims_json_key(writer, TIMS_STR("message"));
        tims_json_str(writer, fields->message);
        tims_json_end_object(writer);
    }
    tims_json_end_array(writer);
}

void http__problem_write(tims_buf *out, int http_status, const char *code, tims_str detail,
                         const tims_field_error *fields, tims_str request_id)
{
    tims_json_writer writer = tims_json_to(out);
    tims_json_begin_object(&writer);
    tims_json_key(&writer, TIMS_STR("type"));
    tims_json_str(&writer, TIMS_STR("about:blank"));
    tims_json_key(&writer, TIMS_STR("title"));
    tims_json_str(&writer, http__reason(http_status));
    tims_json_key(&writer, TIMS_STR("status"));
    tims_json_int(&writer, http_status);
    tims_json_key(&writer, TIMS_STR("code"));
    tims_json_str(&writer, tims_str_from(code));
    tims_json_key(&writer, TIMS_STR("detail"));
    tims_json_str(&writer, detail);
    if (fields)
        write_fields(&writer, fields);
    if (request_id.length > 0) {
        tims_json_key(&writer, TIMS_STR("request_id"));
        tims_json_str(&writer, request_id);
    }
    tims_json_end_object(&writer);
}

static tims_answer answer_problem(tims_request *rq, int http_status, const tims_error *err)
{
    tims_buf text;
    tims_buf_init(&text, rq->arena, PROBLEM_BYTES_MAX);
    const char *code = err->code ? err->code : tims_status_name(err->status);
    tims_str detail = tims_str_from(err->message[0] ? err->message : tims_status_text(err->status));
    http__problem_write(&text, http_status, code, detail, err->fields, rq->id);
    if (err->retry_after_s > 0)
        tims_set_header(rq, TIMS_STR("Retry-After"), tims_print(rq->arena, "%d", err->retry_after_s));
    return tims_answer_bytes(http_status, TIMS_STR("application/problem+json"), tims_buf_str(&text));
}

tims_answer http__problem(tims_request *rq, int http_status, tims_status status)
{
    tims_error err = { .status = status };
    return answer_problem(rq, http_status, &err);
}

tims_answer tims_answer_problem(tims_request *rq, const tims_error *err)
{
    return answer_problem(rq, tims_status_http(err->status), err);
}

/* Headers that the handler set for its own answer (an ETag, caching) do not describe the problem; cookies,
 * Allow, WWW-Authenticate and the like do. */
static bool describes_the_content(tims_str name)
{
    static const tims_str names[] = {
        TIMS_STR_INIT("ETag"),
        TIMS_STR_INIT("Last-Modified"),
        TIMS_STR_INIT("Content-Encoding"),
        TIMS_STR_INIT("Content-Disposition"),
        TIMS_STR_INIT("Cache-Control"),
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (tims_str_equal_ignoring_case(names[i], name))
            return true;
    return false;
}

tims_answer http__problem_of_raise(tims_request *rq)
{
    size_t kept = 0;
    for (size_t i = 0; i < rq->out_header_count; i++)
        if (!describes_the_content(rq->out_headers[i].name))
            rq->out_headers[kept++] = rq->out_headers[i];
    rq->out_header_count = kept;
    return answer_problem(rq, rq->raised_http, &rq->raised);
}
