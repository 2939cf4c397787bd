#include "chat/chat.h"

static void sign_message(tims_request *rq, void *row)
{
    message *m = row;
    m->sender = tims_user_id(rq);
}

void chat_announce(tims_request *rq, const message *m)
{
    tims_sql_run(rq, TIMS_STR("UPDATE chat SET last_message_at = ?2 WHERE id = ?1"),
                 (tims_db_value[]){ tims_db_id(m->chat), tims_db_int(m->created_at.us) }, 2);
    tims_sql_run(rq, TIMS_STR("UPDATE member SET unread = unread + 1 WHERE chat = ?1 AND \"user\" <> ?2"),
                 (tims_db_value[]){ tims_db_id(m->chat), tims_db_id(m->sender) }, 2);
    chat_tell_absent(rq, m);
}

static void announce_message(tims_request *rq, void *row)
{
    chat_announce(rq, row);
}

static const tims_resource resources[] = {
    { .path = "/api/chats/",
      .model = &chat_model,
      .allow = TIMS_LIST | TIMS_READ | TIMS_UPDATE,
      .order = TIMS_NAMES("last_message_at", "created_at") },
    { .path = "/api/members/",
      .model = &member_model,
      .allow = TIMS_LIST | TIMS_READ | TIMS_CREATE | TIMS_DELETE,
      .filter = TIMS_NAMES("chat", "user"),
      .page = { .size = 200, .max = 500 } },
    { .path = "/api/messages/",
      .model = &message_model,
      .allow = TIMS_LIST | TIMS_READ | TIMS_CREATE,
      .filter = TIMS_NAMES("chat", "sender", "created_at"),
      .order = TIMS_NAMES("created_at"),
      .page = { .size = 50, .max = 200 },
      .before_create = sign_message,
      .after_create = announce_message },
    { 0 },
};

/* {"counts":{"<chat>":3,…},"total":3}: only chats with something to read. */
static void write_unread(tims_request *rq, tims_json_writer *w)
{
    size_t count;
    int64_t total = 0;
    const member *mine = tims_select_all(rq, &member_model, &count, "user=%I", tims_user_id(rq));
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("counts"));
    tims_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        if (mine[i].unread == 0)
            continue;
        total += mine[i].unread;
        tims_json_key(w, tims_print(rq->arena, "%I", mine[i].chat));
        tims_json_int(w, mine[i].unread);
    }
    tims_json_end_object(w);
    tims_json_key(w, TIMS_STR("total"));
    tims_json_int(w, total);
    tims_json_end_object(w);
}

/* {"count":n}: the same for everybody, so it is worked out once. */
static void write_online(tims_request *rq, tims_json_writer *w)
{
    tims_ids users;
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("count"));
    tims_json_int(w, (int64_t)tims_live_online(rq, &users));
    tims_json_end_object(w);
}

static const tims_field unread_count = { .kind = TIMS_KIND_INT, .doc = "Messages that wait." };
static const tims_shape unread_answer = {
    .name = "unread",
    .doc = "How many messages wait: only chats with something to read.",
    .fields = TIMS_FIELDS(TIMS_VALUE(counts, JSON, .map = &unread_count, .doc = "By the chat's id."),
                          TIMS_VALUE(total, INT, .doc = "In all of them.")),
};
static const tims_shape online_answer = {
    .name = "online",
    .doc = "How many people are connected.",
    .fields = TIMS_FIELDS(TIMS_VALUE(count, INT, .doc = "People, not connections.")),
};

static const tims_computed computed[] = {
    { .path = "/api/unread/",
      .write = write_unread,
      .access = tims_access_signed_in,
      .doc = "How many messages wait in each chat.",
      .api = { .answer = &unread_answer } },
    { .path = "/api/online/",
      .write = write_online,
      .access = tims_access_signed_in,
      .doc = "How many people are connected now.",
      .api = { .answer = &online_answer } },
    { 0 },
};

typedef struct start_body {
    tims_str title;
    tims_ids members;
} start_body;

static const tims_shape start_shape = {
    .name = "start_chat",
    .doc = "A new chat and who is in it.",
    .size = sizeof(start_body),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(start_body, title, .required = true, .max_length = 80, .doc = "What it is about."),
        TIMS_FIELD(start_body, members, .max_length = 100, .doc = "The others; you are always in it.")),
};

static void add_member(tims_request *rq, tims_id chat_id, tims_id user)
{
    if (!tims_exists(rq, &member_model, "chat=%I&user=%I", chat_id, user))
        tims_create(rq, &member_model, &(member){ .chat = chat_id, .user = user });
}

chat *chat_start(tims_request *rq, tims_str title, tims_ids members)
{
    tims_begin(rq);
    chat *c = TIMS_NEW(rq->arena, chat);
    *c = (chat){ .title = title, .created_by = tims_user_id(rq) };
    tims_create(rq, &chat_model, c);
    add_member(rq, c->id, c->created_by);
    for (size_t i = 0; i < members.count; i++)
        add_member(rq, c->id, members.items[i]);
    return c;
}

static tims_answer start(tims_request *rq)
{
    const start_body *body = tims_body_shape(rq, &start_shape);
    return tims_answer_row(rq, 201, &chat_model, chat_start(rq, body->title, body->members));
}

static tims_answer mark_read(tims_request *rq)
{
    tims_begin(rq);
    const chat *c = tims_get(rq, &chat_model, tims_path_id(rq, "chat")); /* Raises: 404 */
    size_t count;
    member *me = tims_select(rq, &member_model, &count, "chat=%I&user=%I", c->id, tims_user_id(rq));
    if (count == 1 && me->unread > 0) {
        me->unread = 0;
        me->last_read_at = (tims_opt_time){ true, tims_now() };
        tims_update(rq, &member_model, me, TIMS_NAMES("unread", "last_read_at"));
    }
    return tims_answer_empty(204);
}

static const tims_shape export_answer = {
    .name = "export",
    .doc = "The job that makes the text.",
    .fields = TIMS_FIELDS(TIMS_VALUE(id, ID, .doc = "Followed at /api/tasks/.")),
};

static const tims_route endpoints[] = {
    { TIMS_METHOD_POST, "/api/chats/start/", start, .access = tims_access_signed_in,
      .doc = "Starts a chat with some people.",
      .api = { .operation = "startChat", .body = &start_shape, .status = 201, .row = &chat_model } },
    { TIMS_METHOD_POST, "/api/chats/{chat:id}/read/", mark_read, .access = tims_access_signed_in,
      .doc = "Marks all messages of a chat as read.",
      .api = { .operation = "markChatRead", .problems = { 404 } } },
    { TIMS_METHOD_POST, "/api/chats/{chat:id}/pictures/", chat_picture_send, .access = tims_access_signed_in,
      .body_bytes_max = PICTURE_BYTES_MAX + 64 * 1024, /* what stands around the file */
      .doc = "A message with a picture: multipart with the file, and maybe `text`, `alt` and the message's "
             "`id`.",
      .api = { .operation = "sendPicture",
               .file = "file",
               .body = &chat_picture_words,
               .status = 201,
               .other_status = 200,
               .row = &message_model,
               .problems = { 404, 409, 429 } } },
    { TIMS_METHOD_GET, "/api/pictures/{picture:id}/file/", chat_picture_get, .access = tims_access_signed_in,
      .doc = "The content of a picture, for who sees its chat.",
      .api = { .operation = "getPictureFile",
               .content_type = "image/*",
               .other_status = 304,
               .problems = { 404 } } },
    { TIMS_METHOD_POST, "/api/chats/{chat:id}/export/", chat_export, .access = tims_access_signed_in,
      .doc = "Begins to make a text of a chat: {\"id\"} of a job that is followed at /api/tasks/.",
      .api = { .operation = "exportChat", .status = 202, .answer = &export_answer, .problems = { 404 } } },
    { 0 },
};

const tims_app chat_app = {
    .name = "chat",
    .doc = "Chats, live.",
    .models = chat_models,
    .resources = resources,
    .computed = computed,
    .endpoints = endpoints,
    .tasks = chat_tasks,
    .schedules = chat_schedules,
    .websockets = chat_websockets,
    .pages = chat_pages,
    .migrations = chat_migrations,
    .demo = chat_demo,
};
