/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const schemes[] = {
    [WIRE_SCHEME_IPC] = "ipc://",
    [WIRE_SCHEME_TLS] = "tls+tcp://",
    [WIRE_SCHEME_TCP] = "tcp://",
};

static bool begins_with(struct span text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len > len && memcmp(text.data, prefix, len) == 0;
}

/* The scheme's number, or -1; what follows it. */
static int take_scheme(struct span *ret_rest, struct span url)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        if (!begins_with(url, schemes[i]))
            continue;
        *ret_rest = span_of(url.data + len, url.len - len);
        return (int)i;
    }
    return -1;
}

static bool parse_port(uint16_t *ret_port, struct span digits)
{
    uint32_t port = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9' || i == 5)
            return false;
        port = port * 10 + (uint32_t)(digits.data[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port >= 1 && port <= UINT16_MAX;
}

bool wire_url_parse(struct wire_url *ret_url, struct span url)
{
    struct span rest;
    int scheme = take_scheme(&rest, url);
    if (scheme < 0 || url.len >= WIRE_URL_SIZE)
        return false;
    *ret_url = (struct wire_url){.scheme = (enum wire_scheme)scheme};
    if (scheme == WIRE_SCHEME_IPC)
        return true;
    const char *colon = memrchr(rest.data, ':', rest.len);
    if (!colon || colon == rest.data)
        return false;
    ret_url->host = span_of(rest.data, (size_t)(colon - rest.data));
    return parse_port(&ret_url->port, span_of(colon + 1, rest.len - ret_url->host.len - 1));
}

static bool is_number(struct span host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (host.data[i] != '.' && (host.data[i] < '0' || host.data[i] > '9'))
            return false;
    }
    return true;
}

static bool is_loopback(struct span host)
{
    return (begins_with(host, "127.") && is_number(host)) || span_is(host, "[::1]") ||
           span_is(host, "localhost");
}

const char *wire_url_problem(struct span text, bool plain)
{
    struct wire_url url;
    if (!wire_url_parse(&url, text) ||
        (url.scheme == WIRE_SCHEME_IPC && text.data[strlen(schemes[WIRE_SCHEME_IPC])] != '/'))
        return "it must be ipc:///PATH, tls+tcp://HOST:PORT or tcp://HOST:PORT";
    if (url.scheme == WIRE_SCHEME_TCP && !plain && !is_loopback(url.host))
        return "tcp:// beyond this machine is neither encrypted nor authenticated: use tls+tcp://";
    return NULL;
}

int wire_url_format(char ret_text[WIRE_URL_SIZE], const struct wire_url *url)
{
    int len = snprintf(ret_text, WIRE_URL_SIZE, "%s%.*s:%u", schemes[url->scheme],
        SPAN_ARG(url->host), (unsigned)url->port);
    return len < 0 || len >= WIRE_URL_SIZE ? -ENAMETOOLONG : 0;
}
