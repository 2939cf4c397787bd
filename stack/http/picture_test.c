/* picture_test.c: the four kinds of pictures with their sizes, whole and cut off anywhere, and what is none
 * of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tims/http.h"

#define PNG_HEAD "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
#define PNG_END "\0\0\0\0IEND\xae\x42\x60\x82"

static const struct {
    tims_str bytes;
    const char *type;
    uint32_t width, height;
} whole[] = {
    { TIMS_STR_INIT(PNG_HEAD "\0\0\1\2\0\0\0\3\x08\2\0\0\0sum." PNG_END), "image/png", 258, 3 },
    { TIMS_STR_INIT(PNG_HEAD "\0\0\0\2\0\0\0\3\x08\2\0\0\0sum."
                             "\0\0\0\5IDATbytessum." PNG_END),
      "image/png", 2, 3 },
    { TIMS_STR_INIT(
          "\xff\xd8\xff\xe0\0\4JF\xff\xff\xc2\0\x0b\x08\0\x10\1\0\1\1\x11\0\xff\xda\0\2bits\xff\xd9"),
      "image/jpeg", 256, 16 },
    { TIMS_STR_INIT("GIF89a\x0a\0\x14\0\x80\0\0"
                    "\0\0\0\xff\xff\xff"
                    "\x21\xf9\4\0\0\0\0\0"
                    "\x2c\0\0\0\0\x0a\0\x14\0\0\2\2\x44\1\0;"),
      "image/gif", 10, 20 },
    { TIMS_STR_INIT("RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x1f\0\0"), "image/webp", 16, 32 },
    { TIMS_STR_INIT("RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\x09\xc0\x04\0\0\0\0\0\0"), "image/webp", 10, 20 },
    { TIMS_STR_INIT("RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\1\x2a\x0a\0\x14\0"), "image/webp", 10, 20 },
};

static tims_status read_copy(tims_str bytes, tims_picture *ret_picture, tims_error *err)
{
    char *copy = malloc(bytes.length > 0 ? bytes.length : 1); /* so that a read past its end is seen */
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.length);
    tims_status status = tims_picture_read((tims_str){ copy, bytes.length }, ret_picture, err);
    free(copy);
    return status;
}

static void a_whole_picture_says_what_it_is_and_how_large(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        tims_picture picture = { 0 };
        tims_error err = { 0 };
        if (read_copy(whole[i].bytes, &picture, &err) != TIMS_OK)
            fail_msg("picture %zu: %s", i, err.code);
        assert_string_equal(picture.content_type, whole[i].type);
        assert_string_equal(tims_picture_type(whole[i].bytes), whole[i].type);
        assert_int_equal(picture.width, whole[i].width);
        assert_int_equal(picture.height, whole[i].height);
    }
}

static void a_picture_that_is_cut_off_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        for (size_t length = 0; length < whole[i].bytes.length; length++) {
            tims_picture picture = { 0 };
            tims_error err = { 0 };
            assert_int_equal(read_copy((tims_str){ whole[i].bytes.data, length }, &picture, &err),
                             TIMS_INVALID);
            assert_null(picture.content_type);
        }
}

static void what_is_no_picture_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        tims_str bytes;
        const char *code;
    } rows[] = {
        { TIMS_STR_INIT(""), "unsupported_media_type" },
        { TIMS_STR_INIT("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
          "unsupported_media_type" },
        { TIMS_STR_INIT("<html>"), "unsupported_media_type" },
        { TIMS_STR_INIT("RIFF1234WAVE"), "unsupported_media_type" },
        { TIMS_STR_INIT("BM\0\0\0\0"), "unsupported_media_type" },
        { TIMS_STR_INIT("\x89PNG\r\n\x1a\n<svg onload=alert(1)>"), "picture_broken" },
        { TIMS_STR_INIT(PNG_HEAD "\0\0\0\0\0\0\0\3\x08\2\0\0\0sum." PNG_END),
          "picture_broken" }, /* no width */
        { TIMS_STR_INIT("\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR"), "picture_broken" },
        { TIMS_STR_INIT("\xff\xd8\xff\xe0\0\0"), "picture_broken" },             /* a segment of no length */
        { TIMS_STR_INIT("\xff\xd8\xff\xda\0\2bits\xff\xd9"), "picture_broken" }, /* data without a frame */
        { TIMS_STR_INIT("GIF89a\1\0\1\0\0\0\0?"), "picture_broken" },            /* no such block */
        { TIMS_STR_INIT("RIFF\x16\0\0\0WEBPNONE\x0a\0\0\0\0\0\0\0\x0f\0\0\x1f\0\0"), "picture_broken" },
        { TIMS_STR_INIT("RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x1f\0\0"), "picture_broken" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_picture picture = { 0 };
        tims_error err = { 0 };
        assert_int_equal(read_copy(rows[i].bytes, &picture, &err), TIMS_INVALID);
        assert_string_equal(err.code, rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_picture_says_what_it_is_and_how_large),
        cmocka_unit_test(a_picture_that_is_cut_off_anywhere_is_refused),
        cmocka_unit_test(what_is_no_picture_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
