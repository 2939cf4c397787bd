CREATE TABLE "tims_push_device" (
    "id" uuid PRIMARY KEY NOT NULL,
    "user" uuid NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "login" uuid NOT NULL REFERENCES "auth_session" ("id") ON DELETE CASCADE,
    "platform" text COLLATE "C" NOT NULL,
    "token" text COLLATE "C" NOT NULL,
    "app_version" text COLLATE "C" NOT NULL,
    "locale" text COLLATE "C" NOT NULL,
    "created_at" timestamptz NOT NULL,
    "last_used_at" timestamptz NOT NULL
);
CREATE UNIQUE INDEX "tims_push_device_platform_token_unique" ON "tims_push_device" ("platform", "token");
CREATE INDEX "tims_push_device_user_index" ON "tims_push_device" ("user");
CREATE INDEX "tims_push_device_login_index" ON "tims_push_device" ("login");
