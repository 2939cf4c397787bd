/* testing.h: private keys for tests only. */
#ifndef TIMS_CRYPTO_TESTING_H
#define TIMS_CRYPTO_TESTING_H

#include "base/testing.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "tims/crypto.h"

/* As PEM (PKCS#8), encrypted where there is a passphrase. */
TIMS_UNUSED static tims_str testing_pem(tims_arena *arena, EVP_PKEY *pkey, const char *passphrase)
{
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = passphrase != NULL ? EVP_aes_128_cbc() : NULL;
    int length = passphrase != NULL ? (int)strlen(passphrase) : 0;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, passphrase, length, NULL, NULL), 1);
    size_t written = (size_t)BIO_get_mem_data(bio, &data);
    tims_str text = tims_copy(arena, (tims_str){ data, written });
    BIO_free(bio);
    return text;
}

/* A fresh key for ES256. */
TIMS_UNUSED static tims_str testing_p256_pem(tims_arena *arena)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    tims_str pem = testing_pem(arena, pkey, NULL);
    EVP_PKEY_free(pkey);
    return pem;
}

#endif
