CREATE TABLE "chat" (
    "id" uuid PRIMARY KEY NOT NULL,
    "title" text COLLATE "C" NOT NULL,
    "created_by" uuid NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "created_at" timestamptz NOT NULL,
    "last_message_at" timestamptz NOT NULL
);
CREATE INDEX "chat_created_by_index" ON "chat" ("created_by");
CREATE INDEX "chat_last_message_at_index" ON "chat" ("last_message_at");
CREATE TABLE "member" (
    "id" uuid PRIMARY KEY NOT NULL,
    "chat" uuid NOT NULL REFERENCES "chat" ("id") ON DELETE CASCADE,
    "user" uuid NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "joined_at" timestamptz NOT NULL,
    "last_read_at" timestamptz,
    "unread" bigint NOT NULL
);
CREATE UNIQUE INDEX "member_chat_user_unique" ON "member" ("chat", "user");
CREATE INDEX "member_user_index" ON "member" ("user");
CREATE TABLE "message" (
    "id" uuid PRIMARY KEY NOT NULL,
    "chat" uuid NOT NULL REFERENCES "chat" ("id") ON DELETE CASCADE,
    "sender" uuid NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "text" text COLLATE "C" NOT NULL,
    "created_at" timestamptz NOT NULL
);
CREATE INDEX "message_chat_created_at_id_index" ON "message" ("chat", "created_at", "id");
CREATE INDEX "message_sender_index" ON "message" ("sender");
