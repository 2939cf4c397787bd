/* http1_lines.c: the line discipline in front of llhttp.
 *
 * Two parsers that disagree on where a line ends are how requests are smuggled, and the llhttp that the
 * system ships lets a lone CR end some header lines. So every byte of a head passes here first: each line
 * ends in exactly CR LF, no CR or LF stands anywhere else, no header line starts with white space. The limits
 * are kept in the same pass, so that a sender of endless lines is refused at the limit and not at the end.
 *
 * Runs over every head: memchr finds the line ends, nothing looks at a byte twice within one feed. */
#include <string.h>

#include "proto/proto_internal.h"

static proto__scan refuse(int http_status, int *ret_http_status)
{
    *ret_http_status = http_status;
    return PROTO__SCAN_REFUSED;
}

/* A line, complete or not, within its limit? `length` is without CRLF. */
static int check_limits(const proto__lines *lines, const tims_http1_limits *limits, size_t length)
{
    if (!lines->first_done)
        return length > limits->line_bytes_max ? 414 : 0;
    if (lines->header_bytes + length > limits->header_bytes_max)
        return 431;
    return length > 0 && lines->header_count >= limits->header_count_max ? 431 : 0;
}

/* Looks for a misplaced CR, LF or leading space in the piece of a line that this feed brought (without its
 * LF). Returns how many bytes of the piece come before it, or SIZE_MAX. */
static size_t find_misplaced(const proto__lines *lines, const char *piece, size_t length, bool ends_in_lf)
{
    if (lines->cr_pending)
        return length > 0 ? 0 : SIZE_MAX;
    if (lines->first_done && lines->line_bytes == 0 && length > 0 && (piece[0] == ' ' || piece[0] == '\t'))
        return 0;
    const char *cr = length > 0 ? memchr(piece, '\r', length) : NULL;
    if (cr != NULL)
        return cr == piece + length - 1 ? SIZE_MAX : (size_t)(cr - piece);
    return ends_in_lf ? length : SIZE_MAX;
}

/* A line is complete; its CR is counted in line_bytes. Returns true at the empty line. */
static bool end_line(proto__lines *lines)
{
    bool empty = lines->line_bytes == 1;
    if (lines->first_done && !empty) {
        lines->header_bytes += lines->line_bytes + 1;
        lines->header_count++;
    }
    lines->line_bytes = 0;
    lines->cr_pending = false;
    if (lines->first_done)
        return empty;
    lines->first_done = true;
    return false;
}

proto__scan proto__lines_scan(proto__lines *lines, const tims_http1_limits *limits, tims_str bytes,
                              size_t *ret_taken, int *ret_http_status)
{
    const char *at = bytes.data, *end = bytes.data + bytes.length;
    while (at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((lf != NULL ? lf : end) - at);
        size_t misplaced = find_misplaced(lines, at, length, lf != NULL);
        size_t sound = misplaced != SIZE_MAX ? misplaced : length;
        lines->cr_pending |= misplaced == SIZE_MAX && length > 0 && at[length - 1] == '\r';
        lines->line_bytes += sound;
        /* What comes first in the line decides, so that the answer does not hang on the packets. */
        int status = check_limits(lines, limits, lines->line_bytes - lines->cr_pending);
        if (status != 0 || misplaced != SIZE_MAX)
            return refuse(status != 0 ? status : 400, ret_http_status);
        if (lf == NULL)
            break;
        at = lf + 1;
        if (!lines->first_done && lines->line_bytes == 1)
            return refuse(400, ret_http_status);
        if (end_line(lines)) {
            *ret_taken = (size_t)(at - bytes.data);
            return PROTO__SCAN_END;
        }
    }
    *ret_taken = bytes.length;
    return PROTO__SCAN_MORE;
}
