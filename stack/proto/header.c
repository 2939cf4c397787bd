/* header.c: looking into header lists and comma-separated values; the names of methods. */
#include "proto/proto_internal.h"

const char *tims_method_name(tims_method method)
{
    switch (method) {
    case TIMS_METHOD_GET:
        return "GET";
    case TIMS_METHOD_HEAD:
        return "HEAD";
    case TIMS_METHOD_POST:
        return "POST";
    case TIMS_METHOD_PUT:
        return "PUT";
    case TIMS_METHOD_PATCH:
        return "PATCH";
    case TIMS_METHOD_DELETE:
        return "DELETE";
    case TIMS_METHOD_OPTIONS:
        return "OPTIONS";
    }
    return "?";
}

tims_str tims_header_get(const tims_header *headers, size_t count, tims_str name)
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].name.length == name.length && tims_str_equal_ignoring_case(headers[i].name, name))
            return headers[i].value;
    return (tims_str){ 0 };
}

bool tims_header_has_token(tims_str value, tims_str token)
{
    while (value.data != NULL)
        if (tims_str_equal_ignoring_case(tims_str_trim(tims_str_cut(&value, ',')), token))
            return true;
    return false;
}

/* Of RFC 9110 and, beyond it, what old senders use. Content-Length and Expect are this hop's as well: how a
 * body is framed is decided anew for each connection. */
static bool is_of_one_hop(tims_str name)
{
    static const tims_str names[] = { TIMS_STR_INIT("connection"),
                                      TIMS_STR_INIT("keep-alive"),
                                      TIMS_STR_INIT("te"),
                                      TIMS_STR_INIT("trailer"),
                                      TIMS_STR_INIT("transfer-encoding"),
                                      TIMS_STR_INIT("content-length"),
                                      TIMS_STR_INIT("upgrade"),
                                      TIMS_STR_INIT("expect"),
                                      TIMS_STR_INIT("proxy-connection"),
                                      TIMS_STR_INIT("proxy-authorization"),
                                      TIMS_STR_INIT("proxy-authenticate"),
                                      TIMS_STR_INIT("http2-settings") };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].length == name.length && tims_str_equal_ignoring_case(name, names[i]))
            return true;
    return false;
}

bool tims_header_is_end_to_end(const tims_header *headers, size_t count, tims_str name)
{
    if (is_of_one_hop(name))
        return false;
    for (size_t i = 0; i < count; i++)
        if (headers[i].name.length == 10 &&
            tims_str_equal_ignoring_case(headers[i].name, TIMS_STR("connection")) &&
            tims_header_has_token(headers[i].value, name))
            return false;
    return true;
}

/* Slices of the head are moved by the distance between the raw bytes and their copy. */
static tims_str rebase(tims_str slice, const tims_http1_head *head, const char *copy)
{
    if (slice.data == NULL)
        return slice;
    TIMS_ASSERT(slice.data >= head->raw.data &&
                slice.data + slice.length <= head->raw.data + head->raw.length);
    return (tims_str){ copy + (slice.data - head->raw.data), slice.length };
}

tims_http1_head tims_http1_head_copy(tims_arena *arena, const tims_http1_head *head)
{
    tims_http1_head made = *head;
    made.raw = tims_copy(arena, head->raw);
    made.target = rebase(head->target, head, made.raw.data);
    made.host = rebase(head->host, head, made.raw.data);
    TIMS_ASSERT(head->header_count <= SIZE_MAX / sizeof(tims_header));
    tims_header *headers = tims_alloc_raw(arena, head->header_count * sizeof *headers);
    for (size_t i = 0; i < head->header_count; i++) {
        headers[i].name = rebase(head->headers[i].name, head, made.raw.data);
        headers[i].value = rebase(head->headers[i].value, head, made.raw.data);
    }
    made.headers = headers;
    return made;
}
