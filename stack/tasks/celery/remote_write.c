/* remote_write.c: messages that nobody keeps, and values as Python writes them. */
#include "tasks/celery/remote_internal.h"

/* --- envelope ------------------------------------------------------------------------------------------------- */

void celery__write_transient(tims_buf *out, tims_str exchange, tims_str routing_key, tims_str headers,
                             tims_str body)
{
    tims_json_writer w = tims_json_to(out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("body"));
    tims_json_bytes(&w, body);
    tims_json_key(&w, TIMS_STR("content-encoding"));
    tims_json_str(&w, TIMS_STR("utf-8"));
    tims_json_key(&w, TIMS_STR("content-type"));
    tims_json_str(&w, TIMS_STR("application/json"));
    tims_json_key(&w, TIMS_STR("headers"));
    tims_json_raw(&w, headers);
    tims_json_key(&w, TIMS_STR("properties"));
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("delivery_mode"));
    tims_json_int(&w, 1);
    tims_json_key(&w, TIMS_STR("delivery_info"));
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("exchange"));
    tims_json_str(&w, exchange);
    tims_json_key(&w, TIMS_STR("routing_key"));
    tims_json_str(&w, routing_key);
    tims_json_end_object(&w);
    tims_json_key(&w, TIMS_STR("priority"));
    tims_json_int(&w, 0);
    tims_json_key(&w, TIMS_STR("body_encoding"));
    tims_json_str(&w, TIMS_STR("base64"));
    tims_json_key(&w, TIMS_STR("delivery_tag"));
    tims_json_id(&w, tims_id_new());
    tims_json_end_object(&w);
    tims_json_end_object(&w);
}

/* --- repr() --------------------------------------------------------------------------------------------------- */

static bool is_full(const tims_buf *out)
{
    return out->length > CELERY__REPR_BYTES_MAX;
}

static void put_text(tims_buf *out, tims_str text)
{
    bool has_single = memchr(text.data, '\'', text.length) != NULL,
         has_double = memchr(text.data, '"', text.length) != NULL;
    char quote = has_single && !has_double ? '"' : '\'';
    tims_buf_append_char(out, quote);
    for (size_t i = 0; i < text.length && !is_full(out); i++) {
        char c = text.data[i];
        if (c == '\n')
            tims_buf_append_str(out, TIMS_STR("\\n"));
        else if (c == '\r')
            tims_buf_append_str(out, TIMS_STR("\\r"));
        else if (c == '\t')
            tims_buf_append_str(out, TIMS_STR("\\t"));
        else if ((unsigned char)c < ' ' || c == 0x7f)
            tims_buf_print(out, "\\x%02x", (unsigned)c);
        else if (c == '\\' || c == quote)
            tims_buf_print(out, "\\%c", c);
        else
            tims_buf_append_char(out, c);
    }
    tims_buf_append_char(out, quote);
}

static void put(tims_buf *out, const tims_json *value);

static void put_list(tims_buf *out, const tims_json *list)
{
    tims_buf_append_char(out, '[');
    for (size_t i = 0; i < tims_json_count(list) && !is_full(out); i++) {
        if (i > 0)
            tims_buf_append_str(out, TIMS_STR(", "));
        put(out, tims_json_at(list, i));
    }
    tims_buf_append_char(out, ']');
}

static void put_dict(tims_buf *out, const tims_json *object)
{
    tims_str key;
    const tims_json *value;
    void *cursor = NULL;
    bool is_first = true;
    tims_buf_append_char(out, '{');
    while (!is_full(out) && tims_json_next(object, &cursor, &key, &value)) {
        if (!is_first)
            tims_buf_append_str(out, TIMS_STR(", "));
        is_first = false;
        put_text(out, key);
        tims_buf_append_str(out, TIMS_STR(": "));
        put(out, value);
    }
    tims_buf_append_char(out, '}');
}

/* Nesting is bounded by the parser. */
static void put(tims_buf *out, const tims_json *value)
{
    tims_json_writer w = tims_json_to(out);
    switch (tims_json_type_of(value)) {
    case TIMS_JSON_NULL:
        tims_buf_append_str(out, TIMS_STR("None"));
        break;
    case TIMS_JSON_BOOL:
        tims_buf_append_str(out, tims_json_as_bool(value, false) ? TIMS_STR("True") : TIMS_STR("False"));
        break;
    case TIMS_JSON_INT:
        tims_buf_append_int(out, tims_json_as_int(value, 0));
        break;
    case TIMS_JSON_DOUBLE:
        tims_json_double(&w, tims_json_as_double(value, 0));
        break;
    case TIMS_JSON_STR:
        put_text(out, tims_json_as_str(value, TIMS_STR("")));
        break;
    case TIMS_JSON_ARRAY:
        put_list(out, value);
        break;
    case TIMS_JSON_OBJECT:
        put_dict(out, value);
        break;
    }
}

tims_str celery__repr_of(tims_arena *arena, const tims_json *value)
{
    tims_buf out;
    tims_buf_init(&out, arena, 4 * (size_t)CELERY__REPR_BYTES_MAX);
    put(&out, value);
    tims_str text = tims_buf_str(&out);
    if (text.length <= CELERY__REPR_BYTES_MAX)
        return text;
    size_t length = CELERY__REPR_BYTES_MAX - 3;
    while (length > 0 && ((uint8_t)text.data[length] & 0xc0) == 0x80)
        length--; /* not within a character */
    return tims_print(arena, "%S...", tims_str_slice(text, 0, length));
}

tims_str celery__repr(tims_arena *arena, tims_str json)
{
    const tims_json *value;
    if (json.length == 0 || tims_json_parse(arena, json, &value, NULL) != TIMS_OK)
        return TIMS_STR("");
    return celery__repr_of(arena, value);
}
