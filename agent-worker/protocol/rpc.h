/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <stdint.h>

/*
 * JSON-RPC 2.0, one message a line. Pure: bytes to structs and back. Batches are not part of the
 * protocol with agents.
 */
#define RPC_METHOD_SIZE 64

enum rpc_error {
    RPC_E_UNKNOWN_METHOD = -32601,
    RPC_E_PARAMS = -32602,
    RPC_E_REFUSED = -32000, /* legal, but not now; the message says why */
};

enum rpc_kind {
    RPC_REQUEST,
    RPC_NOTIFICATION,
    RPC_RESULT, /* answers a request of ours */
    RPC_ERROR,  /* the same, with an error */
};

/* Spans point into the line and are JSON. */
struct rpc_message {
    enum rpc_kind kind;
    struct span id;               /* a number or a string; empty in a notification */
    char method[RPC_METHOD_SIZE]; /* of a request or notification; cut off when longer */
    struct span params;           /* an object or an array, or empty */
    struct span result;           /* any value */
    struct span error;            /* an object */
};

/* 0; or -EBADMSG when the line is not one message, and then *ret_reason (static) says why. */
int rpc_parse(struct rpc_message *ret_message, struct span line, const char **ret_reason);
/* The number in `message->id`, or 0 when it is none of ours (ours begin at 1). */
uint64_t rpc_own_id(const struct rpc_message *message);

/*
 * Each appends a line with its newline. params and results are JSON without newlines; an `id` is
 * one taken from a request. Errors are the buffer's.
 */
void rpc_append_request(struct buffer *out, uint64_t id, const char *method, struct span params);
void rpc_append_notification(struct buffer *out, const char *method, struct span params);
void rpc_append_result(struct buffer *out, struct span id, struct span result);
void rpc_append_error(struct buffer *out, struct span id, enum rpc_error code, struct span message);
