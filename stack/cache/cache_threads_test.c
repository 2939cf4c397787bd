/* cache_threads_test.c: readers on loops of their own, a writer and a feed, each a thread, on one cache:
 * whoever reads at a position gets what is there at that position, whoever made it; and of those who miss the
 * same, one makes it. */
#include <pthread.h>
#include <sched.h>

#include "cache/testing.h"

enum { LOOPS = 4, THINGS = 8, READS = 4000, COMMITS_MAX = 100000, FIBERS = 3 };

/* A database of a few things, each with a version; a position is a commit. */
typedef struct database {
    pthread_mutex_t mutex;
    int64_t position;
    int64_t versions[THINGS];
    uint8_t log[COMMITS_MAX]; /* which thing, by position */
} database;

typedef struct fixture {
    database db;
    tims_cache *cache;
    atomic_bool ended;
    atomic_uint hits, made;
    char names[THINGS][16];
} fixture;

/* --- writer and feed ---------------------------------------------------------------------------------- */

static void *write_and_feed(void *argument)
{
    fixture *f = argument;
    int64_t told = 0;
    for (uint32_t i = 0; !atomic_load(&f->ended); i++) {
        pthread_mutex_lock(&f->db.mutex);
        if (f->db.position + 1 < COMMITS_MAX) {
            f->db.position++;
            f->db.log[f->db.position] = (uint8_t)(i * 7 % THINGS);
            f->db.versions[f->db.log[f->db.position]]++;
        }
        int64_t position = f->db.position;
        pthread_mutex_unlock(&f->db.mutex);
        for (int pause = 0; pause < 20; pause++) /* readers come between a commit and the feed */
            sched_yield();
        for (int64_t at = told + 1; at <= position; at++)
            touch(f->cache, position, &room_model, f->names[f->db.log[at]]);
        told = position;
        tims_cache_reach(f->cache, position);
        for (int pause = 0; pause < 200; pause++)
            sched_yield();
    }
    return NULL;
}

/* --- readers ------------------------------------------------------------------------------------------ */

typedef struct reader {
    fixture *f;
    tims_loop *loop;
    int number, left;
    pthread_t thread;
} reader;

static int64_t look(fixture *f, int thing, int64_t *ret_position)
{
    pthread_mutex_lock(&f->db.mutex);
    int64_t version = f->db.versions[thing];
    *ret_position = f->db.position;
    pthread_mutex_unlock(&f->db.mutex);
    return version;
}

static void read_one(tims_request *rq, void *argument)
{
    reader *r = argument;
    fixture *f = r->f;
    int thing = r->left % THINGS;
    int64_t position, version;
    const tims_cache_name name = name_of(f->names[thing], (tims_caller){ 0 });
    bool leads = r->left % 3 == 0 && tims_cache_lead(f->cache, rq, &name);
    uint64_t since = tims_cache_since(f->cache, TIMS_CACHE_JSON);
    version = look(f, thing, &position);
    const tims_cached *found = tims_cache_find(f->cache, rq, &name, position);
    if (found != NULL) {
        assert_str(tims_cached_body(found), tims_print(rq->arena, "%lld", (long long)version).data);
        atomic_fetch_add(&f->hits, 1);
    } else {
        const tims_topic topic = topic_of(&room_model, f->names[thing]);
        const testing_read read = { &topic, 1, false };
        tims_str body = tims_print(rq->arena, "%lld", (long long)version);
        if (r->left % 5 == 0)
            (void)tims_sleep_ms(1); /* it comes late */
        if (keep_since(f->cache, rq, &name, position, &read, body, since) != NULL)
            atomic_fetch_add(&f->made, 1);
    }
    if (leads && r->left % 2 == 0)
        tims_cache_done(f->cache, rq, &name); /* else it just ends */
}

static void read_on_fiber(void *argument)
{
    reader *r = argument;
    tims_error err = { 0 };
    while (r->left > 0) {
        r->left--;
        if (tims_request_run(r->loop, NULL, read_one, r, NULL, &err) != TIMS_OK)
            fail_msg("raised: %s", err.message);
    }
    tims_loop_stop(r->loop);
}

static void *read_on_thread(void *argument)
{
    reader *r = argument;
    r->left = READS;
    assert_int_equal(tims_loop_new(&(tims_loop_options){ .watchdog_ms = 10000 }, &r->loop), TIMS_OK);
    for (int i = 0; i < FIBERS; i++)
        assert_non_null(tims_fiber_start(r->loop, read_on_fiber, r));
    tims_loop_run(r->loop);
    tims_loop_free(&r->loop);
    return NULL;
}

static void readers_get_what_is_there_at_their_position(void **state)
{
    (void)state;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    fixture *f = calloc(1, sizeof *f);
    pthread_mutex_init(&f->db.mutex, NULL);
    f->cache = tims_cache_new(&(tims_cache_options){ .bytes_max = 1 << 16 });
    for (int i = 0; i < THINGS; i++)
        (void)snprintf(f->names[i], sizeof f->names[i], "/%d", i);
    tims_cache_reach(f->cache, 0);
    reader readers[LOOPS] = { 0 };
    pthread_t feed;
    assert_int_equal(pthread_create(&feed, NULL, write_and_feed, f), 0);
    for (int i = 0; i < LOOPS; i++) {
        readers[i] = (reader){ .f = f, .number = i };
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on_thread, &readers[i]), 0);
    }
    for (int i = 0; i < LOOPS; i++)
        pthread_join(readers[i].thread, NULL);
    atomic_store(&f->ended, true);
    pthread_join(feed, NULL);
    assert_true(atomic_load(&f->hits) > 0 && atomic_load(&f->made) > 0);
    tims_cache_free(&f->cache);
    pthread_mutex_destroy(&f->db.mutex);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_get_what_is_there_at_their_position),
    };
    return cmocka_run_group_tests_name("cache_threads", tests, NULL, NULL);
}
