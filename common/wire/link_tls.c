/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/link_tls.h"

#include "base/buffer.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#define FILE_MAX (1u << 20)

static int read_text(struct buffer *out, int fd)
{
    ssize_t got;
    do {
        char *room = buffer_reserve(out, 4096);
        if (!room)
            return -ENOMEM;
        got = read(fd, room, 4096);
        if (got < 0)
            return -errno;
        out->len += (size_t)got;
        if (out->len > FILE_MAX)
            return -EFBIG;
    } while (got > 0);
    buffer_append_char(out, '\0');
    return buffer_error(out);
}

static int read_pem(struct buffer *out, const char *path, bool secret)
{
    struct stat status;
    if (!*path)
        return -ENOENT;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (secret && (status.st_mode & (S_IRWXO | S_IWGRP)))
        return -EPERM;
    return read_text(out, fd);
}

static int set_own(nng_tls_config *tls, const struct link_tls_files *files, const char **ret_wrong)
{
    _cleanup_(buffer_deinit) struct buffer certificate = BUFFER_INIT;
    struct buffer key = BUFFER_INIT;
    *ret_wrong = files->certificate;
    int rc = read_pem(&certificate, files->certificate, false);
    if (!rc) {
        *ret_wrong = files->key;
        rc = read_pem(&key, files->key, true);
    }
    if (!rc && nng_tls_config_own_cert(tls, certificate.data, key.data, NULL) != 0)
        rc = -EBADMSG;
    if (key.data)
        explicit_bzero(key.data, key.len);
    buffer_deinit(&key);
    return rc;
}

static int set_authority(
    nng_tls_config *tls, const struct link_tls_files *files, const char **ret_wrong)
{
    _cleanup_(buffer_deinit) struct buffer authority = BUFFER_INIT;
    *ret_wrong = files->authority;
    int rc = read_pem(&authority, files->authority, false);
    if (!rc && nng_tls_config_ca_chain(tls, authority.data, NULL) != 0)
        rc = -EBADMSG;
    return rc;
}

int link_tls_new(struct nng_tls_config **ret_tls, const struct link_tls_files *files,
    const char *server_name, const char **ret_wrong)
{
    nng_tls_config *tls;
    *ret_wrong = "";
    if (nng_tls_config_alloc(&tls, server_name ? NNG_TLS_MODE_CLIENT : NNG_TLS_MODE_SERVER) != 0)
        return -ENOMEM;
    int rc = set_own(tls, files, ret_wrong);
    if (!rc)
        rc = set_authority(tls, files, ret_wrong);
    if (!rc && (nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_REQUIRED) != 0 ||
                   (server_name && nng_tls_config_server_name(tls, server_name) != 0)))
        rc = -ENOMEM;
    if (rc) {
        nng_tls_config_free(tls);
        return rc;
    }
    *ret_tls = tls;
    return 0;
}

void link_tls_free(struct nng_tls_config *tls)
{
    if (tls)
        nng_tls_config_free(tls);
}

const char *link_tls_problem(int rc)
{
    switch (rc) {
    case -ENOENT: return "there is no such file; tls+tcp:// needs certificate, key and authority";
    case -EPERM: return "others may read or change it; make it 0600";
    case -EBADMSG: return "it is not PEM, or key and certificate do not belong together";
    default: return strerror(-rc);
    }
}
