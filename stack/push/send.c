/* send.c: from what an app says to one job per device.
 *
 *   tims_push_send ──► job "push_tell": which devices do they have now? ──► a job "push_deliver" for each
 *
 * The request writes one row, however many people it tells. What is told apart by device is done in jobs, so
 * that each is tried again by itself. */
#include "push/push_internal.h"

enum {
    USERS_PER_JOB = 1000,
    USERS_PER_QUERY = 50, /* times the devices a user may have: within the rows of one query */
    DAY_S = 86400,
    EXPIRES_S_MAX = 28 * DAY_S, /* FCM keeps nothing longer */
    ATTEMPTS_MAX = 40,          /* some thirty hours of trying */
    DATA_KEYS_MAX = 100,
    TEXT_MAX = TIMS_PUSH_PAYLOAD_BYTES_MAX
};

/* A member of the push that arguments carry. */
#define PUSH_FIELD(type, member, ...)                               \
    {                                                               \
        .offset = offsetof(type, push.member), .name = #member,     \
        .kind = TIMS_KIND_OF(((type *)0)->push.member), __VA_ARGS__ \
    }
#define PUSH_FIELDS(type)                                                                          \
    PUSH_FIELD(type, title, .max_length = TEXT_MAX, .doc = "What is shown."),                      \
        PUSH_FIELD(type, body, .max_length = TEXT_MAX, .doc = "What is shown below."),             \
        PUSH_FIELD(type, path, .max_length = TEXT_MAX, .doc = "Where a tap leads."),               \
        PUSH_FIELD(type, data, .max_length = TEXT_MAX, .doc = "JSON: an object of strings."),      \
        PUSH_FIELD(type, collapse, .max_length = TEXT_MAX, .doc = "Which it takes the place of."), \
        PUSH_FIELD(type, thread, .max_length = TEXT_MAX, .doc = "With which it is shown."),        \
        PUSH_FIELD(type, badge, .doc = "The number on the icon."),                                 \
        PUSH_FIELD(type, urgent, .doc = "Wakes a sleeping device."),                               \
        PUSH_FIELD(type, silent, .doc = "Without a sound."),                                       \
        TIMS_FIELD(type, expires_at, .doc = "After that it is worth nothing.")

/* --- what may be sent --------------------------------------------------------------------------- */

/* Names that the services keep for themselves, and ours. */
static bool is_reserved(tims_str key)
{
    static const char *const names[] = {
        "aps", "path", "from", "message_type", "notification", "collapse_key"
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (tims_str_equal(key, tims_str_from(names[i])))
            return true;
    return tims_str_starts_with(key, TIMS_STR("google")) || tims_str_starts_with(key, TIMS_STR("gcm"));
}

static const char *check_data(tims_arena *arena, tims_str text, const tims_json **ret_data)
{
    void *cursor = NULL;
    tims_str key;
    const tims_json *value;
    *ret_data = NULL;
    if (text.length == 0)
        return NULL;
    if (text.length > TIMS_PUSH_PAYLOAD_BYTES_MAX)
        return "Its data is too large.";
    if (tims_json_parse(arena, text, ret_data, NULL) != TIMS_OK ||
        tims_json_type_of(*ret_data) != TIMS_JSON_OBJECT || tims_json_count(*ret_data) > DATA_KEYS_MAX)
        return "Its data is no JSON object of at most 100 members.";
    while (tims_json_next(*ret_data, &cursor, &key, &value)) {
        if (tims_json_type_of(value) != TIMS_JSON_STR)
            return "A member of its data is no string.";
        if (key.length == 0 || is_reserved(key))
            return "A member of its data has a name that is reserved.";
    }
    return NULL;
}

static bool is_visible(tims_str text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

/* Of the app: browsers take two slashes, and a backslash for a slash, as the way to another site. */
static bool is_path(tims_str path)
{
    return path.length == 0 || (path.data[0] == '/' && !tims_str_starts_with(path, TIMS_STR("//")) &&
                                is_visible(path) && tims_str_find(path, TIMS_STR("\\")) == SIZE_MAX);
}

const char *push__problem(tims_arena *arena, const tims_push *push, const tims_json **ret_data)
{
    const char *problem = check_data(arena, push->data, ret_data);
    if (problem != NULL)
        return problem;
    if (push->title.length == 0 && push->body.length == 0)
        return "It has neither a title nor a body.";
    if (!tims_str_is_utf8(push->title) || !tims_str_is_utf8(push->body))
        return "Its text is not UTF-8.";
    if (!is_path(push->path))
        return "Its path does not begin with one slash, or has a character that no path has.";
    if (push->collapse.length > TIMS_PUSH_COLLAPSE_BYTES_MAX)
        return "Its collapse key has more than 64 bytes.";
    if (!is_visible(push->collapse))
        return "Its collapse key has a character that is not visible ASCII.";
    if (push->badge.present && (push->badge.value < 0 || push->badge.value > INT32_MAX))
        return "Its badge is no count.";
    if (push->expires_s < 0 || push->expires_s > EXPIRES_S_MAX)
        return "It expires in the past, or later than in 28 days.";
    if (push__apns_payload(arena, push, *ret_data).length > TIMS_PUSH_PAYLOAD_BYTES_MAX ||
        push__fcm_counted_bytes(arena, push, *ret_data) > TIMS_PUSH_PAYLOAD_BYTES_MAX)
        return "It has more than the 4,096 bytes that services take.";
    return NULL;
}

/* --- delivering: one push to one device --------------------------------------------------------- */

typedef struct deliver_arguments {
    tims_id device, user;
    tims_push push;
    tims_time expires_at;
} deliver_arguments;

/* Only the row that was sent to: an app that has registered meanwhile is there again. */
static void remove_gone(tims_run *run, const tims_push_device *device, const tims_push_answer *answer)
{
    const tims_db_value values[] = { tims_db_id(device->id), tims_db_text(device->token),
                                     tims_db_int(device->last_used_at.us) };
    bool is_back = answer->gone_since.us != 0 && device->last_used_at.us > answer->gone_since.us;
    int64_t removed =
        is_back ? 0
                : tims_sql_run(run->rq,
                               TIMS_STR("DELETE FROM tims_push_device WHERE id = ?1 AND token = ?2 AND "
                                        "last_used_at = ?3"),
                               values, 3);
    tims_log(TIMS_LOG_INFO, "push", "event=gone platform=%S device=%I removed=%lld message=%S",
             device->platform, device->id, (long long)removed, answer->reason);
}

TIMS_NORETURN static void raise_later(tims_run *run, const tims_push_answer *answer)
{
    tims_error err = { 0 };
    (void)!tims_fail(&err, TIMS_UNAVAILABLE, answer->code, "%.*s", TIMS_PRINT(answer->reason));
    err.retry_after_s =
        (int)(answer->retry_after_s < PUSH__RETRY_S_MAX ? answer->retry_after_s : PUSH__RETRY_S_MAX);
    tims_raise_error(run->rq, &err);
}

static void push_deliver(tims_run *run, const deliver_arguments *a)
{
    tims_request *rq = run->rq;
    tims_push_delivery delivery = { .push = &a->push, .id = run->id, .expires_at = a->expires_at };
    const tims_push_device *device = tims_find(rq, &tims_push_device_model, a->device);
    if (device == NULL || !tims_same_id(device->user, a->user))
        return; /* signed out meanwhile, or somebody else's now */
    const tims_push_sender *sender = push__find_sender(push__of(rq), device->platform);
    if (sender == NULL) {
        push__tell_no_sender(push__of(rq), device->platform);
        return;
    }
    const char *problem = push__problem(rq->arena, &a->push, &delivery.data);
    if (problem != NULL)
        tims_give_up(run, "push_invalid", "%s", problem);
    delivery.device = device;
    tims_push_answer answer = sender->send(rq, sender, &delivery);
    switch (answer.result) {
    case TIMS_PUSH_SENT:
        break;
    case TIMS_PUSH_GONE:
        remove_gone(run, device, &answer);
        break;
    case TIMS_PUSH_LATER:
        raise_later(run, &answer);
    case TIMS_PUSH_REFUSED:
        tims_give_up(run, answer.code != NULL ? answer.code : "push_refused", "%.*s",
                     TIMS_PRINT(answer.reason));
    }
}

TIMS_TASK(push_deliver, deliver_arguments,
          .fields = TIMS_FIELDS(TIMS_FIELD(deliver_arguments, device, .required = true, .doc = "To which."),
                                TIMS_FIELD(deliver_arguments, user, .required = true, .doc = "Whose it was."),
                                PUSH_FIELDS(deliver_arguments)),
          .doc = "Sends one notification to one device.", .queue = "push", .max_attempts = ATTEMPTS_MAX,
          .timeout_ms = 60000);

tims_push_answer push__no_answer(tims_arena *arena, const tims_error *err)
{
    return (tims_push_answer){ .result = TIMS_PUSH_LATER,
                               .code = "push_unreachable",
                               .reason = tims_copy(arena, tims_str_from(err->message)) };
}

/* --- telling: which devices do they have? ------------------------------------------------------- */

typedef struct tell_arguments {
    tims_ids users;
    tims_push push;
    tims_time expires_at;
} tell_arguments;

static void tell_device(tims_run *run, const tell_arguments *a, const tims_push_device *device)
{
    const tims_enqueue_options until = { .expires_at = a->expires_at };
    const deliver_arguments to = {
        .device = device->id, .user = device->user, .push = a->push, .expires_at = a->expires_at
    };
    if (push__find_sender(push__of(run->rq), device->platform) == NULL)
        push__tell_no_sender(push__of(run->rq), device->platform);
    else
        (void)tims_enqueue_with(run->rq, &push_deliver_task, &to, &until);
}

static void push_tell(tims_run *run, const tell_arguments *a)
{
    for (size_t first = 0; first < a->users.count; first += USERS_PER_QUERY) {
        tims_buf list;
        size_t count;
        tims_buf_init(&list, run->rq->arena, USERS_PER_QUERY * (TIMS_ID_TEXT_LENGTH + 1));
        for (size_t i = first; i < a->users.count && i < first + USERS_PER_QUERY; i++)
            tims_buf_print(&list, "%s%I", i > first ? "," : "", a->users.items[i]);
        const tims_push_device *devices =
            tims_select_all(run->rq, &tims_push_device_model, &count, "user__in=%S", tims_buf_str(&list));
        for (size_t i = 0; i < count; i++)
            tell_device(run, a, &devices[i]);
    }
}

TIMS_TASK(push_tell, tell_arguments,
          .fields = TIMS_FIELDS(TIMS_FIELD(tell_arguments, users, .required = true,
                                           .max_length = USERS_PER_JOB, .doc = "Whom."),
                                PUSH_FIELDS(tell_arguments)),
          .doc = "Finds the devices of people who are to be told.", .queue = "push");

const tims_task *const tims_push_tasks[] = { &push_tell_task, &push_deliver_task, NULL };

/* So that a service which does not answer leaves room for other jobs. */
const tims_queue tims_push_queues[] = {
    { .name = "push", .concurrency = 50, .doc = "Notifications." },
    { 0 },
};

/* --- for applications --------------------------------------------------------------------------- */

void tims_push_send_all(tims_request *rq, tims_ids users, const tims_push *push)
{
    const tims_json *data;
    int64_t expires_s = push->expires_s > 0 ? push->expires_s : DAY_S;
    const char *problem = push__problem(rq->arena, push, &data);
    if (problem != NULL)
        tims_raise(rq, 422, "push_invalid", "The notification cannot be sent. %s", problem);
    if (push__of(rq)->sender_count == 0) {
        push__tell_no_sender(push__of(rq), TIMS_STR("any"));
        return;
    }
    tell_arguments a = { .push = *push, .expires_at = { tims_now().us + expires_s * 1000000 } };
    const tims_enqueue_options until = { .expires_at = a.expires_at };
    for (size_t first = 0; first < users.count; first += USERS_PER_JOB) {
        size_t left = users.count - first;
        a.users = (tims_ids){ users.items + first, left < USERS_PER_JOB ? left : USERS_PER_JOB };
        (void)tims_enqueue_with(rq, &push_tell_task, &a, &until);
    }
}

void tims_push_send(tims_request *rq, tims_id user, const tims_push *push)
{
    tims_push_send_all(rq, (tims_ids){ &user, 1 }, push);
}
