/* password: argon2id. The hash names its own parameters, so that the cost can grow and old hashes still
 * verify. */
#include "crypto/crypto_internal.h"

#include <assert.h>
#include <sodium.h>

static_assert(TIMS_PASSWORD_HASH_MAX >= crypto_pwhash_STRBYTES, "a hash must fit");

const tims_password_cost tims_password_cost_default = { .operations = 2, .memory_bytes = 32 * 1024 * 1024 };
const tims_password_cost tims_password_cost_for_tests = { .operations = crypto_pwhash_OPSLIMIT_MIN,
                                                          .memory_bytes = crypto_pwhash_MEMLIMIT_MIN };

tims_status tims_password_hash(tims_str password, tims_password_cost cost,
                               char ret_hash[TIMS_PASSWORD_HASH_MAX])
{
    char hash[crypto_pwhash_STRBYTES] = { 0 };
    if (crypto_pwhash_str_alg(hash, password.data != NULL ? password.data : "", password.length,
                              cost.operations, cost.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return TIMS_UNAVAILABLE;
    for (size_t i = 0; i < sizeof(hash); i++)
        ret_hash[i] = hash[i];
    return TIMS_OK;
}

bool tims_password_matches(tims_str password, const char *hash)
{
    return crypto_pwhash_str_verify(hash, password.data != NULL ? password.data : "", password.length) == 0;
}

bool tims_password_needs_rehash(const char *hash, tims_password_cost cost)
{
    return crypto_pwhash_str_needs_rehash(hash, cost.operations, cost.memory_bytes) != 0;
}
