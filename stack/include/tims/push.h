/* push.h: notifications on people's devices: who registered which device, what is sent to it, through whom.
 *
 * An app says what somebody is to be told; the room knows their devices. What is to be sent is a job of the
 * room tasks, so it commits or vanishes with the request that asked, is tried again while a service is away,
 * and never makes a request wait for one. A *sender* speaks to the service of one platform; those for FCM and
 * APNs are built in, an app may bring others. */
#ifndef TIMS_PUSH_H
#define TIMS_PUSH_H

#include "tims/auth.h"
#include "tims/http.h"
#include "tims/model.h"
#include "tims/rest.h"
#include "tims/tasks.h"

typedef struct tims_push_room tims_push_room;

/* --- devices ---------------------------------------------------------------------------------- */

enum {
    TIMS_PUSH_TOKEN_BYTES_MAX = 2000,
    TIMS_PUSH_DEVICES_MAX = 20, /* of one user; those that registered longest ago give way */
    TIMS_PUSH_PAYLOAD_BYTES_MAX = 4096,
    TIMS_PUSH_COLLAPSE_BYTES_MAX = 64
};

/* A device that wants to be told. It belongs to a login and goes with it: signing out, a changed password and
 * an expired session remove it. A token has one owner: whoever registered it last. */
typedef struct tims_push_device {
    tims_id id, user;
    tims_id login; /* a row of tims_auth_session_model */
    tims_str platform, token;
    tims_str app_version, locale; /* as the app said; may be empty */
    tims_time created_at;
    tims_time last_used_at; /* when the app last registered it */
} tims_push_device;
extern const tims_model tims_push_device_model;

/* --- for applications ------------------------------------------------------------------------- */

typedef struct tims_push {
    tims_str title, body; /* what is shown; one of them is not empty */
    tims_str path;        /* where a tap leads: a path of the app, "/chat/…"; empty: its start */
    tims_str data;        /* JSON: an object of strings for the app; data == NULL: none */
    tims_str collapse;    /* a later push with the same key takes the place of this one; at most 64 bytes */
    tims_str thread;    /* pushes with the same one are shown together, where a device can; empty: collapse */
    tims_opt_int badge; /* the number on the app's icon; 0: none */
    bool urgent;        /* wakes a sleeping device at once */
    bool silent;        /* without a sound */
    int64_t expires_s;  /* after so long it is worth nothing any more; 0: a day; at most 28 days */
} tims_push;

/* To all devices of the user, or of each of the users. In the request's transaction, begun if need be: sent
 * after its commit, or not at all. Costs one job, whoever they are; none where no sender is set up. Whether
 * and when a device shows it is up to the service and the device: the app's truth is its data, a push is a
 * hint. A job is done at least once, so in rare cases a device is told twice; `collapse` makes it one.
 * Raise: 422 push_invalid (what is wrong with it; above 4,096 bytes, too), 503. */
void tims_push_send(tims_request *rq, tims_id user, const tims_push *push);
/* The same to several users. */
void tims_push_send_all(tims_request *rq, tims_ids users, const tims_push *push);

/* --- senders ---------------------------------------------------------------------------------- */

/* One push to one device. Lives as long as the run. */
typedef struct tims_push_delivery {
    const tims_push_device *device;
    const tims_push *push;
    const tims_json *data; /* push->data, read: an object of strings; NULL: none */
    tims_id id;            /* the job's: the same in every attempt */
    tims_time expires_at;
} tims_push_delivery;

typedef enum tims_push_result {
    TIMS_PUSH_SENT,    /* the service has it */
    TIMS_PUSH_GONE,    /* there is no such device any more: it is removed */
    TIMS_PUSH_LATER,   /* not now: again after `retry_after_s`, or when the task's policy says */
    TIMS_PUSH_REFUSED, /* another attempt would not help: the job goes to the dead list with the error */
} tims_push_result;

typedef struct tims_push_answer {
    tims_push_result result;
    int64_t retry_after_s; /* LATER; 0: unknown */
    tims_time gone_since;  /* GONE: a device that has registered since then stays; zero: unknown */
    const char *code;      /* static, for programs: "push_credential" */
    tims_str reason;       /* for people and the log; no secret */
} tims_push_answer;

/* Tables end with a row without a platform. An own sender for "fcm" or "apns" takes the place of the built-in
 * one. */
typedef struct tims_push_sender {
    const char *platform; /* what a device registers as: a-z, 0-9, at most 20 characters */
    /* On a fiber of the worker's loop; may suspend; what it raises is tried again. */
    tims_push_answer (*send)(tims_request *rq, const struct tims_push_sender *sender,
                             const tims_push_delivery *delivery);
    const void *data; /* the sender's own */
    const char *doc;
} tims_push_sender;

/* --- the process's part: composition ---------------------------------------------------------- */

typedef struct tims_push_options {
    const tims_push_sender *senders; /* the app's own; NULL: none */
    tims_str fcm_account;            /* file: the service account's key as Google gives it; empty: no FCM */
    tims_str fcm_url;                /* empty: https://fcm.googleapis.com */
    tims_str apns_key;               /* file: the .p8 key of Apple; empty: no APNs */
    tims_str apns_key_id, apns_team, apns_topic;
    tims_str apns_url; /* empty: https://api.push.apple.com */
    tims_str ca;       /* file: PEM of the authorities to believe; empty: the system's */
} tims_push_options;

/* In the arena, ended with it. Reads the files. Errors: INVALID naming the setting and what is wrong. */
tims_status tims_push_new(tims_arena *arena, const tims_push_options *options, tims_push_room **ret_push,
                          tims_error *err);
/* Around every request: tims_push_send and the endpoint find it there. */
void tims_request_set_push(tims_request *rq, tims_push_room *push);

extern const tims_model *const tims_push_models[];
extern const tims_embedded tims_push_migrations[];
extern const tims_resource tims_push_resources[];
extern const tims_route tims_push_routes[];
extern const tims_task *const tims_push_tasks[];
extern const tims_queue tims_push_queues[];

#endif
