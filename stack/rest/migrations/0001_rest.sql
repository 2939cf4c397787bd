CREATE TABLE "tims_idempotency" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "key" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "location" TEXT NOT NULL,
    "etag" TEXT NOT NULL,
    "answer" TEXT NOT NULL,
    "created_at" INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX "tims_idempotency_key" ON "tims_idempotency" ("key");
CREATE INDEX "tims_idempotency_created_at" ON "tims_idempotency" ("created_at");
CREATE TABLE "tims_rest_setting" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "value" TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX "tims_rest_setting_name" ON "tims_rest_setting" ("name");
INSERT INTO "tims_rest_setting" ("id", "name", "value")
VALUES ('00000000-0000-7000-8000-000000000001', 'cursor_key', lower(hex(randomblob(32))));
