/* cursor.c: "behind this row, in this order", as a text that only this server can make.
 *
 *     <base64url of: direction, then each order value> "." <22 characters of a keyed hash over base URL and
 * the former>
 *
 * A cursor is bound to the list it was given for (filters, order, size), so that it cannot be carried to
 * another one, where its values would mean something else. It holds nothing but what the row showed, and the
 * read rule applies to its page as to any other; the signature keeps strangers from sending made-up values
 * through the order's index. */
#include "rest/rest_internal.h"

#include "tims/crypto.h"

enum { SIGNATURE_LENGTH = 22, PAYLOAD_BYTES_MAX = 3000 };

static void sign(tims_arena *arena, tims_str key, tims_str base, tims_str payload,
                 char ret_text[TIMS_TOKEN_TEXT_LENGTH])
{
    tims_sign(key, tims_print(arena, "cursor\n%S\n%S", base, payload), ret_text);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_value(tims_buf *out, const tims_db_value *value)
{
    tims_str text = value->is_id ? (tims_str){ value->id_text, TIMS_ID_TEXT_LENGTH } : value->bytes;
    int64_t bits;
    switch (value->type) {
    case TIMS_DB_NULL:
        tims_buf_append_char(out, 'n');
        break;
    case TIMS_DB_INT:
        tims_buf_print(out, "i%lld;", (long long)value->integer);
        break;
    case TIMS_DB_DOUBLE:
        memcpy(&bits, &value->real, sizeof(bits));
        tims_buf_print(out, "d%lld;", (long long)bits);
        break;
    default:
        tims_buf_print(out, "t%lld;%S", (long long)text.length, text);
    }
}

tims_status rest__cursor_url(tims_arena *arena, tims_str key, const tims_live_url *url,
                             const tims_db_value *values, bool backwards, tims_str *ret_url, tims_error *err)
{
    tims_buf payload;
    tims_buf_init(&payload, arena, PAYLOAD_BYTES_MAX);
    tims_buf_append_char(&payload, backwards ? 'b' : 'f');
    for (size_t i = 0; i < url->query.order_count; i++)
        put_value(&payload, &values[i]);
    if (payload.overflow)
        return tims_fail(err, TIMS_TOO_LARGE, "cursor",
                         "The values ordered by are too long for a cursor; use page.");
    tims_str text = tims_base64url(arena, tims_buf_str(&payload));
    char signature[TIMS_TOKEN_TEXT_LENGTH];
    sign(arena, key, url->base, text, signature);
    tims_str cursor = tims_print(arena, "%S.%S", text, ((tims_str){ signature, SIGNATURE_LENGTH }));
    *ret_url = rest__add_parameter(arena, url->base, "cursor", cursor);
    return TIMS_OK;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool take_int(tims_str *rest, int64_t *ret_value)
{
    tims_str text = tims_str_cut(rest, ';');
    return rest->data != NULL && tims_str_to_int(text, INT64_MIN, INT64_MAX, ret_value);
}

static bool take_text(tims_str *rest, const tims_field *field, tims_db_value *ret_value)
{
    int64_t length;
    if (!take_int(rest, &length) || length < 0 || (uint64_t)length > rest->length)
        return false;
    tims_str text = tims_str_slice(*rest, 0, (size_t)length);
    *rest = tims_str_slice(*rest, (size_t)length, rest->length);
    tims_id id;
    bool is_id = field->kind == TIMS_KIND_ID || field->kind == TIMS_KIND_OPT_ID;
    if (is_id && !tims_id_parse(text, &id))
        return false;
    bool is_bytes = field->kind == TIMS_KIND_BYTES || field->kind == TIMS_KIND_OPT_BYTES;
    *ret_value = is_id ? tims_db_id(id) : is_bytes ? tims_db_blob(text) : tims_db_text(text);
    return true;
}

/* What a column of this field can hold: a cursor made before a field changed its type is refused. */
static char letter_of(const tims_field *field)
{
    switch (field->kind) {
    case TIMS_KIND_DOUBLE:
    case TIMS_KIND_OPT_DOUBLE:
        return 'd';
    case TIMS_KIND_STR:
    case TIMS_KIND_OPT_STR:
    case TIMS_KIND_ID:
    case TIMS_KIND_OPT_ID:
    case TIMS_KIND_BYTES:
    case TIMS_KIND_OPT_BYTES:
        return 't';
    default:
        return 'i';
    }
}

static bool take_value(tims_str *rest, const tims_field *field, tims_db_value *ret_value)
{
    if (rest->length == 0)
        return false;
    char letter = rest->data[0];
    *rest = tims_str_slice(*rest, 1, rest->length);
    if (letter == 'n' && tims_kind_is_optional(field->kind)) {
        *ret_value = tims_db_null();
        return true;
    }
    if (letter != letter_of(field))
        return false;
    if (letter == 't')
        return take_text(rest, field, ret_value);
    int64_t number;
    if (!take_int(rest, &number))
        return false;
    double real;
    memcpy(&real, &number, sizeof(real));
    bool is_decimal = field->kind == TIMS_KIND_DECIMAL || field->kind == TIMS_KIND_OPT_DECIMAL;
    *ret_value = letter == 'd' ? tims_db_double(real)
                 : is_decimal  ? tims_db_decimal(number, field->scale)
                               : tims_db_int(number);
    return true;
}

static bool read_payload(tims_arena *arena, tims_str payload, tims_query *query)
{
    if (payload.length == 0 || (payload.data[0] != 'f' && payload.data[0] != 'b'))
        return false;
    tims_db_value *values = TIMS_NEW_ARRAY(arena, tims_db_value, query->order_count + 1);
    tims_str rest = tims_str_slice(payload, 1, payload.length);
    for (size_t i = 0; i < query->order_count; i++)
        if (!take_value(&rest, query->orders[i].field, &values[i]))
            return false;
    if (rest.length > 0)
        return false;
    query->after = values;
    query->backwards = payload.data[0] == 'b';
    return true;
}

tims_status rest__apply_cursor(tims_arena *arena, tims_str key, tims_live_url *url, tims_error *err)
{
    tims_str signature = url->cursor, payload;
    tims_str text = tims_str_cut(&signature, '.');
    char expected[TIMS_TOKEN_TEXT_LENGTH];
    sign(arena, key, url->base, text, expected);
    if (signature.length != SIGNATURE_LENGTH || text.length > 2 * PAYLOAD_BYTES_MAX ||
        !tims_constant_time_equal(signature, (tims_str){ expected, SIGNATURE_LENGTH }) ||
        !tims_base64url_decode(arena, text, &payload) || !read_payload(arena, payload, &url->query))
        return tims_fail(err, TIMS_INVALID, "parameter", "cursor: Is not a cursor of this list.");
    return TIMS_OK;
}
