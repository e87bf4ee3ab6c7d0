/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include "assets.h"
#include "control.h"

#include "base/cleanup.h"
#include "base/identifier.h"
#include "base/json.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define PAGE_FILE_MAX (8u << 20)
#define JSON_TYPE "application/json"
#define POLICY                                                                                     \
    "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; frame-ancestors 'none'; "   \
    "form-action 'none'"

void http_response_deinit(struct http_response *response)
{
    buffer_deinit(&response->text);
    *response = (struct http_response){0};
}

static void begin_json(struct http_response *response, int status)
{
    *response =
        (struct http_response){.status = status, .content_type = JSON_TYPE, .cache = "no-store"};
}

static void end_json(struct http_response *response)
{
    buffer_append_char(&response->text, '\n');
    response->body = buffer_span(&response->text);
}

void http_response_refuse(struct http_response *ret, const struct http_refusal *refusal)
{
    begin_json(ret, refusal->status);
    ret->retry_after = refusal->retry_after;
    control_append_http_error(&ret->text, &refusal->error);
    end_json(ret);
}

void http_response_error(
    struct http_response *ret, int status, const char *code, const char *message)
{
    struct http_refusal refusal;
    http_refusal_set(&refusal, status, code, "%s", message);
    http_response_refuse(ret, &refusal);
}

void http_response_health(
    struct http_response *ret, int status, const char *state, const char *reason)
{
    begin_json(ret, status);
    buffer_append_char(&ret->text, '{');
    json_append_member(&ret->text, "status", span_of_string(state));
    if (reason)
        json_append_member(&ret->text, "reason", span_of_string(reason));
    buffer_append_char(&ret->text, '}');
    end_json(ret);
}

void http_response_text(struct http_response *ret, const char *content_type, struct buffer *text)
{
    *ret = (struct http_response){
        .status = 200, .content_type = content_type, .cache = "no-store", .text = *text};
    *text = BUFFER_INIT;
    ret->body = buffer_span(&ret->text);
}

/* ---- the page */

static const char *type_of(struct span name)
{
    static const struct {
        const char *suffix;
        const char *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        size_t len = strlen(types[i].suffix);
        if (name.len > len && memcmp(name.data + name.len - len, types[i].suffix, len) == 0)
            return types[i].type;
    }
    return NULL;
}

/* One plain file name: nothing that could leave the folder or name a hidden file. */
static bool name_valid(struct span name)
{
    return identifier_plain(name) && name.len < 128 && name.data[0] != '.';
}

static int read_file(struct buffer *out, const char *path)
{
    struct stat info;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info))
        return -errno;
    if (!S_ISREG(info.st_mode) || info.st_size > PAGE_FILE_MAX)
        return -EINVAL;
    for (;;) {
        char *room = buffer_reserve(out, 65536);
        ssize_t got = room ? read(fd, room, 65536) : -1;
        if (got < 0)
            return room ? -errno : -ENOMEM;
        if (got == 0)
            return 0;
        out->len += (size_t)got;
    }
}

static bool read_from_folder(struct http_response *response, const char *root, struct span name)
{
    char text[128];
    char path[PATHS_MAX];
    snprintf(text, sizeof(text), "%.*s", SPAN_ARG(name));
    if (paths_join(path, root, text) < 0 || read_file(&response->text, path) < 0)
        return false;
    response->body = buffer_span(&response->text);
    return true;
}

static bool take_built_in(struct http_response *response, struct span name)
{
    for (const struct asset *asset = assets; asset->name; asset++) {
        if (!span_is(name, asset->name))
            continue;
        snprintf(response->etag, sizeof(response->etag), "%s", asset->etag);
        response->body = span_of(asset->bytes, asset->len);
        return true;
    }
    return false;
}

void http_response_page(
    struct http_response *ret, const struct http_request *request, const char *web_root)
{
    struct span name = span_of(request->path.data + 1, request->path.len - 1);
    if (!name.len)
        name = SPAN_LITERAL("index.html");
    const char *type = name_valid(name) ? type_of(name) : NULL;
    *ret = (struct http_response){.status = 200, .content_type = type, .cache = "no-cache"};
    bool found =
        type && (*web_root ? read_from_folder(ret, web_root, name) : take_built_in(ret, name));
    if (!found) {
        http_response_deinit(ret);
        http_response_error(ret, 404, "not_found", "there is nothing at this address");
    } else if (ret->etag[0] && http_list_has(request->if_none_match, ret->etag)) {
        ret->status = 304;
        ret->body = SPAN_EMPTY;
    }
}

/* ---- on the wire */

static const char *reason_of(int status)
{
    switch (status) {
    case 200: return "OK";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

/* Headers that belong to a status rather than to a response. */
static const char *status_headers(int status)
{
    switch (status) {
    case 401: return "WWW-Authenticate: Bearer\r\n";
    case 405: return "Allow: GET, HEAD\r\n";
    case 426: return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    default: return "";
    }
}

void http_response_append(struct buffer *out, const struct http_response *response, bool head_only)
{
    buffer_printf(out, "HTTP/1.1 %d %s\r\n", response->status, reason_of(response->status));
    buffer_printf(
        out, "Content-Type: %s\r\nCache-Control: %s\r\n", response->content_type, response->cache);
    if (response->status != 304)
        buffer_printf(out, "Content-Length: %zu\r\n", response->body.len);
    buffer_append_string(out, status_headers(response->status));
    if (response->etag[0])
        buffer_printf(out, "ETag: %s\r\n", response->etag);
    if (response->retry_after)
        buffer_printf(out, "Retry-After: %u\r\n", response->retry_after);
    buffer_append_string(out, "Content-Security-Policy: " POLICY "\r\n"
                              "X-Content-Type-Options: nosniff\r\n"
                              "Referrer-Policy: no-referrer\r\n");
    buffer_printf(
        out, "Connection: %s\r\n\r\n", response->status == 426 ? "Upgrade, close" : "close");
    if (!head_only)
        buffer_append_span(out, response->body);
}
