/* conflict_test.c: requests that get in each other's way, at the same moment: what comes out is what one
 * after the other would give. */
#include <stdatomic.h>

#include "rest/testing.h"

#define NOTES "/api/notes/"
enum { AT_ONCE = 8 };

/* --- many at once ----------------------------------------------------------------------------- */

typedef struct asking {
    world w; /* a copy with an arena of its own */
    pthread_t thread;
    const char *method, *headers, *body;
    tims_str path;
    pthread_barrier_t *start;
    reply reply;
} asking;

static void *ask_at_once(void *argument)
{
    asking *a = argument;
    pthread_barrier_wait(a->start);
    a->reply = ask(&a->w, "ann", a->method, a->path, a->headers, a->body);
    return NULL;
}

/* The same request so many times. */
static void ask_together(world *w, asking all[AT_ONCE], const asking *one)
{
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, AT_ONCE), 0);
    for (size_t i = 0; i < AT_ONCE; i++) {
        all[i] = *one;
        all[i].w = *w;
        all[i].w.arena = tims_arena_new(1 << 24, NULL, NULL);
        all[i].start = &start;
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask_at_once, &all[i]), 0);
    }
    for (size_t i = 0; i < AT_ONCE; i++)
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
    pthread_barrier_destroy(&start);
}

static void forget(asking all[AT_ONCE])
{
    for (size_t i = 0; i < AT_ONCE; i++)
        tims_arena_free(&all[i].w.arena);
}

static int count_status(const asking all[AT_ONCE], int status)
{
    int count = 0;
    for (size_t i = 0; i < AT_ONCE; i++)
        count += all[i].reply.status == status;
    return count;
}

static void a_key_that_comes_many_times_at_once_writes_once(void **state)
{
    world *w = *state;
    asking all[AT_ONCE];
    for (int round = 0; round < 5; round++) {
        tims_str headers = tims_print(w->arena, "Idempotency-Key: once-%d\r\n", round);
        tims_str body =
            tims_print(w->arena, "{\"room\":\"" ROOM1 "\",\"text\":\"once\",\"number\":%d}", 700 + round);
        ask_together(
            w, all,
            &(asking){
                .method = "POST", .path = TIMS_STR(NOTES), .headers = headers.data, .body = body.data });
        for (size_t i = 0; i < AT_ONCE; i++) {
            assert_status(all[i].reply, 201);
            assert_true(tims_str_equal(all[i].reply.body, all[0].reply.body));
        }
        forget(all);
        tims_str url = tims_print(w->arena, NOTES "?number=%d", 700 + round);
        assert_contains(get(w, "ann", url.data).body, "\"total\":1,");
    }
}

static void of_those_who_saw_the_same_row_one_changes_it(void **state)
{
    world *w = *state;
    asking all[AT_ONCE];
    for (int round = 0; round < 5; round++) {
        reply made = ask(w, "ann", "POST", TIMS_STR(NOTES), "", "{\"room\":\"" ROOM1 "\",\"text\":\"seen\"}");
        assert_status(made, 201);
        tims_str headers = tims_print(w->arena, "If-Match: %S\r\n", header(&made, "ETag"));
        ask_together(w, all,
                     &(asking){ .method = "PATCH",
                                .path = header(&made, "Location"),
                                .headers = headers.data,
                                .body = "{\"number\":1}" });
        assert_int_equal(count_status(all, 200), 1);
        assert_int_equal(count_status(all, 412), AT_ONCE - 1);
        forget(all);
    }
}

static void a_row_is_deleted_once(void **state)
{
    world *w = *state;
    asking all[AT_ONCE];
    reply made = ask(w, "ann", "POST", TIMS_STR(NOTES), "", "{\"room\":\"" ROOM1 "\",\"text\":\"gone\"}");
    ask_together(w, all, &(asking){ .method = "DELETE", .path = header(&made, "Location"), .headers = "" });
    assert_int_equal(count_status(all, 204), 1);
    assert_int_equal(count_status(all, 404), AT_ONCE - 1);
    forget(all);
}

/* --- two that wait for each other ------------------------------------------------------------- */

static atomic_int runs, holding;

static void set_number(tims_request *rq, const char *id)
{
    tims_id note_id = id_of(id);
    note *row = tims_find(rq, &note_model, note_id);
    row->number++;
    tims_update(rq, &note_model, row, TIMS_NAMES("number"));
}

/* One row and then the other; in between it waits until the other request has its first, if it can have it
 * at all: SQLite lets one after the other. */
static tims_answer change_two(tims_request *rq)
{
    bool forward = tims_str_equal(tims_path_str(rq, "way"), TIMS_STR("forward"));
    bool is_first_run = atomic_fetch_add(&runs, 1) < 2;
    tims_begin(rq);
    set_number(rq, forward ? NOTE("1") : NOTE("2"));
    atomic_fetch_add(&holding, 1);
    for (int waited_ms = 0; is_first_run && atomic_load(&holding) < 2 && waited_ms < 300; waited_ms++)
        (void)!tims_sleep_ms(1);
    set_number(rq, forward ? NOTE("2") : NOTE("1"));
    return tims_answer_empty(204);
}

static const tims_route crossing_routes[] = { { TIMS_METHOD_POST, "/cross/{way}/", change_two } };

static int start_crossing(void **state)
{
    more_routes = crossing_routes;
    more_route_count = 1;
    atomic_store(&runs, 0);
    atomic_store(&holding, 0);
    return start_world(state);
}

static int64_t number_of(world *w, const char *id)
{
    tims_str url = tims_print(w->arena, NOTES "%s/", id);
    return tims_json_get_int(parse(w, get(w, "ann", url.data).body), TIMS_STR("number"), -1);
}

static void two_that_wait_for_each_other_both_succeed(void **state)
{
    world *w = *state;
    int64_t first = number_of(w, NOTE("1")), second = number_of(w, NOTE("2"));
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
    asking all[2];
    for (int i = 0; i < 2; i++) {
        all[i] = (asking){ .w = *w,
                           .method = "POST",
                           .path = i == 0 ? TIMS_STR("/cross/forward/") : TIMS_STR("/cross/back/"),
                           .headers = "",
                           .body = "{}",
                           .start = &start };
        all[i].w.arena = tims_arena_new(1 << 24, NULL, NULL);
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask_at_once, &all[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
        assert_status(all[i].reply, 204);
        tims_arena_free(&all[i].w.arena);
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(number_of(w, NOTE("1")), first + 2);
    assert_int_equal(number_of(w, NOTE("2")), second + 2);
    assert_int_equal(atomic_load(&runs), testing_on_postgres() ? 3 : 2); /* one gave in, and ran again */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_world, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_that_comes_many_times_at_once_writes_once),
        TEST(of_those_who_saw_the_same_row_one_changes_it),
        TEST(a_row_is_deleted_once),
        cmocka_unit_test_setup_teardown(two_that_wait_for_each_other_both_succeed, start_crossing,
                                        stop_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
