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
        TIMS_FIELD(message, text, .required = true, .max_length = 4000, .doc = "What was written."),
        TIMS_FIELD(message, created_at, .auto_now_add = true, .doc = "When it was sent.")),
    .indexes = TIMS_INDEXES(TIMS_INDEX("chat", "created_at", "id")),
    .read = TIMS_LIKE(message, chat, chat_model),   /* whoever sees the chat sees its messages */
    .create = TIMS_LIKE(message, chat, chat_model), /* and may write in it */
    .order = "-created_at",
    .search = TIMS_NAMES("text"),
};

const tims_model *const chat_models[] = { &chat_model, &member_model, &message_model, NULL };
