#include "chat/chat.h"

static const char *const titles[] = { "Welcome", "Weekend plans", "Release 1.0", "Recipes" };

static const char *const lines[] = {
    "Hi! Did you see that this page came fully rendered?",
    "Yes. And it goes on living from there, without a second fetch.",
    "Open another browser beside this one and write something.",
    "It is there before the key is up.",
    "What happens if the network goes away?",
    "You keep what you have. What you missed comes when it is back.",
    "And if somebody changes a row with sqlite3?",
    "Then it changes here too. Any writer counts.",
};
enum { LINE_COUNT = sizeof lines / sizeof lines[0], DEMO_MESSAGES = 120 };

static const tims_user *demo_user(tims_request *rq, int number)
{
    tims_str name = number < 0 ? TIMS_STR("demo") : tims_print(rq->arena, "testUser%d", number);
    const tims_user *user = tims_find_by(rq, &tims_user_model, "username", name);
    TIMS_ASSERT(user != NULL); /* accounts_demo has run */
    return user;
}

/* A message a minute, the last one now. */
static void write_messages(tims_request *rq, const chat *c, const tims_user *const people[2], int count)
{
    int64_t now = tims_now().us;
    for (int i = 0; i < count; i++) {
        message m = { .chat = c->id,
                      .sender = people[i % 2]->id,
                      .text = tims_str_from(lines[i % LINE_COUNT]),
                      .created_at = { now - (int64_t)(count - 1 - i) * 60 * 1000000 } };
        tims_create(rq, &message_model, &m);
    }
}

void chat_demo(tims_request *rq)
{
    if (tims_exists(rq, &chat_model, NULL))
        return;
    const tims_user *demo = demo_user(rq, -1);
    for (int i = 0; i < (int)(sizeof titles / sizeof titles[0]); i++) {
        const tims_user *people[2] = { demo, demo_user(rq, i) };
        chat c = { .title = tims_str_from(titles[i]), .created_by = demo->id };
        tims_create(rq, &chat_model, &c);
        tims_create(rq, &member_model, &(member){ .chat = c.id, .user = people[0]->id, .unread = i });
        tims_create(rq, &member_model, &(member){ .chat = c.id, .user = people[1]->id });
        write_messages(rq, &c, people, i == 0 ? DEMO_MESSAGES : LINE_COUNT);
    }
}
