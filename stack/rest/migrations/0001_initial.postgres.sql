CREATE TABLE "tims_idempotency" (
    "id" uuid PRIMARY KEY NOT NULL,
    "key" text COLLATE "C" NOT NULL,
    "fingerprint" text COLLATE "C" NOT NULL,
    "location" text COLLATE "C" NOT NULL,
    "etag" text COLLATE "C" NOT NULL,
    "answer" text COLLATE "C" NOT NULL,
    "created_at" timestamptz NOT NULL
);
CREATE UNIQUE INDEX "tims_idempotency_key_unique" ON "tims_idempotency" ("key");
CREATE INDEX "tims_idempotency_created_at_index" ON "tims_idempotency" ("created_at");
CREATE TABLE "tims_rest_setting" (
    "id" uuid PRIMARY KEY NOT NULL,
    "name" text COLLATE "C" NOT NULL,
    "value" text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX "tims_rest_setting_name_unique" ON "tims_rest_setting" ("name");
