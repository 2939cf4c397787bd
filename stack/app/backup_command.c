/* backup_command.c: `backup` and `restore`: an SQLite database to a file and back.
 *
 * The files are the db room's; here is what only the program knows: whether a backup is one of its own. */
#include <stdio.h>

#include "app/app_internal.h"

enum { WORK_BYTES_MAX = 1 << 26, STACK_SETS = 4 };

static const char *only_word(const app__stack *stack, int argc, char **argv, const char *command)
{
    const char *file = NULL;
    int words = 0;
    for (int i = 0; i < argc; i++)
        if (argv[i][0] != '-' && words++ == 0)
            file = argv[i];
    if (words == 1)
        return file;
    (void)fprintf(stderr, "%s: %s needs one file\n", stack->project->name, command);
    return NULL;
}

int app__backup(app__stack *stack, int argc, char **argv)
{
    tims_error err = { 0 };
    const char *file = only_word(stack, argc, argv, "backup");
    if (file == NULL)
        return 2;
    if (tims_db_backup(stack->settings.database_url, tims_str_from(file),
                       app__flag(argc, argv, "--overwrite"), &err) != TIMS_OK)
        return app__complain(stack, &err);
    (void)printf("Wrote %s; it is whole and on the disk.\n", file);
    return 0;
}

/* Of the stack's own migrations any app has had some. */
static tims_status recognise(const app__stack *stack, tims_db *db, tims_arena *arena, size_t *ret_pending,
                             tims_error *err)
{
    const tims_migration_set *sets = stack->migration_sets;
    size_t count = stack->migration_set_count, ignored;
    tims_status status = TIMS_OK;
    if (count > STACK_SETS)
        status = tims_migrate_recognise(db, arena, sets + STACK_SETS, count - STACK_SETS, &ignored, err);
    return status == TIMS_OK ? tims_migrate_recognise(db, arena, sets, count, ret_pending, err) : status;
}

static tims_status look_into(const app__stack *stack, const char *file, size_t *ret_pending, tims_error *err)
{
    tims_db *db = NULL;
    tims_arena *arena = tims_arena_new(WORK_BYTES_MAX, NULL, NULL);
    tims_db_options options = { .url = tims_print(arena, "sqlite:%s", file) };
    tims_status status = tims_db_open(&options, &db, err);
    if (status == TIMS_OK)
        status = recognise(stack, db, arena, ret_pending, err);
    if (status != TIMS_OK && err->detail[0] != '\0')
        err->detail[0] = '\0'; /* it names the copy */
    tims_arena_free(&arena);
    tims_db_close(&db);
    return status;
}

static int say_refused(const app__stack *stack, const char *file, const tims_error *err)
{
    (void)fprintf(stderr, "%s: %s was not restored, the database is as it was\n", stack->project->name, file);
    return app__complain(stack, err);
}

int app__restore(app__stack *stack, int argc, char **argv)
{
    tims_error err = { 0 };
    tims_db_restore *restore = NULL;
    tims_str kept;
    size_t pending = 0;
    const char *file = only_word(stack, argc, argv, "restore");
    if (file == NULL)
        return 2;
    tims_status status = app__compose_models(stack, &err);
    if (status == TIMS_OK)
        status = tims_db_restore_begin(stack->settings.database_url, tims_str_from(file), &restore, &err);
    if (status == TIMS_OK)
        status = look_into(stack, tims_db_restore_file(restore), &pending, &err);
    if (status == TIMS_OK)
        status = tims_db_restore_finish(&restore, &kept, stack->arena, &err);
    tims_db_restore_cancel(&restore);
    if (status != TIMS_OK)
        return say_refused(stack, file, &err);
    (void)printf("Restored %s.\n", file);
    if (kept.length > 0)
        (void)printf("What was there before is kept in %.*s.\n", TIMS_PRINT(kept));
    if (pending > 0)
        (void)printf("It is older than this program: run `%s migrate` before it is served.\n",
                     stack->project->name);
    return 0;
}
