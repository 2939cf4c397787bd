/* push_internal.h: what the files of this room share. */
#ifndef PUSH_INTERNAL_H
#define PUSH_INTERNAL_H

#include <stdatomic.h>

#include "tims/crypto.h"
#include "tims/push.h"

enum {
    PUSH__MAGIC = 0x48535550,
    PUSH__LOOP_MAGIC = 0x4c535550,
    PUSH__SENDERS_MAX = 16,
    PUSH__PLATFORM_BYTES_MAX = 20,
    PUSH__RETRY_S_MAX = 3600 /* who says to come back later than that is asked earlier */
};

/* --- the room ----------------------------------------------------------------------------------- */

/* What the key of a service account says. */
typedef struct push__fcm {
    tims_signing_key *key;
    tims_str project, email, key_id, token_url;
    tims_str url; /* of messages:send */
} push__fcm;

typedef struct push__apns {
    tims_signing_key *key;
    tims_str key_id, team, topic;
    tims_str url; /* up to the token */
} push__apns;

struct tims_push_room {
    uint32_t magic;
    const tims_push_sender *senders[PUSH__SENDERS_MAX];
    size_t sender_count;
    push__fcm fcm;
    push__apns apns;
    const char *ca; /* NULL: the system's */
    atomic_bool told_no_sender;
};

tims_push_room *push__of(const tims_request *rq);
/* NULL: none. */
const tims_push_sender *push__find_sender(const tims_push_room *push, tims_str platform);
/* Says once that there is nobody to send to a platform. */
void push__tell_no_sender(tims_push_room *push, tims_str platform);

extern const tims_push_sender push__fcm_sender, push__apns_sender;
/* Errors: INVALID naming the setting. */
tims_status push__fcm_open(tims_arena *arena, const tims_push_options *options, push__fcm *ret_fcm,
                           tims_error *err);
tims_status push__apns_open(tims_arena *arena, const tims_push_options *options, push__apns *ret_apns,
                            tims_error *err);
/* A small file that a setting names. Errors: INVALID naming the setting. */
tims_status push__read_file(tims_arena *arena, const char *setting, tims_str path, tims_str *ret_text,
                            tims_error *err);
/* Whether a setting is a URL that is spoken to: https, without a query. `ret_url` without a slash at its
 * end. */
tims_status push__check_url(const char *setting, tims_str url, tims_str *ret_url, tims_error *err);

/* --- a loop's part ------------------------------------------------------------------------------ */

typedef struct push__client push__client; /* connections */

/* A key that a service gives, or that is made for it; used until it is about to expire. */
typedef struct push__credential {
    char *text; /* NULL: none yet */
    int64_t made_s, renew_s;
    int64_t forced_s; /* when one was last made because the service did not take the one before */
    bool is_fetched;  /* somebody is at it */
    struct push__waiter *first_waiter;
} push__credential;

/* Where transfers wait until one of them has been answered; see client.c. */
typedef struct push__gate {
    int64_t answered_us; /* monotonic; 0: not, or not the last time */
    bool is_probed;      /* one has gone ahead */
    struct push__waiting *first;
} push__gate;

typedef struct push__loop {
    uint32_t magic;
    tims_loop *loop;
    push__client *client;
    push__credential fcm, apns;
    push__gate apns_gate;
    int64_t fcm_paused_until_us; /* monotonic: it has asked for a pause */
} push__loop;

/* Made at first use, ended with the loop. */
push__loop *push__loop_of(tims_push_room *push, tims_loop *loop);
/* The text becomes the credential's own. Times in seconds since 1970. */
void push__credential_set(push__credential *credential, tims_str text, int64_t now_s, int64_t renew_s);
void push__credential_clear(push__credential *credential);

/* --- HTTP/2 ------------------------------------------------------------------------------------- */

/* Before the first client; undone with the arena. Not beside other threads. */
void push__client_setup(tims_arena *arena);
push__client *push__client_new(tims_loop *loop, const char *ca);
void push__client_free(push__client **client);

typedef struct push__call {
    tims_str url, body;
    const tims_header *headers;
    size_t header_count;
    push__gate *gate; /* NULL: none */
} push__call;
typedef struct push__reply {
    int status;
    tims_str body;
    int64_t retry_after_s; /* 0: it says nothing of that */
} push__reply;
/* POST over the loop's one connection to that host, which is kept. What is returned lives in the request.
 * Suspends. Errors: UNAVAILABLE, TIMEOUT, CANCELLED. */
tims_status push__post(tims_request *rq, push__client *client, const push__call *call, push__reply *ret_reply,
                       tims_error *err);

/* --- what is sent ------------------------------------------------------------------------------- */

/* The payload for APNs. */
tims_str push__apns_payload(tims_arena *arena, const tims_push *push, const tims_json *data);
/* The body of messages:send for one device. */
tims_str push__fcm_payload(tims_arena *arena, const tims_push *push, const tims_json *data, tims_str token,
                           int64_t ttl_s);
/* What FCM counts of it: what is shown and the data. */
size_t push__fcm_counted_bytes(tims_arena *arena, const tims_push *push, const tims_json *data);

/* What is wrong with a push, in words; NULL: nothing. `ret_data`: its data, read. */
const char *push__problem(tims_arena *arena, const tims_push *push, const tims_json **ret_data);

/* The JWT for APNs, made anew when it is too old. Borrowed until the next call. */
const char *push__apns_token(tims_arena *arena, const push__apns *apns, push__credential *credential,
                             int64_t now_s);
/* APNs has refused this JWT as expired: whether another may be made out of turn; else how long that has to
 * wait. */
bool push__apns_renew(push__credential *credential, tims_str refused, int64_t now_s, int64_t *ret_wait_s);

/* How long it wants to be left alone: one wrong header must not end all pushes of a process for years. */
static inline int64_t push__retry_after(const push__reply *reply)
{
    return reply->retry_after_s < PUSH__RETRY_S_MAX ? reply->retry_after_s : PUSH__RETRY_S_MAX;
}

/* What the services' answers mean. */
tims_push_answer push__apns_answer(tims_arena *arena, const push__reply *reply);
tims_push_answer push__fcm_answer(tims_arena *arena, const push__reply *reply);
/* It could not be asked. */
tims_push_answer push__no_answer(tims_arena *arena, const tims_error *err);

#endif
