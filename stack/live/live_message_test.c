/* What a client may say, without a server: frames, positions, ids that are held. */
#include "base/testing.h"
#include "live/live_internal.h"

static void frames_are_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        live__message_kind kind;
    } table[] = {
        { "{\"t\":\"hello\",\"protocol\":2}", LIVE__HELLO },
        { "{\"t\":\"hello\",\"protocol\":2,\"token\":\"abc\",\"more\":[1]}", LIVE__HELLO },
        { "{\"t\":\"hello\",\"token\":7}", LIVE__MALFORMED },
        { "{\"t\":\"sub\",\"id\":1,\"url\":\"/a/\"}", LIVE__SUB },
        { "{\"t\":\"sub\",\"id\":2147483647,\"url\":\"/a/\",\"from\":\"x\",\"limit\":0}", LIVE__SUB },
        { "{\"t\":\"sub\",\"id\":2147483648,\"url\":\"/a/\"}", LIVE__MALFORMED },
        { "{\"t\":\"sub\",\"id\":0,\"url\":\"/a/\"}", LIVE__MALFORMED },
        { "{\"t\":\"sub\",\"id\":\"1\",\"url\":\"/a/\"}", LIVE__MALFORMED },
        { "{\"t\":\"sub\",\"id\":1,\"url\":\"a\"}", LIVE__MALFORMED },
        { "{\"t\":\"sub\",\"id\":1,\"url\":\"/a/\",\"limit\":-1}", LIVE__MALFORMED },
        { "{\"t\":\"sub\",\"id\":1,\"url\":\"/a/\",\"limit\":1.5}", LIVE__MALFORMED },
        { "{\"t\":\"more\",\"sub\":1,\"limit\":10}", LIVE__MORE },
        { "{\"t\":\"more\",\"sub\":1}", LIVE__MALFORMED },
        { "{\"t\":\"more\",\"sub\":1,\"limit\":0}", LIVE__MALFORMED },
        { "{\"t\":\"unsub\",\"sub\":1}", LIVE__UNSUB },
        { "{\"t\":\"ping\"}", LIVE__PING },
        { "{\"t\":\"nothing\"}", LIVE__UNKNOWN },
        { "{\"t\":null}", LIVE__MALFORMED },
        { "{}", LIVE__MALFORMED },
        { "\"t\"", LIVE__MALFORMED },
        { "", LIVE__MALFORMED },
        { "{\"t\":\"ping\"} x", LIVE__MALFORMED },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
        live__message message = live__message_read(arena, tims_str_from(table[i].text));
        if (message.kind != table[i].kind)
            fail_msg("%s: got %d, expected %d", table[i].text, (int)message.kind, (int)table[i].kind);
        tims_arena_free(&arena);
    }
}

static void a_url_may_be_so_long_and_no_longer(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    for (int length = LIVE__URL_BYTES_MAX; length <= LIVE__URL_BYTES_MAX + 1; length++) {
        char url[LIVE__URL_BYTES_MAX + 2];
        memset(url, 'a', sizeof url);
        url[0] = '/';
        tims_str text =
            tims_print(arena, "{\"t\":\"sub\",\"id\":1,\"url\":\"%S\"}", (tims_str){ url, (size_t)length });
        live__message message = live__message_read(arena, text);
        assert_int_equal(message.kind, length == LIVE__URL_BYTES_MAX ? LIVE__SUB : LIVE__MALFORMED);
    }
    tims_arena_free(&arena);
}

static void positions_are_read_strictly(void **state)
{
    (void)state;
    tims_str epoch;
    int64_t position;
    assert_true(live__position_parse(TIMS_STR("0123456789abcdef-42"), &epoch, &position));
    assert_str(epoch, "0123456789abcdef");
    assert_int_equal(position, 42);
    static const char *const bad[] = { "",
                                       "-",
                                       "0123456789abcdef",
                                       "0123456789abcdef-",
                                       "0123456789abcdef--1",
                                       "0123456789ABCDEF-1",
                                       "0123456789abcde-1",
                                       "0123456789abcdef-1x",
                                       "0123456789abcdef-99999999999999999999" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(live__position_parse(tims_str_from(bad[i]), &epoch, &position));
}

static void held_ids_are_a_set(void **state)
{
    (void)state;
    live__held held = { 0 };
    for (int i = 0; i < 1000; i++) {
        tims_id id = { { (uint8_t)(i * 37), (uint8_t)(i >> 8), (uint8_t)i } };
        assert_true(live__held_add(&held, id));
        assert_false(live__held_add(&held, id));
    }
    assert_int_equal(held.count, 1000);
    for (int i = 0; i < 2000; i++) {
        tims_id id = { { (uint8_t)(i * 37), (uint8_t)(i >> 8), (uint8_t)i } };
        assert_int_equal(live__held_has(&held, id), i < 1000);
    }
    live__held_free(&held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_read_or_refused),
        cmocka_unit_test(a_url_may_be_so_long_and_no_longer),
        cmocka_unit_test(positions_are_read_strictly),
        cmocka_unit_test(held_ids_are_a_set),
    };
    return cmocka_run_group_tests_name("live_message", tests, NULL, NULL);
}
