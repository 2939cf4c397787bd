CREATE TABLE "effect" (
    "id" uuid PRIMARY KEY NOT NULL,
    "label" text COLLATE "C" NOT NULL,
    "number" bigint NOT NULL,
    "attempt" bigint NOT NULL,
    "job" uuid NOT NULL,
    "created_at" timestamptz NOT NULL
);
CREATE INDEX "effect_label_index" ON "effect" ("label");
