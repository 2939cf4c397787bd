/* push.c: who is not connected is told of a message on their devices. */
#include "chat/chat.h"

enum { PREVIEW_BYTES_MAX = 200 };

/* The beginning, cut where a character ends. */
static tims_str preview(tims_request *rq, tims_str text)
{
    tims_str cut = tims_str_slice(text, 0, PREVIEW_BYTES_MAX);
    while (!tims_str_is_utf8(cut))
        cut.length--;
    return cut.length < text.length ? tims_print(rq->arena, "%S…", cut) : text;
}

/* A picture without words is said in none: the reader's language is not known here. */
static tims_str words_of(tims_request *rq, const message *m)
{
    return m->picture.present && m->text.length == 0 ? TIMS_STR("\xf0\x9f\x93\xb7") : preview(rq, m->text);
}

/* A later message takes the place of the one before: one chat is one line on the lock screen. */
void chat_tell_absent(tims_request *rq, const message *m)
{
    size_t count, absent = 0;
    const member *members = tims_select_all(rq, &member_model, &count, "chat=%I", m->chat);
    tims_id *users = TIMS_NEW_ARRAY(rq->arena, tims_id, count + 1);
    for (size_t i = 0; i < count; i++)
        if (!tims_same_id(members[i].user, m->sender) && !tims_live_is_online(rq, members[i].user))
            users[absent++] = members[i].user;
    if (absent == 0)
        return;
    const chat *c = tims_find(rq, &chat_model, m->chat);
    const tims_push push = { .title = c->title,
                             .body = tims_print(rq->arena, "%S: %S", tims_current_user(rq)->display_name,
                                                words_of(rq, m)),
                             .path = tims_print(rq->arena, "/chat/%I", m->chat),
                             .collapse = tims_print(rq->arena, "chat:%I", m->chat) };
    tims_push_send_all(rq, (tims_ids){ users, absent }, &push);
}
