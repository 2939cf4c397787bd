/* tls_testing.h: keys and certificates made for a test, in a folder of its own, and a server that has one. */
#ifndef TIMS_HTTP_TLS_TESTING_H
#define TIMS_HTTP_TLS_TESTING_H

#include "http/testing.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

typedef struct test_identity {
    EVP_PKEY *key;
    X509 *certificate;
    char certificate_path[128], key_path[128];
} test_identity;

typedef struct test_identity_options {
    const char *name;            /* the subject's, and the files' */
    const char *hosts;           /* as in "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const test_identity *issuer; /* NULL: itself */
    long begins_s, ends_s;       /* from now */
} test_identity_options;

static inline void test_add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static inline void test_write_identity(const test_identity *identity)
{
    FILE *file = fopen(identity->certificate_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, identity->certificate), 1);
    assert_int_equal(fclose(file), 0);
    file = fopen(identity->key_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

static inline void test_identity_make(const char *folder, const test_identity_options *options,
                                      test_identity *ret)
{
    ret->key = EVP_EC_gen("P-256");
    ret->certificate = X509_new();
    assert_non_null(ret->key);
    assert_non_null(ret->certificate);
    X509 *certificate = ret->certificate;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), options->begins_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), options->ends_s);
    X509_set_pubkey(certificate, ret->key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)options->name, -1, -1, 0);
    const test_identity *issuer = options->issuer != NULL ? options->issuer : ret;
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate));
    if (options->issuer == NULL)
        test_add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (options->hosts != NULL)
        test_add_extension(certificate, NID_subject_alt_name, options->hosts);
    assert_true(X509_sign(certificate, issuer->key, EVP_sha256()) > 0);
    (void)snprintf(ret->certificate_path, sizeof ret->certificate_path, "%s/%s.pem", folder, options->name);
    (void)snprintf(ret->key_path, sizeof ret->key_path, "%s/%s.key", folder, options->name);
    test_write_identity(ret);
}

static inline void test_identity_end(test_identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    (void)unlink(identity->certificate_path);
    (void)unlink(identity->key_path);
}

/* --- a server --------------------------------------------------------------------------------------- */

static atomic_int test_hellos, test_holds; /* said, and begun, since it was prepared */

static tims_answer test_say_hello(tims_request *rq)
{
    atomic_fetch_add(&test_hellos, 1);
    return tims_answer_text(rq, 200, "hello %d", rq->secure);
}

/* Answers when its client has gone. */
static tims_answer test_hold(tims_request *rq)
{
    atomic_fetch_add(&test_holds, 1);
    while (tims_sleep_ms(1000) == TIMS_OK)
        continue;
    return tims_answer_text(rq, 200, "gone");
}

static tims_answer test_echo_body(tims_request *rq)
{
    return tims_answer_bytes(200, TIMS_STR("application/octet-stream"), tims_body(rq));
}

static const tims_route test_tls_routes[] = {
    { .methods = TIMS_METHOD_GET, .pattern = "/hello", .handler = test_say_hello },
    { .methods = TIMS_METHOD_GET, .pattern = "/hold", .handler = test_hold },
    { .methods = TIMS_METHOD_POST, .pattern = "/echo", .handler = test_echo_body, .body_bytes_max = 4 << 20 },
};

/* To be started, as test_prepare's. */
static inline void test_prepare_tls(test_server *t, const test_identity *identity)
{
    atomic_store(&test_hellos, 0);
    atomic_store(&test_holds, 0);
    test_prepare(t, test_tls_routes, sizeof test_tls_routes / sizeof *test_tls_routes);
    t->options.certificate_path = tims_str_from(identity->certificate_path);
    t->options.key_path = tims_str_from(identity->key_path);
}

#endif
