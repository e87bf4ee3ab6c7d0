/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "protocol.h"

/*
 * Reading one member of a request's params. Each returns false with the error set, which names the
 * member. Spans point into `params`.
 */
bool protocol_refuse(struct protocol_error *error, const char *name, const char *why);
/* Empty when `value` is no string. */
struct span protocol_text(const json_t *value);
bool protocol_read_identifier(
    struct span *ret_id, const json_t *params, const char *name, struct protocol_error *error);
/* The same, and false neither when it is absent. */
bool protocol_read_optional_identifier(
    struct span *ret_id, const json_t *params, const char *name, struct protocol_error *error);
/* One of `choices`, "one|two|three"; it may be absent. */
bool protocol_read_choice(struct span *ret_choice, const json_t *params, const char *name,
    const char *choices, struct protocol_error *error);
/* Whether arrays and objects are nested at most `depth` deep. */
bool protocol_nests_within(const json_t *value, unsigned depth);
/* Appends `value` as JSON text of at most `max` bytes: payload_too_large beyond. */
bool protocol_write_json(struct buffer *ret_text, const json_t *value, const char *name, size_t max,
    struct protocol_error *error);

/* ---- the methods: from params to the members of the request that are theirs */

typedef bool protocol_decode_params(
    struct protocol_request *request, const json_t *params, struct protocol_error *error);

protocol_decode_params protocol_decode_chat_send;  /* protocol_chat.c */
protocol_decode_params protocol_decode_run_cancel; /* protocol_runs.c, as the next four */
protocol_decode_params protocol_decode_runs_list;
protocol_decode_params protocol_decode_run_get;
protocol_decode_params protocol_decode_interrupt_respond;
protocol_decode_params protocol_decode_subscribe; /* protocol_stream.c, as the next two */
protocol_decode_params protocol_decode_ack;
protocol_decode_params protocol_decode_auth_refresh;
