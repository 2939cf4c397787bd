/* pictures.c: a picture in a message: taken as a form with one file, kept in the database beside its message,
 * served to who sees the chat.
 *
 * Message, picture and content are written in one transaction. What the file is and how large is read from
 * its bytes, and it is served as that and nothing else; its size in pixels travels with the message, so that
 * a page keeps its place free. A small file may say that it is as large as a wall, and the browser of whoever
 * opens the chat would try; nor may one person fill the disk. So both are bounded. */
#include "chat/chat.h"

/* What stands beside the file in the form. */
typedef struct picture_words {
    tims_id id; /* the message's; zero: the server makes one */
    tims_str text, alt;
} picture_words;

const tims_shape chat_picture_words = {
    .name = "send_picture",
    .doc = "What is said with a picture.",
    .size = sizeof(picture_words),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(picture_words, id, .doc = "The message's, made by the client."),
        TIMS_FIELD(picture_words, text, .max_length = MESSAGE_TEXT_MAX, .doc = "Stands below it."),
        TIMS_FIELD(picture_words, alt, .max_length = PICTURE_ALT_MAX, .doc = "What is to be seen.")),
};

/* Raises: 422 with pointers. */
static picture_words read_words(tims_request *rq, tims_uploads uploads)
{
    picture_words words = { 0 };
    tims_error err = { 0 };
    for (size_t i = 0; i < uploads.count; i++) {
        const tims_upload *part = &uploads.items[i];
        const tims_field *field = tims_field_find(chat_picture_words.fields, part->name);
        if (part->filename.length == 0 && field != NULL)
            (void)tims_bind_text(rq->arena, field, tims_str_trim(part->data), &words, &err);
    }
    if (err.fields != NULL)
        tims_raise_error(rq, &err);
    return words;
}

/* Sent before, and the answer was lost: the same message again. Raises: 409 when the id is another's. */
static const message *find_sent(tims_request *rq, tims_id id, tims_id chat_id)
{
    const message *m = tims_id_is_zero(id) ? NULL : tims_find(rq, &message_model, id);
    if (m != NULL && (!tims_same_id(m->chat, chat_id) || !tims_same_id(m->sender, tims_user_id(rq))))
        tims_raise(rq, 409, "unique", "There is a message with this id.");
    return m;
}

/* Raises: 415, 422 */
static tims_picture read_picture(tims_request *rq, tims_str data)
{
    tims_picture info;
    tims_error err = { 0 };
    if (tims_picture_read(data, &info, &err) != TIMS_OK)
        tims_raise(rq, tims_picture_type(data) == NULL ? 415 : 422, err.code, "%s", err.message);
    if (info.width > PICTURE_PIXELS_MAX / info.height)
        tims_raise(rq, 422, "too_many_pixels", "A picture may have at most %d megapixels.",
                   PICTURE_PIXELS_MAX / (1024 * 1024));
    return info;
}

/* Raises: 413 */
static void check_room(tims_request *rq, size_t bytes)
{
    tims_error err = { 0 };
    const tims_db_value sender = tims_db_id(tims_user_id(rq));
    tims_db_rows *rows = tims_sql_query(
        rq, TIMS_STR("SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM picture WHERE sender = ?1"),
        &sender, 1);
    int64_t held = tims_db_next(rows) ? tims_db_get_int(rows, 0) : 0;
    tims_check(rq, tims_db_rows_end(&rows, &err), &err);
    if (held + (int64_t)bytes > PICTURES_BYTES_MAX)
        tims_raise(rq, 413, "picture_quota", "The pictures of one person may have at most %d MiB in all.",
                   PICTURES_BYTES_MAX / (1024 * 1024));
}

tims_answer chat_picture_send(tims_request *rq)
{
    tims_throttle(rq, "pictures", "60/m");
    const chat *c = tims_get(rq, &chat_model, tims_path_id(rq, "chat")); /* Raises: 404 */
    tims_uploads uploads = tims_body_uploads(rq);
    tims_str data = tims_body_picture(rq, uploads, PICTURE_BYTES_MAX);
    tims_picture info = read_picture(rq, data);
    picture_words words = read_words(rq, uploads);
    tims_begin(rq);
    (void)tims_get(rq, &chat_model, c->id); /* still a member, in the state that is written to */
    const message *sent = find_sent(rq, words.id, c->id);
    if (sent != NULL)
        return tims_answer_row(rq, 200, &message_model, sent);
    check_room(rq, data.length);
    picture p = { .chat = c->id,
                  .sender = tims_user_id(rq),
                  .content_type = tims_str_from(info.content_type),
                  .alt = words.alt,
                  .width = info.width,
                  .height = info.height,
                  .bytes = (int64_t)data.length };
    tims_create(rq, &picture_model, &p);
    tims_create(rq, &picture_data_model, &(picture_data){ .picture = p.id, .data = { data } });
    message m = {
        .id = words.id, .chat = c->id, .sender = p.sender, .text = words.text, .picture = { true, p.id }
    };
    tims_create(rq, &message_model, &m);
    chat_announce(rq, &m);
    return tims_answer_row(rq, 201, &message_model, &m);
}

/* Its address is made of its id and its content never changes: who has it and may still see it needs nothing
 * more. */
tims_answer chat_picture_get(tims_request *rq)
{
    const picture *p = tims_get(rq, &picture_model, tims_path_id(rq, "picture")); /* Raises: 404 */
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("private, max-age=31536000, immutable"));
    tims_set_header(rq, TIMS_STR("Content-Security-Policy"), TIMS_STR("default-src 'none'; sandbox"));
    if (tims_not_modified(rq, tims_print(rq->arena, "\"%I\"", p->id)))
        return tims_answer_empty(304);
    const picture_data *content =
        tims_find_by(rq, &picture_data_model, "picture", tims_print(rq->arena, "%I", p->id));
    if (content == NULL)
        tims_raise(rq, 404, "not_found", "There is no picture.");
    return tims_answer_bytes(200, p->content_type, content->data.data);
}
