/* migrate_command.c: `migrate` and `makemigrations`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/app_internal.h"

enum { TEXT_BYTES_MAX = 4 * 1024 * 1024, SNAPSHOT_BYTES_MAX = 1024 * 1024 };
enum { WAIT_SECONDS_MAX = 86400, WAIT_PAUSE_NS = 250000000 };

/* Opens the database. One that cannot be used is tried again until the time is over; why it waits is said
 * once. */
static tims_status open_in_time(app__stack *stack, int64_t wait_s, tims_error *err)
{
    int64_t limit_us = tims_monotonic_us() + wait_s * 1000000;
    bool told = false;
    for (;;) {
        tims_status status = app__open_database(stack, false, err);
        if (status != TIMS_UNAVAILABLE || tims_monotonic_us() >= limit_us)
            return status;
        if (!told)
            (void)fprintf(stderr, "%s: waiting for the database: %s\n", stack->project->name, err->message);
        told = true;
        (void)nanosleep(&(struct timespec){ .tv_nsec = WAIT_PAUSE_NS }, NULL);
        *err = (tims_error){ 0 };
    }
}

int app__migrate(app__stack *stack, int argc, char **argv)
{
    tims_error err = { 0 };
    int64_t wait_s = 0;
    if (!app__number(stack, argc, argv, "--wait", 0, WAIT_SECONDS_MAX, &wait_s))
        return 2;
    tims_buf applied;
    tims_buf_init(&applied, stack->arena, TEXT_BYTES_MAX);
    tims_status status = app__compose_models(stack, &err);
    if (status == TIMS_OK)
        status = open_in_time(stack, wait_s, &err);
    for (size_t i = 0; status == TIMS_OK && i < stack->migration_set_count; i++)
        stack->migration_sets[i].allow_destructive = app__flag(argc, argv, "--allow-destructive");
    if (status == TIMS_OK && app__flag(argc, argv, "--check"))
        status = tims_migrate_check(stack->db, stack->arena, stack->migration_sets,
                                    stack->migration_set_count, stack->models, &err);
    else if (status == TIMS_OK)
        status = tims_migrate_apply(stack->db, stack->arena, stack->migration_sets,
                                    stack->migration_set_count, stack->models, &applied, &err);
    (void)printf("%.*s", TIMS_PRINT(tims_buf_str(&applied)));
    if (status != TIMS_OK)
        return app__complain(stack, &err);
    if (applied.length == 0)
        (void)printf("The database is up to date.\n");
    return 0;
}

/* The folder of a set's migrations, NULL when its sources are not here (the stack's own, in an app's
 * checkout). */
static const char *find_folder(app__stack *stack, const tims_migration_set *set)
{
    const char *parents[] = { stack->project->source_directory, "stack" };
    for (int i = 0; i < 2; i++) {
        const char *home = tims_print(stack->arena, "%s/%s", parents[i], set->app).data;
        struct stat found;
        if (stat(home, &found) == 0 && S_ISDIR(found.st_mode))
            return tims_print(stack->arena, "%s/migrations", home).data;
    }
    return NULL;
}

static tims_str read_snapshot(tims_arena *arena, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return (tims_str){ NULL, 0 };
    char *data = tims_alloc_raw(arena, SNAPSHOT_BYTES_MAX);
    size_t length = fread(data, 1, SNAPSHOT_BYTES_MAX, file);
    (void)fclose(file);
    return (tims_str){ data, length };
}

/* Written beside and renamed, so that a crash leaves the old file. */
static bool write_file(tims_arena *arena, const char *path, tims_str text)
{
    const char *temporary = tims_print(arena, "%s.new", path).data;
    FILE *file = fopen(temporary, "we");
    if (file == NULL)
        return false;
    bool written = fwrite(text.data, 1, text.length, file) == text.length;
    written = fclose(file) == 0 && written;
    return written && rename(temporary, path) == 0;
}

static int count_migrations(const tims_migration_set *set)
{
    int highest = 0;
    for (const tims_embedded *file = set->files; file != NULL && file->name != NULL; file++) {
        int64_t number;
        if (tims_str_to_int(tims_str_slice(tims_str_from(file->name), 0, 4), 0, 9999, &number) &&
            number > highest)
            highest = (int)number;
    }
    return highest;
}

typedef struct make_plans {
    tims_migration_plan sqlite, postgres;
} make_plans;

static bool write_told(app__stack *stack, const char *path, tims_str text)
{
    if (!write_file(stack->arena, path, text)) {
        (void)fprintf(stderr, "%s: cannot be written: %s\n", path, strerror(errno));
        return false;
    }
    (void)printf("Wrote %s.\n", path);
    return true;
}

/* A file for each database, and the snapshot behind them. */
static bool write_migration(app__stack *stack, const tims_migration_set *set, const char *folder,
                            const make_plans *plans, const char *name)
{
    tims_arena *arena = stack->arena;
    int number = count_migrations(set) + 1;
    if (name == NULL)
        name = number == 1 ? "initial" : "change";
    const char *sqlite = tims_print(arena, "%s/%04d_%s.sql", folder, number, name).data;
    const char *postgres = tims_print(arena, "%s/%04d_%s.postgres.sql", folder, number, name).data;
    const char *snapshot = tims_print(arena, "%s/snapshot.json", folder).data;
    (void)mkdir(folder, 0777);
    return write_told(stack, sqlite, plans->sqlite.sql) && write_told(stack, postgres, plans->postgres.sql) &&
           write_told(stack, snapshot, tims_migrate_snapshot(arena, set->models));
}

static bool has_file(const tims_migration_set *set, tims_str name)
{
    for (const tims_embedded *file = set->files; file != NULL && file->name != NULL; file++)
        if (tims_str_equal(tims_str_from(file->name), name))
            return true;
    return false;
}

/* "0001_initial.postgres.sql" for a migration that has no such file yet; empty otherwise. */
static tims_str missing_file(app__stack *stack, const tims_migration_set *set, const tims_embedded *file)
{
    tims_str name = tims_str_from(file->name);
    if (!tims_str_ends_with(name, TIMS_STR(".sql")) || tims_str_ends_with(name, TIMS_STR(".postgres.sql")))
        return (tims_str){ NULL, 0 };
    tims_str stem = tims_str_slice(name, 0, name.length - strlen(".sql"));
    tims_str wanted = tims_print(stack->arena, "%S.postgres.sql", stem);
    return has_file(set, wanted) ? (tims_str){ NULL, 0 } : wanted;
}

static bool is_for_sqlite_only(app__stack *stack, const tims_migration_set *set)
{
    size_t migrations = 0, missing = 0;
    for (const tims_embedded *file = set->files; file != NULL && file->name != NULL; file++) {
        migrations += tims_str_ends_with(tims_str_from(file->name), TIMS_STR(".sql"));
        missing += missing_file(stack, set, file).length > 0;
    }
    return migrations > 0 && missing == migrations;
}

/* An app that has only been on SQLite: no PostgreSQL database has had any of it, so its first migration there
 * makes everything, and the others have nothing left to do. */
static int adopt_postgres(app__stack *stack, const tims_migration_set *set, const char *folder)
{
    tims_error err = { 0 };
    tims_migration_plan whole;
    tims_str text =
        TIMS_STR("-- The schema is in the first migration. Rows that this one writes on SQLite are to be "
                 "written here too.\n");
    if (tims_migrate_plan(stack->arena, (tims_str){ NULL, 0 }, set->models, TIMS_POSTGRES, &whole, &err) !=
        TIMS_OK)
        return app__complain(stack, &err);
    bool first = true;
    for (const tims_embedded *file = set->files; file != NULL && file->name != NULL; file++) {
        tims_str name = missing_file(stack, set, file);
        const char *path = tims_print(stack->arena, "%s/%S", folder, name).data;
        if (name.length == 0)
            continue;
        if (!write_told(stack, path, first ? whole.sql : text))
            return 1;
        first = false;
    }
    return 0;
}

typedef struct make_options {
    const char *name;
    bool allow_destructive, dry_run;
} make_options;

/* 0: written or nothing to do; 1: refused or failed. */
static int make_for_set(app__stack *stack, const tims_migration_set *set, const make_options *options)
{
    const char *folder = find_folder(stack, set);
    if (folder == NULL || set->models == NULL)
        return 0;
    tims_error err = { 0 };
    make_plans plans;
    tims_str old = read_snapshot(stack->arena, tims_print(stack->arena, "%s/snapshot.json", folder).data);
    if (tims_migrate_plan(stack->arena, old, set->models, TIMS_SQLITE, &plans.sqlite, &err) != TIMS_OK ||
        tims_migrate_plan(stack->arena, old, set->models, TIMS_POSTGRES, &plans.postgres, &err) != TIMS_OK)
        return app__complain(stack, &err);
    const tims_migration_plan *plan = &plans.sqlite;
    if (plan->empty) {
        (void)printf("%s: no changes\n", set->app);
        return options->dry_run || !is_for_sqlite_only(stack, set) ? 0 : adopt_postgres(stack, set, folder);
    }
    if (is_for_sqlite_only(stack, set)) {
        (void)fprintf(
            stderr,
            "%s: its migrations are for SQLite only, and the models have changed since. Take the changes "
            "back, run makemigrations and build again; then make the changes.\n",
            set->app);
        return 1;
    }
    (void)printf("%s:\n%.*s\nSQLite:\n%.*s\nPostgreSQL:\n%.*s\n", set->app, TIMS_PRINT(plan->summary),
                 TIMS_PRINT(plan->sql), TIMS_PRINT(plans.postgres.sql));
    if (plan->destructive && !options->allow_destructive) {
        (void)fprintf(
            stderr,
            "%s: these steps lose data:\n%.*s\nRun it again with --allow-destructive if that is meant.\n",
            set->app, TIMS_PRINT(plan->destructive_list));
        return 1;
    }
    if (options->dry_run)
        return 0;
    if (!write_migration(stack, set, folder, &plans, options->name))
        return 1;
    (void)printf("Build again, then run `%s migrate`.\n", stack->project->name);
    return 0;
}

int app__makemigrations(app__stack *stack, int argc, char **argv)
{
    tims_error err = { 0 };
    if (app__compose_models(stack, &err) != TIMS_OK)
        return app__complain(stack, &err);
    make_options options = { app__option(argc, argv, "--name"), app__flag(argc, argv, "--allow-destructive"),
                             app__flag(argc, argv, "--dry-run") };
    int exit_status = 0;
    for (size_t i = 0; i < stack->migration_set_count; i++)
        exit_status |= make_for_set(stack, &stack->migration_sets[i], &options);
    return exit_status;
}
