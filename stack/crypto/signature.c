/* signature.c: JSON Web Tokens for services that know our public key.
 *
 * The only file of this room over OpenSSL: libsodium has neither RSA nor P-256, and the services' standards
 * ask for them. OpenSSL writes an ECDSA signature as DER; JSON Web Signatures have its two numbers side by
 * side. */
#include "crypto/crypto_internal.h"

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <string.h>

enum {
    KEY_MAGIC = 0x59454b53,
    PEM_BYTES_MAX = 64 * 1024,
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192,
    P256_NUMBER_BYTES = 32,
    SIGNATURE_BYTES_MAX = RSA_BITS_MAX / 8
};

struct tims_signing_key {
    uint32_t magic;
    tims_algorithm algorithm;
    EVP_PKEY *pkey;
};

/* Else OpenSSL asks on the terminal. */
static int refuse_passphrase(char *buffer, int size, int writing, void *argument)
{
    (void)buffer, (void)size, (void)writing, (void)argument;
    return -1;
}

static void free_key(void *argument)
{
    tims_signing_key *key = argument;
    EVP_PKEY_free(key->pkey);
    key->magic = 0;
}

static bool is_p256(const EVP_PKEY *pkey)
{
    char group[32] = "";
    return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

static bool is_rsa(const EVP_PKEY *pkey)
{
    int bits = EVP_PKEY_get_bits(pkey);
    return EVP_PKEY_is_a(pkey, "RSA") && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
}

tims_status tims_signing_key_read(tims_arena *arena, tims_str pem, tims_algorithm algorithm,
                                  tims_signing_key **ret_key, tims_error *err)
{
    if (pem.length == 0 || pem.length > PEM_BYTES_MAX)
        return tims_fail(err, TIMS_INVALID, "signing_key", "It has no private key.");
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    TIMS_ASSERT(bio != NULL);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL);
    BIO_free(bio);
    if (pkey == NULL)
        return tims_fail(err, TIMS_INVALID, "signing_key",
                         "It has no private key as PEM, or one with a passphrase.");
    if (!(algorithm == TIMS_ES256 ? is_p256(pkey) : is_rsa(pkey))) {
        EVP_PKEY_free(pkey);
        return tims_fail(err, TIMS_INVALID, "signing_key", "Its private key is not %s.",
                         algorithm == TIMS_ES256 ? "on the curve P-256" : "RSA of 2048 bits or more");
    }
    tims_signing_key *key = TIMS_NEW(arena, tims_signing_key);
    *key = (tims_signing_key){ .magic = KEY_MAGIC, .algorithm = algorithm, .pkey = pkey };
    tims_arena_defer(arena, free_key, key);
    *ret_key = key;
    return TIMS_OK;
}

/* DER to r and s. */
static size_t flatten(uint8_t *signature, size_t length)
{
    const uint8_t *at = signature;
    ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &at, (long)length);
    TIMS_ASSERT(parts != NULL);
    int first = BN_bn2binpad(ECDSA_SIG_get0_r(parts), signature, P256_NUMBER_BYTES);
    int second = BN_bn2binpad(ECDSA_SIG_get0_s(parts), signature + P256_NUMBER_BYTES, P256_NUMBER_BYTES);
    TIMS_ASSERT(first == P256_NUMBER_BYTES && second == P256_NUMBER_BYTES);
    ECDSA_SIG_free(parts);
    return (size_t)2 * P256_NUMBER_BYTES;
}

static size_t sign(const tims_signing_key *key, tims_str message, uint8_t ret_bytes[SIGNATURE_BYTES_MAX])
{
    size_t length = SIGNATURE_BYTES_MAX;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    TIMS_ASSERT(context != NULL);
    bool signed_ =
        EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
        EVP_DigestSign(context, ret_bytes, &length, (const uint8_t *)message.data, message.length) == 1;
    EVP_MD_CTX_free(context);
    TIMS_ASSERT(signed_); /* the key was checked when it was read */
    return key->algorithm == TIMS_ES256 ? flatten(ret_bytes, length) : length;
}

static bool is_plain(tims_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return true;
}

tims_str tims_jwt_sign(tims_arena *arena, const tims_signing_key *key, tims_str key_id, tims_str claims)
{
    uint8_t bytes[SIGNATURE_BYTES_MAX];
    TIMS_CHECK_MAGIC(key, KEY_MAGIC);
    TIMS_ASSERT(is_plain(key_id));
    const char *algorithm = key->algorithm == TIMS_ES256 ? "ES256" : "RS256";
    tims_str header = key_id.length > 0 ? tims_print(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%S\"}",
                                                     algorithm, key_id)
                                        : tims_print(arena, "{\"alg\":\"%s\"}", algorithm);
    tims_str message =
        tims_print(arena, "%S.%S", tims_base64url(arena, header), tims_base64url(arena, claims));
    tims_str signature = { (const char *)bytes, sign(key, message, bytes) };
    return tims_print(arena, "%S.%S", message, tims_base64url(arena, signature));
}

tims_str tims_jwt_sign_shared(tims_arena *arena, tims_str secret, tims_str claims)
{
    enum { SECRET_BYTES_MIN = 32 };
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    TIMS_ASSERT(secret.length >= SECRET_BYTES_MIN && secret.length <= INT32_MAX);
    tims_str header = TIMS_STR("{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
    tims_str message =
        tims_print(arena, "%S.%S", tims_base64url(arena, header), tims_base64url(arena, claims));
    const uint8_t *made = HMAC(EVP_sha256(), secret.data, (int)secret.length, (const uint8_t *)message.data,
                               message.length, bytes, &length);
    TIMS_ASSERT(made != NULL && length == 32);
    return tims_print(arena, "%S.%S", message,
                      tims_base64url(arena, (tims_str){ (const char *)bytes, length }));
}
