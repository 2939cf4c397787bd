/* chat: chats, who is in them, and what they write. */
#ifndef CHAT_H
#define CHAT_H

#include <tims.h>

typedef struct chat {
    tims_id id;
    tims_str title;
    tims_id created_by;
    tims_time created_at, last_message_at;
} chat;

typedef struct member {
    tims_id id, chat, user;
    tims_time joined_at;
    tims_opt_time last_read_at;
    int64_t unread;
} member;

typedef struct message {
    tims_id id, chat, sender;
    tims_str text; /* with a picture: what stands below it, maybe nothing */
    tims_opt_id picture;
    tims_time created_at;
} message;

typedef struct picture {
    tims_id id, chat, sender;
    tims_str content_type, alt;
    int64_t width, height, bytes;
    tims_time created_at;
} picture;

/* Apart from what is said about it, which travels with messages. */
typedef struct picture_data {
    tims_id id, picture;
    tims_bytes data;
} picture_data;

enum { PICTURE_BYTES_MAX = 5 * 1024 * 1024, MESSAGE_TEXT_MAX = 4000, PICTURE_ALT_MAX = 300 };
enum {
    PICTURE_PIXELS_MAX = 64 * 1024 * 1024,        /* each takes four bytes where it is shown */
    PICTURES_BYTES_MAX = 100 * PICTURE_BYTES_MAX, /* of one person, in all chats */
};

extern const tims_model chat_model, member_model, message_model, picture_model, picture_data_model;
extern const tims_model *const chat_models[];
extern const tims_embedded chat_migrations[];
extern const tims_page_route chat_pages[];
extern const tims_websocket_route chat_websockets[];
extern const tims_task *const chat_tasks[];
extern const tims_schedule chat_schedules[];
extern const tims_shape chat_picture_words;
extern const tims_app chat_app;

/* A new chat of these people; the caller is one of them. Raises: 422 when somebody does not exist. */
chat *chat_start(tims_request *rq, tims_str title, tims_ids members);
/* What goes with a new message: the chat moves up, everybody else has one more to read. */
void chat_announce(tims_request *rq, const message *m);
/* POST /api/chats/{chat}/pictures/, GET /api/pictures/{picture}/file/ */
tims_answer chat_picture_send(tims_request *rq);
tims_answer chat_picture_get(tims_request *rq);
/* POST /api/chats/{chat}/export/ */
tims_answer chat_export(tims_request *rq);
/* Members who are not connected are told of a message on their devices. */
void chat_tell_absent(tims_request *rq, const message *m);
void chat_demo(tims_request *rq);

#endif
