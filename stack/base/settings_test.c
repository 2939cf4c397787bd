/* settings_test: typed values from the environment and a .env file. */
#include "base/testing.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct settings {
    tims_str name, mode, secret;
    int64_t port, size, wait;
    bool verbose;
} settings;

static const tims_setting table[] = {
    { .name = "T_NAME",
      .kind = TIMS_SETTING_STR,
      .offset = offsetof(settings, name),
      .default_value = "anna",
      .doc = "A name." },
    { .name = "T_MODE",
      .kind = TIMS_SETTING_STR,
      .offset = offsetof(settings, mode),
      .default_value = "dev",
      .choices = { (const char *const[]){ "dev", "live" }, 2 },
      .doc = "How to run." },
    { .name = "T_SECRET",
      .kind = TIMS_SETTING_STR,
      .offset = offsetof(settings, secret),
      .default_value = "",
      .secret = true,
      .doc = "A secret." },
    { .name = "T_PORT",
      .kind = TIMS_SETTING_INT,
      .offset = offsetof(settings, port),
      .default_value = "8000",
      .min = 1,
      .max = 65535,
      .doc = "Where to listen." },
    { .name = "T_SIZE",
      .kind = TIMS_SETTING_BYTES,
      .offset = offsetof(settings, size),
      .default_value = "64k",
      .doc = "A size." },
    { .name = "T_WAIT",
      .kind = TIMS_SETTING_MS,
      .offset = offsetof(settings, wait),
      .default_value = "5s",
      .doc = "A duration." },
    { .name = "T_VERBOSE",
      .kind = TIMS_SETTING_BOOL,
      .offset = offsetof(settings, verbose),
      .default_value = "false",
      .doc = "Say more." },
};
enum { COUNT = sizeof table / sizeof table[0] };

typedef struct fixture {
    tims_arena *arena;
    tims_buf problems;
    settings loaded;
    char path[64];
} fixture;

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){ .arena = tims_arena_new(1 << 20, NULL, NULL), .path = "/tmp/tims-settings-XXXXXX" };
    tims_buf_init(&f.problems, f.arena, 65536);
    int fd = mkstemp(f.path);
    for (size_t i = 0; i < COUNT; i++)
        unsetenv(table[i].name);
    *state = &f;
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tims_arena_free(&f->arena);
    return unlink(f->path);
}

static void write_env(const fixture *f, const char *text)
{
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static tims_status load(fixture *f)
{
    return tims_settings_load(f->arena, table, COUNT, f->path, &f->loaded, &f->problems);
}

static bool problems_name(const fixture *f, const char *text)
{
    return tims_str_find(tims_buf_str(&f->problems), tims_str_from(text)) != SIZE_MAX;
}

static void defaults_hold_when_nothing_is_said(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        tims_settings_load(f->arena, table, COUNT, "/nonexistent/.env", &f->loaded, &f->problems), TIMS_OK);
    assert_str(f->loaded.name, "anna");
    assert_int_equal(f->loaded.port, 8000);
    assert_int_equal(f->loaded.size, 65536);
    assert_int_equal(f->loaded.wait, 5000);
    assert_false(f->loaded.verbose);
    assert_int_equal(f->problems.length, 0);
}

static void the_file_wins_over_defaults_and_the_environment_over_both(void **state)
{
    fixture *f = *state;
    write_env(f, "# comment\n\nT_NAME = berta \nexport T_PORT=9000\nT_MODE=\"live\"\nT_SECRET='a b'\n"
                 "T_VERBOSE=yes\nT_NAMES=no\nT_WAIT=250ms\nnonsense\n");
    setenv("T_PORT", "9001", 1);
    assert_int_equal(load(f), TIMS_OK);
    assert_str(f->loaded.name, "berta");
    assert_str(f->loaded.mode, "live");
    assert_str(f->loaded.secret, "a b");
    assert_int_equal(f->loaded.port, 9001);
    assert_int_equal(f->loaded.wait, 250);
    assert_true(f->loaded.verbose);
}

static void every_wrong_value_is_reported_at_once(void **state)
{
    fixture *f = *state;
    write_env(f, "T_PORT=70000\nT_SIZE=10q\nT_WAIT=5\nT_VERBOSE=maybe\nT_MODE=other\n");
    assert_int_equal(load(f), TIMS_INVALID);
    static const char *const names[] = { "T_PORT", "T_SIZE",    "T_WAIT", "T_VERBOSE",
                                         "T_MODE", "dev, live", "65535" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_true(problems_name(f, names[i]));
    assert_false(problems_name(f, "T_NAME:"));
}

static void sizes_and_durations_have_units_and_bounds(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *name, *text;
        bool ok;
    } rows[] = {
        { "T_SIZE", "10", true },  { "T_SIZE", "10m", true },   { "T_SIZE", "1g", true },
        { "T_SIZE", "-1", false }, { "T_SIZE", "", false },     { "T_SIZE", "9999999999g", false },
        { "T_WAIT", "0", true },   { "T_WAIT", "2h", true },    { "T_WAIT", "1d", true },
        { "T_WAIT", "ms", false }, { "T_WAIT", "1.5s", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        setenv(rows[i].name, rows[i].text, 1);
        if ((load(f) == TIMS_OK) != rows[i].ok)
            fail_msg("%s=%s", rows[i].name, rows[i].text);
        unsetenv(rows[i].name);
    }
}

static void a_setting_without_default_must_be_given(void **state)
{
    fixture *f = *state;
    const tims_setting needed = { .name = "T_NEEDED", .kind = TIMS_SETTING_STR, .doc = "Needed." };
    tims_str value;
    assert_int_equal(tims_settings_load(f->arena, &needed, 1, NULL, &value, &f->problems), TIMS_INVALID);
    assert_true(problems_name(f, "T_NEEDED: must be set"));
}

static void secrets_are_never_shown(void **state)
{
    fixture *f = *state;
    setenv("T_SECRET", "hunter2-\xff", 1); /* not UTF-8: refused, and not echoed */
    assert_int_equal(load(f), TIMS_INVALID);
    assert_true(problems_name(f, "T_SECRET"));
    assert_false(problems_name(f, "hunter2"));
    setenv("T_SECRET", "hunter2", 1);
    assert_int_equal(load(f), TIMS_OK);
    tims_buf described;
    tims_buf_init(&described, f->arena, 65536);
    tims_settings_describe(table, COUNT, &f->loaded, &described);
    assert_true(tims_str_find(tims_buf_str(&described), TIMS_STR("hunter2")) == SIZE_MAX);
    assert_true(tims_str_find(tims_buf_str(&described), TIMS_STR("(set)")) != SIZE_MAX);
    assert_true(tims_str_find(tims_buf_str(&described), TIMS_STR("8000")) != SIZE_MAX);
}

static void an_oversized_file_is_refused(void **state)
{
    fixture *f = *state;
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 70000; i++)
        assert_true(fputc('#', file) != EOF);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(load(f), TIMS_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(defaults_hold_when_nothing_is_said),
        TEST(the_file_wins_over_defaults_and_the_environment_over_both),
        TEST(every_wrong_value_is_reported_at_once),
        TEST(sizes_and_durations_have_units_and_bounds),
        TEST(a_setting_without_default_must_be_given),
        TEST(secrets_are_never_shown),
        TEST(an_oversized_file_is_refused),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
