/* token: random tokens and what the database keeps of them; signatures; content hashes; base64url.
 *
 * A token carries 256 random bits, so its hash needs neither salt nor slowness: nobody guesses the token, and
 * nobody who reads the database can use it. */
#include "crypto/crypto_internal.h"

#include <sodium.h>
#include <string.h>

enum { DIGEST_BYTES = 32, VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

static void encode_digest(const uint8_t digest[DIGEST_BYTES], char ret_text[TIMS_TOKEN_TEXT_LENGTH])
{
    char text[sodium_base64_ENCODED_LEN(DIGEST_BYTES, VARIANT)];
    sodium_bin2base64(text, sizeof(text), digest, DIGEST_BYTES, VARIANT);
    memcpy(ret_text, text, TIMS_TOKEN_TEXT_LENGTH);
    sodium_memzero(text, sizeof(text));
}

static void hash_into(uint8_t *ret_digest, size_t digest_length, tims_str message, const uint8_t *key,
                      size_t key_length)
{
    int failed = crypto_generichash(ret_digest, digest_length, (const unsigned char *)message.data,
                                    message.length, key, key_length);
    TIMS_ASSERT(failed == 0);
}

void tims_token_new(char ret_text[TIMS_TOKEN_TEXT_LENGTH])
{
    uint8_t bytes[DIGEST_BYTES];
    randombytes_buf(bytes, sizeof(bytes));
    encode_digest(bytes, ret_text);
    sodium_memzero(bytes, sizeof(bytes));
}

void tims_token_hash(tims_str token, char ret_text[TIMS_TOKEN_HASH_TEXT_LENGTH])
{
    uint8_t digest[DIGEST_BYTES];
    hash_into(digest, sizeof(digest), token, NULL, 0);
    encode_digest(digest, ret_text);
}

bool tims_constant_time_equal(tims_str a, tims_str b)
{
    return a.length == b.length && (a.length == 0 || sodium_memcmp(a.data, b.data, a.length) == 0);
}

void tims_sign(tims_str key, tims_str message, char ret_text[TIMS_TOKEN_TEXT_LENGTH])
{
    TIMS_ASSERT(key.length >= crypto_generichash_KEYBYTES_MIN);
    uint8_t digest[DIGEST_BYTES], short_key[DIGEST_BYTES];
    const uint8_t *used = (const uint8_t *)key.data;
    size_t used_length = key.length;
    if (used_length > crypto_generichash_KEYBYTES_MAX) {
        hash_into(short_key, sizeof(short_key), key, NULL, 0);
        used = short_key;
        used_length = sizeof(short_key);
    }
    hash_into(digest, sizeof(digest), message, used, used_length);
    encode_digest(digest, ret_text);
}

bool tims_signature_matches(tims_str key, tims_str message, tims_str signature)
{
    char expected[TIMS_TOKEN_TEXT_LENGTH];
    tims_sign(key, message, expected);
    return tims_constant_time_equal((tims_str){ expected, sizeof(expected) }, signature);
}

void tims_content_hash(tims_str content, char ret_text[32])
{
    uint8_t digest[16];
    char text[33];
    hash_into(digest, sizeof(digest), content, NULL, 0);
    sodium_bin2hex(text, sizeof(text), digest, sizeof(digest));
    memcpy(ret_text, text, 32);
}

void tims_sha256(tims_str content, char ret_text[TIMS_SHA256_TEXT_LENGTH])
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    char text[sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    (void)crypto_hash_sha256(digest, (const uint8_t *)content.data, content.length); /* cannot fail */
    sodium_bin2base64(text, sizeof text, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
    memcpy(ret_text, text, TIMS_SHA256_TEXT_LENGTH);
}

void tims_websocket_accept(tims_str key, char ret_text[28])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char joined[128], text[sodium_base64_ENCODED_LEN(20, sodium_base64_VARIANT_ORIGINAL)];
    uint8_t digest[20];
    TIMS_ASSERT(key.length <= sizeof(joined) - sizeof(guid)); /* a handshake's key has 24 characters */
    if (key.length > 0)
        memcpy(joined, key.data, key.length);
    memcpy(joined + key.length, guid, sizeof(guid) - 1);
    crypto__sha1((tims_str){ joined, key.length + sizeof(guid) - 1 }, digest);
    sodium_bin2base64(text, sizeof(text), digest, sizeof(digest), sodium_base64_VARIANT_ORIGINAL);
    memcpy(ret_text, text, 28);
}

tims_str tims_base64url(tims_arena *arena, tims_str bytes)
{
    size_t room = sodium_base64_encoded_len(bytes.length, VARIANT);
    char *text = tims_alloc_raw(arena, room);
    sodium_bin2base64(text, room, (const unsigned char *)bytes.data, bytes.length, VARIANT);
    return (tims_str){ text, room - 1 };
}

/* libsodium's decoder is written for ASCII; a byte beyond it must not get there. */
static bool is_ascii(tims_str text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] >= 0x80)
            return false;
    return true;
}

bool tims_base64url_decode(tims_arena *arena, tims_str text, tims_str *ret_bytes)
{
    if (!is_ascii(text))
        return false;
    size_t room = text.length / 4 * 3 + 3, length = 0;
    unsigned char *bytes = tims_alloc_raw(arena, room);
    const char *end = NULL;
    if (sodium_base642bin(bytes, room, text.data != NULL ? text.data : "", text.length, NULL, &length, &end,
                          VARIANT) != 0)
        return false;
    if (text.length > 0 && end != text.data + text.length)
        return false;
    *ret_bytes = (tims_str){ (const char *)bytes, length };
    return true;
}
