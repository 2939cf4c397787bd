/* model_test: the committed migrations and snapshot say what the descriptors say, and the descriptors are
 * sound. */
#include "base/testing.h"

#include "auth/auth_internal.h"

static tims_str embedded_file(const char *name)
{
    for (const tims_embedded *file = tims_auth_migrations; file->name != NULL; file++)
        if (strcmp(file->name, name) == 0)
            return (tims_str){ file->data, file->length };
    fail_msg("%s is not built in", name);
    return (tims_str){ NULL, 0 };
}

static void the_snapshot_is_up_to_date(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(16 << 20, NULL, NULL);
    tims_migration_plan plan;
    tims_error err = { 0 };
    assert_int_equal(
        tims_migrate_plan(arena, embedded_file("snapshot.json"), tims_auth_models, TIMS_SQLITE, &plan, &err),
        TIMS_OK);
    if (!plan.empty)
        fail_msg("run makemigrations: %.*s", TIMS_PRINT(plan.summary));
    tims_arena_free(&arena);
}

static void others_see_neither_email_nor_password(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    const tims_user user = { .username = TIMS_STR_INIT("anna"),
                             .username_key = TIMS_STR_INIT("anna"),
                             .email = { true, TIMS_STR_INIT("a@b.de") },
                             .password = TIMS_STR_INIT("$argon2id$"),
                             .display_name = TIMS_STR_INIT("Anna"),
                             .avatar = TIMS_STR_INIT(""),
                             .active = true };
    tims_buf out;
    tims_buf_init(&out, arena, 10000);
    tims_json_writer w = tims_json_to(&out);
    tims_json_object(&w, tims_user_model.fields, &user, 0);
    assert_str(tims_buf_str(&out), "{\"id\":\"00000000-0000-0000-0000-000000000000\",\"username\":\"anna\","
                                   "\"display_name\":\"Anna\",\"avatar\":\"\",\"staff\":false,"
                                   "\"created_at\":\"1970-01-01T00:00:00.000000Z\"}");
    tims_arena_free(&arena);
}

static void nobody_reads_or_writes_sessions_pictures_and_keys_over_the_api(void **state)
{
    (void)state;
    const tims_model *const closed[] = { &tims_auth_session_model, &auth__avatar_model, &auth__key_model };
    for (size_t i = 0; i < 3; i++) {
        assert_null(closed[i]->read);
        assert_null(closed[i]->write);
        assert_true(tims_rule_is_never(closed[i]->read, closed[i],
                                       (tims_caller){ .signed_in = true, .staff = true }));
    }
    assert_null(tims_user_model.write);
    assert_false(tims_auth_session_model.not_live); /* else no loop would hear of what another process ends */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_snapshot_is_up_to_date),
        cmocka_unit_test(others_see_neither_email_nor_password),
        cmocka_unit_test(nobody_reads_or_writes_sessions_pictures_and_keys_over_the_api),
    };
    return cmocka_run_group_tests_name("auth_model", tests, NULL, NULL);
}
