/* SPDX-License-Identifier: Apache-2.0 */
#include "links/reply_port.h"

#include "base/paths.h"

#include <errno.h>

#include <nng/nng.h>

struct wire_message reply_refusal(const char *code, const char *message)
{
    return (struct wire_message){.kind = WIRE_REFUSED,
        .refused = {.code = span_of_string(code), .message = span_of_string(message)}};
}

struct wire_message reply_offer(
    int rc, const char *name_problem, const char *url, const char *broker_id)
{
    if (rc == -EINVAL)
        return reply_refusal("invalid_argument", name_problem);
    if (rc == -EUSERS)
        return reply_refusal("too_many_links", "all the broker's links are taken");
    if (rc)
        return reply_refusal("internal", strerror(-rc));
    return (struct wire_message){.kind = WIRE_ATTACHED,
        .attached = {.url = span_of_string(url), .broker_id = span_of_string(broker_id)}};
}

void reply_to_all(nng_socket socket, struct buffer *scratch, reply_fn answer, void *context)
{
    nng_msg *raw;
    while (nng_recvmsg(socket, &raw, NNG_FLAG_NONBLOCK) == 0) {
        char url[PATHS_MAX];
        struct wire_message reply =
            answer(context, span_of(nng_msg_body(raw), nng_msg_len(raw)), url);
        buffer_clear(scratch);
        wire_encode(scratch, &reply);
        nng_msg_clear(raw);
        if (buffer_error(scratch) || nng_msg_append(raw, scratch->data, scratch->len) != 0 ||
            nng_sendmsg(socket, raw, NNG_FLAG_NONBLOCK) != 0)
            nng_msg_free(raw);
    }
}
