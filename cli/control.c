/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include "cli.h"

#include "base/paths.h"
#include "wire/attachment.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

int control_url(char ret_url[CONTROL_URL_SIZE], const char *run_dir)
{
    int len = snprintf(ret_url, CONTROL_URL_SIZE, "ipc://%s/%s", run_dir, WIRE_CONTROL_SOCKET);
    return len < 0 || len >= CONTROL_URL_SIZE ? -ENAMETOOLONG : 0;
}

bool control_present(const char *run_dir)
{
    char path[PATHS_MAX];
    return paths_join(path, run_dir, WIRE_CONTROL_SOCKET) == 0 && access(path, F_OK) == 0;
}

static int error_of(int nng_error)
{
    switch (nng_error) {
    case 0: return 0;
    case NNG_ENOMEM: return -ENOMEM;
    default: return -EHOSTUNREACH;
    }
}

static int send_request(nng_socket socket, const struct wire_message *request)
{
    nng_msg *raw = NULL;
    struct buffer bytes = BUFFER_INIT;
    wire_encode(&bytes, request);
    int rc = buffer_error(&bytes);
    if (rc == 0)
        rc = error_of(nng_msg_alloc(&raw, 0));
    if (rc == 0)
        rc = error_of(nng_msg_append(raw, bytes.data, bytes.len));
    if (rc == 0)
        rc = error_of(nng_sendmsg(socket, raw, 0));
    if (rc && raw)
        nng_msg_free(raw);
    buffer_deinit(&bytes);
    return rc;
}

static int take_answer(struct buffer *out, struct span bytes)
{
    struct wire_message answer;
    if (wire_decode(&answer, bytes) < 0)
        return -EPROTO;
    if (answer.kind == WIRE_REFUSED) {
        buffer_append_span(out, answer.refused.message);
        return span_is(answer.refused.code, "invalid_argument") ? -EINVAL : -EOPNOTSUPP;
    }
    if (answer.kind != WIRE_ANSWER)
        return -EPROTO;
    buffer_append_span(out, answer.answer.body);
    return buffer_error(out);
}

static int exchange(struct buffer *out, nng_socket socket, const struct wire_message *request)
{
    nng_msg *raw;
    int rc = send_request(socket, request);
    if (rc == 0)
        rc = error_of(nng_recvmsg(socket, &raw, 0));
    if (rc)
        return rc;
    rc = take_answer(out, span_of(nng_msg_body(raw), nng_msg_len(raw)));
    nng_msg_free(raw);
    return rc;
}

int control_query(struct buffer *out, const char *run_dir, const char *what, const char *argument)
{
    char url[CONTROL_URL_SIZE];
    const int patience_ms = (int)(CLI_REACH_SECONDS * 1000);
    nng_socket socket;
    int rc = control_url(url, run_dir);
    if (rc)
        return rc;
    if (nng_req0_open(&socket) != 0)
        return -ENOMEM;
    const struct wire_message request = {.kind = WIRE_QUERY,
        .query = {.what = span_of_string(what), .argument = span_of_string(argument)}};
    if (nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, patience_ms) != 0 ||
        nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, patience_ms) != 0 ||
        nng_dial(socket, url, NULL, NNG_FLAG_NONBLOCK) != 0)
        rc = -EHOSTUNREACH;
    else
        rc = exchange(out, socket, &request);
    nng_close(socket);
    return rc;
}
