/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way through TLS, between a client of the same library and whoever has the other end of the
 * pair. All of it is in one process and nothing waits: a step is a turn of each.
 */
#include "tls.h"
#include "unit.h"

#include "base/buffer.h"
#include "config/option.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#define STEPS_MAX 20000
#define MUCH (1u << 20)

struct way {
    struct config config;
    struct counters counters;
    struct tls_keys *keys;
    struct tls *tls;
    struct ev_loop *loop;
    char folder[32];
    char certificate[64];
    char key[64];
    SSL_CTX *context;
    SSL *client;
    int socket; /* the client's */
    int inner;  /* what the gateway was given; -1: nothing yet */
    int plain;
};

/* ---- certificates */

static void write_pem(const char *path, EVP_PKEY *key, X509 *certificate)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    if (certificate)
        assert_int_equal(PEM_write_X509(file, certificate), 1);
    else
        assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

static void make_files(struct way *way)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    assert_non_null(certificate);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
        (const unsigned char *)"way", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    write_pem(way->key, key, NULL);
    write_pem(way->certificate, NULL, certificate);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* ---- set-up */

static void on_open(void *context, int fd, const struct address *peer)
{
    struct way *way = context;
    (void)peer;
    way->inner = fd;
}

static void on_plain(void *context, int fd, const struct address *peer)
{
    struct way *way = context;
    (void)peer;
    way->plain = fd;
}

static void connect_client(struct way *way)
{
    int ends[2];
    const struct address peer = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    way->socket = ends[0];
    way->context = SSL_CTX_new(TLS_client_method());
    way->client = SSL_new(way->context);
    SSL_set_fd(way->client, way->socket);
    SSL_set_connect_state(way->client);
    SSL_set_mode(way->client, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    tls_accept(way->tls, ends[1], &peer);
}

static void use_file(char **option, const char *path)
{
    free(*option);
    *option = strdup(path);
}

static int set_up(void **state)
{
    struct way *way = calloc(1, sizeof(*way));
    way->inner = way->plain = -1;
    snprintf(way->folder, sizeof(way->folder), "/tmp/ringside-tls-XXXXXX");
    assert_non_null(mkdtemp(way->folder));
    snprintf(way->certificate, sizeof(way->certificate), "%s/certificate", way->folder);
    snprintf(way->key, sizeof(way->key), "%s/key", way->folder);
    make_files(way);
    assert_int_equal(option_set_defaults(&way->config), 0);
    use_file(&way->config.gateway_tls_certificate_file, way->certificate);
    use_file(&way->config.gateway_tls_key_file, way->key);
    assert_int_equal(tls_keys_new(&way->keys, &way->config), 0);
    way->loop = ev_loop_new(0);
    const struct tls_options options = {.config = &way->config,
        .keys = way->keys,
        .counters = &way->counters,
        .on_open = on_open,
        .on_plain = on_plain,
        .context = way};
    assert_int_equal(tls_new(&way->tls, way->loop, &options), 0);
    connect_client(way);
    *state = way;
    return 0;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

static int tear_down(void **state)
{
    struct way *way = *state;
    tls_free(way->tls);
    tls_keys_free(way->keys);
    ev_loop_destroy(way->loop);
    SSL_free(way->client);
    SSL_CTX_free(way->context);
    close_if_open(way->socket);
    close_if_open(way->inner);
    close_if_open(way->plain);
    unlink(way->certificate);
    unlink(way->key);
    rmdir(way->folder);
    config_deinit(&way->config);
    free(way);
    return 0;
}

/* ---- steps */

static void turn(struct way *way)
{
    ev_run(way->loop, EVRUN_NOWAIT);
}

static void shake_hands(struct way *way)
{
    for (int i = 0; i < STEPS_MAX && way->inner < 0; i++) {
        (void)SSL_do_handshake(way->client);
        turn(way);
    }
    assert_true(way->inner >= 0);
    assert_int_equal(fcntl(way->inner, F_SETFL, O_NONBLOCK), 0);
}

static char byte_at(size_t at)
{
    return (char)(at * 31 + (at >> 8));
}

/* What was read of it so far must be the beginning of what was written. */
static void note(struct buffer *seen, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], byte_at(seen->len + i));
    buffer_append(seen, bytes, len);
}

static void client_reads(struct way *way, struct buffer *seen)
{
    char bytes[16384];
    int got = SSL_read(way->client, bytes, sizeof(bytes));
    if (got > 0)
        note(seen, bytes, (size_t)got);
}

static void gateway_reads(struct way *way, struct buffer *seen)
{
    char bytes[16384];
    ssize_t got = recv(way->inner, bytes, sizeof(bytes), 0);
    if (got > 0)
        note(seen, bytes, (size_t)got);
}

static size_t fill(char *bytes, size_t room, size_t at, size_t end)
{
    size_t len = end - at < room ? end - at : room;
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(at + i);
    return len;
}

/* Whether some of it was taken. */
static bool client_writes(struct way *way, size_t *at, size_t end)
{
    char bytes[5000];
    size_t len = fill(bytes, sizeof(bytes), *at, end);
    int put = len ? SSL_write(way->client, bytes, (int)len) : 0;
    *at += put > 0 ? (size_t)put : 0;
    return put > 0;
}

static bool gateway_writes(struct way *way, size_t *at, size_t end)
{
    char bytes[7000];
    size_t len = fill(bytes, sizeof(bytes), *at, end);
    ssize_t put = len ? send(way->inner, bytes, len, MSG_NOSIGNAL) : 0;
    *at += put > 0 ? (size_t)put : 0;
    return put > 0;
}

/* ---- the tests */

static void test_bytes_pass_both_ways_as_they_are(void **state)
{
    struct way *way = *state;
    struct buffer in = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    size_t asked = 0;
    size_t told = 0;
    shake_hands(way);
    for (int i = 0; i < STEPS_MAX && (in.len < MUCH || out.len < MUCH); i++) {
        client_writes(way, &asked, MUCH);
        gateway_writes(way, &told, MUCH);
        turn(way);
        gateway_reads(way, &in);
        client_reads(way, &out);
    }
    assert_int_equal(in.len, MUCH);
    assert_int_equal(out.len, MUCH);
    assert_int_equal(way->counters.tls_handshakes, 1);
    buffer_deinit(&in);
    buffer_deinit(&out);
}

static void test_who_does_not_read_stops_the_sender_and_misses_nothing(void **state)
{
    struct way *way = *state;
    struct buffer out = BUFFER_INIT;
    size_t told = 0;
    shake_hands(way);
    for (int idle = 0; idle < 5 && told < 64 * MUCH; turn(way))
        idle = gateway_writes(way, &told, 64 * MUCH) ? 0 : idle + 1;
    assert_true(told < 4 * MUCH); /* two kernel buffers and a record */
    assert_true(tls_is_flushing(way->tls));
    for (int i = 0; i < STEPS_MAX && out.len < told; i++, turn(way))
        client_reads(way, &out);
    assert_int_equal(out.len, told);
    assert_false(tls_is_flushing(way->tls));
    buffer_deinit(&out);
}

static void test_a_gateway_that_does_not_read_stops_the_client(void **state)
{
    struct way *way = *state;
    struct buffer in = BUFFER_INIT;
    size_t asked = 0;
    shake_hands(way);
    for (int idle = 0; idle < 5 && asked < 64 * MUCH; turn(way))
        idle = client_writes(way, &asked, 64 * MUCH) ? 0 : idle + 1;
    assert_true(asked < 4 * MUCH);
    for (int i = 0; i < STEPS_MAX && in.len < asked; i++, turn(way))
        gateway_reads(way, &in);
    assert_int_equal(in.len, asked);
    buffer_deinit(&in);
}

static void test_each_side_may_end_while_the_other_goes_on(void **state)
{
    struct way *way = *state;
    struct buffer out = BUFFER_INIT;
    size_t told = 0;
    char byte;
    shake_hands(way);
    (void)SSL_shutdown(way->client);
    turn(way);
    assert_int_equal(recv(way->inner, &byte, 1, 0), 0);
    gateway_writes(way, &told, 3000);
    turn(way);
    client_reads(way, &out);
    assert_int_equal(out.len, 3000);
    close(way->inner);
    way->inner = -1;
    turn(way);
    int rc = SSL_read(way->client, &byte, 1);
    assert_int_equal(SSL_get_error(way->client, rc), SSL_ERROR_ZERO_RETURN);
    buffer_deinit(&out);
}

static void test_what_begins_as_http_is_handed_over_untouched(void **state)
{
    struct way *way = *state;
    char bytes[32];
    assert_int_equal(send(way->socket, "GET / HTTP/1.1\r\n", 16, 0), 16);
    turn(way);
    assert_true(way->plain >= 0);
    assert_int_equal(recv(way->plain, bytes, sizeof(bytes), 0), 16);
    assert_memory_equal(bytes, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(way->counters.tls_plain, 1);
    assert_int_equal(way->counters.tls_handshakes, 0);
}

static void test_what_is_no_tls_is_no_connection(void **state)
{
    struct way *way = *state;
    char byte;
    assert_int_equal(send(way->socket, "\x01\x02\x03\x04\x05\x06\x07\x08", 8, 0), 8);
    for (int i = 0; i < 3; i++)
        turn(way);
    assert_int_equal(way->inner, -1);
    assert_int_equal(way->counters.tls_failed, 1);
    shutdown(way->socket, SHUT_WR);
    turn(way);
    while (recv(way->socket, &byte, 1, 0) == 1) /* an alert, then the end */
        continue;
    assert_int_equal(recv(way->socket, &byte, 1, 0), 0);
}

#define ON_A_WAY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_WAY(test_bytes_pass_both_ways_as_they_are),
        ON_A_WAY(test_who_does_not_read_stops_the_sender_and_misses_nothing),
        ON_A_WAY(test_a_gateway_that_does_not_read_stops_the_client),
        ON_A_WAY(test_each_side_may_end_while_the_other_goes_on),
        ON_A_WAY(test_what_begins_as_http_is_handed_over_untouched),
        ON_A_WAY(test_what_is_no_tls_is_no_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
