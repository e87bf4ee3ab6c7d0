/* SPDX-License-Identifier: Apache-2.0 */
#include "token-test.h"

#include <errno.h>

/* Keys are made once for the group: RSA takes its time. */
static EVP_PKEY *rsa;
static EVP_PKEY *small_rsa;
static EVP_PKEY *ec;
static EVP_PKEY *other_curve;
static EVP_PKEY *ed;
static const struct token_secret secret = {.len = 32, .bytes = TEST_SECRET};

static int make_keys(void **state)
{
    (void)state;
    rsa = EVP_RSA_gen(2048);
    small_rsa = EVP_RSA_gen(1024);
    ec = EVP_EC_gen("P-256");
    other_curve = EVP_EC_gen("P-384");
    ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return rsa && small_rsa && ec && other_curve && ed ? 0 : -1;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(small_rsa);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(other_curve);
    EVP_PKEY_free(ed);
    return 0;
}

static int add_public(struct token_keys *keys, EVP_PKEY *key)
{
    char pem[2048];
    return token_keys_add_pem(keys, span_of(pem, public_pem(key, pem, sizeof(pem))));
}

static struct buffer hs256_token(const char *claims)
{
    struct buffer token = unsigned_token("{\"alg\":\"HS256\"}", claims);
    append_mac(&token, span_of(secret.bytes, secret.len));
    return token;
}

static struct token_keys *all_keys(void)
{
    struct token_keys *keys = NULL;
    assert_int_equal(token_keys_new(&keys), 0);
    assert_int_equal(token_keys_add_secret(keys, &secret), 0);
    assert_int_equal(add_public(keys, rsa), 0);
    assert_int_equal(add_public(keys, ec), 0);
    assert_int_equal(add_public(keys, ed), 0);
    return keys;
}

static enum token_verdict judge(const struct token_keys *keys, const struct token_policy *policy,
    struct buffer token, struct token_claims *claims)
{
    struct token_claims unused;
    enum token_verdict verdict =
        token_verify(claims ? claims : &unused, keys, policy, buffer_span(&token), NOW);
    buffer_deinit(&token);
    return verdict;
}

/* Everything but the signature's kind is right. */
static enum token_verdict judge_claims(const char *claims)
{
    const struct token_policy policy = {.skew = 30};
    struct token_keys *keys = all_keys();
    enum token_verdict verdict = judge(keys, &policy, hs256_token(claims), NULL);
    token_keys_free(keys);
    return verdict;
}

/* ---- tests */

static void test_verify_accepts_what_sign_made(void **state)
{
    (void)state;
    const struct token_policy policy = {.issuer = "node", .audience = "ringside"};
    const struct token_grant grant = {
        .user = "alice", .issuer = "node", .audience = "ringside", .now = NOW, .lifetime = 60};
    struct token_keys *keys = all_keys();
    struct token_claims claims;
    struct buffer token = BUFFER_INIT;
    assert_int_equal(token_sign(&token, &secret, &grant), 0);
    assert_int_equal(judge(keys, &policy, token, &claims), TOKEN_VALID);
    assert_string_equal(claims.user, "alice");
    assert_int_equal(claims.expires_at, NOW + 60);
    token_keys_free(keys);
}

static void test_sign_refuses_a_user_that_verify_would_refuse(void **state)
{
    (void)state;
    struct token_grant grant = {.user = "a b", .now = NOW, .lifetime = 60};
    struct buffer token = BUFFER_INIT;
    assert_int_equal(token_sign(&token, &secret, &grant), -EINVAL);
    grant.user = "";
    assert_int_equal(token_sign(&token, &secret, &grant), -EINVAL);
    assert_int_equal(token.len, 0);
}

static void test_verify_accepts_public_key_signatures_of_known_keys(void **state)
{
    (void)state;
    const struct token_policy policy = {0};
    struct token_keys *keys = all_keys();
    struct buffer token = unsigned_token("{\"alg\":\"RS256\",\"typ\":\"JWT\"}", GOOD);
    append_public_signature(&token, rsa);
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_VALID);
    token = unsigned_token("{\"alg\":\"ES256\"}", GOOD);
    append_public_signature(&token, ec);
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_VALID);
    token = unsigned_token("{\"alg\":\"EdDSA\"}", GOOD);
    append_public_signature(&token, ed);
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_VALID);
    token_keys_free(keys);
}

static void test_verify_refuses_signatures_of_other_keys(void **state)
{
    (void)state;
    const struct token_policy policy = {0};
    struct token_keys *keys = all_keys();
    EVP_PKEY *foreign = EVP_EC_gen("P-256");
    struct buffer token = unsigned_token("{\"alg\":\"ES256\"}", GOOD);
    append_public_signature(&token, foreign);
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_SIGNATURE);
    token = unsigned_token("{\"alg\":\"HS256\"}", GOOD);
    append_mac(&token, SPAN_LITERAL("another secret that is long enough"));
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_SIGNATURE);
    token = unsigned_token("{\"alg\":\"RS256\"}", GOOD);
    append_public_signature(&token, ec);
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_SIGNATURE);
    EVP_PKEY_free(foreign);
    token_keys_free(keys);
}

static void test_verify_pins_the_algorithm_to_the_kind_of_key(void **state)
{
    (void)state;
    const struct token_policy policy = {0};
    char pem[2048];
    size_t len = public_pem(rsa, pem, sizeof(pem));
    struct token_keys *keys = NULL;
    assert_int_equal(token_keys_new(&keys), 0);
    assert_int_equal(add_public(keys, rsa), 0);
    struct buffer token = unsigned_token("{\"alg\":\"HS256\"}", GOOD);
    append_mac(&token, span_of(pem, len)); /* the public key as if it were a secret */
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_ALGORITHM);
    token = unsigned_token("{\"alg\":\"ES256\"}", GOOD);
    append_public_signature(&token, rsa);
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_ALGORITHM);
    token_keys_free(keys);
}

static void test_verify_refuses_unsigned_and_unknown_algorithms(void **state)
{
    (void)state;
    const struct token_policy policy = {0};
    const char *const headers[] = {"{\"alg\":\"none\"}", "{\"alg\":\"NONE\"}",
        "{\"alg\":\"hs256\"}", "{\"alg\":\"HS512\"}", "{\"alg\":\"\"}", "{\"alg\":1}", "{}",
        "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}"};
    struct token_keys *keys = all_keys();
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct buffer token = unsigned_token(headers[i], GOOD);
        append_mac(&token, span_of(secret.bytes, secret.len));
        assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_ALGORITHM);
        token = unsigned_token(headers[i], GOOD);
        buffer_append_char(&token, '.'); /* no signature at all */
        assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_ALGORITHM);
    }
    token_keys_free(keys);
}

static void test_verify_refuses_what_is_no_token(void **state)
{
    (void)state;
    const struct token_policy policy = {0};
    const char *const bad[] = {"", ".", "..", "...", "a.b", "a.b.c", "e30.e30", "e30.e30.e30.e30",
        "W10.e30.AA", "e30 .e30.AA", "eyJhbGciOiJIUzI1NiJ9.e30.A=", "bnVsbA.e30.AA"};
    struct token_keys *keys = all_keys();
    struct token_claims claims;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        enum token_verdict verdict =
            token_verify(&claims, keys, &policy, span_of_string(bad[i]), NOW);
        assert_int_equal(verdict, TOKEN_MALFORMED);
    }
    static char large[TOKEN_SIZE_MAX + 1];
    memset(large, 'a', sizeof(large));
    assert_int_equal(
        token_verify(&claims, keys, &policy, span_of(large, sizeof(large)), NOW), TOKEN_TOO_LARGE);
    struct buffer token = unsigned_token("{\"alg\":\"HS256\",\"alg\":\"none\"}", GOOD);
    append_mac(&token, span_of(secret.bytes, secret.len));
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_MALFORMED);
    token_keys_free(keys);
}

static void test_verify_judges_claims_one_by_one(void **state)
{
    (void)state;
    const struct {
        const char *claims;
        enum token_verdict verdict;
    } rows[] = {
        {GOOD, TOKEN_VALID},
        {"\"sub\":\"alice\",\"exp\":1800000600.5,\"nbf\":1799999999.25", TOKEN_VALID},
        {"\"sub\":\"alice\"", TOKEN_NO_EXPIRY},
        {"\"sub\":\"alice\",\"exp\":\"1800000600\"", TOKEN_NO_EXPIRY},
        {"\"sub\":\"alice\",\"exp\":-1", TOKEN_NO_EXPIRY},
        {"\"sub\":\"alice\",\"exp\":1e300", TOKEN_NO_EXPIRY},
        {"\"sub\":\"alice\",\"exp\":null", TOKEN_NO_EXPIRY},
        {"\"sub\":\"alice\",\"exp\":1799999971", TOKEN_VALID}, /* within the skew of 30 s */
        {"\"sub\":\"alice\",\"exp\":1799999970", TOKEN_EXPIRED},
        {"\"sub\":\"alice\",\"exp\":0", TOKEN_EXPIRED},
        {GOOD ",\"nbf\":1800000030", TOKEN_VALID},
        {GOOD ",\"nbf\":1800000031", TOKEN_NOT_YET},
        {GOOD ",\"nbf\":\"soon\"", TOKEN_NOT_YET},
        {"\"exp\":1800000600", TOKEN_SUBJECT},
        {"\"sub\":\"\",\"exp\":1800000600", TOKEN_SUBJECT},
        {"\"sub\":7,\"exp\":1800000600", TOKEN_SUBJECT},
        {"\"sub\":\"a b\",\"exp\":1800000600", TOKEN_SUBJECT},
        {"\"sub\":\"a\\u0000b\",\"exp\":1800000600", TOKEN_MALFORMED},
        {"\"sub\":\"\xc3\xa4\",\"exp\":1800000600", TOKEN_SUBJECT},
        {GOOD ",\"sub\":\"bob\"", TOKEN_MALFORMED}, /* said twice */
        {GOOD ",", TOKEN_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(judge_claims(rows[i].claims), rows[i].verdict);
}

static void test_verify_holds_the_policy_for_issuer_and_audience(void **state)
{
    (void)state;
    const struct token_policy policy = {.issuer = "https://id", .audience = "ringside"};
    const struct {
        const char *claims;
        enum token_verdict verdict;
    } rows[] = {
        {GOOD ",\"iss\":\"https://id\",\"aud\":\"ringside\"", TOKEN_VALID},
        {GOOD ",\"iss\":\"https://id\",\"aud\":[\"x\",\"ringside\"]", TOKEN_VALID},
        {GOOD ",\"iss\":\"https://id\"", TOKEN_AUDIENCE},
        {GOOD ",\"iss\":\"https://id\",\"aud\":\"other\"", TOKEN_AUDIENCE},
        {GOOD ",\"iss\":\"https://id\",\"aud\":[]", TOKEN_AUDIENCE},
        {GOOD ",\"iss\":\"https://id/\",\"aud\":\"ringside\"", TOKEN_ISSUER},
        {GOOD ",\"iss\":[\"https://id\"],\"aud\":\"ringside\"", TOKEN_ISSUER},
        {GOOD ",\"aud\":\"ringside\"", TOKEN_ISSUER},
    };
    struct token_keys *keys = all_keys();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(judge(keys, &policy, hs256_token(rows[i].claims), NULL), rows[i].verdict);
    token_keys_free(keys);
}

static void test_verify_refuses_every_single_changed_byte(void **state)
{
    (void)state;
    const struct token_policy policy = {0};
    struct token_keys *keys = all_keys();
    struct buffer token = hs256_token(GOOD);
    struct token_claims claims;
    for (size_t i = 0; i < token.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            token.data[i] = (char)(token.data[i] ^ 1 << bit);
            assert_int_not_equal(
                token_verify(&claims, keys, &policy, buffer_span(&token), NOW), TOKEN_VALID);
            token.data[i] = (char)(token.data[i] ^ 1 << bit);
        }
    }
    assert_int_equal(judge(keys, &policy, token, NULL), TOKEN_VALID);
    token_keys_free(keys);
}

static void test_verify_finds_administrators_by_their_claim(void **state)
{
    (void)state;
    const struct {
        const char *wanted;
        const char *claims;
        bool admin;
    } rows[] = {
        {"role=admin", GOOD ",\"role\":\"admin\"", true},
        {"role=admin", GOOD ",\"role\":[\"user\",\"admin\"]", true},
        {"role=admin", GOOD ",\"role\":\"administrator\"", false},
        {"role=admin", GOOD ",\"role\":true", false},
        {"role=admin", GOOD ",\"admin\":\"role\"", false},
        {"role=admin", GOOD, false},
        {"operator=true", GOOD ",\"operator\":true", true},
        {"operator=true", GOOD ",\"operator\":1", false},
        {"a=b=c", GOOD ",\"a\":\"b=c\"", true},
        {"", GOOD ",\"\":\"\"", false},
        {"=", GOOD ",\"\":\"\"", false},
        {NULL, GOOD ",\"role\":\"admin\"", false},
    };
    struct token_keys *keys = all_keys();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct token_policy policy = {.admin_claim = rows[i].wanted};
        struct token_claims claims;
        assert_int_equal(judge(keys, &policy, hs256_token(rows[i].claims), &claims), TOKEN_VALID);
        assert_int_equal(claims.admin, rows[i].admin);
    }
    token_keys_free(keys);
}

static void test_sign_adds_further_claims(void **state)
{
    (void)state;
    const struct token_policy policy = {.admin_claim = "role=admin"};
    const struct token_grant grant = {
        .user = "alice", .now = NOW, .lifetime = 60, .more = SPAN_LITERAL("\"role\":\"admin\"")};
    struct token_keys *keys = all_keys();
    struct token_claims claims;
    struct buffer token = BUFFER_INIT;
    assert_int_equal(token_sign(&token, &secret, &grant), 0);
    assert_int_equal(judge(keys, &policy, token, &claims), TOKEN_VALID);
    assert_true(claims.admin);
    token_keys_free(keys);
}

static void test_keys_refuse_what_is_too_weak_or_of_another_kind(void **state)
{
    (void)state;
    struct token_keys *keys = NULL;
    const struct token_secret weak = {.len = 31};
    assert_int_equal(token_keys_new(&keys), 0);
    assert_int_equal(token_keys_add_secret(keys, &weak), -EINVAL);
    assert_int_equal(add_public(keys, small_rsa), -EINVAL);
    assert_int_equal(add_public(keys, other_curve), -EINVAL);
    assert_int_equal(token_keys_add_pem(keys, SPAN_LITERAL("no PEM at all")), -EINVAL);
    assert_int_equal(token_keys_add_pem(keys, SPAN_EMPTY), -EINVAL);
    assert_int_equal(token_keys_add_pem_file(keys, "/nonexistent/key.pem"), -ENOENT);
    token_keys_free(keys);
    token_keys_free(NULL);
}

static void test_verdicts_have_the_protocols_codes(void **state)
{
    (void)state;
    for (int i = TOKEN_TOO_LARGE; i < TOKEN_VERDICT_COUNT; i++) {
        const char *code = token_verdict_code((enum token_verdict)i);
        assert_string_equal(code, i == TOKEN_EXPIRED ? "token_expired" : "unauthenticated");
        assert_true(strlen(token_verdict_text((enum token_verdict)i)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_accepts_what_sign_made),
        cmocka_unit_test(test_sign_refuses_a_user_that_verify_would_refuse),
        cmocka_unit_test(test_verify_accepts_public_key_signatures_of_known_keys),
        cmocka_unit_test(test_verify_refuses_signatures_of_other_keys),
        cmocka_unit_test(test_verify_pins_the_algorithm_to_the_kind_of_key),
        cmocka_unit_test(test_verify_refuses_unsigned_and_unknown_algorithms),
        cmocka_unit_test(test_verify_refuses_what_is_no_token),
        cmocka_unit_test(test_verify_judges_claims_one_by_one),
        cmocka_unit_test(test_verify_holds_the_policy_for_issuer_and_audience),
        cmocka_unit_test(test_verify_refuses_every_single_changed_byte),
        cmocka_unit_test(test_verify_finds_administrators_by_their_claim),
        cmocka_unit_test(test_sign_adds_further_claims),
        cmocka_unit_test(test_keys_refuse_what_is_too_weak_or_of_another_kind),
        cmocka_unit_test(test_verdicts_have_the_protocols_codes),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
