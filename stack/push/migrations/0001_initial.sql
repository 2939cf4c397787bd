CREATE TABLE "tims_push_device" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "user" TEXT NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "login" TEXT NOT NULL REFERENCES "auth_session" ("id") ON DELETE CASCADE,
    "platform" TEXT NOT NULL,
    "token" TEXT NOT NULL,
    "app_version" TEXT NOT NULL,
    "locale" TEXT NOT NULL,
    "created_at" INTEGER NOT NULL,
    "last_used_at" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "tims_push_device_platform_token_unique" ON "tims_push_device" ("platform", "token");
CREATE INDEX "tims_push_device_user_index" ON "tims_push_device" ("user");
CREATE INDEX "tims_push_device_login_index" ON "tims_push_device" ("login");
