/* json_internal.h: what the files of this room share. */
#ifndef TIMS_JSON_INTERNAL_H
#define TIMS_JSON_INTERNAL_H

#include "tims/json.h"

enum { JSON__ERRORS_MAX = 32, JSON__LENGTH_MAX_DEFAULT = 10000 };

/* Where the member of a descriptor's row lives in an object. */
static inline void *json__member(const tims_field *field, void *object)
{
    return (char *)object + field->offset;
}

static inline const void *json__member_const(const tims_field *field, const void *object)
{
    return (const char *)object + field->offset;
}

/* Appends "/name", escaped as RFC 6901 wants it; a stranger's long name is cut. */
enum { JSON__POINTER_PART_MAX = 201 };
void json__append_pointer(tims_buf *out, tims_str name);

/* What is wrong with a value: `code` NULL means nothing. `message` is for the person who sent it. */
typedef struct json__complaint {
    const char *code;
    char message[160];
} json__complaint;

bool json__complain(json__complaint *complaint, const char *code, const char *format, ...) TIMS_PRINTF(3, 4);

/* The rules of one value, whatever it came from. False: `complaint` says why. */
bool json__check_int(const tims_field *field, int64_t value, json__complaint *complaint);
bool json__check_double(const tims_field *field, double value, json__complaint *complaint);
bool json__check_str(const tims_field *field, tims_str value, json__complaint *complaint);
bool json__check_decimal(const tims_field *field, tims_decimal value, json__complaint *complaint);
bool json__check_count(const tims_field *field, size_t count, json__complaint *complaint);
/* From text, which JSON has in strings; with their rules. */
bool json__read_decimal(const tims_field *field, tims_str text, tims_decimal *ret_value,
                        json__complaint *complaint);
bool json__read_bytes(tims_arena *arena, const tims_field *field, tims_str text, tims_bytes *ret_value,
                      json__complaint *complaint);

#endif
