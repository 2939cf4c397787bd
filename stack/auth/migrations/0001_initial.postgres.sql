CREATE TABLE "user" (
    "id" uuid PRIMARY KEY NOT NULL,
    "username" text COLLATE "C" NOT NULL,
    "username_key" text COLLATE "C" NOT NULL,
    "email" text COLLATE "C",
    "display_name" text COLLATE "C" NOT NULL,
    "avatar" text COLLATE "C" NOT NULL,
    "password" text COLLATE "C" NOT NULL,
    "staff" boolean NOT NULL,
    "active" boolean NOT NULL,
    "created_at" timestamptz NOT NULL
);
CREATE UNIQUE INDEX "user_username_key_unique" ON "user" ("username_key");
CREATE INDEX "user_username_index" ON "user" ("username");
CREATE TABLE "auth_session" (
    "id" uuid PRIMARY KEY NOT NULL,
    "token_hash" text COLLATE "C" NOT NULL,
    "user" uuid NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "device" boolean NOT NULL,
    "label" text COLLATE "C" NOT NULL,
    "created_at" timestamptz NOT NULL,
    "expires_at" timestamptz NOT NULL,
    "last_used_at" timestamptz NOT NULL
);
CREATE UNIQUE INDEX "auth_session_token_hash_unique" ON "auth_session" ("token_hash");
CREATE INDEX "auth_session_user_index" ON "auth_session" ("user");
CREATE INDEX "auth_session_expires_at_index" ON "auth_session" ("expires_at");
CREATE TABLE "auth_avatar" (
    "id" uuid PRIMARY KEY NOT NULL,
    "user" uuid NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "content_type" text COLLATE "C" NOT NULL,
    "hash" text COLLATE "C" NOT NULL,
    "data" text COLLATE "C" NOT NULL,
    "created_at" timestamptz NOT NULL
);
CREATE UNIQUE INDEX "auth_avatar_user_unique" ON "auth_avatar" ("user");
CREATE TABLE "auth_key" (
    "id" uuid PRIMARY KEY NOT NULL,
    "name" text COLLATE "C" NOT NULL,
    "secret" text COLLATE "C" NOT NULL,
    "created_at" timestamptz NOT NULL
);
CREATE UNIQUE INDEX "auth_key_name_unique" ON "auth_key" ("name");
