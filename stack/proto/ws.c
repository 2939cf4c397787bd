/* ws.c: websocket messages out of bytes (RFC 6455), for both ends.
 *
 *   bytes ─► frame header (2–14 bytes, gathered) ─► payload, unmasked ─► message (text, binary; fragments
 * joined) └─► control frame (close, ping, pong)
 *
 * The frames are read here and not with wslay, because its frame reader carries a 4 KiB buffer, and an idle
 * socket of ours is to cost a few KiB altogether: this one is 250 bytes while nothing arrives. wslay is the
 * other end in the tests. A compressed message (RFC 7692: the first reserved bit of its first frame) is
 * gathered like any other and given to `inflate`; how to inflate is not known here. */
#include <stdlib.h>
#include <string.h>

#include "proto/proto_internal.h"

enum {
    WS_MAGIC = 0x57534f43,
    CONTROL_MAX = 125,
    COMPRESSED_BIT = 0x40,
    RESERVED_BITS = 0x70,
    NO_CODE = 1005,
    PROTOCOL_ERROR = 1002,
    BAD_TEXT = 1007,
    TOO_BIG = 1009
};

struct tims_ws {
    uint32_t magic;
    bool is_server;
    bool closed; /* a close frame came: the rest is ignored */
    bool final, in_payload;
    bool compressed;        /* the message under way */
    uint8_t opcode;         /* of the frame */
    uint8_t message_opcode; /* of the message under way; 0: none */
    uint8_t header_length, control_length;
    uint8_t header[TIMS_WS_HEADER_MAX];
    uint8_t mask[4];
    int failed_code;
    uint64_t taken, remaining; /* of the frame's payload */
    tims_buf message;
    const tims_ws_events *events;
    void *ctx;
    uint8_t control[CONTROL_MAX];
};

tims_ws *tims_ws_new(bool is_server, size_t message_bytes_max, const tims_ws_events *events, void *ctx)
{
    tims_ws *ws = calloc(1, sizeof *ws);
    TIMS_ASSERT(ws != NULL);
    ws->magic = WS_MAGIC;
    ws->is_server = is_server;
    ws->events = events;
    ws->ctx = ctx;
    tims_buf_init(&ws->message, NULL, message_bytes_max);
    return ws;
}

void tims_ws_free(tims_ws **ws)
{
    if (*ws == NULL)
        return;
    TIMS_CHECK_MAGIC(*ws, WS_MAGIC);
    tims_buf_free(&(*ws)->message);
    (*ws)->magic = 0;
    free(*ws);
    *ws = NULL;
}

/* --- frame headers ------------------------------------------------------------------------------- */

static bool is_control(uint8_t opcode)
{
    return opcode >= TIMS_WS_CLOSE;
}

/* How long the header is, judging by its first two bytes. */
static size_t header_size(const uint8_t *header)
{
    uint8_t length = header[1] & 0x7f;
    return 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u) + ((header[1] & 0x80) != 0 ? 4u : 0u);
}

static uint64_t read_number(const uint8_t *at, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | at[i];
    return number;
}

/* Only the shortest form of a length is one. */
static bool parse_length(const uint8_t *header, uint64_t *ret_length)
{
    uint8_t form = header[1] & 0x7f;
    uint64_t length = form < 126 ? form : read_number(header + 2, form == 126 ? 2 : 8);
    if ((form == 126 && length < 126) || (form == 127 && (length <= UINT16_MAX || length > INT64_MAX)))
        return false;
    *ret_length = length;
    return true;
}

static int check_opcode(const tims_ws *ws)
{
    switch (ws->opcode) {
    case 0:
        return ws->message_opcode != 0 ? 0 : PROTOCOL_ERROR;
    case TIMS_WS_TEXT:
    case TIMS_WS_BINARY:
        return ws->message_opcode == 0 ? 0 : PROTOCOL_ERROR;
    case TIMS_WS_CLOSE:
    case TIMS_WS_PING:
    case TIMS_WS_PONG:
        return ws->final && ws->remaining <= CONTROL_MAX ? 0 : PROTOCOL_ERROR;
    default:
        return PROTOCOL_ERROR;
    }
}

static bool starts_message(uint8_t opcode)
{
    return opcode == TIMS_WS_TEXT || opcode == TIMS_WS_BINARY;
}

/* Only compression, where it was negotiated, has given one of the bits a meaning: on a message's first frame.
 */
static int check_reserved_bits(const tims_ws *ws)
{
    uint8_t bits = ws->header[0] & RESERVED_BITS;
    bool may_be_compressed = ws->events->inflate != NULL && starts_message(ws->opcode);
    return bits == 0 || (bits == COMPRESSED_BIT && may_be_compressed) ? 0 : PROTOCOL_ERROR;
}

/* The header is complete. 0 or the close code of the refusal. */
static int begin_frame(tims_ws *ws)
{
    const uint8_t *header = ws->header;
    bool masked = (header[1] & 0x80) != 0;
    if (masked != ws->is_server || !parse_length(header, &ws->remaining))
        return PROTOCOL_ERROR;
    ws->final = (header[0] & 0x80) != 0;
    ws->opcode = header[0] & 0x0f;
    int refused = check_opcode(ws);
    if (refused == 0)
        refused = check_reserved_bits(ws);
    if (refused != 0)
        return refused;
    if (!is_control(ws->opcode) && ws->remaining > ws->message.max - ws->message.length)
        return TOO_BIG;
    memset(ws->mask, 0, sizeof ws->mask);
    if (masked)
        memcpy(ws->mask, header + ws->header_length - 4, 4);
    if (starts_message(ws->opcode)) {
        ws->message_opcode = ws->opcode;
        ws->compressed = (header[0] & COMPRESSED_BIT) != 0;
    }
    ws->taken = 0;
    ws->control_length = 0;
    ws->in_payload = true;
    return 0;
}

/* Gathers the header; true when it is complete. */
static bool take_header(tims_ws *ws, tims_str *bytes)
{
    while (bytes->length > 0) {
        ws->header[ws->header_length++] = (uint8_t)bytes->data[0];
        *bytes = tims_str_slice(*bytes, 1, bytes->length);
        if (ws->header_length >= 2 && ws->header_length == header_size(ws->header))
            return true;
    }
    return false;
}

/* --- payloads ------------------------------------------------------------------------------------ */

/* Copies and unmasks; `phase` is the offset in the frame. Eight bytes at a time. */
static void unmask(char *out, const char *in, size_t length, const uint8_t mask[4], uint64_t phase)
{
    uint8_t turned[8];
    for (size_t i = 0; i < 8; i++)
        turned[i] = mask[(phase + i) & 3];
    uint64_t wide;
    memcpy(&wide, turned, 8);
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, in + i, 8);
        word ^= wide;
        memcpy(out + i, &word, 8);
    }
    for (; i < length; i++)
        out[i] = (char)((uint8_t)in[i] ^ turned[i & 7]);
}

static void take_payload(tims_ws *ws, tims_str *bytes)
{
    size_t take = bytes->length < ws->remaining ? bytes->length : (size_t)ws->remaining;
    if (take == 0)
        return;
    char *out;
    if (is_control(ws->opcode)) {
        out = (char *)ws->control + ws->control_length;
        ws->control_length = (uint8_t)(ws->control_length + take);
    } else {
        /* Only what has come is reserved: a header alone must not make us allocate the length it claims. */
        bool fits = tims_buf_reserve(&ws->message, take);
        TIMS_ASSERT(fits);
        out = ws->message.data + ws->message.length;
        ws->message.length += take;
    }
    unmask(out, bytes->data, take, ws->mask, ws->taken);
    ws->taken += take;
    ws->remaining -= take;
    *bytes = tims_str_slice(*bytes, take, bytes->length);
}

/* RFC 6455 7.4: what may stand in a close frame. */
static bool is_close_code(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static int end_close(tims_ws *ws)
{
    int code = NO_CODE;
    tims_str reason = { "", 0 };
    if (ws->control_length == 1)
        return PROTOCOL_ERROR;
    if (ws->control_length >= 2) {
        code = ws->control[0] << 8 | ws->control[1];
        reason = (tims_str){ (const char *)ws->control + 2, ws->control_length - 2u };
        if (!is_close_code(code))
            return PROTOCOL_ERROR;
        if (!tims_str_is_utf8(reason))
            return BAD_TEXT;
    }
    ws->closed = true;
    ws->events->on_close(ws->ctx, code, reason);
    return 0;
}

static int end_control(tims_ws *ws)
{
    tims_str payload = { (const char *)ws->control, ws->control_length };
    if (ws->opcode == TIMS_WS_CLOSE)
        return end_close(ws);
    if (ws->opcode == TIMS_WS_PING && ws->events->on_ping != NULL)
        ws->events->on_ping(ws->ctx, payload);
    if (ws->opcode == TIMS_WS_PONG && ws->events->on_pong != NULL)
        ws->events->on_pong(ws->ctx, payload);
    return 0;
}

/* Nothing is kept of the buffer: most sockets are silent for most of the time, and making it anew costs far
 * less than the system call that brought the message. */
static int end_message(tims_ws *ws)
{
    tims_str payload = { ws->message.length > 0 ? ws->message.data : "", ws->message.length };
    if (ws->compressed) {
        int refused = ws->events->inflate(ws->ctx, payload, ws->message.max, &payload);
        if (refused != 0)
            return refused;
    }
    if (ws->message_opcode == TIMS_WS_TEXT && !tims_str_is_utf8(payload))
        return BAD_TEXT;
    tims_ws_opcode opcode = (tims_ws_opcode)ws->message_opcode;
    ws->message_opcode = 0;
    ws->events->on_message(ws->ctx, opcode, payload);
    tims_buf_free(&ws->message);
    return 0;
}

static int end_frame(tims_ws *ws)
{
    ws->in_payload = false;
    ws->header_length = 0;
    if (is_control(ws->opcode))
        return end_control(ws);
    return ws->final ? end_message(ws) : 0;
}

static tims_status fail(tims_ws *ws, int close_code, int *ret_close_code)
{
    ws->failed_code = close_code;
    *ret_close_code = close_code;
    return close_code == TOO_BIG ? TIMS_TOO_LARGE : TIMS_MALFORMED;
}

tims_status tims_ws_feed(tims_ws *ws, tims_str bytes, int *ret_close_code)
{
    TIMS_CHECK_MAGIC(ws, WS_MAGIC);
    if (ws->failed_code != 0)
        return fail(ws, ws->failed_code, ret_close_code);
    while (bytes.length > 0 && !ws->closed) {
        int refused = 0;
        if (!ws->in_payload && take_header(ws, &bytes))
            refused = begin_frame(ws);
        if (refused == 0 && ws->in_payload) {
            take_payload(ws, &bytes);
            if (ws->remaining == 0)
                refused = end_frame(ws);
        }
        if (refused != 0)
            return fail(ws, refused, ret_close_code);
    }
    return TIMS_OK;
}

/* --- writing ------------------------------------------------------------------------------------- */

size_t tims_ws_header(tims_ws_opcode opcode, uint64_t payload_length, const uint8_t *mask, bool compressed,
                      uint8_t ret_header[TIMS_WS_HEADER_MAX])
{
    size_t bytes = payload_length < 126 ? 0 : payload_length <= UINT16_MAX ? 2 : 8;
    uint8_t form = bytes == 0 ? (uint8_t)payload_length : bytes == 2 ? 126 : 127;
    ret_header[0] = (uint8_t)(0x80 | (compressed ? 0x40 : 0) | opcode);
    ret_header[1] = (uint8_t)((mask != NULL ? 0x80 : 0) | form);
    for (size_t i = 0; i < bytes; i++)
        ret_header[2 + i] = (uint8_t)(payload_length >> 8 * (bytes - 1 - i));
    if (mask == NULL)
        return 2 + bytes;
    memcpy(ret_header + 2 + bytes, mask, 4);
    return 2 + bytes + 4;
}

size_t tims_ws_close_payload(int code, tims_str reason, uint8_t ret_payload[125])
{
    if (code == NO_CODE)
        return 0;
    TIMS_ASSERT(is_close_code(code));
    size_t length = reason.length < CONTROL_MAX - 2 ? reason.length : CONTROL_MAX - 2;
    /* Not within a character. */
    while (length < reason.length && length > 0 && ((uint8_t)reason.data[length] & 0xc0) == 0x80)
        length--;
    ret_payload[0] = (uint8_t)(code >> 8);
    ret_payload[1] = (uint8_t)code;
    if (length > 0)
        memcpy(ret_payload + 2, reason.data, length);
    return 2 + length;
}
