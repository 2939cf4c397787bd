/* push.c: the room's state in a process: which platforms it can send to, and what each loop keeps for it. */
#include "push/push_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 64 * 1024 };

/* --- settings ----------------------------------------------------------------------------------- */

tims_status push__read_file(tims_arena *arena, const char *setting, tims_str path, tims_str *ret_text,
                            tims_error *err)
{
    FILE *file = fopen(tims_copy_c(arena, path), "re");
    if (file == NULL)
        return tims_fail(err, TIMS_INVALID, "push_setting", "%s: %.*s cannot be read: %s", setting,
                         TIMS_PRINT(path), strerror(errno));
    char *data = tims_alloc_raw(arena, FILE_BYTES_MAX);
    size_t length = fread(data, 1, FILE_BYTES_MAX, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed || length == FILE_BYTES_MAX)
        return tims_fail(err, TIMS_INVALID, "push_setting", "%s: %.*s %s", setting, TIMS_PRINT(path),
                         failed ? "cannot be read." : "has more than 64 KiB: it is something else.");
    *ret_text = (tims_str){ data, length };
    return TIMS_OK;
}

tims_status push__check_url(const char *setting, tims_str url, tims_str *ret_url, tims_error *err)
{
    if (!tims_str_starts_with(url, TIMS_STR("https://")) || tims_str_find(url, TIMS_STR("?")) != SIZE_MAX ||
        tims_str_find(url, TIMS_STR("#")) != SIZE_MAX)
        return tims_fail(err, TIMS_INVALID, "push_setting", "%s: must be a URL that begins with https://",
                         setting);
    while (tims_str_ends_with(url, TIMS_STR("/")))
        url.length--;
    *ret_url = url;
    return TIMS_OK;
}

/* --- senders ------------------------------------------------------------------------------------ */

const tims_push_sender *push__find_sender(const tims_push_room *push, tims_str platform)
{
    for (size_t i = 0; i < push->sender_count; i++)
        if (tims_str_equal(tims_str_from(push->senders[i]->platform), platform))
            return push->senders[i];
    return NULL;
}

static bool is_platform(tims_str name)
{
    for (size_t i = 0; i < name.length; i++)
        if (!((name.data[i] >= 'a' && name.data[i] <= 'z') || (name.data[i] >= '0' && name.data[i] <= '9')))
            return false;
    return name.length > 0 && name.length <= PUSH__PLATFORM_BYTES_MAX;
}

static tims_status add_sender(tims_push_room *push, const tims_push_sender *sender, tims_error *err)
{
    tims_str platform = tims_str_from(sender->platform);
    if (!is_platform(platform) || sender->send == NULL)
        return tims_fail(err, TIMS_INVALID, "push_sender",
                         "The push sender \"%s\" needs a function, and a platform of a-z and 0-9.",
                         sender->platform);
    if (push__find_sender(push, platform) != NULL)
        return tims_fail(err, TIMS_INVALID, "push_sender", "There are two push senders for \"%s\".",
                         sender->platform);
    if (push->sender_count == PUSH__SENDERS_MAX)
        return tims_fail(err, TIMS_INVALID, "push_sender", "There may be %d push senders.",
                         PUSH__SENDERS_MAX);
    push->senders[push->sender_count++] = sender;
    return TIMS_OK;
}

void push__tell_no_sender(tims_push_room *push, tims_str platform)
{
    if (!atomic_exchange(&push->told_no_sender, true))
        tims_log(TIMS_LOG_INFO, "push",
                 "event=no_sender platform=%S message=pushes to it are dropped; see PUSH_… in the settings",
                 platform);
}

/* --- the room ----------------------------------------------------------------------------------- */

static tims_status open_built_in(tims_arena *arena, const tims_push_options *options, tims_push_room *push,
                                 tims_error *err)
{
    tims_status status = TIMS_OK;
    if (options->fcm_account.length > 0 && push__find_sender(push, TIMS_STR("fcm")) == NULL) {
        status = push__fcm_open(arena, options, &push->fcm, err);
        if (status == TIMS_OK)
            status = add_sender(push, &push__fcm_sender, err);
    }
    if (status == TIMS_OK && options->apns_key.length > 0 &&
        push__find_sender(push, TIMS_STR("apns")) == NULL) {
        status = push__apns_open(arena, options, &push->apns, err);
        if (status == TIMS_OK)
            status = add_sender(push, &push__apns_sender, err);
    }
    return status;
}

tims_status tims_push_new(tims_arena *arena, const tims_push_options *options, tims_push_room **ret_push,
                          tims_error *err)
{
    tims_str authorities;
    tims_status status = TIMS_OK;
    tims_push_room *push = TIMS_NEW(arena, tims_push_room);
    push->magic = PUSH__MAGIC;
    push__client_setup(arena);
    for (const tims_push_sender *sender = options->senders;
         status == TIMS_OK && sender != NULL && sender->platform != NULL; sender++)
        status = add_sender(push, sender, err);
    if (status == TIMS_OK)
        status = open_built_in(arena, options, push, err);
    if (status == TIMS_OK && options->ca.length > 0) {
        status = push__read_file(arena, "PUSH_CA", options->ca, &authorities, err);
        push->ca = tims_copy_c(arena, options->ca);
    }
    if (status == TIMS_OK)
        *ret_push = push;
    return status;
}

void tims_request_set_push(tims_request *rq, tims_push_room *push)
{
    rq->slots[TIMS_SLOT_PUSH] = push;
}

tims_push_room *push__of(const tims_request *rq)
{
    tims_push_room *push = rq->slots[TIMS_SLOT_PUSH];
    TIMS_CHECK_MAGIC(push, PUSH__MAGIC);
    return push;
}

/* --- a loop's part ------------------------------------------------------------------------------ */

void push__credential_clear(push__credential *credential)
{
    if (credential->text != NULL)
        explicit_bzero(credential->text, strlen(credential->text));
    free(credential->text);
    credential->text = NULL;
}

void push__credential_set(push__credential *credential, tims_str text, int64_t now_s, int64_t renew_s)
{
    push__credential_clear(credential);
    credential->text = strndup(text.data, text.length);
    TIMS_ASSERT(credential->text != NULL);
    credential->made_s = now_s;
    credential->renew_s = renew_s;
}

static void end_loop(void *argument)
{
    push__loop *own = argument;
    TIMS_CHECK_MAGIC(own, PUSH__LOOP_MAGIC);
    tims_loop_set_slot(own->loop, TIMS_LOOP_SLOT_PUSH, NULL);
    push__client_free(&own->client);
    push__credential_clear(&own->fcm);
    push__credential_clear(&own->apns);
    own->magic = 0;
    free(own);
}

push__loop *push__loop_of(tims_push_room *push, tims_loop *loop)
{
    push__loop *own = tims_loop_get_slot(loop, TIMS_LOOP_SLOT_PUSH);
    if (own == NULL) {
        own = calloc(1, sizeof *own);
        TIMS_ASSERT(own != NULL);
        *own = (push__loop){ .magic = PUSH__LOOP_MAGIC, .loop = loop };
        own->client = push__client_new(loop, push->ca);
        tims_loop_set_slot(loop, TIMS_LOOP_SLOT_PUSH, own);
        tims_loop_on_free(loop, end_loop, own);
    }
    TIMS_CHECK_MAGIC(own, PUSH__LOOP_MAGIC);
    return own;
}
