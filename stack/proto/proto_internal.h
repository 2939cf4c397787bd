/* proto_internal.h: what the files of proto share and nobody else sees. */
#ifndef TIMS_PROTO_INTERNAL_H
#define TIMS_PROTO_INTERNAL_H

#include <llhttp.h>

#include "tims/proto.h"

/* --- character classes ------------------------------------------------------------------------ */

bool proto__is_token(tims_str s); /* RFC 9110 token: one or more tchar */
bool proto__is_token_char(unsigned char c);
int proto__hex_value(unsigned char c); /* -1: not a hex digit */

/* --- lines: where a head or trailer ends, and that every line ends in CRLF ----------------------- */

/* Keeps its place between feeds. Zero it for a new head. */
typedef struct proto__lines {
    size_t line_bytes;   /* of the unfinished line */
    size_t header_bytes; /* of finished lines behind the first */
    size_t header_count;
    bool first_done; /* the request or status line is complete */
    bool cr_pending; /* the last byte was a CR, so a LF must follow */
} proto__lines;

typedef enum proto__scan { PROTO__SCAN_MORE, PROTO__SCAN_END, PROTO__SCAN_REFUSED } proto__scan;

/* Scans for the empty line that ends a head; `ret_taken` counts up to and including it (all bytes when more
 * are needed). Refuses bare CR, bare LF, continuation lines and what passes the limits; says with which
 * status. */
proto__scan proto__lines_scan(proto__lines *lines, const tims_http1_limits *limits, tims_str bytes,
                              size_t *ret_taken, int *ret_http_status);

/* --- head: from complete, clean lines to a checked head ------------------------------------------ */

/* Grows as needed and is kept between messages. */
typedef struct proto__header_list {
    tims_header *items;
    size_t count, capacity;
} proto__header_list;

typedef struct proto__head_parser {
    llhttp_t llhttp;
    llhttp_settings_t settings;
    tims_http1_role role;
    proto__header_list headers;
    tims_http1_head head;
    bool complete; /* llhttp has seen the end of the head */
    bool has_field;
} proto__head_parser;

void proto__head_init(proto__head_parser *parser, tims_http1_role role);
void proto__head_free(proto__head_parser *parser);
/* `raw` is one complete head. 0 or the HTTP status of the refusal; the head is in parser->head. */
int proto__head_parse(proto__head_parser *parser, tims_str raw, const char **ret_reason);
/* Checks one complete trailer line (without CRLF). */
bool proto__trailer_is_allowed(tims_str line);
/* Size line of a chunk (without CRLF): hex size and a bounded extension. */
bool proto__chunk_line_parse(tims_str line, uint64_t *ret_size);

enum {
    PROTO__CHUNK_DIGITS_MAX = 15,
    PROTO__CHUNK_EXTENSION_MAX = 64,          /* of one chunk */
    PROTO__CHUNK_EXTENSIONS_TOTAL_MAX = 4096, /* of one message */
    PROTO__CHUNK_LINE_MAX = PROTO__CHUNK_DIGITS_MAX + PROTO__CHUNK_EXTENSION_MAX
};

#endif
