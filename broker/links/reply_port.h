/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/message.h"

/* One request, one reply: what the sockets on which others ask for links have in common. */

/* The texts are borrowed until the message is encoded. */
struct wire_message reply_refusal(const char *code, const char *message);
/* What became of an offer of a link: `rc` as links_offer gave it, `name_problem` for -EINVAL. */
struct wire_message reply_offer(
    int rc, const char *name_problem, const char *url, const char *broker_id);

struct nng_socket_s;

/* Answers one request; may put what the reply points to into `url`, of PATHS_MAX bytes. */
typedef struct wire_message (*reply_fn)(void *context, struct span bytes, char *url);
/* Answers all that waits at a rep0 socket; `scratch` is cleared and used. A reply that cannot be
 * sent is left out: whoever asked asks again. */
void reply_to_all(
    struct nng_socket_s socket, struct buffer *scratch, reply_fn answer, void *context);
