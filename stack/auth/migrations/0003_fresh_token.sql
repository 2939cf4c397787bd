ALTER TABLE "auth_session" ADD COLUMN "next_hash" TEXT;
CREATE UNIQUE INDEX "auth_session_next_hash_unique" ON "auth_session" ("next_hash");
