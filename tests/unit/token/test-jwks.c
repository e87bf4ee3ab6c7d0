/* SPDX-License-Identifier: Apache-2.0 */
#include "token-test.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>

#define SECRET_JWK(more) "{\"kty\":\"oct\",\"k\":\"" SECRET_K "\"" more "}"
#define SECRET_K "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"

/* Keys are made once for the group: RSA takes its time. */
static EVP_PKEY *rsa;
static EVP_PKEY *small_rsa;
static EVP_PKEY *ec;
static EVP_PKEY *ed;

static int make_keys(void **state)
{
    (void)state;
    rsa = EVP_RSA_gen(2048);
    small_rsa = EVP_RSA_gen(1024);
    ec = EVP_EC_gen("P-256");
    ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return rsa && small_rsa && ec && ed ? 0 : -1;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(small_rsa);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(ed);
    return 0;
}

/* ---- writing keys down */

static void append_number(
    struct buffer *out, const char *name, EVP_PKEY *key, const char *parameter, int width)
{
    unsigned char bytes[1024];
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, parameter, &number), 1);
    int len = width ? width : BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, bytes, len), len);
    BN_free(number);
    buffer_printf(out, ",\"%s\":\"", name);
    base64url_append(out, span_of(bytes, (size_t)len));
    buffer_append_char(out, '"');
}

static void append_raw(struct buffer *out, EVP_PKEY *key)
{
    unsigned char bytes[32];
    size_t len = sizeof(bytes);
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, bytes, &len), 1);
    buffer_append_string(out, ",\"x\":\"");
    base64url_append(out, span_of(bytes, len));
    buffer_append_char(out, '"');
}

/* `more`: further members, each with a comma before it. */
static void append_jwk(struct buffer *out, EVP_PKEY *key, const char *more)
{
    if (EVP_PKEY_is_a(key, "RSA")) {
        buffer_append_string(out, "{\"kty\":\"RSA\"");
        append_number(out, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
        append_number(out, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
    } else if (EVP_PKEY_is_a(key, "EC")) {
        buffer_append_string(out, "{\"kty\":\"EC\",\"crv\":\"P-256\"");
        append_number(out, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
        append_number(out, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
    } else {
        buffer_append_string(out, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"");
        append_raw(out, key);
    }
    buffer_append_string(out, more);
    buffer_append_char(out, '}');
}

/* A set of one key or, with `second`, two. */
static struct buffer set_of(EVP_PKEY *key, const char *more, const char *second)
{
    struct buffer set = BUFFER_INIT;
    buffer_append_string(&set, "{\"keys\":[");
    append_jwk(&set, key, more);
    if (second) {
        buffer_append_char(&set, ',');
        buffer_append_string(&set, second);
    }
    buffer_append_string(&set, "]}");
    return set;
}

static int load(struct token_keys **ret_keys, struct buffer set, struct token_jwks_report *report)
{
    struct token_keys *keys = NULL;
    assert_int_equal(token_keys_new(&keys), 0);
    int rc = token_keys_add_jwks(keys, buffer_span(&set), report);
    buffer_deinit(&set);
    *ret_keys = keys;
    return rc;
}

static struct buffer text(const char *json)
{
    struct buffer set = BUFFER_INIT;
    buffer_append_string(&set, json);
    return set;
}

static enum token_verdict judge(const struct token_keys *keys, EVP_PKEY *signer, const char *header)
{
    const struct token_policy policy = {0};
    struct token_claims claims;
    struct buffer token = unsigned_token(header, GOOD);
    if (signer)
        append_public_signature(&token, signer);
    else
        append_mac(&token, SPAN_LITERAL(TEST_SECRET));
    enum token_verdict verdict = token_verify(&claims, keys, &policy, buffer_span(&token), NOW);
    buffer_deinit(&token);
    return verdict;
}

static void assert_refused(struct buffer set, const char *why)
{
    struct token_keys *keys;
    struct token_jwks_report report;
    assert_int_equal(load(&keys, set, &report), -EINVAL);
    if (!strstr(report.problem, why))
        fail_msg("\"%s\" is not said in: %s", why, report.problem);
    token_keys_free(keys);
}

/* ---- tests */

static void test_a_set_has_keys_of_every_kind(void **state)
{
    (void)state;
    const struct {
        EVP_PKEY *key;
        const char *header;
    } rows[] = {
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"one\"}"},
        {ec, "{\"alg\":\"ES256\",\"kid\":\"one\"}"},
        {ed, "{\"alg\":\"EdDSA\",\"kid\":\"one\"}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct token_keys *keys;
        struct token_jwks_report report;
        const char *second = SECRET_JWK(",\"kid\":\"two\"");
        assert_int_equal(load(&keys, set_of(rows[i].key, ",\"kid\":\"one\"", second), &report), 0);
        assert_int_equal(report.taken, 2);
        assert_true(report.has_secret);
        assert_int_equal(judge(keys, rows[i].key, rows[i].header), TOKEN_VALID);
        assert_int_equal(judge(keys, NULL, "{\"alg\":\"HS256\",\"kid\":\"two\"}"), TOKEN_VALID);
        token_keys_free(keys);
    }
}

static void test_a_kid_chooses_the_key_and_its_algorithm(void **state)
{
    (void)state;
    struct token_keys *keys;
    struct token_jwks_report report;
    const char *second = SECRET_JWK(",\"kid\":\"two\"");
    assert_int_equal(load(&keys, set_of(ec, ",\"kid\":\"one\"", second), &report), 0);
    assert_int_equal(judge(keys, ec, "{\"alg\":\"ES256\",\"kid\":\"other\"}"), TOKEN_UNKNOWN_KEY);
    assert_int_equal(judge(keys, ec, "{\"alg\":\"ES256\",\"kid\":\"\"}"), TOKEN_UNKNOWN_KEY);
    assert_int_equal(judge(keys, ec, "{\"alg\":\"ES256\",\"kid\":\"two\"}"), TOKEN_ALGORITHM);
    assert_int_equal(judge(keys, NULL, "{\"alg\":\"HS256\",\"kid\":\"one\"}"), TOKEN_ALGORITHM);
    assert_int_equal(judge(keys, ec, "{\"alg\":\"ES256\",\"kid\":7}"), TOKEN_MALFORMED);
    assert_int_equal(judge(keys, ec, "{\"alg\":\"ES256\"}"), TOKEN_VALID); /* any key of the kind */
    token_keys_free(keys);
}

static void test_a_kid_means_nothing_where_no_key_has_a_name(void **state)
{
    (void)state;
    struct token_keys *keys;
    struct token_jwks_report report;
    assert_int_equal(load(&keys, set_of(ec, "", NULL), &report), 0);
    assert_int_equal(judge(keys, ec, "{\"alg\":\"ES256\",\"kid\":\"any\"}"), TOKEN_VALID);
    token_keys_free(keys);
}

static void test_several_keys_of_a_kind_are_told_apart(void **state)
{
    (void)state;
    struct token_keys *keys;
    struct token_jwks_report report;
    EVP_PKEY *next = EVP_EC_gen("P-256");
    struct buffer second = BUFFER_INIT;
    append_jwk(&second, next, ",\"kid\":\"two\"");
    buffer_append_char(&second, '\0');
    assert_int_equal(load(&keys, set_of(ec, ",\"kid\":\"one\"", second.data), &report), 0);
    assert_int_equal(judge(keys, ec, "{\"alg\":\"ES256\",\"kid\":\"one\"}"), TOKEN_VALID);
    assert_int_equal(judge(keys, next, "{\"alg\":\"ES256\",\"kid\":\"two\"}"), TOKEN_VALID);
    assert_int_equal(judge(keys, next, "{\"alg\":\"ES256\",\"kid\":\"one\"}"), TOKEN_SIGNATURE);
    assert_int_equal(judge(keys, next, "{\"alg\":\"ES256\"}"), TOKEN_VALID);
    token_keys_free(keys);
    buffer_deinit(&second);
    EVP_PKEY_free(next);
}

static void test_keys_for_something_else_are_passed_over(void **state)
{
    (void)state;
    const char *const others[] = {
        "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"}",
        "{\"kty\":\"new\"}",
        "{}",
        SECRET_JWK(",\"use\":\"enc\""),
        SECRET_JWK(",\"use\":1"),
        SECRET_JWK(",\"key_ops\":[\"sign\"]"),
        SECRET_JWK(",\"key_ops\":[]"),
        SECRET_JWK(",\"key_ops\":\"verify\""),
        SECRET_JWK(",\"alg\":\"HS512\""),
        SECRET_JWK(",\"alg\":\"none\""),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct token_keys *keys;
        struct token_jwks_report report;
        assert_int_equal(load(&keys, set_of(ec, ",\"use\":\"sig\"", others[i]), &report), 0);
        assert_int_equal(report.taken, 1);
        assert_int_equal(report.passed_over, 1);
        assert_int_equal(judge(keys, ec, "{\"alg\":\"ES256\"}"), TOKEN_VALID);
        assert_int_equal(judge(keys, NULL, "{\"alg\":\"HS256\"}"), TOKEN_ALGORITHM);
        token_keys_free(keys);
    }
}

static void test_a_key_says_that_it_is_for_us(void **state)
{
    (void)state;
    struct token_keys *keys;
    struct token_jwks_report report;
    const char *more =
        ",\"use\":\"sig\",\"key_ops\":[\"sign\",\"verify\"],\"alg\":\"EdDSA\",\"x5t\":1";
    assert_int_equal(load(&keys, set_of(ed, more, NULL), &report), 0);
    assert_int_equal(judge(keys, ed, "{\"alg\":\"EdDSA\"}"), TOKEN_VALID);
    token_keys_free(keys);
}

static void test_a_set_with_a_key_that_cannot_be_used_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *second;
        const char *why;
    } rows[] = {
        {"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "key 2: an RSA key has 2048"},
        {"{\"kty\":\"RSA\",\"e\":\"AQAB\"}", "key 2: an RSA key needs n and e"},
        {"{\"kty\":\"RSA\",\"n\":\"?\",\"e\":\"AQAB\"}", "key 2: an RSA key needs n and e"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
            "key 2: a P-256 key needs"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" SECRET_K "\",\"y\":\"" SECRET_K "\"}",
            "of a point on the curve"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}", "key 2: an Ed25519 key needs"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" SECRET_K "\",\"d\":\"AA\"}",
            "key 2: it is a private key"},
        {"{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}", "key 2: a secret needs k"},
        {"{\"kty\":\"oct\"}", "key 2: a secret needs k"},
        {SECRET_JWK(",\"kid\":\"a b\""), "key 2: its kid is not"},
        {SECRET_JWK(",\"kid\":\"\""), "key 2: its kid is not"},
        {SECRET_JWK(",\"kid\":7"), "key 2: its kid is not"},
        {SECRET_JWK(",\"kid\":\"one\""), "key 2: there are two keys with the kid one"},
        {"7", "key 2: it is not an object"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_refused(set_of(ec, ",\"kid\":\"one\"", rows[i].second), rows[i].why);
    assert_refused(set_of(small_rsa, "", NULL), "key 1: an RSA key has 2048 to 8192 bits");
}

static void test_what_is_no_set_is_refused(void **state)
{
    (void)state;
    assert_refused(text(""), "line 1 is no JSON");
    assert_refused(text("{\"keys\":\n[}"), "line 2 is no JSON");
    assert_refused(text("[]"), "array `keys`");
    assert_refused(text("{\"keys\":{}}"), "array `keys`");
    assert_refused(text("{\"keys\":[]}"), "none of its 0 keys");
    assert_refused(text("{\"keys\":[{\"kty\":\"new\"}]}"), "none of its 1 keys");
    assert_refused(text("{\"keys\":[],\"keys\":[]}"), "no JSON");
}

static void test_a_set_has_a_bound(void **state)
{
    (void)state;
    struct token_keys *keys;
    struct token_jwks_report report;
    struct buffer set = BUFFER_INIT;
    buffer_append_string(&set, "{\"keys\":[");
    for (int i = 0; i < 65; i++)
        buffer_printf(
            &set, "%s{\"kty\":\"oct\",\"k\":\"" SECRET_K "\",\"kid\":\"k%d\"}", i ? "," : "", i);
    buffer_append_string(&set, "]}");
    assert_int_equal(load(&keys, set, &report), -ENOSPC);
    assert_non_null(strstr(report.problem, "more than 64 keys"));
    token_keys_free(keys);
}

static void write_file(const char *path, const char *content, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int load_file(const char *path, struct token_jwks_report *report)
{
    struct token_keys *keys = NULL;
    assert_int_equal(token_keys_new(&keys), 0);
    int rc = token_keys_add_jwks_file(keys, path, report);
    token_keys_free(keys);
    return rc;
}

static void test_a_file_with_secrets_must_be_private(void **state)
{
    (void)state;
    char path[] = "/tmp/rs-jwks-XXXXXX";
    struct token_jwks_report report;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, "{\"keys\":[" SECRET_JWK("") "]}", 0644);
    assert_int_equal(load_file(path, &report), -EPERM);
    write_file(path, "{\"keys\":[" SECRET_JWK("") "]}", 0600);
    assert_int_equal(load_file(path, &report), 0);
    struct buffer set = set_of(ec, "", NULL);
    buffer_append_char(&set, '\0');
    write_file(path, set.data, 0644);
    assert_int_equal(load_file(path, &report), 0);
    buffer_deinit(&set);
    assert_int_equal(truncate(path, (256 << 10) + 1), 0);
    assert_int_equal(load_file(path, &report), -EINVAL);
    assert_non_null(strstr(report.problem, "larger than 256 KiB"));
    unlink(path);
    assert_int_equal(load_file(path, &report), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_has_keys_of_every_kind),
        cmocka_unit_test(test_a_kid_chooses_the_key_and_its_algorithm),
        cmocka_unit_test(test_a_kid_means_nothing_where_no_key_has_a_name),
        cmocka_unit_test(test_several_keys_of_a_kind_are_told_apart),
        cmocka_unit_test(test_keys_for_something_else_are_passed_over),
        cmocka_unit_test(test_a_key_says_that_it_is_for_us),
        cmocka_unit_test(test_a_set_with_a_key_that_cannot_be_used_is_refused),
        cmocka_unit_test(test_what_is_no_set_is_refused),
        cmocka_unit_test(test_a_set_has_a_bound),
        cmocka_unit_test(test_a_file_with_secrets_must_be_private),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
