/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "handshake.h"

/* Answers over plain HTTP: made here, sent by `http_server.h`. Pure but for web_root. */
struct http_response {
    int status;
    const char *content_type; /* static */
    const char *cache;        /* Cache-Control; static */
    char etag[40];            /* with its quotation marks; empty: none */
    unsigned retry_after;     /* seconds; 0: none */
    struct span body;         /* what is sent: static, or the bytes of `text` */
    struct buffer text;       /* owned */
};

void http_response_deinit(struct http_response *response);

void http_response_refuse(struct http_response *ret, const struct http_refusal *refusal);
void http_response_error(
    struct http_response *ret, int status, const char *code, const char *message);
/* {"status":"…"}, with a reason when `reason` is not NULL. */
void http_response_health(
    struct http_response *ret, int status, const char *state, const char *reason);
/* Takes over `text`. */
void http_response_text(struct http_response *ret, const char *content_type, struct buffer *text);
/*
 * A file of the page: from `web_root` when it is not empty, else from those built in. "/" is
 * index.html. 304 when `if_none_match` names what we have; 404 when there is no such file.
 */
void http_response_page(
    struct http_response *ret, const struct http_request *request, const char *web_root);

/* Status line, headers and, unless `head_only`, the body. */
void http_response_append(struct buffer *out, const struct http_response *response, bool head_only);
