CREATE TABLE "picture" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "chat" TEXT NOT NULL REFERENCES "chat" ("id") ON DELETE CASCADE,
    "sender" TEXT NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "content_type" TEXT NOT NULL,
    "alt" TEXT NOT NULL,
    "width" INTEGER NOT NULL,
    "height" INTEGER NOT NULL,
    "bytes" INTEGER NOT NULL,
    "created_at" INTEGER NOT NULL
) STRICT;
CREATE INDEX "picture_chat_index" ON "picture" ("chat");
CREATE INDEX "picture_sender_index" ON "picture" ("sender");
ALTER TABLE "message" ADD COLUMN "picture" TEXT REFERENCES "picture" ("id") ON DELETE SET NULL;
CREATE INDEX "message_picture_index" ON "message" ("picture");
CREATE TABLE "picture_data" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "picture" TEXT NOT NULL REFERENCES "picture" ("id") ON DELETE CASCADE,
    "data" BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX "picture_data_picture_unique" ON "picture_data" ("picture");
