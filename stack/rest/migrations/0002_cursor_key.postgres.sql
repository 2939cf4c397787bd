-- The key that signs page cursors, made where it is kept: every process on this database uses the same one.
INSERT INTO "tims_rest_setting" ("id", "name", "value")
VALUES ('00000000-0000-7000-8000-000000000001', 'cursor_key',
        replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''))
ON CONFLICT DO NOTHING;
