/* crypto_test: passwords, tokens, ids, signatures. */
#include "base/testing.h"
#include "crypto/crypto_internal.h"

static tims_str of(const char *data, size_t length)
{
    return (tims_str){ data, length };
}

static void setup_may_be_called_again(void **state)
{
    (void)state;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
}

static void a_password_matches_its_own_hash_only(void **state)
{
    (void)state;
    char hash[TIMS_PASSWORD_HASH_MAX], other[TIMS_PASSWORD_HASH_MAX];
    assert_int_equal(tims_password_hash(TIMS_STR("correct horse"), tims_password_cost_for_tests, hash),
                     TIMS_OK);
    assert_int_equal(tims_password_hash(TIMS_STR("correct horse"), tims_password_cost_for_tests, other),
                     TIMS_OK);
    assert_true(tims_str_starts_with(tims_str_from(hash), TIMS_STR("$argon2id$")));
    assert_string_not_equal(hash, other); /* salted */
    assert_true(tims_password_matches(TIMS_STR("correct horse"), hash));
    assert_false(tims_password_matches(TIMS_STR("correct hors"), hash));
    assert_false(tims_password_matches(TIMS_STR(""), hash));
    assert_false(tims_password_matches((tims_str){ NULL, 0 }, hash));
    assert_false(tims_password_matches(TIMS_STR("x"), ""));
    assert_false(tims_password_matches(TIMS_STR("x"), "no hash at all"));
    assert_false(tims_password_matches(TIMS_STR("x"), "$argon2id$v=19$m=8,t=1,p=1$"));
}

static void a_hash_of_another_cost_asks_to_be_made_anew(void **state)
{
    (void)state;
    char hash[TIMS_PASSWORD_HASH_MAX];
    assert_int_equal(tims_password_hash(TIMS_STR("x"), tims_password_cost_for_tests, hash), TIMS_OK);
    assert_false(tims_password_needs_rehash(hash, tims_password_cost_for_tests));
    assert_true(tims_password_needs_rehash(hash, tims_password_cost_default));
    assert_true(tims_password_needs_rehash("garbage", tims_password_cost_default));
}

static void a_hash_that_cannot_have_its_memory_is_an_answer_not_a_crash(void **state)
{
    (void)state;
    char hash[TIMS_PASSWORD_HASH_MAX] = "before";
    tims_password_cost below_minimum = { .operations = 0, .memory_bytes = 0 };
    assert_int_equal(tims_password_hash(TIMS_STR("x"), below_minimum, hash), TIMS_UNAVAILABLE);
    assert_string_equal(hash, "before");
}

static void tokens_are_43_characters_of_base64url_and_differ(void **state)
{
    (void)state;
    char a[TIMS_TOKEN_TEXT_LENGTH], b[TIMS_TOKEN_TEXT_LENGTH];
    tims_token_new(a);
    tims_token_new(b);
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t i = 0; i < sizeof a; i++)
        assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", a[i]));
}

static void the_hash_of_a_token_is_blake2b(void **state)
{
    (void)state;
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_hash(TIMS_STR("abc"), hash); /* BLAKE2b-256("abc") = bddd813c… */
    assert_str(of(hash, sizeof hash), "vd2BPGNCOXIxce8_7phXm5SWTjuxyz5CcmLIwGjVIxk");
    char other[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_hash(TIMS_STR("abd"), other);
    assert_memory_not_equal(hash, other, sizeof hash);
}

static void signatures_match_their_key_and_message_only(void **state)
{
    (void)state;
    char signature[TIMS_TOKEN_TEXT_LENGTH], changed[TIMS_TOKEN_TEXT_LENGTH];
    tims_str key = TIMS_STR("0123456789abcdef0123456789abcdef"),
             other = TIMS_STR("0123456789abcdef0123456789abcdeF");
    tims_sign(key, TIMS_STR("message"), signature);
    assert_true(tims_signature_matches(key, TIMS_STR("message"), of(signature, sizeof signature)));
    assert_false(tims_signature_matches(key, TIMS_STR("massage"), of(signature, sizeof signature)));
    assert_false(tims_signature_matches(other, TIMS_STR("message"), of(signature, sizeof signature)));
    assert_false(tims_signature_matches(key, TIMS_STR("message"), of(signature, sizeof signature - 1)));
    assert_false(tims_signature_matches(key, TIMS_STR("message"), of(NULL, 0)));
    memcpy(changed, signature, sizeof changed);
    changed[0] = changed[0] == 'A' ? 'B' : 'A';
    assert_false(tims_signature_matches(key, TIMS_STR("message"), of(changed, sizeof changed)));
}

static void a_long_key_counts_to_its_last_byte(void **state)
{
    (void)state;
    char key[200], a[TIMS_TOKEN_TEXT_LENGTH], b[TIMS_TOKEN_TEXT_LENGTH];
    memset(key, 'k', sizeof key);
    tims_sign(of(key, sizeof key), TIMS_STR("m"), a);
    key[199] = 'l';
    tims_sign(of(key, sizeof key), TIMS_STR("m"), b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void constant_time_equality_is_equality(void **state)
{
    (void)state;
    assert_true(tims_constant_time_equal(TIMS_STR("abc"), TIMS_STR("abc")));
    assert_false(tims_constant_time_equal(TIMS_STR("abc"), TIMS_STR("abd")));
    assert_false(tims_constant_time_equal(TIMS_STR("abc"), TIMS_STR("ab")));
    assert_true(tims_constant_time_equal((tims_str){ NULL, 0 }, TIMS_STR("")));
}

static void ids_grow_on_a_thread_and_are_version_7(void **state)
{
    (void)state;
    tims_id former = tims_id_new();
    for (int i = 0; i < 100000; i++) {
        tims_id id = tims_id_new();
        assert_true(memcmp(id.bytes, former.bytes, sizeof id.bytes) > 0);
        assert_int_equal(id.bytes[6] >> 4, 7);
        assert_int_equal(id.bytes[8] >> 6, 2);
        former = id;
    }
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | former.bytes[i];
    assert_in_range(ms, tims_now().us / 1000 - 10000, tims_now().us / 1000 + 1);
}

static void the_websocket_handshake_answers_as_the_standard_says(void **state)
{
    (void)state;
    char text[28];
    tims_websocket_accept(TIMS_STR("dGhlIHNhbXBsZSBub25jZQ=="), text); /* RFC 6455, 1.3 */
    assert_str(of(text, sizeof text), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static tims_str hex_of(tims_arena *arena, const uint8_t *bytes, size_t length)
{
    tims_buf out;
    tims_buf_init(&out, arena, 1000);
    for (size_t i = 0; i < length; i++)
        tims_buf_print(&out, "%02x", bytes[i]);
    return tims_buf_str(&out);
}

static void sha1_agrees_with_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *message, *digest;
    } rows[] = {
        { "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
        { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmn"
          "opqrst"
          "nopqrstu",
          "a49b2446a02c645bf419f995b67091253a04a259" },
    };
    tims_arena *arena = tims_arena_new(1 << 16, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t digest[20];
        crypto__sha1(tims_str_from(rows[i].message), digest);
        assert_str(hex_of(arena, digest, sizeof digest), rows[i].digest);
    }
    tims_arena_free(&arena);
}

static void content_hashes_are_32_hex_characters(void **state)
{
    (void)state;
    char a[32], b[32];
    tims_content_hash(TIMS_STR("abc"), a);
    tims_content_hash((tims_str){ NULL, 0 }, b);
    assert_memory_not_equal(a, b, 32);
    for (size_t i = 0; i < sizeof a; i++)
        assert_non_null(memchr("0123456789abcdef", a[i], 16));
}

static void sha256_is_what_policies_name_scripts_by(void **state)
{
    static const struct {
        const char *content, *expected;
    } table[] = { { "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
                  { "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" } };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char text[TIMS_SHA256_TEXT_LENGTH];
        tims_sha256(tims_str_from(table[i].content), text);
        assert_memory_equal(text, table[i].expected, sizeof text);
    }
}

static void base64url_goes_both_ways_and_refuses_the_rest(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 16, NULL, NULL);
    tims_str back;
    assert_str(tims_base64url(arena, of("\xfb\xff\x00", 3)), "-_8A");
    for (size_t length = 0; length < 70; length++) {
        char bytes[70];
        tims_random(bytes, sizeof bytes);
        assert_true(tims_base64url_decode(arena, tims_base64url(arena, of(bytes, length)), &back));
        assert_int_equal(back.length, length);
        assert_memory_equal(back.data, bytes, length);
    }
    static const char *const bad[] = {
        "a", "ab=", "ab==", "a+bc", "a/bc", "ab c", "abc\n", "\xff\xff\xff\xff"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (tims_base64url_decode(arena, tims_str_from(bad[i]), &back))
            fail_msg("\"%s\" was taken", bad[i]);
    tims_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup_may_be_called_again),
        cmocka_unit_test(a_password_matches_its_own_hash_only),
        cmocka_unit_test(a_hash_of_another_cost_asks_to_be_made_anew),
        cmocka_unit_test(a_hash_that_cannot_have_its_memory_is_an_answer_not_a_crash),
        cmocka_unit_test(tokens_are_43_characters_of_base64url_and_differ),
        cmocka_unit_test(the_hash_of_a_token_is_blake2b),
        cmocka_unit_test(signatures_match_their_key_and_message_only),
        cmocka_unit_test(a_long_key_counts_to_its_last_byte),
        cmocka_unit_test(constant_time_equality_is_equality),
        cmocka_unit_test(ids_grow_on_a_thread_and_are_version_7),
        cmocka_unit_test(the_websocket_handshake_answers_as_the_standard_says),
        cmocka_unit_test(sha1_agrees_with_the_standard),
        cmocka_unit_test(content_hashes_are_32_hex_characters),
        cmocka_unit_test(sha256_is_what_policies_name_scripts_by),
        cmocka_unit_test(base64url_goes_both_ways_and_refuses_the_rest),
    };
    return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
