/* copy_command.c: `copy-database`: a running app's data from one database to another. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/app_internal.h"
#include "tims/rest.h"

enum { BAR_WIDTH = 30, TEXT_BYTES_MAX = 1 << 20, WORK_BYTES_MAX = 1 << 28, BAR_PAUSE_MS = 100 };

typedef struct display {
    bool terminal;
    struct timespec start;
    int64_t shown_ms;
    int64_t rows;
    size_t tables;
} display;

static int64_t elapsed_ms(const display *to)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - to->start.tv_sec) * 1000 + (now.tv_nsec - to->start.tv_nsec) / 1000000;
}

static void show_bar(display *to, const tims_copy_progress *progress)
{
    int64_t now = elapsed_ms(to);
    if (now - to->shown_ms < BAR_PAUSE_MS)
        return;
    to->shown_ms = now;
    int64_t steps = progress->steps > 0 ? progress->steps : 1;
    int filled = (int)(progress->steps_done * BAR_WIDTH / steps);
    (void)printf("\r[%.*s%*s] %3d %%  %-24.24s", filled, "##############################", BAR_WIDTH - filled,
                 "", (int)(progress->steps_done * 100 / steps), progress->model->name);
    (void)fflush(stdout);
}

static void show_progress(void *argument, const tims_copy_progress *progress)
{
    display *to = argument;
    if (progress->table_done) {
        if (to->terminal)
            (void)printf("\r\033[K");
        (void)printf("%-24s %12" PRId64 " rows  checksum %016" PRIx64 "%016" PRIx64 "\n",
                     progress->model->name, progress->table_rows, progress->table_sum[0],
                     progress->table_sum[1]);
        (void)fflush(stdout);
        to->rows += progress->table_rows;
        to->tables++;
    } else if (to->terminal) {
        show_bar(to, progress);
    }
}

/* --- the two databases ------------------------------------------------------------------------- */

typedef struct databases {
    app__stack *stack;
    tims_arena *arena; /* ends before they are closed */
    tims_db *source, *target;
} databases;

static int complain(const app__stack *stack, const char *which, const tims_error *err)
{
    (void)fprintf(stderr, "%s: %s: %s\n", stack->project->name, which, err->message);
    if (err->detail[0] != '\0')
        (void)fprintf(stderr, "  (%s)\n", err->detail);
    return 1;
}

/* Opening would make the file. */
static bool is_absent(tims_arena *arena, tims_str url)
{
    struct stat found;
    if (!tims_str_starts_with(url, TIMS_STR("sqlite:")))
        return false;
    tims_str path = tims_str_slice(url, 7, url.length);
    if (tims_str_starts_with(path, TIMS_STR("//")))
        path = tims_str_slice(path, 2, path.length);
    return stat(tims_copy_c(arena, path), &found) != 0;
}

static tims_status check_schema(const databases *of, tims_db *db, tims_error *err)
{
    const app__stack *stack = of->stack;
    return tims_migrate_check(db, of->arena, stack->migration_sets, stack->migration_set_count, stack->models,
                              err);
}

static tims_status open_source(databases *of, tims_str url, tims_error *err)
{
    if (is_absent(of->arena, url))
        return tims_fail(err, TIMS_NOT_FOUND, NULL, "There is no such file.");
    tims_status status = tims_db_open(&(tims_db_options){ .url = url }, &of->source, err);
    return status == TIMS_OK ? check_schema(of, of->source, err) : status;
}

static tims_status open_target(databases *of, tims_str url, tims_error *err)
{
    const app__stack *stack = of->stack;
    tims_buf applied;
    tims_buf_init(&applied, of->arena, TEXT_BYTES_MAX);
    tims_status status = tims_db_open(&(tims_db_options){ .url = url, .exclusive = true }, &of->target, err);
    if (status == TIMS_OK)
        status = tims_migrate_apply(of->target, of->arena, stack->migration_sets, stack->migration_set_count,
                                    stack->models, &applied, err);
    return status == TIMS_OK ? check_schema(of, of->target, err) : status;
}

static tims_status check_table_empty(const databases *of, tims_db_session *session, const tims_model *model,
                                     tims_error *err)
{
    tims_query query;
    int64_t count;
    tims_query_init(&query, model, (tims_caller){ .trusted = true });
    tims_status status = tims_query_count(session, of->arena, &query, &count, err);
    if (status == TIMS_OK && count > 0)
        status = tims_fail(err, TIMS_CONFLICT, "not_empty",
                           "It is not empty: table %s has %" PRId64
                           " rows. With --overwrite all rows are replaced.",
                           model->name, count);
    return status;
}

/* Settings that a migration has put in do not count. */
static tims_status check_empty(const databases *of, tims_error *err)
{
    tims_db_session *session = tims_db_session_new(of->target, NULL, of->arena);
    tims_status status = TIMS_OK;
    for (size_t s = 0; s < of->stack->migration_set_count; s++) {
        const tims_model *const *models = of->stack->migration_sets[s].models;
        for (size_t m = 0; models != tims_rest_models && models[m] != NULL && status == TIMS_OK; m++)
            status = check_table_empty(of, session, models[m], err);
    }
    return status;
}

static int copy_rows(const databases *of)
{
    const app__stack *stack = of->stack;
    tims_error err = { 0 };
    display to = { .terminal = isatty(STDOUT_FILENO) != 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &to.start);
    tims_copy_options options = { .on_progress = show_progress, .argument = &to };
    if (tims_copy_rows(of->source, of->target, of->arena, stack->models, &options, &err) != TIMS_OK) {
        (void)printf("%s", to.terminal ? "\r\033[K" : "");
        (void)fflush(stdout);
        (void)fprintf(stderr, "%s: nothing was copied, the target's rows are as they were\n",
                      stack->project->name);
        return app__complain(stack, &err);
    }
    (void)printf("Copied %" PRId64 " rows of %zu tables in %.1f s; counts and checksums agree.\n", to.rows,
                 to.tables, (double)elapsed_ms(&to) / 1000);
    return 0;
}

static int copy_between(databases *of, tims_str source, tims_str target, bool overwrite)
{
    tims_error err = { 0 };
    if (app__compose_models(of->stack, &err) != TIMS_OK)
        return app__complain(of->stack, &err);
    if (open_source(of, source, &err) != TIMS_OK)
        return complain(of->stack, "the source", &err);
    if (open_target(of, target, &err) != TIMS_OK || (!overwrite && check_empty(of, &err) != TIMS_OK))
        return complain(of->stack, "the target", &err);
    return copy_rows(of);
}

int app__copy_database(app__stack *stack, int argc, char **argv)
{
    tims_str urls[2];
    int count = 0;
    for (int i = 0; i < argc; i++)
        if (argv[i][0] != '-' && count++ < 2)
            urls[count - 1] = tims_str_from(argv[i]);
    if (count != 2 || tims_str_equal(urls[0], urls[1])) {
        (void)fprintf(stderr, "%s: copy-database needs two databases: the source and the target\n",
                      stack->project->name);
        return 2;
    }
    databases of = { .stack = stack, .arena = tims_arena_new(WORK_BYTES_MAX, NULL, NULL) };
    int exit_status = copy_between(&of, urls[0], urls[1], app__flag(argc, argv, "--overwrite"));
    tims_arena_free(&of.arena);
    tims_db_close(&of.target);
    tims_db_close(&of.source);
    return exit_status;
}
