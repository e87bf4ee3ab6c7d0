/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_keys.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define PROTOCOL "\x08http/1.1"

struct tls_keys {
    SSL_CTX *current;
};

bool tls_keys_wanted(const struct config *config)
{
    return *config->gateway_tls_certificate_file || *config->gateway_tls_key_file;
}

/* ---- what may be agreed on */

/* Who offers protocols must offer ours; who offers none is taken to speak it. */
static int choose_protocol(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_len,
    const unsigned char *offered, unsigned len, void *context)
{
    (void)ssl;
    (void)context;
    unsigned char *chosen = NULL;
    int rc = SSL_select_next_proto(
        &chosen, ret_len, (const unsigned char *)PROTOCOL, sizeof(PROTOCOL) - 1, offered, len);
    if (rc != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_chosen = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_rules(SSL_CTX *keys)
{
    static const unsigned char session_context[] = "ringside";
    SSL_CTX_set_options(keys, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                  SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(keys, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(keys, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(keys, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(keys, CIPHERS_1_2) == 1 &&
           SSL_CTX_set_session_id_context(keys, session_context, sizeof(session_context)) == 1;
}

/* ---- files */

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "it cannot be read";
}

static int problem(const char *path, const char *what)
{
    log_error("tls", "%s: %s", path, what);
    ERR_clear_error();
    return -EINVAL;
}

/* No passphrase is asked for: nobody sits at the terminal of a server. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

/* Looked at through the descriptor it is read from, so that it cannot be another file by then. */
static int open_private(const char *path)
{
    struct stat status;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (status.st_mode & (S_IRWXO | S_IWGRP))
        return -EPERM;
    return steal_fd(&fd);
}

static EVP_PKEY *read_key(const char *path)
{
    int fd = open_private(path);
    if (fd < 0) {
        problem(path, fd == -EPERM ? "others may read or change it; make it 0600" : strerror(-fd));
        return NULL;
    }
    FILE *file = fdopen(fd, "r");
    if (!file) {
        close(fd);
        return NULL;
    }
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
    fclose(file);
    if (!key)
        problem(path, reason());
    return key;
}

static int use_key(SSL_CTX *keys, const char *path)
{
    EVP_PKEY *key = read_key(path);
    if (!key)
        return -EINVAL;
    bool used = SSL_CTX_use_PrivateKey(keys, key) == 1 && SSL_CTX_check_private_key(keys) == 1;
    EVP_PKEY_free(key);
    return used ? 0 : problem(path, reason());
}

/* Its clients will say so themselves; but the log is where it is looked for. */
static void check_time(const SSL_CTX *keys, const char *path)
{
    const X509 *certificate = SSL_CTX_get0_certificate(keys);
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        log_warn("tls", "%s: the certificate has expired", path);
    else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        log_warn("tls", "%s: the certificate is not valid yet", path);
}

static int read_files(SSL_CTX *keys, const struct config *config)
{
    const char *certificate = config->gateway_tls_certificate_file;
    const char *key = config->gateway_tls_key_file;
    if (!*certificate || !*key)
        return problem(*key ? "gateway.tls_certificate_file" : "gateway.tls_key_file",
            "TLS needs both a certificate and its key");
    if (!set_rules(keys))
        return problem("OpenSSL", reason());
    if (SSL_CTX_use_certificate_chain_file(keys, certificate) != 1)
        return problem(certificate, reason());
    int rc = use_key(keys, key);
    if (!rc)
        check_time(keys, certificate);
    return rc;
}

int tls_keys_read(struct ssl_ctx_st **ret_next, const struct config *config)
{
    if (!tls_keys_wanted(config)) {
        *ret_next = NULL;
        return 0;
    }
    SSL_CTX *next = SSL_CTX_new(TLS_server_method());
    if (!next)
        return -ENOMEM;
    int rc = read_files(next, config);
    if (rc) {
        SSL_CTX_free(next);
        return rc;
    }
    *ret_next = next;
    return 0;
}

/* ---- life */

int tls_keys_new(struct tls_keys **ret_keys, const struct config *config)
{
    struct tls_keys *keys = calloc(1, sizeof(*keys));
    if (!keys)
        return -ENOMEM;
    int rc = tls_keys_read(&keys->current, config);
    if (rc) {
        free(keys);
        return rc;
    }
    *ret_keys = keys;
    return 0;
}

void tls_keys_free(struct tls_keys *keys)
{
    if (!keys)
        return;
    SSL_CTX_free(keys->current);
    free(keys);
}

void tls_keys_use(struct tls_keys *keys, struct ssl_ctx_st *next)
{
    SSL_CTX_free(keys->current);
    keys->current = next;
}

void tls_keys_drop(struct ssl_ctx_st *next)
{
    SSL_CTX_free(next);
}

struct ssl_ctx_st *tls_keys_current(const struct tls_keys *keys)
{
    return keys->current;
}
