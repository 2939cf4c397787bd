/* multipart_test.c: forms at every packet border, and everything a stranger may get wrong in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/multipart_internal.h"

#define TYPE TIMS_STR("multipart/form-data; boundary=B")

typedef struct heard {
    tims_buf text, data;
    bool refuse_data;
} heard;

static bool hear_part(void *ctx, const tims_part_head *head)
{
    heard *h = ctx;
    tims_buf_print(&h->text, "%S", head->name);
    if (head->has_filename)
        tims_buf_print(&h->text, " file=%S", head->filename);
    if (head->content_type.length > 0)
        tims_buf_print(&h->text, " type=%S", head->content_type);
    return true;
}

static bool hear_data(void *ctx, tims_str bytes)
{
    heard *h = ctx;
    assert_true(bytes.length > 0);
    tims_buf_append_str(&h->data, bytes);
    return !h->refuse_data;
}

static bool hear_part_end(void *ctx)
{
    heard *h = ctx;
    tims_buf_print(&h->text, ":%S|", tims_buf_str(&h->data));
    h->data.length = 0;
    return true;
}

static const tims_multipart_events events = { .on_part = hear_part,
                                              .on_data = hear_data,
                                              .on_part_end = hear_part_end };

/* True when the form was read to its end. Feeds [0, border) and [border, end). */
static bool run(tims_str type, tims_str bytes, size_t border, size_t parts_max, tims_buf *heard_text,
                bool refuse_data)
{
    heard h = { .refuse_data = refuse_data };
    tims_buf_init(&h.text, NULL, 1 << 16);
    tims_buf_init(&h.data, NULL, 1 << 16);
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_multipart *parser;
    tims_error err = { 0 };
    tims_status status = tims_multipart_new(arena, type, parts_max, &events, &h, &parser, &err);
    if (status == TIMS_OK) {
        for (int half = 0; half < 2 && status == TIMS_OK; half++) {
            tims_str piece =
                half == 0 ? tims_str_slice(bytes, 0, border) : tims_str_slice(bytes, border, SIZE_MAX);
            char *copy = malloc(piece.length + 1);
            assert_non_null(copy);
            memcpy(copy + 1, piece.data, piece.length);
            status = tims_multipart_feed(parser, (tims_str){ copy + 1, piece.length }, &err);
            free(copy);
        }
        if (status == TIMS_OK)
            status = tims_multipart_finish(parser, &err);
    }
    assert_int_equal(err.status, status);
    tims_arena_free(&arena);
    tims_buf_free(&h.data);
    if (heard_text != NULL)
        *heard_text = h.text;
    else
        tims_buf_free(&h.text);
    return status == TIMS_OK;
}

static const tims_str form =
    TIMS_STR_INIT("preamble\r\n--B\r\nContent-Disposition: form-data; "
                  "name=\"text\"\r\n\r\nhe\r\n--\r\n-\r\r\n--llo\r\n--B\r\n"
                  "content-disposition: Form-Data; name=pic; filename=\"C:\\\\dir\\me "
                  "\\\"x\\\".png\"\r\nContent-Type: image/png\r\n"
                  "X-Other: 1\r\n\r\n\0\xff\r\n--B\r\nContent-Disposition: form-data; filename=\"\"; "
                  "name=\"\"\r\n\r\n\r\n--B--\r\nepilogue");

static void a_form_reads_the_same_at_every_packet_border(void **state)
{
    (void)state;
    for (size_t border = 0; border <= form.length; border++) {
        tims_buf text;
        assert_true(run(TYPE, form, border, 3, &text, false));
        tims_buf expected;
        tims_buf_init(&expected, NULL, 1 << 16);
        tims_buf_append_str(&expected,
                            TIMS_STR("text:he\r\n--\r\n-\r\r\n--llo|pic file=me \"x\".png type=image/png:"));
        tims_buf_append_str(&expected, TIMS_STR("\0\xff| file=:|"));
        assert_true(tims_str_equal(tims_buf_str(&text), tims_buf_str(&expected)));
        tims_buf_free(&text);
        tims_buf_free(&expected);
    }
}

static void every_beginning_of_a_form_is_unfinished(void **state)
{
    (void)state;
    size_t end = tims_str_find(form, TIMS_STR("--B--")) + 5;
    for (size_t length = 0; length < end; length++)
        assert_false(run(TYPE, tims_str_slice(form, 0, length), length / 2, 3, NULL, false));
    assert_true(run(TYPE, tims_str_slice(form, 0, end), 0, 3, NULL, false));
}

#define PART(head) "--B\r\n" head "\r\n\r\nx\r\n--B--\r\n"
#define DISPOSITION "Content-Disposition: form-data; name=a"

static void malformed_forms_are_refused(void **state)
{
    (void)state;
    static const tims_str bad[] = {
        TIMS_STR_INIT(""),
        TIMS_STR_INIT("nothing"),
        TIMS_STR_INIT("--B\r\n\r\nx\r\n--B--\r\n"),
        TIMS_STR_INIT(PART("Content-Type: text/plain")),
        TIMS_STR_INIT(PART("Content-Disposition: attachment; name=a")),
        TIMS_STR_INIT(PART("Content-Disposition: form-data")),
        TIMS_STR_INIT(PART("Content-Disposition: form-data; name")),
        TIMS_STR_INIT(PART("Content-Disposition: form-data; name=")),
        TIMS_STR_INIT(PART("Content-Disposition: form-data; name=\"a")),
        TIMS_STR_INIT(PART("Content-Disposition: form-data; name=a b")),
        TIMS_STR_INIT(PART("Content-Disposition: form-data; name=a; name=b")),
        TIMS_STR_INIT(PART("Content-Disposition: form-data; name=\"\xff\"")),
        TIMS_STR_INIT(PART("Content-Disposition: form-data; name=\"a\0b\"")),
        TIMS_STR_INIT(PART(DISPOSITION "; filename=a; filename=b")),
        TIMS_STR_INIT(PART(DISPOSITION "; filename=\"\xc3\"")),
        TIMS_STR_INIT(PART(DISPOSITION "\r\n" DISPOSITION)),
        TIMS_STR_INIT(PART(DISPOSITION "\r\nno colon")),
        TIMS_STR_INIT(PART(DISPOSITION "\r\nX : y")),
        TIMS_STR_INIT(PART(DISPOSITION "\r\n folded")),
        TIMS_STR_INIT(PART(DISPOSITION "\nX: y")),
        TIMS_STR_INIT(PART(DISPOSITION "\rX: y")),
        TIMS_STR_INIT(PART(DISPOSITION "\r\nContent-Type: a\x01")),
        TIMS_STR_INIT("--B\n" DISPOSITION "\r\n\r\nx\r\n--B--\r\n"),
        TIMS_STR_INIT("--BX\r\n" DISPOSITION "\r\n\r\nx\r\n--B--\r\n"),
        TIMS_STR_INIT("--B \r\n" DISPOSITION "\r\n\r\nx\r\n--B--\r\n"),
        TIMS_STR_INIT("--B\r\n" DISPOSITION "\r\n\r\nx\r\n--BB--\r\n"),
        TIMS_STR_INIT("--B\r\n" DISPOSITION "\r\n\r\nx\r\n--B-\r\n"),
        TIMS_STR_INIT("--B\r\n" DISPOSITION "\r\n\r\nx\n--B--\r\n"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t border = 0; border <= bad[i].length; border += 7)
            if (run(TYPE, bad[i], border, 10, NULL, false))
                fail_msg("row %zu is accepted", i);
}

static void parts_and_headers_are_bounded(void **state)
{
    (void)state;
    assert_false(run(TYPE, form, 0, 2, NULL, false));
    tims_buf large;
    tims_buf_init(&large, NULL, 1 << 16);
    tims_buf_append_str(&large, TIMS_STR("--B\r\n" DISPOSITION "\r\n"));
    for (int i = 0; i < 16; i++)
        tims_buf_append_str(&large, TIMS_STR("X: y\r\n"));
    tims_buf_append_str(&large, TIMS_STR("\r\nx\r\n--B--\r\n"));
    assert_false(run(TYPE, tims_buf_str(&large), 0, 10, NULL, false));
    large.length = 0;
    tims_buf_append_str(&large, TIMS_STR("--B\r\n" DISPOSITION "\r\nX: "));
    for (int i = 0; i < 5000; i++)
        tims_buf_append_char(&large, 'y');
    tims_buf_append_str(&large, TIMS_STR("\r\n\r\nx\r\n--B--\r\n"));
    assert_false(run(TYPE, tims_buf_str(&large), 0, 10, NULL, false));
    tims_buf_free(&large);
}

static void a_callback_that_refuses_stops_the_form(void **state)
{
    (void)state;
    assert_false(run(TYPE, form, 0, 3, NULL, true));
}

static void only_a_usable_boundary_opens_a_form(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool usable;
    } rows[] = {
        { "multipart/form-data; boundary=B", true },
        { "Multipart/Form-Data;charset=utf-8; Boundary=\"B\"", true },
        { "multipart/form-data", false },
        { "multipart/form-data; boundary=", false },
        { "multipart/form-data; boundary=\"\"", false },
        { "multipart/form-data; boundary=\"B", false },
        { "multipart/form-data; boundary=B; boundary=C", false },
        { "multipart/form-data; boundary=B;", false },
        { "multipart/form-data; boundary=\"B \"", false },
        { "multipart/form-data; boundary=\"B\r\n\"", false },
        { "multipart/form-data; "
          "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
          false },
        { "multipart/mixed; boundary=B", false },
        { "application/json", false },
        { "", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (run(tims_str_from(rows[i].type), TIMS_STR(PART(DISPOSITION)), 0, 1, NULL, false) !=
            rows[i].usable)
            fail_msg("%s", rows[i].type);
}

static void file_names_lose_their_paths(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "a.png", "a.png" },
        { "../../etc/passwd", "passwd" },
        { "C:\\x\\y.txt", "y.txt" },
        { "/", "" },
        { "..", "" },
        { ".htaccess", "htaccess" },
        { " a b ", "a b " },
        { "a/..", "" },
        { "..\\../x/.\\.b", "b" },
        { "\xc3\xa4.txt", "\xc3\xa4.txt" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true(
            tims_str_equal(proto__clean_file_name(tims_str_from(rows[i][0])), tims_str_from(rows[i][1])));
    char long_name[400];
    memset(long_name, 'n', sizeof long_name);
    memcpy(long_name + 254, "\xc3\xa4", 2);
    assert_int_equal(proto__clean_file_name((tims_str){ long_name, sizeof long_name }).length, 254);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_reads_the_same_at_every_packet_border),
        cmocka_unit_test(every_beginning_of_a_form_is_unfinished),
        cmocka_unit_test(malformed_forms_are_refused),
        cmocka_unit_test(parts_and_headers_are_bounded),
        cmocka_unit_test(a_callback_that_refuses_stops_the_form),
        cmocka_unit_test(only_a_usable_boundary_opens_a_form),
        cmocka_unit_test(file_names_lose_their_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
