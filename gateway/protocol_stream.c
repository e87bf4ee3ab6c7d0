/* SPDX-License-Identifier: Apache-2.0 */
/* What concerns the connection itself: what it is shown, how far it is, whose it is. */
#include "protocol_fields.h"

#include "handshake.h"

#include <stdlib.h>

static bool read_cursor(
    struct protocol_subscribe *subscribe, const json_t *params, struct protocol_error *error)
{
    const json_t *cursor = json_object_get(params, "cursor");
    struct span text = protocol_text(cursor);
    subscribe->mode = WIRE_OPEN_LIVE;
    if (!cursor)
        return true;
    subscribe->mode = span_is(text, "start") ? WIRE_OPEN_START : WIRE_OPEN_CURSOR;
    if (subscribe->mode == WIRE_OPEN_CURSOR &&
        !handshake_parse_cursor(subscribe->epoch, &subscribe->after, text))
        return protocol_refuse(error, "cursor", "must be <epoch>.<seq>, or start");
    return true;
}

static bool read_threads(struct filter *filter, const json_t *params, struct protocol_error *error)
{
    const json_t *threads = json_object_get(params, "threads");
    size_t i;
    json_t *thread;
    if (!threads)
        return true;
    if (!json_is_array(threads) || json_array_size(threads) > FILTER_THREADS_MAX)
        return protocol_refuse(error, "threads", "must be an array of at most 32 threads");
    json_array_foreach(threads, i, thread)
    {
        struct span id = protocol_text(thread);
        if (!identifier_valid(id))
            return protocol_refuse(error, "threads", "has an item that names no thread");
        memcpy(filter->threads[i], id.data, id.len);
        filter->count++;
    }
    return true;
}

static bool read_snapshots(bool *ret_wanted, const json_t *params, struct protocol_error *error)
{
    const json_t *snapshots = json_object_get(params, "snapshots");
    if (snapshots && !json_is_boolean(snapshots))
        return protocol_refuse(error, "snapshots", "must be true or false");
    *ret_wanted = json_is_true(snapshots);
    return true;
}

bool protocol_decode_subscribe(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    struct protocol_subscribe *subscribe = calloc(1, sizeof(*subscribe));
    request->subscribe = subscribe;
    if (!subscribe) {
        protocol_error_set(error, "internal", "out of memory");
        return false;
    }
    return read_cursor(subscribe, params, error) &&
           read_threads(&subscribe->filter, params, error) &&
           read_snapshots(&subscribe->snapshots, params, error);
}

bool protocol_decode_ack(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    const json_t *seq = json_object_get(params, "seq");
    if (!json_is_integer(seq) || json_integer_value(seq) < 0)
        return protocol_refuse(error, "seq", "must be a whole number, 0 or more");
    request->seq = (uint64_t)json_integer_value(seq);
    return true;
}

bool protocol_decode_auth_refresh(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    const json_t *token = json_object_get(params, "token");
    if (!json_is_string(token) || json_string_length(token) == 0)
        return protocol_refuse(error, "token", "must be a string");
    request->token = protocol_text(token);
    return true;
}
