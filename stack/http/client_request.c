/* client_request.c: the bytes of a request. What frames it is written here and nowhere else; what the caller
 * gives is checked, so that no value can become a line of its own. */
#include <string.h>

#include "http/client_internal.h"

static bool is_name(tims_str name)
{
    for (size_t i = 0; i < name.length; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return name.length > 0;
}

static bool is_value(tims_str value)
{
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_one_of(tims_str name, const tims_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tims_str_equal_ignoring_case(name, names[i]))
            return true;
    return false;
}

tims_status http__request_check(const tims_fetch_options *options, tims_error *err)
{
    static const tims_str own[] = { TIMS_STR_INIT("content-length"), TIMS_STR_INIT("transfer-encoding"),
                                    TIMS_STR_INIT("expect"),         TIMS_STR_INIT("te"),
                                    TIMS_STR_INIT("keep-alive"),     TIMS_STR_INIT("connection"),
                                    TIMS_STR_INIT("upgrade") };
    size_t own_count = sizeof own / sizeof *own;
    for (size_t i = 0; i < options->header_count; i++) {
        const tims_header *header = &options->headers[i];
        if (!is_name(header->name) || !is_value(header->value) || is_one_of(header->name, own, own_count))
            return tims_fail(err, TIMS_INVALID, "bad_header", "A header of the request cannot be sent.");
    }
    return TIMS_OK;
}

static void write_host(tims_buf *out, const tims_url *url)
{
    if (tims_str_equal(url->scheme, TIMS_STR("unix"))) {
        tims_buf_append_str(out, TIMS_STR("Host: localhost\r\n"));
        return;
    }
    bool is_v6 = tims_str_find(url->host, TIMS_STR(":")) != SIZE_MAX;
    tims_buf_append_str(out, TIMS_STR("Host: "));
    tims_buf_append_str(out, is_v6 ? TIMS_STR("[") : (tims_str){ 0 });
    tims_buf_append_str(out, url->host);
    tims_buf_append_str(out, is_v6 ? TIMS_STR("]") : (tims_str){ 0 });
    if (url->port != (tims_str_equal(url->scheme, TIMS_STR("https")) ? 443 : 80)) {
        tims_buf_append_char(out, ':');
        tims_buf_append_int(out, url->port);
    }
    tims_buf_append_str(out, TIMS_STR("\r\n"));
}

void http__request_write(tims_buf *out, const tims_fetch_options *options, const tims_url *url,
                         int64_t body_length)
{
    tims_buf_append_str(out, tims_str_from(tims_method_name(options->method)));
    tims_buf_append_char(out, ' ');
    tims_buf_append_str(out, url->path);
    if (url->query.length > 0) {
        tims_buf_append_char(out, '?');
        tims_buf_append_str(out, url->query);
    }
    tims_buf_append_str(out, TIMS_STR(" HTTP/1.1\r\n"));
    if (tims_header_get(options->headers, options->header_count, TIMS_STR("Host")).data == NULL)
        write_host(out, url);
    for (size_t i = 0; i < options->header_count; i++) {
        tims_buf_append_str(out, options->headers[i].name);
        tims_buf_append_str(out, TIMS_STR(": "));
        tims_buf_append_str(out, options->headers[i].value);
        tims_buf_append_str(out, TIMS_STR("\r\n"));
    }
    if (body_length == HTTP__BODY_CHUNKED) {
        tims_buf_append_str(out, TIMS_STR("Transfer-Encoding: chunked\r\n"));
    } else if (body_length >= 0) {
        tims_buf_append_str(out, TIMS_STR("Content-Length: "));
        tims_buf_append_int(out, body_length);
        tims_buf_append_str(out, TIMS_STR("\r\n"));
    }
    tims_buf_append_str(out, TIMS_STR("\r\n"));
}
