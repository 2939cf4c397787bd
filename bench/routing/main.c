/* main.c: what it costs to route one change, by how many subscriptions there are: routing FOLDER CHANGES
 * SIZE…
 *
 * A million sockets do not fit on one machine, so this is the inside of the server without them: for each
 * SIZE so many subscriptions wait at as many different topics; then rows are written, and timed is what the
 * feed does with them: the step is read from the change log in one snapshot, rows and all, and each change
 * finds who waits for it. The clock is the CPU time of this thread; writing the rows is not part of it. Every
 * change has to find exactly the one subscription that it is for.
 *
 * `route_us` is all of that for one change, `lookup_us` only the finding. A step is of 100 changes. Not
 * timed: what follows for those concerned, which does not depend on how many others there are. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "live/live_internal.h"
#include "tims/crypto.h"

enum { STEP_CHANGES = 100, ARENA_BYTES = 64 << 20 };

typedef struct line {
    tims_id id, channel;
    tims_str text;
} line;

static const tims_model line_model = {
    .name = "line",
    .doc = "One row of about 200 bytes.",
    .size = sizeof(line),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(line, id, .primary = true), TIMS_FIELD(line, channel), TIMS_FIELD(line, text)),
    .indexes = TIMS_INDEXES(TIMS_INDEX("channel")),
    .read = TIMS_PUBLIC,
};

typedef struct waiting {
    live__hook hook;
    size_t told;
} waiting;

typedef struct bench {
    tims_arena *arena;
    tims_models *models;
    tims_db *db;
    int64_t position;
    uint64_t random;
} bench;

typedef struct figures {
    double route_us, lookup_us;
} figures;

static void check(tims_status status, const tims_error *err)
{
    if (status == TIMS_OK)
        return;
    fprintf(stderr, "routing: %s: %s\n", err->message, err->detail);
    exit(1);
}

static double cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

static tims_id number_id(uint64_t number, unsigned char kind)
{
    tims_id id = { { 0 } };
    id.bytes[6] = 0x70;
    id.bytes[7] = kind;
    id.bytes[8] = 0x80;
    for (int i = 0; i < 7; i++)
        id.bytes[15 - i] = (unsigned char)(number >> 8 * i);
    return id;
}

/* --- the database ------------------------------------------------------------------------------- */

static void open_database(bench *b, const char *folder)
{
    static const tims_model *const all[] = { &line_model, NULL };
    tims_error err = { 0 };
    tims_migration_plan plan;
    b->arena = tims_arena_new(ARENA_BYTES, NULL, NULL);
    check(tims_models_new(b->arena, all, 1, &b->models, &err), &err);
    check(tims_migrate_plan(b->arena, TIMS_STR(""), all, TIMS_SQLITE, &plan, &err), &err);
    tims_db_options options = { .url = tims_print(b->arena, "sqlite:%s/routing.sqlite3", folder) };
    check(tims_db_open(&options, &b->db, &err), &err);
    tims_db_session *db = tims_db_session_new(b->db, NULL, b->arena);
    check(tims_db_begin(db, &err), &err);
    check(tims_db_script(db, plan.sql, &err), &err);
    check(tims_db_script(db, tims_change_ddl(b->arena, b->models, TIMS_SQLITE), &err), &err);
    check(tims_db_commit(db, &err), &err);
}

static void write_lines(bench *b, tims_db_session *db, tims_arena *arena, size_t channels)
{
    static const char text[] = "a line of text that people may well write to each other in a chat";
    tims_error err = { 0 };
    check(tims_db_begin(db, &err), &err);
    for (int i = 0; i < STEP_CHANGES; i++) {
        b->random = b->random * 6364136223846793005u + 1442695040888963407u;
        line row = { .channel = number_id((b->random >> 33) % channels, 2), .text = tims_str_from(text) };
        check(tims_model_insert(db, arena, &line_model, &row, &err), &err);
    }
    check(tims_db_commit(db, &err), &err);
}

/* --- one size ----------------------------------------------------------------------------------- */

static waiting *subscribe_all(live__topics *topics, size_t count)
{
    const tims_field *channel = tims_field_find(line_model.fields, TIMS_STR("channel"));
    waiting *all = calloc(count, sizeof *all);
    TIMS_ASSERT(all != NULL);
    for (size_t i = 0; i < count; i++) {
        char text[TIMS_ID_TEXT_LENGTH];
        tims_id_format(number_id(i, 2), text);
        all[i].hook = (live__hook){ .owner = &all[i], .kind = LIVE__HOOK_ROWS };
        live__topics_add(topics, &all[i].hook, &line_model, channel, (tims_str){ text, sizeof text });
    }
    return all;
}

static void tell(void *argument, live__hook *hook, const live__change *change)
{
    waiting *one = hook->owner;
    size_t *told = argument;
    (void)change;
    one->told++;
    *told += 1;
}

static void route_step(bench *b, tims_db_session *db, live__topics *topics, figures *ret_sum)
{
    tims_error err = { 0 };
    live__batch *batch = NULL;
    tims_mark now;
    size_t told = 0;
    double start = cpu_us();
    check(tims_db_begin_snapshot(db, &err), &err);
    check(tims_mark_now(db, &now, &err), &err);
    live__batch_options options = { .models = b->models,
                                    .from = { .position = b->position },
                                    .to = now,
                                    .changes_max = STEP_CHANGES,
                                    .bytes_max = SIZE_MAX };
    check(live__batch_read(db, &options, &batch, &err), &err);
    double read = cpu_us();
    for (size_t i = 0; i < batch->count; i++)
        live__topics_visit(topics, &batch->changes[i], tell, &told);
    double end = cpu_us();
    tims_db_end_snapshot(db);
    TIMS_ASSERT(batch->count == STEP_CHANGES && told == STEP_CHANGES);
    b->position = batch->position;
    live__batch_free(&batch);
    ret_sum->route_us += end - start;
    ret_sum->lookup_us += end - read;
}

static void measure(bench *b, size_t count, size_t changes)
{
    live__topics *topics = live__topics_new();
    waiting *all = subscribe_all(topics, count);
    figures sum = { 0 }, warm = { 0 };
    for (size_t done = 0; done < changes + changes / 10; done += STEP_CHANGES) {
        tims_arena *arena = tims_arena_new(ARENA_BYTES, NULL, NULL);
        tims_db_session *db = tims_db_session_new(b->db, NULL, arena);
        write_lines(b, db, arena, count);
        route_step(b, db, topics, done < changes / 10 ? &warm : &sum);
        tims_arena_free(&arena);
    }
    printf("{\"subscriptions\":%zu,\"route_us\":%.3f,\"lookup_us\":%.3f}\n", count,
           sum.route_us / (double)changes, sum.lookup_us / (double)changes);
    for (size_t i = 0; i < count; i++)
        live__topics_remove(topics, &all[i].hook);
    live__topics_free(&topics);
    free(all);
}

int main(int argc, char **argv)
{
    bench b = { .random = 1 };
    if (argc < 4) {
        fprintf(stderr, "routing FOLDER CHANGES SIZE…\n");
        return 2;
    }
    TIMS_ASSERT(tims_crypto_setup() == TIMS_OK);
    open_database(&b, argv[1]);
    for (int i = 3; i < argc; i++)
        measure(&b, strtoul(argv[i], NULL, 10), strtoul(argv[2], NULL, 10));
    tims_arena_free(&b.arena);
    tims_db_close(&b.db);
    return 0;
}
