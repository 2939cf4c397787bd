/* The promise, checked at random: whatever is written and however often clients drop, what a client holds for
 * a URL is exactly what the URL answers, row by row. The seed is printed; LIVE_SEED=… repeats a run. */
#include "live/testing.h"

enum { CLIENTS = 2, URLS = 5, ROWS_MAX = 1500, ROUNDS = 40, STEPS = 12 };

static const struct {
    const char *url, *order; /* the field it is ordered by; then by id */
    bool descending;
} urls[URLS] = {
    { "/api/messages/", "number", true },
    { "/api/messages/?chat=" CHAT1 "&limit=3", "number", true },
    { "/api/messages/?chat=" CHAT2 "&order=number&limit=4", "number", false },
    { "/api/messages/?number__gte=50&limit=5", "number", true },
    { "/api/chats/", "title", false },
};

typedef struct held_row {
    char id[40], text[64]; /* of the order field */
    int64_t number;
    char *json;
} held_row;
typedef struct document {
    held_row rows[ROWS_MAX];
    size_t count;
    long long position; /* -1: nothing yet */
    bool follows;       /* the backend has answered on this connection */
    int64_t view;
    size_t limit;
} document;
typedef struct model_client {
    client c;
    const char *token;
    document documents[URLS];
} model_client;

static unsigned random_state;
static unsigned roll(unsigned sides)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % sides;
}

/* --- the client's model: as packages/client does it ------------------------------------------- */

static void clear_document(document *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->rows[i].json);
    d->count = 0;
}

static size_t find_row(const document *d, tims_str id)
{
    size_t i = 0;
    while (i < d->count && !tims_str_equal(tims_str_from(d->rows[i].id), id))
        i++;
    return i;
}

static void drop_row(document *d, tims_str id)
{
    size_t i = find_row(d, id);
    if (i == d->count)
        return;
    free(d->rows[i].json);
    d->rows[i] = d->rows[--d->count];
}

static void put_row(tims_arena *arena, const char *order, document *d, const tims_json *row)
{
    tims_str id = tims_json_get_str(row, TIMS_STR("id"), TIMS_STR(""));
    tims_str text = tims_json_to_text(arena, row);
    drop_row(d, id);
    assert_true(d->count < ROWS_MAX);
    held_row *added = &d->rows[d->count++];
    snprintf(added->id, sizeof added->id, "%.*s", TIMS_PRINT(id));
    snprintf(added->text, sizeof added->text, "%.*s",
             TIMS_PRINT(tims_json_get_str(row, tims_str_from(order), TIMS_STR(""))));
    added->number = tims_json_get_int(row, tims_str_from(order), 0);
    added->json = strndup(text.data, text.length);
}

static int compare_rows(const void *a, const void *b, void *descending)
{
    const held_row *x = a, *y = b;
    int order = x->number != y->number ? (x->number < y->number ? -1 : 1) : strcmp(x->text, y->text);
    order = order != 0 ? order : strcmp(x->id, y->id);
    return *(const bool *)descending ? -order : order;
}

/* In order, and no more than the window. */
static void trim(document *d, bool descending)
{
    qsort_r(d->rows, d->count, sizeof d->rows[0], compare_rows, &descending);
    while (d->count > d->limit)
        free(d->rows[--d->count].json);
}

static void take_facts(document *d, const tims_json *frame)
{
    d->view = tims_json_get_int(frame, TIMS_STR("view"), 0);
    d->limit = (size_t)tims_json_get_int(frame, TIMS_STR("limit"), 0);
    d->position = tims_json_get_int(frame, TIMS_STR("position"), d->position);
    d->follows = true;
}

static void take_document(tims_arena *arena, int index, document *d, const tims_json *frame)
{
    const tims_json *rows = tims_json_get(tims_json_get(frame, TIMS_STR("document")), TIMS_STR("rows"));
    clear_document(d);
    for (size_t i = 0; i < tims_json_count(rows); i++)
        put_row(arena, urls[index].order, d, tims_json_at(rows, i));
    take_facts(d, frame);
}

static void take_operation(tims_arena *arena, int index, document *d, const tims_json *op)
{
    tims_str kind = tims_json_get_str(op, TIMS_STR("op"), TIMS_STR(""));
    if (tims_str_equal(kind, TIMS_STR("put")))
        put_row(arena, urls[index].order, d, tims_json_get(op, TIMS_STR("row")));
    else if (tims_str_equal(kind, TIMS_STR("del")))
        drop_row(d, tims_json_get_str(op, TIMS_STR("id"), TIMS_STR("")));
    else if (tims_str_equal(kind, TIMS_STR("load")))
        take_document(arena, index, d, op);
    else if (!tims_str_equal(kind, TIMS_STR("end")))
        fail_msg("unexpected operation %.*s", TIMS_PRINT(kind));
}

/* Operations name the view, or one subscription. */
static void take_ops(tims_arena *arena, model_client *m, const tims_json *frame)
{
    const tims_json *ops = tims_json_get(frame, TIMS_STR("ops"));
    for (size_t i = 0; i < tims_json_count(ops); i++) {
        const tims_json *op = tims_json_at(ops, i);
        int64_t sub = tims_json_get_int(op, TIMS_STR("sub"), 0),
                view = tims_json_get_int(op, TIMS_STR("view"), 0);
        for (int k = 0; k < URLS; k++)
            if (sub != 0 ? sub == k + 1 : m->documents[k].follows && view == m->documents[k].view)
                take_operation(arena, k, &m->documents[k], op);
    }
    for (int k = 0; k < URLS; k++)
        trim(&m->documents[k], urls[k].descending);
}

/* Takes the next frame; returns the position of a pong, else -1. */
static int64_t take_frame(model_client *m)
{
    char *text = ws_next(&m->c);
    assert_non_null(text);
    if (getenv("LIVE_TRACE"))
        fprintf(stderr, "%s <- %s\n", m->token, text);
    tims_arena *arena = tims_arena_new(16 << 20, NULL, NULL);
    const tims_json *frame;
    assert_int_equal(tims_json_parse(arena, tims_str_from(text), &frame, NULL), TIMS_OK);
    tims_str kind = tims_json_get_str(frame, TIMS_STR("t"), TIMS_STR(""));
    int64_t position = tims_json_get_int(frame, TIMS_STR("position"), -1),
            sub = tims_json_get_int(frame, TIMS_STR("sub"), 0);
    bool is_pong = tims_str_equal(kind, TIMS_STR("pong"));
    if (tims_str_equal(kind, TIMS_STR("snap")))
        take_document(arena, (int)sub - 1, &m->documents[sub - 1], frame);
    else if (tims_str_equal(kind, TIMS_STR("resumed")))
        take_facts(&m->documents[sub - 1], frame);
    if (tims_str_equal(kind, TIMS_STR("tx")) || tims_str_equal(kind, TIMS_STR("resumed")))
        take_ops(arena, m, frame);
    else if (!is_pong && !tims_str_equal(kind, TIMS_STR("reset")) && !tims_str_equal(kind, TIMS_STR("snap")))
        fail_msg("unexpected %s", text);
    tims_arena_free(&arena);
    free(text);
    return is_pong ? position : -1;
}

static void subscribe_all(fixture *f, model_client *m)
{
    m->c = ws_hello(f, m->token);
    for (int i = 0; i < URLS; i++) {
        document *d = &m->documents[i];
        d->follows = false;
        if (d->position < 0)
            ws_send(&m->c, "{\"t\":\"sub\",\"id\":%d,\"url\":\"%s\"}", i + 1, urls[i].url);
        else
            ws_send(&m->c, "{\"t\":\"sub\",\"id\":%d,\"url\":\"%s\",\"from\":\"%.*s-%lld\",\"limit\":%zu}",
                    i + 1, urls[i].url, TIMS_PRINT(tims_live_epoch(f->live)), d->position, d->count);
    }
}

/* A position holds for the subscriptions that have been answered. */
static bool stands_at(model_client *m, int64_t reached, int64_t position)
{
    bool all = reached >= position;
    for (int i = 0; i < URLS; i++) {
        document *d = &m->documents[i];
        if (d->follows && d->position < reached)
            d->position = reached;
        all = all && d->follows;
    }
    return all;
}

static void catch_up(model_client *m, int64_t position)
{
    for (int tries = 0; tries < 10000; tries++) {
        int64_t reached;
        ws_send(&m->c, "{\"t\":\"ping\"}");
        while ((reached = take_frame(m)) < 0)
            continue;
        if (stands_at(m, reached, position))
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("the server never reached the position");
}

/* --- the world's doing ------------------------------------------------------------------------ */

static void write_step(fixture *f, int step)
{
    char text[4096];
    size_t at = 0;
    for (unsigned i = 0, count = 1 + roll(4); i < count; i++) {
        const char *in = roll(2) ? CHAT1 : CHAT2, *user = roll(2) ? ANN : BOB;
        unsigned number = roll(100);
        char id[40];
        snprintf(id, sizeof id, "00000000-0000-7000-8000-0000000050%02u", roll(40));
        static const char *const statements[] = {
            "INSERT INTO message VALUES ('%1$s','%2$s','%3$s','m%4$d',%5$u) ON CONFLICT DO NOTHING;",
            "INSERT INTO message VALUES ('%1$s','%2$s','%3$s','m%4$d',%5$u) ON CONFLICT DO NOTHING;",
            "INSERT INTO message VALUES ('%1$s','%2$s','%3$s','m%4$d',%5$u) ON CONFLICT DO NOTHING;",
            "UPDATE message SET number = %5$u, text = 'm%4$d' WHERE id = '%1$s' /* %2$s %3$s */;",
            "UPDATE message SET chat = '%2$s', text = 'm%4$d' WHERE id = '%1$s' /* %3$s %5$u */;",
            "DELETE FROM message WHERE id = '%1$s' /* %2$s %3$s %4$d %5$u */;",
            "DELETE FROM member WHERE chat = '%2$s' AND \"user\" = '%3$s' /* %1$s %4$d %5$u */;",
            "INSERT INTO member SELECT '00000000-0000-7000-8000-%4$010d%5$02u','%2$s','%3$s',0 WHERE NOT "
            "EXISTS "
            "(SELECT 1 FROM member WHERE chat = '%2$s' AND \"user\" = '%3$s') /* %1$s */;",
        };
        at += (size_t)snprintf(text + at, sizeof text - at, statements[roll(8)], id, in, user,
                               step * 4 + (int)i, number);
        assert_true(at < sizeof text);
    }
    sql(f, text);
}

/* --- the comparison --------------------------------------------------------------------------- */

static void compare(fixture *f, const model_client *m, int index)
{
    const document *d = &m->documents[index];
    client c = ws_hello(f, m->token);
    char *snap = ws_snap(&c, 1, urls[index].url);
    tims_arena *arena = tims_arena_new(16 << 20, NULL, NULL);
    const tims_json *frame;
    assert_int_equal(tims_json_parse(arena, tims_str_from(snap), &frame, NULL), TIMS_OK);
    const tims_json *rows = tims_json_get(tims_json_get(frame, TIMS_STR("document")), TIMS_STR("rows"));
    if (d->count != tims_json_count(rows))
        fail_msg("%s: %zu rows are held, not %zu", urls[index].url, d->count, tims_json_count(rows));
    for (size_t i = 0; i < d->count; i++) {
        tims_str text = tims_json_to_text(arena, tims_json_at(rows, i));
        if (!tims_str_equal(tims_str_from(d->rows[i].json), text))
            fail_msg("%s: row %zu is %.*s, held as %s", urls[index].url, i, TIMS_PRINT(text),
                     d->rows[i].json);
    }
    tims_arena_free(&arena);
    free(snap);
    ws_close(&c);
}

static void clients_hold_exactly_what_get_answers(void **state)
{
    fixture *f = *state;
    const char *seed = getenv("LIVE_SEED");
    int64_t given = tims_now().us;
    if (seed != NULL)
        assert_true(tims_str_to_int(tims_str_from(seed), 0, UINT32_MAX, &given));
    random_state = (unsigned)given;
    print_message("seed %u\n", random_state);
    model_client *clients = calloc(CLIENTS, sizeof *clients);
    clients[0].token = f->token_ann;
    clients[1].token = f->token_bob;
    for (int c = 0; c < CLIENTS; c++)
        for (int i = 0; i < URLS; i++)
            clients[c].documents[i].position = -1;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned returns[CLIENTS];
        for (int c = 0; c < CLIENTS; c++)
            returns[c] = roll(STEPS);
        for (unsigned step = 0; step < STEPS; step++) {
            write_step(f, round * STEPS + (int)step);
            for (int c = 0; c < CLIENTS; c++)
                if (clients[c].c.buffer == NULL && returns[c] <= step)
                    subscribe_all(f, &clients[c]);
        }
        int64_t position = sql(f, "UPDATE chat SET title = title || '.' WHERE id = '" CHAT1 "'");
        for (int c = 0; c < CLIENTS; c++) {
            catch_up(&clients[c], position);
            for (int i = 0; i < URLS; i++)
                compare(f, &clients[c], i);
            if (roll(3) == 0)
                ws_close(&clients[c].c);
        }
    }
    for (int c = 0; c < CLIENTS; c++) {
        if (clients[c].c.buffer != NULL)
            ws_close(&clients[c].c);
        for (int i = 0; i < URLS; i++)
            clear_document(&clients[c].documents[i]);
    }
    free(clients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clients_hold_exactly_what_get_answers, start_world, stop_world),
    };
    return cmocka_run_group_tests_name("live_oracle", tests, NULL, NULL);
}
