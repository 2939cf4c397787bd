/* payload.c: one push in the words of each service.
 *
 * Both show it by themselves, whether the app runs or not; `path` and the app's data come along for the tap.
 * Neither takes more than 4,096 bytes of that. */
#include "push/push_internal.h"

enum { BUFFER_BYTES_MAX = 256 * 1024 };

static void write_data(tims_json_writer *w, const tims_json *data)
{
    void *cursor = NULL;
    tims_str key;
    const tims_json *value;
    while (data != NULL && tims_json_next(data, &cursor, &key, &value)) {
        tims_json_key(w, key);
        tims_json_str(w, tims_json_as_str(value, TIMS_STR("")));
    }
}

static void write_text(tims_json_writer *w, tims_str key, tims_str text)
{
    if (text.length == 0)
        return;
    tims_json_key(w, key);
    tims_json_str(w, text);
}

/* --- APNs --------------------------------------------------------------------------------------- */

tims_str push__apns_payload(tims_arena *arena, const tims_push *push, const tims_json *data)
{
    tims_buf out;
    tims_buf_init(&out, arena, BUFFER_BYTES_MAX);
    tims_json_writer w = tims_json_to(&out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("aps"));
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("alert"));
    tims_json_begin_object(&w);
    write_text(&w, TIMS_STR("title"), push->title);
    write_text(&w, TIMS_STR("body"), push->body);
    tims_json_end_object(&w);
    if (push->badge.present) {
        tims_json_key(&w, TIMS_STR("badge"));
        tims_json_int(&w, push->badge.value);
    }
    if (!push->silent)
        write_text(&w, TIMS_STR("sound"), TIMS_STR("default"));
    write_text(&w, TIMS_STR("thread-id"), push->thread.length > 0 ? push->thread : push->collapse);
    tims_json_end_object(&w);
    write_text(&w, TIMS_STR("path"), push->path);
    write_data(&w, data);
    tims_json_end_object(&w);
    return tims_buf_str(&out);
}

/* --- FCM ---------------------------------------------------------------------------------------- */

static void write_notification(tims_json_writer *w, const tims_push *push)
{
    tims_json_begin_object(w);
    write_text(w, TIMS_STR("title"), push->title);
    write_text(w, TIMS_STR("body"), push->body);
    tims_json_end_object(w);
}

static void write_fcm_data(tims_json_writer *w, const tims_push *push, const tims_json *data)
{
    tims_json_begin_object(w);
    write_text(w, TIMS_STR("path"), push->path);
    write_data(w, data);
    tims_json_end_object(w);
}

static void write_android(tims_json_writer *w, const tims_push *push, int64_t ttl_s, tims_arena *arena)
{
    tims_json_begin_object(w);
    write_text(w, TIMS_STR("priority"), push->urgent ? TIMS_STR("HIGH") : TIMS_STR("NORMAL"));
    write_text(w, TIMS_STR("ttl"), tims_print(arena, "%llds", (long long)ttl_s));
    tims_json_key(w, TIMS_STR("notification"));
    tims_json_begin_object(w);
    write_text(w, TIMS_STR("tag"), push->collapse);
    if (!push->silent)
        write_text(w, TIMS_STR("sound"), TIMS_STR("default"));
    if (push->badge.present) {
        tims_json_key(w, TIMS_STR("notification_count"));
        tims_json_int(w, push->badge.value);
    }
    tims_json_end_object(w);
    tims_json_end_object(w);
}

tims_str push__fcm_payload(tims_arena *arena, const tims_push *push, const tims_json *data, tims_str token,
                           int64_t ttl_s)
{
    tims_buf out;
    tims_buf_init(&out, arena, BUFFER_BYTES_MAX);
    tims_json_writer w = tims_json_to(&out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("message"));
    tims_json_begin_object(&w);
    write_text(&w, TIMS_STR("token"), token);
    tims_json_key(&w, TIMS_STR("notification"));
    write_notification(&w, push);
    tims_json_key(&w, TIMS_STR("data"));
    write_fcm_data(&w, push, data);
    tims_json_key(&w, TIMS_STR("android"));
    write_android(&w, push, ttl_s, arena);
    tims_json_end_object(&w);
    tims_json_end_object(&w);
    return tims_buf_str(&out);
}

size_t push__fcm_counted_bytes(tims_arena *arena, const tims_push *push, const tims_json *data)
{
    tims_buf out;
    tims_buf_init(&out, arena, BUFFER_BYTES_MAX);
    tims_json_writer w = tims_json_to(&out);
    tims_json_begin_array(&w);
    write_notification(&w, push);
    write_fcm_data(&w, push, data);
    tims_json_end_array(&w);
    return out.overflow ? SIZE_MAX : out.length;
}
