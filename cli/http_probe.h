/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

enum http_probe_result {
    HTTP_PROBE_NOBODY, /* no connection: nobody listens there */
    HTTP_PROBE_SILENT, /* a connection, but no HTTP answer in time */
    HTTP_PROBE_ANSWERED,
};

struct http_probe {
    int status;
    char server[64]; /* the Server header, or "" */
};

/* GET http://HOST:PORT/path, HOST a numeric address; waits 3 s at most. */
enum http_probe_result http_probe(
    struct http_probe *ret_probe, const char *host, unsigned port, const char *path);
