/* json_patch.c: the difference of two JSON values as a merge patch (RFC 7396).
 *
 * Members that changed are named with their new value, members that are gone with null, members that are
 * objects on both sides are compared in turn; arrays are values. What such a patch cannot say is that a
 * member became null: then there is none, and whoever wanted it sends the whole value. */
#include "json/json_internal.h"

enum { PATCH_DEPTH_MAX = 32 };

static bool same(tims_arena *arena, const tims_json *a, const tims_json *b)
{
    return tims_json_type_of(a) == tims_json_type_of(b) &&
           tims_str_equal(tims_json_to_text(arena, a), tims_json_to_text(arena, b));
}

/* Null anywhere within: of an object in a patch it would take members away. */
static bool has_null(const tims_json *value, int depth)
{
    void *cursor = NULL;
    tims_str key;
    const tims_json *member;
    if (tims_json_type_of(value) == TIMS_JSON_NULL || depth > PATCH_DEPTH_MAX)
        return true;
    if (tims_json_type_of(value) != TIMS_JSON_OBJECT)
        return false;
    while (tims_json_next(value, &cursor, &key, &member))
        if (has_null(member, depth + 1))
            return true;
    return false;
}

static bool write_difference(tims_arena *arena, const tims_json *before, const tims_json *now, int depth,
                             tims_json_writer *w);

static bool write_member(tims_arena *arena, tims_str key, const tims_json *before, const tims_json *now,
                         int depth, tims_json_writer *w)
{
    if (before != NULL && same(arena, before, now))
        return true;
    tims_json_key(w, key);
    if (before != NULL && tims_json_type_of(before) == TIMS_JSON_OBJECT &&
        tims_json_type_of(now) == TIMS_JSON_OBJECT)
        return write_difference(arena, before, now, depth + 1, w);
    if (has_null(now, depth))
        return false;
    tims_json_raw(w, tims_json_to_text(arena, now));
    return true;
}

static bool write_difference(tims_arena *arena, const tims_json *before, const tims_json *now, int depth,
                             tims_json_writer *w)
{
    void *cursor = NULL;
    tims_str key;
    const tims_json *member;
    if (depth > PATCH_DEPTH_MAX)
        return false;
    tims_json_begin_object(w);
    while (tims_json_next(now, &cursor, &key, &member))
        if (!write_member(arena, key, tims_json_get(before, key), member, depth, w))
            return false;
    cursor = NULL;
    while (tims_json_next(before, &cursor, &key, &member))
        if (tims_json_get(now, key) == NULL) {
            tims_json_key(w, key);
            tims_json_null(w);
        }
    tims_json_end_object(w);
    return true;
}

bool tims_json_merge_patch(tims_arena *arena, const tims_json *before, const tims_json *now,
                           tims_json_writer *w)
{
    return tims_json_type_of(before) == TIMS_JSON_OBJECT && tims_json_type_of(now) == TIMS_JSON_OBJECT &&
           write_difference(arena, before, now, 0, w);
}
