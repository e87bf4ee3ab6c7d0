/* SPDX-License-Identifier: Apache-2.0 */
#include "links/hand_over_port.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/paths.h"
#include "links/versions.h"
#include "wire/attachment.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#define QUERY "hand_over"
#define UNTIL_SIZE 24

/* ---- the one that is asked */

/* "until=<ms> wire=2 …" */
static bool in_time(struct span request, uint64_t now_ms)
{
    char text[UNTIL_SIZE + 6] = "";
    memcpy(text, request.data, request.len < sizeof(text) - 1 ? request.len : sizeof(text) - 1);
    return strncmp(text, "until=", 6) == 0 && strtoull(text + 6, NULL, 10) >= now_ms;
}

bool hand_over_answer(struct buffer *out, struct span request, uint64_t now_ms)
{
    struct buffer why = BUFFER_INIT;
    const struct versions own = versions_own();
    bool agreed = false;
    if (!in_time(request, now_ms))
        buffer_printf(&why, "the one that asked has given up waiting");
    else
        agreed = versions_agree(&own, request, &why);
    buffer_append_char(out, '{');
    json_append_member_bool(out, "agreed", agreed);
    if (!agreed)
        json_append_member(out, "reason", buffer_span(&why));
    buffer_append_char(out, '}');
    buffer_deinit(&why);
    return agreed;
}

/* ---- the one that asks */

static int send_request(nng_socket socket, uint64_t until_ms)
{
    struct buffer argument = BUFFER_INIT;
    struct buffer bytes = BUFFER_INIT;
    const struct versions own = versions_own();
    nng_msg *raw = NULL;
    buffer_printf(&argument, "until=%llu ", (unsigned long long)until_ms);
    versions_append(&argument, &own);
    const struct wire_message request = {.kind = WIRE_QUERY,
        .query = {.what = SPAN_LITERAL(QUERY), .argument = buffer_span(&argument)}};
    wire_encode(&bytes, &request);
    int rc = buffer_error(&argument) ? -ENOMEM : buffer_error(&bytes);
    if (!rc && (nng_msg_alloc(&raw, 0) || nng_msg_append(raw, bytes.data, bytes.len)))
        rc = -ENOMEM;
    if (!rc && nng_sendmsg(socket, raw, 0) == 0)
        raw = NULL;
    else if (!rc)
        rc = -ETIMEDOUT;
    if (raw)
        nng_msg_free(raw);
    buffer_deinit(&argument);
    buffer_deinit(&bytes);
    return rc;
}

static int take_answer(struct span bytes, struct buffer *why)
{
    struct wire_message answer;
    if (wire_decode(&answer, bytes) < 0)
        answer.kind = WIRE_NONE;
    if (answer.kind == WIRE_REFUSED) {
        buffer_append_span(why, answer.refused.message);
        return -EPERM;
    }
    struct span body = answer.kind == WIRE_ANSWER ? answer.answer.body : SPAN_EMPTY;
    json_t *object = json_loadb(body.data, body.len, 0, NULL);
    bool agreed = json_is_true(json_object_get(object, "agreed"));
    const char *reason = json_string_value(json_object_get(object, "reason"));
    if (!agreed)
        buffer_printf(why, "%s", reason ? reason : "its answer is not understood");
    json_decref(object);
    return agreed ? 0 : -EPERM;
}

static int exchange(nng_socket socket, uint64_t until_ms, struct buffer *why)
{
    nng_msg *raw;
    int rc = send_request(socket, until_ms);
    if (rc)
        return rc;
    rc = nng_recvmsg(socket, &raw, 0);
    if (rc != 0)
        return rc == NNG_ETIMEDOUT ? -ETIMEDOUT : -ECONNRESET;
    rc = take_answer(span_of(nng_msg_body(raw), nng_msg_len(raw)), why);
    nng_msg_free(raw);
    return rc;
}

int hand_over_ask(const char *run_dir, uint64_t until_ms, struct buffer *why)
{
    char url[PATHS_MAX];
    nng_socket socket;
    uint64_t now = clock_wall_ms();
    nng_duration patience = until_ms > now ? (nng_duration)(until_ms - now) : 1;
    int len = snprintf(url, sizeof(url), "ipc://%s/%s", run_dir, WIRE_CONTROL_SOCKET);
    if (len < 0 || len >= (int)sizeof(url))
        return -ENAMETOOLONG;
    if (nng_req0_open(&socket) != 0)
        return -ENOMEM;
    int rc = -ETIMEDOUT;
    if (nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, patience) == 0 &&
        nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, patience) == 0 &&
        nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE) == 0 &&
        nng_dial(socket, url, NULL, NNG_FLAG_NONBLOCK) == 0)
        rc = exchange(socket, until_ms, why);
    nng_close(socket);
    return rc;
}
