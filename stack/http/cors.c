/* cors.c: answers to pages of other origins that are named in the options.
 *
 * Named origins may send credentials; "*" may read, without them. Everybody else gets no CORS header at all,
 * so their browser refuses. */
#include "http_internal.h"

static bool names_everybody(const tims_server_options *options)
{
    return tims_names_contain(options->cors_origins, TIMS_STR("*"));
}

static tims_str scheme_and_host(tims_request *rq)
{
    tims_str host = tims_header_of(rq, TIMS_STR("Host"));
    return tims_print(rq->arena, "%s://%S", rq->secure ? "https" : "http", host);
}

bool http__origin_is_allowed(const tims_request *rq, const tims_server_options *options, tims_str origin)
{
    if (tims_names_contain(options->cors_origins, origin))
        return true;
    return tims_str_equal_ignoring_case(origin, scheme_and_host((tims_request *)rq));
}

void http__cors_apply(http__exchange *exchange)
{
    tims_request *rq = &exchange->rq;
    const tims_server_options *options = &exchange->worker->server->options;
    tims_str origin = tims_header_of(rq, TIMS_STR("Origin"));
    http__add_vary(rq, TIMS_STR("Origin"));
    if (!origin.data)
        return;
    if (tims_names_contain(options->cors_origins, origin) && !tims_str_equal(origin, TIMS_STR("*"))) {
        tims_set_header(rq, TIMS_STR("Access-Control-Allow-Origin"), origin);
        tims_set_header(rq, TIMS_STR("Access-Control-Allow-Credentials"), TIMS_STR("true"));
    } else if (names_everybody(options)) {
        tims_set_header(rq, TIMS_STR("Access-Control-Allow-Origin"), TIMS_STR("*"));
    } else {
        return;
    }
    tims_set_header(rq, TIMS_STR("Access-Control-Expose-Headers"),
                    TIMS_STR("ETag, Link, Location, Retry-After, Tims-Position, X-Request-Id"));
}

bool http__cors_is_preflight(const tims_request *rq)
{
    return rq->method == TIMS_METHOD_OPTIONS &&
           tims_header_of(rq, TIMS_STR("Access-Control-Request-Method")).data != NULL &&
           http__out_header(rq, TIMS_STR("Access-Control-Allow-Origin")).data != NULL;
}

static bool is_header_list(tims_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
              c == '_' || c == ',' || c == ' '))
            return false;
    }
    return text.length > 0 && text.length <= 1024;
}

tims_answer http__cors_preflight(http__exchange *exchange, uint32_t allowed)
{
    tims_request *rq = &exchange->rq;
    tims_str headers = tims_header_of(rq, TIMS_STR("Access-Control-Request-Headers"));
    tims_buf methods;
    tims_buf_init(&methods, rq->arena, 256);
    for (uint32_t method = TIMS_METHOD_GET; method <= TIMS_METHOD_OPTIONS; method <<= 1)
        if (allowed & method)
            tims_buf_print(&methods, "%s%s", methods.length > 0 ? ", " : "",
                           tims_method_name((tims_method)method));
    if (methods.length > 0)
        tims_set_header(rq, TIMS_STR("Access-Control-Allow-Methods"), tims_buf_str(&methods));
    if (headers.data && is_header_list(headers))
        tims_set_header(rq, TIMS_STR("Access-Control-Allow-Headers"), headers);
    tims_set_header(rq, TIMS_STR("Access-Control-Max-Age"), TIMS_STR("600"));
    return tims_answer_empty(204);
}
