CREATE TABLE "effect" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "label" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "attempt" INTEGER NOT NULL,
    "job" TEXT NOT NULL,
    "created_at" INTEGER NOT NULL
) STRICT;
CREATE INDEX "effect_label_index" ON "effect" ("label");
