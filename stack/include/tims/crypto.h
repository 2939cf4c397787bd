/* crypto.h: passwords, tokens, signatures, random bytes; over libsodium, and over OpenSSL's libcrypto what
 * others have to verify. */
#ifndef TIMS_CRYPTO_H
#define TIMS_CRYPTO_H

#include "tims/base.h"

/* Must succeed once before anything else here; safe to call again. */
tims_status tims_crypto_setup(void);

/* Fills `length` bytes from the kernel's generator. Never fails once tims_crypto_setup has succeeded. */
void tims_random(void *ret_bytes, size_t length);
tims_id tims_id_new(void); /* UUIDv7, growing within a millisecond on one thread */

enum { TIMS_PASSWORD_HASH_MAX = 128, TIMS_TOKEN_TEXT_LENGTH = 43, TIMS_TOKEN_HASH_TEXT_LENGTH = 43 };

/* argon2id. Blocks ≈ 50 ms and 32 MiB with the default cost: run it on the worker pool.
 * `ret_hash` gets a terminated string that names its own parameters. Errors: UNAVAILABLE when memory is
 * short. */
typedef struct tims_password_cost {
    uint64_t operations;
    size_t memory_bytes;
} tims_password_cost;
extern const tims_password_cost tims_password_cost_default;
extern const tims_password_cost tims_password_cost_for_tests; /* the cheapest the library allows */
/* `ret_hash` is set only on success. Any thread. Errors: UNAVAILABLE. */
tims_status tims_password_hash(tims_str password, tims_password_cost cost,
                               char ret_hash[TIMS_PASSWORD_HASH_MAX]);
/* Whether the hash is of this password. Blocks as long as making it did. False also for a hash that cannot
 * be read. */
bool tims_password_matches(tims_str password, const char *hash);
/* Whether the hash was made with another cost, or cannot be read: at the next login it is made anew. */
bool tims_password_needs_rehash(const char *hash, tims_password_cost cost);

/* 256 random bits as 43 characters of base64url, and the BLAKE2b-256 that the database keeps of it. */
void tims_token_new(char ret_text[TIMS_TOKEN_TEXT_LENGTH]);
/* 43 characters of base64url, without a terminator: under which a token is kept and found. */
void tims_token_hash(tims_str token, char ret_text[TIMS_TOKEN_HASH_TEXT_LENGTH]);
/* Whether both have the same bytes, in a time that tells only their lengths. */
bool tims_constant_time_equal(tims_str a, tims_str b);

/* Keyed BLAKE2b-256 as 43 characters of base64url, e.g. for CSRF tokens and page cursors. */
void tims_sign(tims_str key, tims_str message, char ret_text[TIMS_TOKEN_TEXT_LENGTH]);
/* Whether tims_sign gives this signature; compared in constant time. */
bool tims_signature_matches(tims_str key, tims_str message, tims_str signature);

/* --- signatures that others verify: with a private key, as JSON Web Signatures have them ------ */

typedef enum tims_algorithm {
    TIMS_RS256, /* RSASSA-PKCS1-v1_5 with SHA-256; keys of 2048 to 8192 bits */
    TIMS_ES256  /* ECDSA on P-256 with SHA-256; a signature is r and s, 32 bytes each */
} tims_algorithm;
typedef struct tims_signing_key tims_signing_key;
/* From PEM text without a passphrase. Lives in the arena, erased with it. Errors: INVALID (no such key, one
 * of another kind). */
tims_status tims_signing_key_read(tims_arena *arena, tims_str pem, tims_algorithm algorithm,
                                  tims_signing_key **ret_key, tims_error *err);
/* A JSON Web Token of these claims (JSON text). `key_id`: the header's kid, of letters and digits (asserted);
 * empty: none. RS256 takes about a millisecond. */
tims_str tims_jwt_sign(tims_arena *arena, const tims_signing_key *key, tims_str key_id, tims_str claims);

/* The same with a secret that both sides know (HS256, HMAC with SHA-256), of at least 32 bytes (asserted). A
 * few microseconds. */
tims_str tims_jwt_sign_shared(tims_arena *arena, tims_str secret, tims_str claims);

/* SHA-1 and base64 as the websocket handshake needs them (28 characters), over the websocket GUID. */
void tims_websocket_accept(tims_str key, char ret_text[28]);
/* A fast 128-bit content hash as 32 hex characters (ETags). */
void tims_content_hash(tims_str content, char ret_text[32]);
/* SHA-256 as base64 with padding: what a Content-Security-Policy calls a script by. */
enum { TIMS_SHA256_TEXT_LENGTH = 44 };
/* 44 characters of base64 with padding, without a terminator. */
void tims_sha256(tims_str content, char ret_text[TIMS_SHA256_TEXT_LENGTH]);
/* RFC 4648 with "-" and "_", without padding; in `arena`. */
tims_str tims_base64url(tims_arena *arena, tims_str bytes);
/* The bytes, in `arena`. False, and `ret_bytes` untouched: it is not what tims_base64url writes. */
TIMS_MUST_USE bool tims_base64url_decode(tims_arena *arena, tims_str text, tims_str *ret_bytes);

#endif
