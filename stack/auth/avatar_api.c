/* avatar_api: a person's picture: taken as a multipart upload, kept in the database, served to anybody who
 * has its address (an <img> can send no bearer token), by content hash.
 *
 * What it is, is decided by its first bytes, not by what the sender says, and it is served as that and
 * nothing else. */
#include "auth/auth_internal.h"

#include <string.h>

static tims_str read_picture(tims_request *rq, const char **ret_type)
{
    tims_str data = tims_body_picture(rq, tims_body_uploads(rq), AUTH__AVATAR_BYTES_MAX);
    *ret_type = tims_picture_type(data);
    if (*ret_type == NULL || strcmp(*ret_type, "image/gif") == 0) /* nobody moves beside their name */
        tims_raise(rq, 415, "unsupported_media_type", "Send a PNG, JPEG or WebP picture.");
    return data;
}

static void remove_picture(tims_request *rq, tims_id user)
{
    const tims_db_value value = tims_db_id(user);
    (void)tims_sql_run(rq, TIMS_STR("DELETE FROM auth_avatar WHERE \"user\" = ?1"), &value, 1);
}

static tims_answer set_address(tims_request *rq, tims_str address)
{
    tims_user user = *tims_current_user(rq);
    user.avatar = address;
    tims_update(rq, &tims_user_model, &user, TIMS_NAMES("avatar"));
    auth__state_of(rq)->user = NULL; /* read again */
    return auth__answer_who(rq, NULL, 200);
}

tims_answer auth__avatar_put(tims_request *rq)
{
    const char *type;
    char hash[32];
    tims_str data = read_picture(rq, &type);
    tims_content_hash(data, hash);
    auth__avatar_row row = { .user = tims_user_id(rq),
                             .content_type = tims_str_from(type),
                             .hash = { hash, sizeof hash },
                             .data = tims_base64url(rq->arena, data) };
    tims_begin(rq);
    remove_picture(rq, row.user);
    tims_create(rq, &auth__avatar_model, &row);
    /* The address changes with the content, so that every live row that shows it does, too. */
    return set_address(
        rq, tims_print(rq->arena, "/api/auth/avatar/%I/?v=%S", row.user, tims_str_slice(row.hash, 0, 12)));
}

tims_answer auth__avatar_delete(tims_request *rq)
{
    tims_begin(rq);
    remove_picture(rq, tims_user_id(rq));
    return set_address(rq, TIMS_STR(""));
}

/* The hash alone answers a revisit; the picture is read only when it is wanted. */
static tims_db_rows *query_picture(tims_request *rq, const char *columns, tims_id user)
{
    const tims_db_value value = tims_db_id(user);
    tims_db_rows *rows = tims_sql_query(
        rq, tims_print(rq->arena, "SELECT %s FROM auth_avatar WHERE \"user\" = ?1", columns), &value, 1);
    if (!tims_db_next(rows))
        tims_raise(rq, 404, "not_found", "There is no picture.");
    return rows;
}

static void end_rows(tims_request *rq, tims_db_rows *rows)
{
    tims_error err = { 0 };
    tims_check(rq, tims_db_rows_end(&rows, &err), &err);
}

tims_answer auth__avatar_get(tims_request *rq)
{
    tims_id user = tims_path_id(rq, "user");
    tims_db_rows *rows = query_picture(rq, "hash", user);
    tims_str etag = tims_print(rq->arena, "\"%S\"", tims_db_get_text(rows, 0));
    end_rows(rq, rows);
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("public, max-age=86400"));
    tims_set_header(rq, TIMS_STR("Content-Security-Policy"), TIMS_STR("default-src 'none'; sandbox"));
    if (tims_not_modified(rq, etag))
        return tims_answer_empty(304);
    rows = query_picture(rq, "content_type, data", user);
    tims_str type = tims_copy(rq->arena, tims_db_get_text(rows, 0)), data;
    bool decoded = tims_base64url_decode(rq->arena, tims_db_get_text(rows, 1), &data);
    end_rows(rq, rows);
    if (!decoded)
        tims_raise(rq, 500, "internal", "The picture cannot be read.");
    return tims_answer_bytes(200, type, data);
}
