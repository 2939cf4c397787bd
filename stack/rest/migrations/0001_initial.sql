CREATE TABLE "tims_idempotency" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "location" TEXT NOT NULL,
    "etag" TEXT NOT NULL,
    "answer" TEXT NOT NULL,
    "created_at" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "tims_idempotency_key_unique" ON "tims_idempotency" ("key");
CREATE INDEX "tims_idempotency_created_at_index" ON "tims_idempotency" ("created_at");
CREATE TABLE "tims_rest_setting" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "name" TEXT NOT NULL,
    "value" TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX "tims_rest_setting_name_unique" ON "tims_rest_setting" ("name");
