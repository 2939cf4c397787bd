ALTER TABLE "auth_session"
    ADD COLUMN "next_hash" text COLLATE "C";

-- step: outside of a transaction
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "auth_session_next_hash_unique" ON "auth_session" ("next_hash" NULLS FIRST);
