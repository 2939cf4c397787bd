CREATE TABLE "item" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "name" TEXT NOT NULL,
    "value" INTEGER NOT NULL
) STRICT;
CREATE TABLE "chat" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "title" TEXT NOT NULL
) STRICT;
CREATE TABLE "member" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "chat" TEXT NOT NULL REFERENCES "chat" ("id") ON DELETE CASCADE,
    "user" TEXT NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE
) STRICT;
CREATE UNIQUE INDEX "member_chat_user_unique" ON "member" ("chat", "user");
CREATE INDEX "member_user_index" ON "member" ("user");
CREATE TABLE "message" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "chat" TEXT NOT NULL REFERENCES "chat" ("id") ON DELETE CASCADE,
    "sender" TEXT NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "text" TEXT NOT NULL,
    "created_at" INTEGER NOT NULL
) STRICT;
CREATE INDEX "message_chat_created_at_id_index" ON "message" ("chat", "created_at", "id");
CREATE INDEX "message_sender_index" ON "message" ("sender");
