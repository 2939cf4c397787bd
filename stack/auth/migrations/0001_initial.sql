CREATE TABLE "user" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "username" TEXT NOT NULL,
    "username_key" TEXT NOT NULL,
    "email" TEXT,
    "display_name" TEXT NOT NULL,
    "avatar" TEXT NOT NULL,
    "password" TEXT NOT NULL,
    "staff" INTEGER NOT NULL CONSTRAINT "staff" CHECK ("staff" IN (0, 1)),
    "active" INTEGER NOT NULL CONSTRAINT "active" CHECK ("active" IN (0, 1)),
    "created_at" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "user_username_key_unique" ON "user" ("username_key");
CREATE INDEX "user_username_index" ON "user" ("username");
CREATE TABLE "auth_session" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "token_hash" TEXT NOT NULL,
    "user" TEXT NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "device" INTEGER NOT NULL CONSTRAINT "device" CHECK ("device" IN (0, 1)),
    "label" TEXT NOT NULL,
    "created_at" INTEGER NOT NULL,
    "expires_at" INTEGER NOT NULL,
    "last_used_at" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "auth_session_token_hash_unique" ON "auth_session" ("token_hash");
CREATE INDEX "auth_session_user_index" ON "auth_session" ("user");
CREATE INDEX "auth_session_expires_at_index" ON "auth_session" ("expires_at");
CREATE TABLE "auth_avatar" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "user" TEXT NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "content_type" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "data" TEXT NOT NULL,
    "created_at" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "auth_avatar_user_unique" ON "auth_avatar" ("user");
CREATE TABLE "auth_key" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "name" TEXT NOT NULL,
    "secret" TEXT NOT NULL,
    "created_at" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "auth_key_name_unique" ON "auth_key" ("name");
