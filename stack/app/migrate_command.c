/* migrate_command.c: `migrate` and `makemigrations`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/app_internal.h"

enum { TEXT_BYTES_MAX = 4 * 1024 * 1024, SNAPSHOT_BYTES_MAX = 1024 * 1024 };

int app__migrate(app__stack *stack, int argc, char **argv)
{
    tims_error err = { 0 };
    tims_buf applied;
    tims_buf_init(&applied, stack->arena, TEXT_BYTES_MAX);
    tims_status status = app__compose_models(stack, &err);
    if (status == TIMS_OK)
        status = app__open_database(stack, false, &err);
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

static bool write_migration(app__stack *stack, const tims_migration_set *set, const char *folder,
                            const tims_migration_plan *plan, const char *name)
{
    tims_arena *arena = stack->arena;
    int number = count_migrations(set) + 1;
    const char *path = tims_print(arena, "%s/%04d_%s.sql", folder, number,
                                  name != NULL  ? name
                                  : number == 1 ? "initial"
                                                : "change")
                           .data;
    const char *snapshot_path = tims_print(arena, "%s/snapshot.json", folder).data;
    (void)mkdir(folder, 0777);
    if (!write_file(arena, path, plan->sql) ||
        !write_file(arena, snapshot_path, tims_migrate_snapshot(arena, set->models))) {
        (void)fprintf(stderr, "%s: cannot be written: %s\n", path, strerror(errno));
        return false;
    }
    (void)printf("Wrote %s. Build again, then run `%s migrate`.\n", path, stack->project->name);
    return true;
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
    tims_migration_plan plan;
    tims_str old = read_snapshot(stack->arena, tims_print(stack->arena, "%s/snapshot.json", folder).data);
    if (tims_migrate_plan(stack->arena, old, set->models, TIMS_SQLITE, &plan, &err) != TIMS_OK)
        return app__complain(stack, &err);
    if (plan.empty) {
        (void)printf("%s: no changes\n", set->app);
        return 0;
    }
    (void)printf("%s:\n%.*s\n%.*s\n", set->app, TIMS_PRINT(plan.summary), TIMS_PRINT(plan.sql));
    if (plan.destructive && !options->allow_destructive) {
        (void)fprintf(
            stderr,
            "%s: these steps lose data:\n%.*s\nRun it again with --allow-destructive if that is meant.\n",
            set->app, TIMS_PRINT(plan.destructive_list));
        return 1;
    }
    return options->dry_run || write_migration(stack, set, folder, &plan, options->name) ? 0 : 1;
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
