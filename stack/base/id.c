/* id.c: UUIDs as 16 bytes and as their 36-character text. */
#include <string.h>

#include "tims/base.h"

bool tims_same_id(tims_id a, tims_id b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

bool tims_id_is_zero(tims_id id)
{
    return tims_same_id(id, (tims_id){ { 0 } });
}

/* Where each byte's two digits stand in the text. */
static const uint8_t text_offsets[16] = { 0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34 };
static const uint8_t dash_offsets[4] = { 8, 13, 18, 23 };

/* The eight digits of four bytes at once: a nibble to each byte of a word, then its digit. A list of 50 rows
 * has 150 ids, which the database may keep as bytes. */
static void format_four(const uint8_t bytes[4], char ret_digits[8])
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t word = (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];
    word = (word << 16 | word) & 0x0000ffff0000ffffu;
    word = (word << 8 | word) & 0x00ff00ff00ff00ffu;
    word = (word << 4 | word) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (word + 6 * each) >> 4 & each; /* 1 where it is above 9 */
    word += '0' * each + letters * ('a' - '0' - 10);
    word = __builtin_bswap64(word);
    memcpy(ret_digits, &word, sizeof word);
}

void tims_id_format(tims_id id, char ret_text[TIMS_ID_TEXT_LENGTH])
{
    char digits[32];
    for (size_t i = 0; i < 4; i++)
        format_four(id.bytes + 4 * i, digits + 8 * i);
    memcpy(ret_text, digits, 8);
    memcpy(ret_text + 9, digits + 8, 4);
    memcpy(ret_text + 14, digits + 12, 4);
    memcpy(ret_text + 19, digits + 16, 4);
    memcpy(ret_text + 24, digits + 20, 12);
    for (size_t i = 0; i < 4; i++)
        ret_text[dash_offsets[i]] = '-';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool tims_id_parse(tims_str text, tims_id *ret_id)
{
    tims_id id;
    if (text.length != TIMS_ID_TEXT_LENGTH)
        return false;
    for (size_t i = 0; i < 4; i++)
        if (text.data[dash_offsets[i]] != '-')
            return false;
    for (size_t i = 0; i < 16; i++) {
        int high = digit_value(text.data[text_offsets[i]]);
        int low = digit_value(text.data[text_offsets[i] + 1]);
        if (high < 0 || low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high * 16 + low);
    }
    *ret_id = id;
    return true;
}

tims_id tims_id_from_parts(int64_t unix_ms, const uint8_t random[10])
{
    tims_id id;
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)((uint64_t)unix_ms >> (40 - 8 * i));
    memcpy(id.bytes + 6, random, 10);
    id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0f));
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}
