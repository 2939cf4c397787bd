/* arena_test: memory and cleanups that end together. */
#include "base/testing.h"

static void allocations_are_zeroed_and_aligned_and_distinct(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    char *former = NULL;
    for (size_t size = 0; size < 2000; size += 7) {
        char *memory = tims_alloc(arena, size);
        assert_non_null(memory);
        assert_ptr_not_equal(memory, former);
        assert_int_equal((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0x5a, size);
        former = memory;
    }
    tims_arena_free(&arena);
    assert_null(arena);
    tims_arena_free(&arena); /* NULL is fine */
}

static void small_and_large_allocations_keep_their_bytes(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    tims_arena *arena = tims_arena_new(64 << 20, NULL, NULL);
    unsigned char *pieces[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        pieces[i] = tims_alloc_raw(arena, 1 + i * i);
        memset(pieces[i], (int)i, 1 + i * i);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < 1 + i * i; k++)
            assert_int_equal(pieces[i][k], (unsigned char)i);
    tims_arena_free(&arena);
}

typedef struct order_log {
    char text[8];
    size_t length;
} order_log;
typedef struct order_entry {
    order_log *log;
    char letter;
} order_entry;

static void note_letter(void *argument)
{
    const order_entry *entry = argument;
    entry->log->text[entry->log->length++] = entry->letter;
}

static void deferred_calls_run_in_reverse_order(void **state)
{
    (void)state;
    order_log log = { 0 };
    order_entry entries[] = { { &log, 'a' }, { &log, 'b' }, { &log, 'c' } };
    tims_arena *arena = tims_arena_new(4096, NULL, NULL);
    for (size_t i = 0; i < 3; i++)
        tims_arena_defer(arena, note_letter, &entries[i]);
    tims_arena_free(&arena);
    assert_string_equal(log.text, "cba");
}

static void a_reset_runs_the_deferred_calls_and_gives_the_whole_limit_back(void **state)
{
    (void)state;
    order_log log = { 0 };
    order_entry entry = { &log, 'x' };
    tims_arena *arena = tims_arena_new(10000, NULL, NULL);
    for (int round = 0; round < 5; round++) {
        tims_arena_defer(arena, note_letter, &entry);
        char *memory = tims_alloc(arena, 8000);
        memory[7999] = 1;
        tims_arena_reset(arena);
        assert_int_equal(tims_arena_used(arena), 0);
    }
    assert_string_equal(log.text, "xxxxx");
    tims_arena_free(&arena);
}

/* Whatever blocks a reset keeps: what is allocated after it is whole, and of nobody else. */
static void allocations_are_distinct_after_resets_of_every_size(void **state)
{
    (void)state;
    enum { ROUNDS = 300, PIECES = 60 };
    tims_arena *arena = tims_arena_new(8 << 20, NULL, NULL);
    uint32_t random = 1;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned char *pieces[PIECES];
        size_t sizes[PIECES];
        for (int i = 0; i < PIECES; i++) {
            random = random * 1664525 + 1013904223;
            sizes[i] = 1 + (random >> 8) % (round % 7 == 0 ? 20000 : round % 3 == 0 ? 900 : 90);
            pieces[i] = tims_alloc(arena, sizes[i]);
            for (size_t k = 0; k < sizes[i]; k += 61)
                assert_int_equal(pieces[i][k], 0);
            memset(pieces[i], i + 1, sizes[i]);
        }
        for (int i = 0; i < PIECES; i++)
            for (size_t k = 0; k < sizes[i]; k += 13)
                assert_int_equal(pieces[i][k], i + 1);
        tims_arena_reset(arena);
    }
    tims_arena_free(&arena);
}

static tims_arena *deferring_arena;

static void defer_once_more(void *argument)
{
    tims_arena_defer(deferring_arena, note_letter, argument);
}

static void a_deferred_call_may_defer_another(void **state)
{
    (void)state;
    order_log log = { 0 };
    order_entry entry = { &log, 'n' };
    deferring_arena = tims_arena_new(4096, NULL, NULL);
    tims_arena_defer(deferring_arena, defer_once_more, &entry);
    tims_arena_free(&deferring_arena);
    assert_string_equal(log.text, "n");
}

static jmp_buf past_limit;

static void leave_by_jump(void *argument)
{
    (*(int *)argument)++;
    longjmp(past_limit, 1);
}

/* Runs the allocation; true when the arena's limit was called. */
static bool passes_limit(tims_arena *arena, size_t count, size_t item_bytes)
{
    if (setjmp(past_limit) != 0)
        return true;
    (void)tims_alloc_array(arena, count, item_bytes);
    return false;
}

static void passing_the_limit_calls_on_limit_and_leaves_the_arena_usable(void **state)
{
    (void)state;
    int calls = 0;
    tims_arena *arena = tims_arena_new(1000, leave_by_jump, &calls);
    assert_false(passes_limit(arena, 1, 900));
    assert_true(passes_limit(arena, 1, 200));
    assert_false(passes_limit(arena, 1, 50));
    assert_int_equal(calls, 1);
    tims_arena_free(&arena);
}

static void a_product_that_overflows_passes_the_limit(void **state)
{
    (void)state;
    int calls = 0;
    tims_arena *arena = tims_arena_new(1 << 20, leave_by_jump, &calls);
    assert_true(passes_limit(arena, SIZE_MAX / 2, 3));
    assert_true(passes_limit(arena, SIZE_MAX, 1));
    assert_int_equal(calls, 2);
    tims_arena_free(&arena);
}

static void copies_are_terminated_and_may_be_empty(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(4096, NULL, NULL);
    char text[] = "hello";
    const char *copy = tims_copy_c(arena, tims_str_from(text));
    text[0] = 'j';
    assert_string_equal(copy, "hello");
    assert_string_equal(tims_copy_c(arena, (tims_str){ NULL, 0 }), "");
    assert_int_equal(tims_copy(arena, TIMS_STR("abc")).length, 3);
    tims_arena_free(&arena);
}

static void print_knows_slices(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(4096, NULL, NULL);
    tims_str part = tims_str_slice(TIMS_STR("abcdef"), 1, 3);
    assert_str(
        tims_print(arena, "<%S|%s|%d|%lld|%zu|%c|%%>", part, "x", -7, (long long)INT64_MIN, sizeof(int), '!'),
        "<bc|x|-7|-9223372036854775808|4|!|%>");
    tims_arena_free(&arena);
}

static void print_takes_texts_of_every_length(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    char text[1024];
    memset(text, 'x', sizeof text);
    for (size_t length = 0; length < sizeof text; length++) {
        tims_str printed = tims_print(arena, "%S%u", ((tims_str){ text, length }), 7u);
        assert_int_equal(printed.length, length + 1);
        assert_memory_equal(printed.data, text, length);
        assert_int_equal(printed.data[length], '7');
        assert_int_equal(printed.data[length + 1], 0); /* terminated, as copies are */
    }
    tims_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_zeroed_and_aligned_and_distinct),
        cmocka_unit_test(small_and_large_allocations_keep_their_bytes),
        cmocka_unit_test(deferred_calls_run_in_reverse_order),
        cmocka_unit_test(a_reset_runs_the_deferred_calls_and_gives_the_whole_limit_back),
        cmocka_unit_test(allocations_are_distinct_after_resets_of_every_size),
        cmocka_unit_test(a_deferred_call_may_defer_another),
        cmocka_unit_test(passing_the_limit_calls_on_limit_and_leaves_the_arena_usable),
        cmocka_unit_test(a_product_that_overflows_passes_the_limit),
        cmocka_unit_test(copies_are_terminated_and_may_be_empty),
        cmocka_unit_test(print_knows_slices),
        cmocka_unit_test(print_takes_texts_of_every_length),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
