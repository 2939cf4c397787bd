/* multipart.c: multipart/form-data out of bytes, in pieces of any size.
 *
 *   preamble ─► [delimiter CRLF headers CRLF data]… ─► delimiter "--" ─► epilogue (ignored)
 *
 * The delimiter is CRLF "--" boundary. A boundary holds no CR, so a partial match can only start again at its
 * first byte: matching needs one counter and no look-back. Data is handed out in place; only a part's headers
 * are gathered. */
#include <string.h>

#include "proto/multipart_internal.h"

enum { MULTIPART_MAGIC = 0x4d554c54 };

typedef enum place { PREAMBLE, BEHIND_DELIMITER, HEADERS, DATA, EPILOGUE, FAILED } place;

struct tims_multipart {
    uint32_t magic;
    place place;
    tims_str delimiter;
    size_t matched; /* bytes of the delimiter that have just come */
    char behind;    /* the first byte behind a delimiter; 0: none yet */
    size_t parts, parts_max;
    size_t head_length, line_start;
    char *head; /* PROTO__PART_HEADER_BYTES_MAX */
    tims_arena *arena;
    const tims_multipart_events *events;
    void *ctx;
};

tims_status tims_multipart_new(tims_arena *arena, tims_str content_type, size_t parts_max,
                               const tims_multipart_events *events, void *ctx, tims_multipart **ret_parser,
                               tims_error *err)
{
    tims_str boundary;
    if (!proto__find_boundary(arena, content_type, &boundary))
        return tims_fail(err, TIMS_MALFORMED, "bad_multipart", "The Content-Type names no usable boundary.");
    tims_multipart *parser = TIMS_NEW(arena, tims_multipart);
    parser->magic = MULTIPART_MAGIC;
    parser->delimiter = tims_print(arena, "\r\n--%S", boundary);
    parser->matched = 2; /* the first delimiter needs no CRLF in front */
    parser->parts_max = parts_max;
    parser->head = tims_alloc_raw(arena, PROTO__PART_HEADER_BYTES_MAX);
    parser->arena = arena;
    parser->events = events;
    parser->ctx = ctx;
    *ret_parser = parser;
    return TIMS_OK;
}

/* --- each place takes what it can and returns how much; FAILED is set on the way ----------------- */

static size_t refuse(tims_multipart *parser)
{
    parser->place = FAILED;
    return 0;
}

static bool give(tims_multipart *parser, tims_str bytes)
{
    if (parser->place == PREAMBLE || bytes.length == 0 || parser->events->on_data(parser->ctx, bytes))
        return true;
    refuse(parser);
    return false;
}

static void end_delimiter(tims_multipart *parser)
{
    parser->matched = 0;
    bool in_part = parser->place == DATA;
    parser->place = BEHIND_DELIMITER;
    parser->behind = 0;
    if (in_part && !parser->events->on_part_end(parser->ctx))
        refuse(parser);
}

/* Data (or preamble) up to and into the delimiter. */
static size_t take_data(tims_multipart *parser, tims_str bytes)
{
    if (parser->matched == 0) {
        const char *cr = memchr(bytes.data, '\r', bytes.length);
        size_t plain = cr != NULL ? (size_t)(cr - bytes.data) : bytes.length;
        if (!give(parser, tims_str_slice(bytes, 0, plain)))
            return 0;
        parser->matched = cr != NULL;
        return plain + parser->matched;
    }
    size_t at = 0;
    while (at < bytes.length && parser->matched < parser->delimiter.length &&
           bytes.data[at] == parser->delimiter.data[parser->matched]) {
        at++;
        parser->matched++;
    }
    if (parser->matched == parser->delimiter.length) {
        end_delimiter(parser);
    } else if (at < bytes.length) {
        /* It was data after all. At the very start the first two bytes were only imagined, but then it is
         * preamble. */
        size_t matched = parser->matched;
        parser->matched = 0;
        give(parser, tims_str_slice(parser->delimiter, 0, matched));
    }
    return at;
}

static size_t take_behind_delimiter(tims_multipart *parser, tims_str bytes)
{
    char c = bytes.data[0];
    if (parser->behind == 0) {
        parser->behind = c;
        return c == '\r' || c == '-' ? 1 : refuse(parser);
    }
    if (parser->behind == '-' && c == '-') {
        parser->place = EPILOGUE;
        return 1;
    }
    if (parser->behind != '\r' || c != '\n' || parser->parts == parser->parts_max)
        return refuse(parser);
    parser->parts++;
    parser->head_length = parser->line_start = 0;
    parser->place = HEADERS;
    return 1;
}

static void begin_part(tims_multipart *parser)
{
    tims_part_head head;
    tims_str lines = { parser->head, parser->line_start };
    /* Data may be empty: its CRLF and the delimiter's are two. */
    parser->place = DATA;
    parser->matched = 0;
    if (!proto__part_head_parse(parser->arena, lines, &head) || !parser->events->on_part(parser->ctx, &head))
        refuse(parser);
}

static size_t take_headers(tims_multipart *parser, tims_str bytes)
{
    const char *lf = memchr(bytes.data, '\n', bytes.length);
    size_t take = lf != NULL ? (size_t)(lf - bytes.data) + 1 : bytes.length;
    if (take > PROTO__PART_HEADER_BYTES_MAX - parser->head_length)
        return refuse(parser);
    memcpy(parser->head + parser->head_length, bytes.data, take);
    parser->head_length += take;
    if (lf == NULL)
        return take;
    tims_str line = { parser->head + parser->line_start, parser->head_length - parser->line_start };
    const char *cr = memchr(line.data, '\r', line.length);
    bool folded = line.data[0] == ' ' || line.data[0] == '\t';
    if (cr == NULL || cr != line.data + line.length - 2 || folded)
        return refuse(parser);
    if (line.length == 2)
        begin_part(parser);
    else
        parser->line_start = parser->head_length;
    return take;
}

static size_t take(tims_multipart *parser, tims_str bytes)
{
    switch (parser->place) {
    case PREAMBLE:
    case DATA:
        return take_data(parser, bytes);
    case BEHIND_DELIMITER:
        return take_behind_delimiter(parser, bytes);
    case HEADERS:
        return take_headers(parser, bytes);
    case EPILOGUE:
    case FAILED:
        break;
    }
    return bytes.length;
}

tims_status tims_multipart_feed(tims_multipart *parser, tims_str bytes, tims_error *err)
{
    TIMS_CHECK_MAGIC(parser, MULTIPART_MAGIC);
    size_t at = 0;
    while (at < bytes.length && parser->place != FAILED && parser->place != EPILOGUE)
        at += take(parser, (tims_str){ bytes.data + at, bytes.length - at });
    if (parser->place == FAILED)
        return tims_fail(err, TIMS_MALFORMED, "bad_multipart", "The multipart body cannot be read.");
    return TIMS_OK;
}

tims_status tims_multipart_finish(tims_multipart *parser, tims_error *err)
{
    TIMS_CHECK_MAGIC(parser, MULTIPART_MAGIC);
    if (parser->place != EPILOGUE)
        return tims_fail(err, TIMS_MALFORMED, "bad_multipart",
                         "The multipart body ends before its last boundary.");
    return TIMS_OK;
}
