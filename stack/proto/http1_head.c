/* http1_head.c: from one complete head, its lines already checked, to a tims_http1_head that can be trusted.
 *
 * llhttp (strict) splits the head; what it found is then judged here, because where a message ends must not
 * be a matter of taste: Content-Length is plain digits, once; Transfer-Encoding is exactly "chunked", once,
 * on HTTP/1.1, without Content-Length; a 1.1 request has exactly one well-formed Host, and an absolute target
 * agrees with it. The request line is looked at before llhttp sees it, only to choose between 400, 501 and
 * 505. */
#include <stdlib.h>
#include <string.h>

#include "proto/proto_internal.h"

enum { FIRST_HEADERS = 24 };

/* --- llhttp callbacks: a head is complete when it is parsed, so each span comes in one piece ----- */

static int take_target(llhttp_t *llhttp, const char *at, size_t length)
{
    proto__head_parser *parser = llhttp->data;
    parser->head.target = (tims_str){ at, length };
    return 0;
}

static int take_field(llhttp_t *llhttp, const char *at, size_t length)
{
    proto__head_parser *parser = llhttp->data;
    proto__header_list *list = &parser->headers;
    if (parser->has_field || length == 0)
        return -1;
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? FIRST_HEADERS : list->capacity * 2;
        list->items = realloc(list->items, list->capacity * sizeof *list->items);
        TIMS_ASSERT(list->items != NULL);
    }
    list->items[list->count].name = (tims_str){ at, length };
    list->items[list->count].value = (tims_str){ at + length, 0 };
    parser->has_field = true;
    return 0;
}

static int take_value(llhttp_t *llhttp, const char *at, size_t length)
{
    proto__head_parser *parser = llhttp->data;
    if (!parser->has_field)
        return -1;
    parser->headers.items[parser->headers.count].value = (tims_str){ at, length };
    return 0;
}

static int end_value(llhttp_t *llhttp)
{
    proto__head_parser *parser = llhttp->data;
    if (!parser->has_field)
        return -1;
    parser->headers.count++;
    parser->has_field = false;
    return 0;
}

/* Bodies are framed in http1.c, so llhttp stops here, whatever it thinks follows. */
static int end_head(llhttp_t *llhttp)
{
    proto__head_parser *parser = llhttp->data;
    parser->complete = true;
    return HPE_PAUSED;
}

void proto__head_init(proto__head_parser *parser, tims_http1_role role)
{
    *parser = (proto__head_parser){ .role = role };
    llhttp_settings_init(&parser->settings);
    parser->settings.on_url = take_target;
    parser->settings.on_header_field = take_field;
    parser->settings.on_header_value = take_value;
    parser->settings.on_header_value_complete = end_value;
    parser->settings.on_headers_complete = end_head;
    llhttp_init(&parser->llhttp, role == TIMS_HTTP1_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE,
                &parser->settings);
    parser->llhttp.data = parser;
}

void proto__head_free(proto__head_parser *parser)
{
    free(parser->headers.items);
    parser->headers = (proto__header_list){ 0 };
}

/* --- the request line ---------------------------------------------------------------------------- */

static tims_method find_method(tims_str name)
{
    for (uint32_t bit = TIMS_METHOD_GET; bit <= TIMS_METHOD_OPTIONS; bit <<= 1)
        if (tims_str_equal(name, tims_str_from(tims_method_name((tims_method)bit))))
            return (tims_method)bit;
    return 0;
}

static int refuse(int http_status, const char *reason, const char **ret_reason)
{
    *ret_reason = reason;
    return http_status;
}

/* METHOD SP target SP HTTP/d.d, nothing else. */
static int check_request_line(proto__head_parser *parser, tims_str raw, const char **ret_reason)
{
    tims_str rest = raw;
    tims_str line = tims_str_cut(&rest, '\r');
    tims_str method = tims_str_cut(&line, ' ');
    tims_str target = tims_str_cut(&line, ' ');
    if (!proto__is_token(method) || target.length == 0 || line.length != 8 ||
        memcmp(line.data, "HTTP/", 5) != 0)
        return refuse(400, "The request line cannot be read.", ret_reason);
    if (line.data[5] < '0' || line.data[5] > '9' || line.data[6] != '.' || line.data[7] < '0' ||
        line.data[7] > '9')
        return refuse(400, "The request line cannot be read.", ret_reason);
    if (line.data[5] != '1' || line.data[7] > '1')
        return refuse(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.", ret_reason);
    parser->head.method = find_method(method);
    if (parser->head.method == 0)
        return refuse(501, "This method is not known here.", ret_reason);
    if (target.data[0] == '*' && (target.length > 1 || parser->head.method != TIMS_METHOD_OPTIONS))
        return refuse(400, "The request target cannot be read.", ret_reason);
    return 0;
}

/* HTTP/d.d SP three digits, then a space or the end. */
static int check_status_line(tims_str raw, const char **ret_reason)
{
    tims_str rest = raw;
    tims_str line = tims_str_cut(&rest, '\r');
    int64_t status;
    bool plain = line.length >= 12 && line.data[8] == ' ' && (line.length == 12 || line.data[12] == ' ') &&
                 tims_str_to_int(tims_str_slice(line, 9, 12), 100, 999, &status);
    return plain ? 0 : refuse(400, "The status line cannot be read.", ret_reason);
}

/* --- Host ---------------------------------------------------------------------------------------- */

static bool is_host_name_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' || c == '-' ||
           c == '_';
}

static bool is_port(tims_str text)
{
    int64_t port;
    return text.length <= 5 && tims_str_to_int(text, 0, 65535, &port) && text.data[0] != '-' &&
           text.data[0] != '+';
}

/* name[:port] or [v6][:port]; no userinfo, path, list or empty name. */
static bool is_host(tims_str host)
{
    size_t i = 0;
    if (host.length > 0 && host.data[0] == '[') {
        for (i = 1; i < host.length && host.data[i] != ']'; i++)
            if (proto__hex_value((unsigned char)host.data[i]) < 0 && host.data[i] != ':' &&
                host.data[i] != '.')
                return false;
        if (i < 3 || i == host.length)
            return false;
        i++;
    } else {
        while (i < host.length && is_host_name_char((unsigned char)host.data[i]))
            i++;
        if (i == 0)
            return false;
    }
    return i == host.length || (host.data[i] == ':' && is_port(tims_str_slice(host, i + 1, host.length)));
}

/* The authority of an absolute-form target; data == NULL for the other forms. False: a form that is none. */
static bool find_authority(tims_str target, tims_str *ret_authority)
{
    *ret_authority = (tims_str){ 0 };
    if (target.data[0] == '/' || target.data[0] == '*')
        return true;
    size_t colon = tims_str_find(target, TIMS_STR("://"));
    if (colon == SIZE_MAX)
        return false;
    tims_str scheme = tims_str_slice(target, 0, colon);
    if (!tims_str_equal_ignoring_case(scheme, TIMS_STR("http")) &&
        !tims_str_equal_ignoring_case(scheme, TIMS_STR("https")))
        return false;
    tims_str rest = tims_str_slice(target, colon + 3, target.length);
    size_t end = 0;
    while (end < rest.length && rest.data[end] != '/' && rest.data[end] != '?')
        end++;
    *ret_authority = tims_str_slice(rest, 0, end);
    return true;
}

static int check_host(const tims_http1_head *head, size_t host_count, const char **ret_reason)
{
    if (host_count > 1 || (host_count == 0 && head->minor_version == 1))
        return refuse(400, "A request needs exactly one Host header.", ret_reason);
    if (host_count == 1 && !is_host(head->host))
        return refuse(400, "The Host header is not a host.", ret_reason);
    tims_str authority;
    if (!find_authority(head->target, &authority))
        return refuse(400, "The request target cannot be read.", ret_reason);
    if (authority.data != NULL &&
        (!is_host(authority) || (host_count == 1 && !tims_str_equal_ignoring_case(authority, head->host))))
        return refuse(400, "The target and the Host header disagree.", ret_reason);
    return 0;
}

/* --- headers that frame the message or steer the connection -------------------------------------- */

typedef struct notes {
    size_t host_count, length_count, encoding_count;
    bool close, keep_alive, upgrade_token, upgrade_header, other_expectation, bad_length, bad_encoding;
} notes;

/* Framing values may have one space in front and nothing behind: parsers differ on everything else. */
static bool has_plain_spacing(const tims_header *header)
{
    const char *colon = header->name.data + header->name.length;
    const char *value = header->value.data;
    const char *behind = value + header->value.length;
    return header->value.length > 0 && *colon == ':' &&
           (value == colon + 1 || (value == colon + 2 && *(colon + 1) == ' ')) && *behind == '\r';
}

static bool parse_length(const tims_header *header, int64_t *ret_length)
{
    tims_str value = header->value;
    if (!has_plain_spacing(header) || value.length > 18)
        return false;
    int64_t length = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        length = length * 10 + (value.data[i] - '0');
    }
    *ret_length = length;
    return true;
}

static void note_connection(notes *seen, tims_str value)
{
    seen->close |= tims_header_has_token(value, TIMS_STR("close"));
    seen->keep_alive |= tims_header_has_token(value, TIMS_STR("keep-alive"));
    seen->upgrade_token |= tims_header_has_token(value, TIMS_STR("upgrade"));
}

static void note_expect(notes *seen, tims_http1_head *head, tims_str value)
{
    if (tims_str_equal_ignoring_case(value, TIMS_STR("100-continue")))
        head->expect_continue = true;
    else
        seen->other_expectation = true;
}

static bool is_named(const tims_header *header, tims_str name)
{
    return header->name.length == name.length && tims_str_equal_ignoring_case(header->name, name);
}

/* Hot: the length decides before any name is compared. */
static void note_header(notes *seen, tims_http1_head *head, tims_header *header)
{
    switch (header->name.length) {
    case 4:
        if (is_named(header, TIMS_STR("host"))) {
            seen->host_count++;
            head->host = header->value;
        }
        break;
    case 6:
        if (is_named(header, TIMS_STR("expect")))
            note_expect(seen, head, header->value);
        break;
    case 7:
        seen->upgrade_header |= is_named(header, TIMS_STR("upgrade"));
        break;
    case 10:
        if (is_named(header, TIMS_STR("connection")))
            note_connection(seen, header->value);
        break;
    case 14:
        if (is_named(header, TIMS_STR("content-length"))) {
            seen->length_count++;
            seen->bad_length |= !parse_length(header, &head->content_length);
        }
        break;
    case 17:
        if (is_named(header, TIMS_STR("transfer-encoding"))) {
            seen->encoding_count++;
            head->chunked = true;
            seen->bad_encoding |= !has_plain_spacing(header) ||
                                  !tims_str_equal_ignoring_case(header->value, TIMS_STR("chunked"));
        }
        break;
    default:
        break;
    }
}

static int check_framing(const tims_http1_head *head, const notes *seen, const char **ret_reason)
{
    if (seen->length_count > 1 || seen->bad_length)
        return refuse(400, "Content-Length is not one plain number.", ret_reason);
    if (seen->encoding_count > 1 || seen->bad_encoding)
        return refuse(400, "Transfer-Encoding is not exactly chunked.", ret_reason);
    if (seen->encoding_count > 0 && seen->length_count > 0)
        return refuse(400, "Content-Length and Transfer-Encoding exclude each other.", ret_reason);
    if (seen->encoding_count > 0 && head->minor_version == 0)
        return refuse(400, "HTTP/1.0 has no Transfer-Encoding.", ret_reason);
    return 0;
}

/* Trailing white space stays in what llhttp calls the value; framing headers were promised an untouched one.
 */
static tims_str trim_end(tims_str value)
{
    while (value.length > 0 && (value.data[value.length - 1] == ' ' || value.data[value.length - 1] == '\t'))
        value.length--;
    return value;
}

static int judge(proto__head_parser *parser, const char **ret_reason)
{
    tims_http1_head *head = &parser->head;
    notes seen = { 0 };
    for (size_t i = 0; i < parser->headers.count; i++) {
        tims_header *header = &parser->headers.items[i];
        tims_header untrimmed = *header;
        header->value = trim_end(header->value);
        note_header(&seen, head, header->name.length >= 14 ? &untrimmed : header);
    }
    int refused = check_framing(head, &seen, ret_reason);
    if (refused == 0 && parser->role == TIMS_HTTP1_REQUESTS)
        refused = check_host(head, seen.host_count, ret_reason);
    if (refused != 0)
        return refused;
    if (seen.other_expectation && parser->role == TIMS_HTTP1_REQUESTS)
        return refuse(417, "Only 100-continue can be expected.", ret_reason);
    head->expect_continue &= head->minor_version == 1;
    head->keep_alive = head->minor_version == 1 ? !seen.close : seen.keep_alive && !seen.close;
    bool has_body = head->chunked || head->content_length > 0;
    head->upgrade = seen.upgrade_header && seen.upgrade_token && head->minor_version == 1 && !has_body;
    if (parser->role == TIMS_HTTP1_RESPONSES)
        head->upgrade &= head->status == 101;
    return 0;
}

int proto__head_parse(proto__head_parser *parser, tims_str raw, const char **ret_reason)
{
    parser->headers.count = 0;
    parser->has_field = parser->complete = false;
    parser->head = (tims_http1_head){ .content_length = -1, .raw = raw };
    int refused = parser->role == TIMS_HTTP1_REQUESTS ? check_request_line(parser, raw, ret_reason)
                                                      : check_status_line(raw, ret_reason);
    if (refused != 0)
        return refused;
    llhttp_reset(&parser->llhttp);
    llhttp_errno_t problem = llhttp_execute(&parser->llhttp, raw.data, raw.length);
    if (!parser->complete)
        return refuse(problem == HPE_INVALID_VERSION ? 505 : 400, "The head cannot be read.", ret_reason);
    parser->head.headers = parser->headers.items;
    parser->head.header_count = parser->headers.count;
    parser->head.status = parser->llhttp.status_code;
    parser->head.minor_version = parser->llhttp.http_minor;
    if (parser->llhttp.http_major != 1)
        return refuse(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.", ret_reason);
    return judge(parser, ret_reason);
}
