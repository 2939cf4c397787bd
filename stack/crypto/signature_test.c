/* Tokens that others verify: held against the examples of RFC 7515, and verified with the public key. */
#include "crypto/testing.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

static tims_arena *arena;

static int start(void **state)
{
    (void)state;
    arena = tims_arena_new(1 << 22, NULL, NULL);
    return tims_crypto_setup() == TIMS_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    tims_arena_free(&arena);
    return 0;
}

static tims_str decode(const char *base64url)
{
    tims_str bytes;
    assert_true(tims_base64url_decode(arena, tims_str_from(base64url), &bytes));
    return bytes;
}

static BIGNUM *number(const char *base64url)
{
    tims_str bytes = decode(base64url);
    return BN_bin2bn((const uint8_t *)bytes.data, (int)bytes.length, NULL);
}

/* The key of RFC 7515, appendix A.2. */
static EVP_PKEY *example_rsa(void)
{
    enum { NUMBERS = 8 };
    static const char *const names[NUMBERS] = {
        "n", "e", "d", "rsa-factor1", "rsa-factor2", "rsa-exponent1", "rsa-exponent2", "rsa-coefficient1"
    };
    static const char *const values[NUMBERS] = {
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-"
        "yRT-"
        "SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
        "KXBdQOS-"
        "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
        "h9iaGNj8q2et"
        "hFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "AQAB",
        "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-"
        "7YwVol2NXOoAJe46sui39"
        "5IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_"
        "V51gfpRLI9JYanrC4D4qAdGco"
        "pV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_"
        "jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR"
        "_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
        "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_"
        "Py5PJdTJNPY8cQn"
        "7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
        "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_"
        "YwD66t62w"
        "Dmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
        "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-"
        "FOKnu1R6HsJeDCjn12"
        "Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
        "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-"
        "NKJnwgjM"
        "d2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
        "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_"
        "QJQ3ydy5cY7YIBi87w93IKL"
        "EdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"
    };
    EVP_PKEY *pkey = NULL;
    BIGNUM *numbers[NUMBERS];
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    for (int i = 0; i < NUMBERS; i++) {
        numbers[i] = number(values[i]);
        assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, names[i], numbers[i]), 1);
    }
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    for (int i = 0; i < NUMBERS; i++)
        BN_free(numbers[i]);
    return pkey;
}

static tims_signing_key *key_of(EVP_PKEY *pkey, tims_algorithm algorithm)
{
    tims_error err = { 0 };
    tims_signing_key *key;
    tims_status status = tims_signing_key_read(arena, testing_pem(arena, pkey, NULL), algorithm, &key, &err);
    if (status != TIMS_OK)
        fail_msg("%s", err.message);
    return key;
}

/* What stands before the n-th dot. */
static tims_str part(tims_str token, int index)
{
    tims_str found = tims_str_cut(&token, '.');
    while (index-- > 0)
        found = tims_str_cut(&token, '.');
    return found;
}

static bool verifies(EVP_PKEY *pkey, tims_str token, bool is_ecdsa)
{
    tims_str signature = part(token, 2), bytes;
    tims_str message = tims_str_slice(token, 0, token.length - signature.length - 1);
    uint8_t *der = NULL;
    assert_true(tims_base64url_decode(arena, signature, &bytes));
    if (is_ecdsa) {
        assert_int_equal(bytes.length, 64);
        ECDSA_SIG *parts = ECDSA_SIG_new();
        ECDSA_SIG_set0(parts, BN_bin2bn((const uint8_t *)bytes.data, 32, NULL),
                       BN_bin2bn((const uint8_t *)bytes.data + 32, 32, NULL));
        int length = i2d_ECDSA_SIG(parts, &der);
        bytes = (tims_str){ (const char *)der, (size_t)length };
        ECDSA_SIG_free(parts);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, pkey), 1);
    bool ok = EVP_DigestVerify(context, (const uint8_t *)bytes.data, bytes.length,
                               (const uint8_t *)message.data, message.length) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    return ok;
}

#define CLAIMS TIMS_STR("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}")

static void an_rsa_token_is_the_one_of_the_standard(void **state)
{
    (void)state;
    static const char expected[] =
        "eyJhbGciOiJSUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
        "O8W2Fp5jujGbds9uJ"
        "dbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"
        "eSN9"
        "383LcOLn6_dO--xi12jzDwusC-"
        "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIh"
        "WkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    EVP_PKEY *pkey = example_rsa();
    tims_str token = tims_jwt_sign(arena, key_of(pkey, TIMS_RS256), TIMS_STR(""), CLAIMS);
    assert_string_equal(token.data, expected);
    assert_true(verifies(pkey, token, false));
    EVP_PKEY_free(pkey);
}

static void a_token_names_its_key_and_verifies_with_it_only(void **state)
{
    (void)state;
    tims_str bytes;
    EVP_PKEY *pkey = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    tims_signing_key *key = key_of(pkey, TIMS_ES256);
    for (int i = 0; i < 300; i++) { /* so that some numbers have leading zeros */
        tims_str claims = tims_print(arena, "{\"iat\":%d}", i);
        tims_str token = tims_jwt_sign(arena, key, TIMS_STR("ABC123DEFG"), claims);
        assert_true(verifies(pkey, token, true));
        assert_false(verifies(other, token, true));
        assert_true(tims_base64url_decode(arena, part(token, 0), &bytes));
        assert_true(
            tims_str_equal(bytes, TIMS_STR("{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"ABC123DEFG\"}")));
        assert_true(tims_base64url_decode(arena, part(token, 1), &bytes));
        assert_true(tims_str_equal(bytes, claims));
    }
    EVP_PKEY_free(pkey);
    EVP_PKEY_free(other);
}

static const char *problem_of(tims_str pem, tims_algorithm algorithm)
{
    tims_signing_key *key = NULL;
    tims_error *err = TIMS_NEW(arena, tims_error);
    assert_int_equal(tims_signing_key_read(arena, pem, algorithm, &key, err), TIMS_INVALID);
    assert_null(key);
    return err->message;
}

static void what_is_no_such_key_is_refused_in_words(void **state)
{
    (void)state;
    EVP_PKEY *rsa = example_rsa(), *p256 = EVP_EC_gen("P-256"), *p384 = EVP_EC_gen("P-384"),
             *small = EVP_RSA_gen(1024);
    tims_str pem = testing_pem(arena, p256, NULL);
    const char *no_key = "It has no private key as PEM, or one with a passphrase.";
    assert_string_equal(problem_of(TIMS_STR(""), TIMS_ES256), "It has no private key.");
    assert_string_equal(problem_of(TIMS_STR("nonsense"), TIMS_ES256), no_key);
    assert_string_equal(problem_of(tims_str_slice(pem, 0, pem.length / 2), TIMS_ES256), no_key);
    assert_string_equal(problem_of(testing_pem(arena, p256, "secret"), TIMS_ES256), no_key);
    assert_string_equal(problem_of(pem, TIMS_RS256), "Its private key is not RSA of 2048 bits or more.");
    assert_string_equal(problem_of(testing_pem(arena, small, NULL), TIMS_RS256),
                        "Its private key is not RSA of 2048 bits or more.");
    assert_string_equal(problem_of(testing_pem(arena, rsa, NULL), TIMS_ES256),
                        "Its private key is not on the curve P-256.");
    assert_string_equal(problem_of(testing_pem(arena, p384, NULL), TIMS_ES256),
                        "Its private key is not on the curve P-256.");
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(small);
}

/* As Python's hmac signs it. */
static void a_token_with_a_shared_secret_is_the_one_of_the_standard(void **state)
{
    (void)state;
    tims_arena *own = tims_arena_new(1 << 16, NULL, NULL);
    tims_str token =
        tims_jwt_sign_shared(own, TIMS_STR("0123456789abcdef0123456789abcdef"), TIMS_STR("{\"sub\":\"x\"}"));
    assert_true(tims_str_equal(token, TIMS_STR("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ4In0.I-"
                                               "cBwS2A2-OD8vZJbn4w3M2ReN_bbgzRWWAxzpq0zYg")));
    tims_arena_free(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_rsa_token_is_the_one_of_the_standard),
        cmocka_unit_test(a_token_names_its_key_and_verifies_with_it_only),
        cmocka_unit_test(what_is_no_such_key_is_refused_in_words),
        cmocka_unit_test(a_token_with_a_shared_secret_is_the_one_of_the_standard),
    };
    return cmocka_run_group_tests_name("signature", tests, start, end);
}
