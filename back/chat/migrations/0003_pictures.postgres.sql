CREATE TABLE "picture" (
    "id" uuid PRIMARY KEY NOT NULL,
    "chat" uuid NOT NULL REFERENCES "chat" ("id") ON DELETE CASCADE,
    "sender" uuid NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "content_type" text COLLATE "C" NOT NULL,
    "alt" text COLLATE "C" NOT NULL,
    "width" bigint NOT NULL,
    "height" bigint NOT NULL,
    "bytes" bigint NOT NULL,
    "created_at" timestamptz NOT NULL
);
CREATE INDEX "picture_chat_index" ON "picture" ("chat");
CREATE INDEX "picture_sender_index" ON "picture" ("sender");
CREATE TABLE "picture_data" (
    "id" uuid PRIMARY KEY NOT NULL,
    "picture" uuid NOT NULL REFERENCES "picture" ("id") ON DELETE CASCADE,
    "data" bytea NOT NULL
);
CREATE UNIQUE INDEX "picture_data_picture_unique" ON "picture_data" ("picture");
ALTER TABLE "message"
    ADD COLUMN "picture" uuid REFERENCES "picture" ("id") ON DELETE SET NULL;

-- step: outside of a transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "message_picture_index" ON "message" ("picture" NULLS FIRST);
