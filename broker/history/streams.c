/* SPDX-License-Identifier: Apache-2.0 */
#include "history/streams.h"

#include "history/bytes.h"

#include <errno.h>
#include <stdio.h>

static void make_epoch(const struct streams *streams, struct history_stream *stream)
{
    snprintf(stream->epoch, sizeof(stream->epoch), "%s%s", streams->store_epoch, stream->suffix);
}

void streams_deinit(struct streams *streams)
{
    size_t cursor = 0;
    struct history_stream *stream;
    while ((stream = map_next(&streams->by_user, &cursor)))
        index_deinit(&stream->index);
    map_deinit(&streams->by_user);
    region_deinit(&streams->region);
}

struct history_stream *streams_find(const struct streams *streams, struct span user_id)
{
    return map_get(&streams->by_user, user_id);
}

struct history_stream *streams_get(struct streams *streams, struct span user_id)
{
    struct history_stream *stream = streams_find(streams, user_id);
    if (stream || user_id.len == 0 || user_id.len > IDENTIFIER_MAX)
        return stream;
    stream = region_take(&streams->region, sizeof(*stream) + user_id.len);
    if (!stream)
        return NULL;
    stream->store = streams->store;
    stream->staging = streams->staging;
    stream->head = streams->first_head;
    stream->committed_head = streams->first_head;
    stream->kept_head = streams->first_head;
    stream->shown_head = streams->first_head;
    stream->floor = streams->first_head + 1;
    stream->pin = UINT64_MAX;
    stream->former_pin = UINT64_MAX;
    list_init(&stream->over_link);
    stream->user_len = user_id.len;
    memcpy(stream->user_id, user_id.data, user_id.len);
    make_epoch(streams, stream);
    /* Else its memory is lost until the history is closed: there is hardly any left. */
    return map_put(&streams->by_user, stream_user(stream), stream) < 0 ? NULL : stream;
}

void streams_set_epoch(struct streams *streams, const char *store_epoch)
{
    snprintf(streams->store_epoch, sizeof(streams->store_epoch), "%s", store_epoch);
    size_t cursor = 0;
    struct history_stream *stream;
    while ((stream = map_next(&streams->by_user, &cursor)))
        make_epoch(streams, stream);
}

void streams_set_suffix(
    const struct streams *streams, struct history_stream *stream, const char *suffix)
{
    snprintf(stream->suffix, sizeof(stream->suffix), "%s", suffix);
    make_epoch(streams, stream);
}

void streams_make_epoch(char *ret_text, size_t len)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char chance[STREAM_EPOCH_STORE_LEN];
    random_bytes(chance, len);
    for (size_t i = 0; i < len; i++)
        ret_text[i] = digits[chance[i] & 31];
    ret_text[len] = '\0';
}

bool streams_epoch_valid(struct span text, size_t len)
{
    for (size_t i = 0; i < text.len; i++) {
        char digit = text.data[i];
        if (!((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'z')))
            return false;
    }
    return text.len == len;
}

/* row: 0 u64 head  8 the suffix, or zeros  16 u64 floor  24 u32 bytes 28 u32 events of the cut */
int streams_save(struct store *store, const struct stream_row *row)
{
    char bytes[STREAM_ROW_SIZE] = {0};
    put_u64(bytes, row->head);
    memcpy(bytes + 8, row->suffix, strlen(row->suffix));
    put_u64(bytes + 16, row->floor);
    put_u32(bytes + 24, row->cut_bytes);
    put_u32(bytes + 28, row->cut_events);
    return store_put(store, STORE_STREAMS, stream_user(row->stream), span_of(bytes, sizeof(bytes)));
}

struct stream_row streams_row(const struct history_stream *stream)
{
    return (struct stream_row){
        .stream = stream,
        .suffix = stream->suffix,
        .head = stream->committed_head,
        .floor = stream->floor,
        .cut_bytes = stream->cut_bytes,
        .cut_events = stream->cut_events,
    };
}

int streams_load(struct streams *streams, const struct store_entry *row)
{
    char suffix[STREAM_EPOCH_SUFFIX_LEN + 1] = {0};
    if (row->value.len != STREAM_ROW_SIZE || row->key.len == 0 || row->key.len > IDENTIFIER_MAX)
        return -EUCLEAN;
    memcpy(suffix, row->value.data + 8, STREAM_EPOCH_SUFFIX_LEN);
    if (suffix[0] && !streams_epoch_valid(span_of_string(suffix), STREAM_EPOCH_SUFFIX_LEN))
        return -EUCLEAN;
    struct history_stream *stream = streams_get(streams, row->key);
    if (!stream)
        return -ENOMEM;
    stream->head = get_u64(row->value.data);
    stream->floor = get_u64(row->value.data + 16);
    stream->cut_bytes = get_u32(row->value.data + 24);
    stream->cut_events = get_u32(row->value.data + 28);
    streams_set_suffix(streams, stream, suffix);
    return stream->floor == 0 || stream->floor > stream->head + 1 ? -EUCLEAN : 0;
}
