/* upgrade.c: the websocket handshake: what is refused, what is negotiated, and the 101.
 *
 * Of extensions there is one, permessage-deflate (RFC 7692). A client offers it in one or more forms; the
 * first that can be met is taken, with both ends forgetting their window behind each message. A form with a
 * parameter that is unknown, doubled or out of its range is declined, as the RFC says, and the next is looked
 * at; a header that is no list of extensions at all offers nothing. Without a form that can be met the socket
 * goes on uncompressed. */
#include "http_internal.h"

#include "tims/crypto.h"

enum { WINDOW_BITS_MIN = 8, WINDOW_BITS_MAX = 15 };

/* --- reading offers --------------------------------------------------------------------------- */

static void skip_blanks(tims_str *rest)
{
    while (rest->length > 0 && (rest->data[0] == ' ' || rest->data[0] == '\t'))
        *rest = http__rest(*rest, 1);
}

/* The character, with blanks around it. */
static bool take_char(tims_str *rest, char c)
{
    skip_blanks(rest);
    if (rest->length == 0 || rest->data[0] != c)
        return false;
    *rest = http__rest(*rest, 1);
    skip_blanks(rest);
    return true;
}

static bool is_separator(char c)
{
    return (uint8_t)c <= ' ' || (uint8_t)c >= 127 || memchr("()<>@,;:\\\"/[]?={}", c, 17) != NULL;
}

/* Empty: there is none. */
static tims_str take_token(tims_str *rest)
{
    size_t length = 0;
    while (length < rest->length && !is_separator(rest->data[length]))
        length++;
    tims_str token = tims_str_slice(*rest, 0, length);
    *rest = http__rest(*rest, length);
    return token;
}

typedef struct parameter {
    tims_str name, value; /* value.data == NULL: it has none */
} parameter;

/* name, name=token, name="token". False: malformed. */
static bool take_parameter(tims_str *rest, parameter *ret)
{
    *ret = (parameter){ .name = take_token(rest) };
    if (ret->name.length == 0)
        return false;
    if (!take_char(rest, '='))
        return true;
    bool is_quoted = rest->length > 0 && rest->data[0] == '"';
    if (is_quoted)
        *rest = http__rest(*rest, 1);
    ret->value = take_token(rest);
    if (ret->value.length == 0)
        return false;
    if (is_quoted && (rest->length == 0 || rest->data[0] != '"'))
        return false;
    if (is_quoted)
        *rest = http__rest(*rest, 1);
    return true;
}

/* --- judging offers --------------------------------------------------------------------------- */

typedef struct offer {
    bool is_deflate, is_declined;
    uint32_t seen; /* of the parameters below, one bit each */
    int server_bits;
} offer;

static bool read_bits(tims_str value, int *ret_bits)
{
    int64_t bits = 0;
    if (value.data[0] == '0' || !tims_str_to_int(value, WINDOW_BITS_MIN, WINDOW_BITS_MAX, &bits))
        return false;
    *ret_bits = (int)bits;
    return true;
}

/* Whether the parameter is one of the extension's, for the first time, with a value that it may have. The
 * client's own window is its affair: any fits ours. */
static bool accept_parameter(offer *o, const parameter *p)
{
    enum { CLIENT_FORGETS = 1, SERVER_FORGETS = 2, CLIENT_BITS = 4, SERVER_BITS = 8 };
    int client_bits = 0;
    bool has_value = p->value.data != NULL;
    uint32_t bit = 0;
    if (tims_str_equal(p->name, TIMS_STR("client_no_context_takeover")) && !has_value)
        bit = CLIENT_FORGETS;
    else if (tims_str_equal(p->name, TIMS_STR("server_no_context_takeover")) && !has_value)
        bit = SERVER_FORGETS;
    else if (tims_str_equal(p->name, TIMS_STR("client_max_window_bits")) &&
             (!has_value || read_bits(p->value, &client_bits)))
        bit = CLIENT_BITS;
    else if (tims_str_equal(p->name, TIMS_STR("server_max_window_bits")) && has_value &&
             read_bits(p->value, &o->server_bits))
        bit = SERVER_BITS;
    bool is_new = bit != 0 && (o->seen & bit) == 0;
    o->seen |= bit;
    return is_new;
}

/* One form of one extension; a list may have empty places. False: the header is malformed. */
static bool take_offer(tims_str *rest, offer *ret)
{
    tims_str name = take_token(rest);
    *ret = (offer){ .is_deflate = tims_str_equal(name, TIMS_STR("permessage-deflate")) };
    while (take_char(rest, ';')) {
        parameter p;
        if (name.length == 0 || !take_parameter(rest, &p))
            return false;
        if (ret->is_deflate && !accept_parameter(ret, &p))
            ret->is_declined = true;
    }
    return true;
}

/* The first form that can be met, in one header. */
static bool choose_offer(tims_str value, offer *ret)
{
    bool found = false;
    offer o;
    do {
        skip_blanks(&value);
        if (!take_offer(&value, &o))
            return false;
        if (!found && o.is_deflate && !o.is_declined) {
            found = true;
            *ret = o;
        }
    } while (take_char(&value, ','));
    return found && value.length == 0;
}

/* The bits of the client's window for what is sent to it, and the header of the answer; 0: nothing is taken.
 */
static int choose_extension(tims_request *rq, tims_str *ret_answer)
{
    for (size_t i = 0; i < rq->header_count; i++) {
        offer o = { 0 };
        if (!tims_str_equal_ignoring_case(rq->headers[i].name, TIMS_STR("Sec-WebSocket-Extensions")) ||
            !choose_offer(rq->headers[i].value, &o))
            continue;
        tims_str answer =
            TIMS_STR("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
        if (o.server_bits != 0)
            answer = tims_print(rq->arena, "%S; server_max_window_bits=%d", answer, o.server_bits);
        *ret_answer = answer;
        return o.server_bits != 0 ? o.server_bits : WINDOW_BITS_MAX;
    }
    return 0;
}

/* --- the handshake ---------------------------------------------------------------------------- */

static void check_origin(tims_request *rq)
{
    tims_str origin = tims_header_of(rq, TIMS_STR("Origin"));
    if (!origin.data || http__origin_is_allowed(rq, &rq->exchange->worker->server->options, origin))
        return;
    tims_raise(rq, 403, "origin", "This page's origin may not connect here.");
}

static tims_str check_handshake(tims_request *rq)
{
    if (rq->method != TIMS_METHOD_GET ||
        !tims_header_has_token(tims_header_of(rq, TIMS_STR("Upgrade")), TIMS_STR("websocket")) ||
        !tims_header_has_token(tims_header_of(rq, TIMS_STR("Connection")), TIMS_STR("Upgrade"))) {
        tims_set_header(rq, TIMS_STR("Upgrade"), TIMS_STR("websocket"));
        tims_raise(rq, 426, "upgrade_required", "This address speaks only websocket.");
    }
    if (!tims_str_equal(tims_header_of(rq, TIMS_STR("Sec-WebSocket-Version")), TIMS_STR("13"))) {
        tims_set_header(rq, TIMS_STR("Sec-WebSocket-Version"), TIMS_STR("13"));
        tims_raise(rq, 426, "upgrade_required", "Only version 13 of the websocket protocol is spoken here.");
    }
    tims_str key = tims_header_of(rq, TIMS_STR("Sec-WebSocket-Key"));
    if (key.length != 24 || !rq->exchange->input_ended)
        tims_raise(rq, 400, "malformed", "This is not a websocket handshake.");
    return key;
}

static void set_headers(tims_request *rq, tims_str key, tims_str extension)
{
    char accept[28];
    tims_websocket_accept(key, accept);
    tims_set_header(rq, TIMS_STR("Upgrade"), TIMS_STR("websocket"));
    tims_set_header(rq, TIMS_STR("Connection"), TIMS_STR("Upgrade"));
    tims_set_header(rq, TIMS_STR("Sec-WebSocket-Accept"), (tims_str){ accept, sizeof(accept) });
    if (extension.data)
        tims_set_header(rq, TIMS_STR("Sec-WebSocket-Extensions"), extension);
}

tims_answer tims_answer_websocket(tims_request *rq, const tims_socket_events *events, void *ctx,
                                  const tims_socket_options *options, tims_socket **ret_socket)
{
    http__exchange *exchange = rq->exchange;
    TIMS_ASSERT(exchange != NULL && !exchange->head_sent);
    http__connection *connection = exchange->connection;
    tims_str key = check_handshake(rq), extension = { 0 };
    if (options && options->check_origin)
        check_origin(rq);
    if (exchange->client_gone || connection->closing)
        tims_raise(rq, 499, "cancelled", "The client went away.");
    int window_bits = options && options->compress ? choose_extension(rq, &extension) : 0;
    set_headers(rq, key, extension);
    tims_socket *socket = http__socket_new(connection, events, ctx, options, window_bits);
    connection->socket = socket;
    connection->mode = HTTP__MODE_SOCKET;
    connection->deadline_us = 0;
    exchange->upgraded = true;
    http__head_write(exchange, 101, (tims_str){ 0 }, -1);
    http__out_flush(connection);
    if (ret_socket)
        *ret_socket = socket;
    return tims_answer_sent();
}
