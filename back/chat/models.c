#include "chat/chat.h"

const tims_model chat_model = {
    .name = "chat",
    .doc = "A conversation.",
    .size = sizeof(chat),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(chat, id, .primary = true, .doc = "Made by the client or the server."),
        TIMS_FIELD(chat, title, .required = true, .max_length = 80, .doc = "What it is about."),
        TIMS_FIELD(chat, created_by, .to = &tims_user_model, .read_only = true, .doc = "Who started it."),
        TIMS_FIELD(chat, created_at, .auto_now_add = true, .doc = "When it was started."),
        TIMS_FIELD(chat, last_message_at, .auto_now_add = true, .read_only = true, .index = true,
                   .doc = "When the latest message came.")),
    .read = TIMS_MEMBERS(member_model, member, chat, user),
    .change = TIMS_OWNER(chat, created_by),
    .order = "-last_message_at",
    .search = TIMS_NAMES("title"),
};

const tims_model member_model = {
    .name = "member",
    .doc = "Somebody in a chat.",
    .size = sizeof(member),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(member, id, .primary = true, .doc = "Made by the client or the server."),
        TIMS_FIELD(member, chat, .to = &chat_model, .required = true, .doc = "The chat."),
        TIMS_FIELD(member, user, .to = &tims_user_model, .required = true, .index = true, .doc = "Who."),
        TIMS_FIELD(member, joined_at, .auto_now_add = true, .doc = "Since when."),
        TIMS_FIELD(member, last_read_at, .read_only = true, .doc = "When they last read it."),
        TIMS_FIELD(member, unread, .read_only = true, .doc = "How many messages they have not read.")),
    .indexes = TIMS_INDEXES(TIMS_UNIQUE("chat", "user")),
    .read = TIMS_LIKE(member, chat, chat_model),
    .create = TIMS_LIKE(member, chat, chat_model),
    .remove = TIMS_OWNER(member, user),
    .order = "joined_at",
};

const tims_model message_model = {
    .name = "message",
    .doc = "One message of a chat.",
    .size = sizeof(message),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(message, id, .primary = true, .doc = "Made by the client or the server."),
        TIMS_FIELD(message, chat, .to = &chat_model, .required = true, .doc = "The chat it belongs to."),
        TIMS_FIELD(message, sender, .to = &tims_user_model, .read_only = true, .doc = "Who wrote it."),
        TIMS_FIELD(message, text, .required = true, .max_length = MESSAGE_TEXT_MAX,
                   .doc = "What was written; with a picture it may be empty."),
        TIMS_FIELD(message, picture, .to = &picture_model, .read_only = true, .on_delete = TIMS_SET_NULL,
                   .doc = "The picture in it."),
        TIMS_FIELD(message, created_at, .auto_now_add = true, .doc = "When it was sent.")),
    .indexes = TIMS_INDEXES(TIMS_INDEX("chat", "created_at", "id")),
    .read = TIMS_LIKE(message, chat, chat_model),   /* whoever sees the chat sees its messages */
    .create = TIMS_LIKE(message, chat, chat_model), /* and may write in it */
    .order = "-created_at",
    .search = TIMS_NAMES("text"),
};

const tims_model picture_model = {
    .name = "picture",
    .doc = "A picture in a message: what is known of it without its content.",
    .size = sizeof(picture),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(picture, id, .primary = true,
                   .doc = "Its address is made of it: the content never changes."),
        TIMS_FIELD(picture, chat, .to = &chat_model, .read_only = true, .index = true,
                   .doc = "Where it was sent."),
        TIMS_FIELD(picture, sender, .to = &tims_user_model, .read_only = true, .doc = "Who sent it."),
        TIMS_FIELD(picture, content_type, .read_only = true, .max_length = 20, .doc = "As its bytes say."),
        TIMS_FIELD(picture, alt, .read_only = true, .max_length = PICTURE_ALT_MAX,
                   .doc = "What is to be seen, for who does not see it."),
        TIMS_FIELD(picture, width, .read_only = true, .doc = "Pixels."),
        TIMS_FIELD(picture, height, .read_only = true, .doc = "Pixels."),
        TIMS_FIELD(picture, bytes, .read_only = true, .doc = "The length of its content."),
        TIMS_FIELD(picture, created_at, .auto_now_add = true, .doc = "When it was sent.")),
    .read = TIMS_LIKE(picture, chat, chat_model), /* whoever sees the chat sees its pictures */
    .order = "-created_at",
};

const tims_model picture_data_model = {
    .name = "picture_data",
    .doc = "The content of a picture.",
    .size = sizeof(picture_data),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(picture_data, id, .primary = true, .doc = "Made by the server."),
        TIMS_FIELD(picture_data, picture, .to = &picture_model, .unique = true,
                   .doc = "Whose content it is."),
        TIMS_FIELD(picture_data, data, .hidden = true, .max_length = PICTURE_BYTES_MAX, .doc = "The file.")),
    .not_live = true,
};

const tims_model *const chat_models[] = { &chat_model,    &member_model,       &picture_model,
                                          &message_model, &picture_data_model, NULL };
