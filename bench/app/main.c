/* The app that is measured: the demo's models without its hooks, so that peers do the same work. */
#include <tims.h>

typedef struct item {
    tims_id id;
    tims_str name;
    int64_t value;
} item;

typedef struct chat {
    tims_id id;
    tims_str title;
} chat;

typedef struct member {
    tims_id id, chat, user;
} member;

typedef struct message {
    tims_id id, chat, sender;
    tims_str text;
    tims_time created_at;
} message;

extern const tims_model chat_model, member_model;

static const tims_model item_model = {
    .name = "item",
    .doc = "A row to read by key.",
    .size = sizeof(item),
    .fields = TIMS_FIELDS(TIMS_FIELD(item, id, .primary = true), TIMS_FIELD(item, name, .max_length = 100),
                          TIMS_FIELD(item, value)),
    .read = TIMS_PUBLIC,
    .write = TIMS_STAFF,
};

const tims_model chat_model = {
    .name = "chat",
    .doc = "A conversation.",
    .size = sizeof(chat),
    .fields = TIMS_FIELDS(TIMS_FIELD(chat, id, .primary = true), TIMS_FIELD(chat, title, .max_length = 80)),
    .read = TIMS_MEMBERS(member_model, member, chat, user),
};

const tims_model member_model = {
    .name = "member",
    .doc = "Somebody in a chat.",
    .size = sizeof(member),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(member, id, .primary = true), TIMS_FIELD(member, chat, .to = &chat_model),
                    TIMS_FIELD(member, user, .to = &tims_user_model, .index = true)),
    .indexes = TIMS_INDEXES(TIMS_UNIQUE("chat", "user")),
    .read = TIMS_LIKE(member, chat, chat_model),
};

static const tims_model message_model = {
    .name = "message",
    .doc = "One message of a chat.",
    .size = sizeof(message),
    .fields = TIMS_FIELDS(TIMS_FIELD(message, id, .primary = true),
                          TIMS_FIELD(message, chat, .to = &chat_model, .required = true),
                          TIMS_FIELD(message, sender, .to = &tims_user_model, .read_only = true),
                          TIMS_FIELD(message, text, .required = true, .max_length = 4000),
                          TIMS_FIELD(message, created_at, .auto_now_add = true)),
    .indexes = TIMS_INDEXES(TIMS_INDEX("chat", "created_at", "id")),
    .read = TIMS_LIKE(message, chat, chat_model),
    .create = TIMS_LIKE(message, chat, chat_model),
    .order = "-created_at",
};

static const tims_model *const models[] = { &item_model, &chat_model, &member_model, &message_model, NULL };

static void sign_message(tims_request *rq, void *row)
{
    message *m = row;
    m->sender = tims_user_id(rq);
}

static const tims_resource resources[] = {
    { .path = "/api/items/", .model = &item_model, .allow = TIMS_READ, .read_throttle = "1000000/s" },
    { .path = "/api/messages/",
      .model = &message_model,
      .allow = TIMS_LIST | TIMS_CREATE,
      .filter = TIMS_NAMES("chat"),
      .page = { .size = 50, .max = 200 },
      .before_create = sign_message,
      .throttle = "none",
      .read_throttle = "1000000/s" },
    { 0 },
};

static tims_answer say_hello(tims_request *rq)
{
    tims_buf out;
    tims_buf_init(&out, rq->arena, 256);
    tims_json_writer w = tims_json_to(&out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("message"));
    tims_json_str(&w, TIMS_STR("Hello, World!"));
    tims_json_end_object(&w);
    return tims_answer_json(200, tims_buf_str(&out));
}

static const tims_route endpoints[] = {
    { TIMS_METHOD_GET, "/json", say_hello, .anonymous = true },
    { TIMS_METHOD_GET, "/json/session", say_hello, .access = tims_access_signed_in },
    { 0 },
};

extern const tims_embedded bench_migrations[];

static void fill_in(tims_request *rq)
{
    tims_user *user;
    tims_error err = { 0 };
    for (int i = 0; i < 64; i++)
        tims_check(rq,
                   tims_user_create(rq, tims_print(rq->arena, "bench%d", i), TIMS_STR("measured-word-7"),
                                    false, &user, &err),
                   &err);
}

int main(int argc, char **argv)
{
    static const tims_app app = { .name = "bench",
                                  .doc = "What is measured.",
                                  .models = models,
                                  .resources = resources,
                                  .endpoints = endpoints,
                                  .migrations = bench_migrations,
                                  .demo = fill_in };
    static const tims_app *const apps[] = { &app, NULL };
    /* Where the proxy leads is said by PROXY_BEHIND. */
    static const tims_proxy proxies[] = { { "/behind/", "http://127.0.0.1:9/" }, { 0 } };
    static const tims_project project = {
        .name = "bench", .version = "0", .apps = apps, .source_directory = "bench/app", .proxies = proxies
    };
    return tims_main(argc, argv, &project);
}
