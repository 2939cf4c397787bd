/* http1_chunk.c: the lines of the chunked coding: sizes and trailers.
 *
 * Sizes are plain hex digits, few enough that they cannot overflow. Extensions are allowed because senders
 * exist that write them, bounded because nobody reads them. Trailers are checked and dropped; one that would
 * change how the message was framed or routed is refused. */
#include "proto/proto_internal.h"

/* BWS around ';' is refused like any other white space here: only visible ASCII and spaces behind the ';'. */
static bool is_extension(tims_str text)
{
    if (text.data[0] != ';' || text.length > PROTO__CHUNK_EXTENSION_MAX || text.length < 2)
        return false;
    for (size_t i = 1; i < text.length; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return proto__is_token_char((unsigned char)text.data[1]);
}

bool proto__chunk_line_parse(tims_str line, uint64_t *ret_size)
{
    uint64_t size = 0;
    size_t digits = 0;
    for (; digits < line.length && digits <= PROTO__CHUNK_DIGITS_MAX; digits++) {
        int value = proto__hex_value((unsigned char)line.data[digits]);
        if (value < 0)
            break;
        size = size * 16 + (uint64_t)value;
    }
    if (digits == 0 || digits > PROTO__CHUNK_DIGITS_MAX)
        return false;
    if (digits < line.length && !is_extension(tims_str_slice(line, digits, line.length)))
        return false;
    *ret_size = size;
    return true;
}

bool proto__trailer_is_allowed(tims_str line)
{
    static const tims_str forbidden[] = { TIMS_STR_INIT("content-length"), TIMS_STR_INIT("transfer-encoding"),
                                          TIMS_STR_INIT("host"),           TIMS_STR_INIT("connection"),
                                          TIMS_STR_INIT("authorization"),  TIMS_STR_INIT("cookie"),
                                          TIMS_STR_INIT("expect"),         TIMS_STR_INIT("upgrade") };
    tims_str value = line;
    tims_str name = tims_str_cut(&value, ':');
    if (value.data == NULL || !proto__is_token(name))
        return false;
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (tims_str_equal_ignoring_case(name, forbidden[i]))
            return false;
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}
