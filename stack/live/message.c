/* message.c: what a client says, from the text of a frame to a checked value. No state, no output. */
#include "live/live_internal.h"

static bool take_id(const tims_json *object, const char *name, uint32_t *ret_id)
{
    int64_t id = tims_json_get_int(object, tims_str_from(name), 0);
    if (id < 1 || id > INT32_MAX)
        return false;
    *ret_id = (uint32_t)id;
    return true;
}

/* Absent is fine and empty; any other type than text is not. */
static bool take_text(const tims_json *object, const char *name, size_t bytes_max, tims_str *ret_text)
{
    const tims_json *value = tims_json_get(object, tims_str_from(name));
    if (value == NULL || tims_json_type_of(value) == TIMS_JSON_NULL)
        return true;
    if (tims_json_type_of(value) != TIMS_JSON_STR)
        return false;
    *ret_text = tims_json_get_str(object, tims_str_from(name), TIMS_STR(""));
    return ret_text->length <= bytes_max;
}

static bool take_limit(const tims_json *object, bool required, int64_t *ret_limit)
{
    const tims_json *value = tims_json_get(object, TIMS_STR("limit"));
    if (value == NULL)
        return !required;
    if (tims_json_type_of(value) != TIMS_JSON_INT)
        return false;
    *ret_limit = tims_json_get_int(object, TIMS_STR("limit"), -1);
    return *ret_limit >= (required ? 1 : 0) && *ret_limit <= INT32_MAX;
}

static bool take_hello(const tims_json *object, live__message *message)
{
    message->kind = LIVE__HELLO;
    message->protocol = tims_json_get_int(object, TIMS_STR("protocol"), 0);
    return take_text(object, "token", 512, &message->token);
}

static bool take_sub(const tims_json *object, live__message *message)
{
    message->kind = LIVE__SUB;
    return take_id(object, "id", &message->sub) &&
           take_text(object, "url", LIVE__URL_BYTES_MAX, &message->url) && message->url.length > 0 &&
           message->url.data[0] == '/' && take_text(object, "from", 64, &message->from) &&
           take_limit(object, false, &message->limit);
}

static bool take_more(const tims_json *object, live__message *message)
{
    message->kind = LIVE__MORE;
    return take_id(object, "sub", &message->sub) && take_limit(object, true, &message->limit);
}

static bool take_unsub(const tims_json *object, live__message *message)
{
    message->kind = LIVE__UNSUB;
    return take_id(object, "sub", &message->sub);
}

static bool take_auth(const tims_json *object, live__message *message)
{
    message->kind = LIVE__AUTH;
    return take_text(object, "token", 512, &message->token) && message->token.length > 0;
}

static bool take_join(const tims_json *object, live__message *message)
{
    const tims_json *state = tims_json_get(object, TIMS_STR("state"));
    const tims_json *present = tims_json_get(object, TIMS_STR("present"));
    message->kind = LIVE__JOIN;
    if (present != NULL && tims_json_type_of(present) != TIMS_JSON_BOOL)
        return false;
    if (state != NULL && tims_json_type_of(state) != TIMS_JSON_OBJECT)
        return false;
    message->is_present = tims_json_get_bool(object, TIMS_STR("present"), true);
    message->data = state;
    return take_id(object, "id", &message->sub) &&
           take_text(object, "url", LIVE__URL_BYTES_MAX, &message->url) && message->url.length > 0 &&
           message->url.data[0] == '/';
}

static bool take_leave(const tims_json *object, live__message *message)
{
    message->kind = LIVE__LEAVE;
    return take_id(object, "join", &message->sub);
}

static bool take_publish(const tims_json *object, live__message *message)
{
    message->kind = LIVE__PUBLISH;
    message->data = tims_json_get(object, TIMS_STR("data"));
    return take_id(object, "join", &message->sub) && message->data != NULL &&
           take_text(object, "kind", LIVE__MESSAGE_BYTES_MAX, &message->name);
}

static bool take_ping(const tims_json *object, live__message *message)
{
    (void)object;
    message->kind = LIVE__PING;
    return true;
}

live__message live__message_read(tims_arena *arena, tims_str text)
{
    static const struct {
        const char *name;
        bool (*take)(const tims_json *object, live__message *message);
    } kinds[] = {
        { "hello", take_hello }, { "sub", take_sub },     { "more", take_more },
        { "unsub", take_unsub }, { "ping", take_ping },   { "auth", take_auth },
        { "join", take_join },   { "leave", take_leave }, { "publish", take_publish },
    };
    live__message message = { .kind = LIVE__MALFORMED };
    const tims_json *object;
    if (tims_json_parse(arena, text, &object, NULL) != TIMS_OK ||
        tims_json_type_of(object) != TIMS_JSON_OBJECT)
        return message;
    const tims_json *kind = tims_json_get(object, TIMS_STR("t"));
    if (kind == NULL || tims_json_type_of(kind) != TIMS_JSON_STR)
        return message;
    tims_str name = tims_json_get_str(object, TIMS_STR("t"), TIMS_STR(""));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!tims_str_equal(name, tims_str_from(kinds[i].name)))
            continue;
        if (!kinds[i].take(object, &message))
            message.kind = LIVE__MALFORMED;
        return message;
    }
    message.kind = LIVE__UNKNOWN;
    return message;
}

bool live__position_parse(tims_str text, tims_str *ret_epoch, int64_t *ret_position)
{
    enum { EPOCH_LENGTH = 16 };
    if (text.length < EPOCH_LENGTH + 2 || text.data[EPOCH_LENGTH] != '-')
        return false;
    for (size_t i = 0; i < EPOCH_LENGTH; i++)
        if (strchr("0123456789abcdef", text.data[i]) == NULL || text.data[i] == '\0')
            return false;
    if (!tims_str_to_int(tims_str_slice(text, EPOCH_LENGTH + 1, text.length), 0, INT64_MAX / 2, ret_position))
        return false;
    *ret_epoch = tims_str_slice(text, 0, EPOCH_LENGTH);
    return true;
}
