/* SPDX-License-Identifier: Apache-2.0 */
#include "history/records.h"

#include "base/cleanup.h"
#include "base/identifier.h"
#include "failpoints/failpoint.h"
#include "history/bytes.h"

#include <errno.h>
#include <stdlib.h>

/*
 * row:    0 u64 batch  8 the value
 * ledger: 0 u64 wall-clock milliseconds  8 entries: u8 'r' or 'm', u8 length of key, key
 */
#define ROW_HEADER_SIZE 8
#define LEDGER_HEADER_SIZE 8
#define RECORD_KEY_MAX (2 * IDENTIFIER_MAX + 1)

struct staged_record {
    bool open;
    size_t key_len;
    size_t value_len;
    char bytes[]; /* key, value */
};

static struct span record_key(const struct staged_record *record)
{
    return span_of(record->bytes, record->key_len);
}

static struct span record_value(const struct staged_record *record)
{
    return span_of(record->bytes + record->key_len, record->value_len);
}

static void forget(struct map *map)
{
    size_t cursor = 0;
    struct staged_record *record;
    while ((record = map_next(map, &cursor)))
        free(record);
    map_deinit(map);
}

void records_deinit(struct records *records)
{
    forget(&records->runs);
    forget(&records->messages);
}

void records_committed(struct records *records)
{
    records_deinit(records);
}

bool records_empty(const struct records *records)
{
    return records->runs.count == 0 && records->messages.count == 0;
}

/* ---- staging */

static int stage(struct map *map, struct span key, bool open, struct span value)
{
    struct staged_record *record = malloc(sizeof(*record) + key.len + value.len);
    if (!record)
        return -ENOMEM;
    *record = (struct staged_record){.open = open, .key_len = key.len, .value_len = value.len};
    memcpy(record->bytes, key.data, key.len);
    if (value.len)
        memcpy(record->bytes + key.len, value.data, value.len);
    struct staged_record *former = map_get(map, key);
    int rc = map_put(map, record_key(record), record);
    free(rc ? record : former);
    return rc;
}

static bool key_valid(struct span key)
{
    return key.len > 0 && key.len <= IDENTIFIER_MAX;
}

int records_stage_run(struct records *records, struct span run_id, bool open, struct span record)
{
    return key_valid(run_id) ? stage(&records->runs, run_id, open, record) : -EINVAL;
}

static int make_message_key(
    char memory[RECORD_KEY_MAX], struct span *ret_key, struct span user_id, struct span message_id)
{
    if (!key_valid(user_id) || !key_valid(message_id))
        return -EINVAL;
    memcpy(memory, user_id.data, user_id.len);
    memory[user_id.len] = '\0';
    memcpy(memory + user_id.len + 1, message_id.data, message_id.len);
    *ret_key = span_of(memory, user_id.len + 1 + message_id.len);
    return 0;
}

int records_stage_message(
    struct records *records, struct span user_id, struct span message_id, struct span run_id)
{
    char memory[RECORD_KEY_MAX];
    struct span key;
    int rc = make_message_key(memory, &key, user_id, message_id);
    return rc ? rc : stage(&records->messages, key, false, run_id);
}

/* ---- saving */

static int save_row(
    struct store *store, enum store_table table, const struct staged_record *record, uint64_t batch)
{
    struct span value = record_value(record);
    _cleanup_free_ char *row = malloc(ROW_HEADER_SIZE + value.len);
    if (!row)
        return -ENOMEM;
    put_u64(row, batch);
    memcpy(row + ROW_HEADER_SIZE, value.data, value.len);
    return store_put(store, table, record_key(record), span_of(row, ROW_HEADER_SIZE + value.len));
}

static int save_run(struct store *store, const struct staged_record *run, uint64_t batch)
{
    enum store_table to = run->open ? STORE_OPEN_RUNS : STORE_CLOSED_RUNS;
    enum store_table from = run->open ? STORE_CLOSED_RUNS : STORE_OPEN_RUNS;
    int rc = store_delete(store, from, record_key(run));
    if (rc && rc != -ENOENT)
        return rc;
    return save_row(store, to, run, batch);
}

static void list_in_ledger(struct buffer *ledger, char kind, struct span key)
{
    buffer_append_char(ledger, kind);
    buffer_append_char(ledger, (char)(unsigned char)key.len);
    buffer_append_span(ledger, key);
}

static int save_rows(
    const struct records *records, struct store *store, uint64_t batch, struct buffer *ledger)
{
    size_t cursor = 0;
    const struct staged_record *record;
    while ((record = map_next(&records->runs, &cursor))) {
        int rc = save_run(store, record, batch);
        if (rc)
            return rc;
        if (!record->open)
            list_in_ledger(ledger, 'r', record_key(record));
    }
    cursor = 0;
    while ((record = map_next(&records->messages, &cursor))) {
        int rc = save_row(store, STORE_MESSAGES, record, batch);
        if (rc)
            return rc;
        FAILPOINT(message_saved);
        list_in_ledger(ledger, 'm', record_key(record));
    }
    return buffer_error(ledger);
}

int records_save(
    const struct records *records, struct store *store, uint64_t batch, uint64_t time_ms)
{
    if (records_empty(records))
        return 0;
    char time[LEDGER_HEADER_SIZE];
    put_u64(time, time_ms);
    _cleanup_(buffer_deinit) struct buffer ledger = BUFFER_INIT;
    buffer_append(&ledger, time, sizeof(time));
    int rc = save_rows(records, store, batch, &ledger);
    if (rc || ledger.len == LEDGER_HEADER_SIZE)
        return rc;
    return store_put(store, STORE_LEDGER, store_number_key(&batch), buffer_span(&ledger));
}

/* ---- finding */

static int append_row(struct buffer *out, struct span row)
{
    if (row.len < ROW_HEADER_SIZE)
        return -EIO;
    buffer_append(out, row.data + ROW_HEADER_SIZE, row.len - ROW_HEADER_SIZE);
    return buffer_error(out);
}

static int append_staged(struct buffer *out, const struct staged_record *record)
{
    buffer_append_span(out, record_value(record));
    return buffer_error(out);
}

int records_find_run(
    struct buffer *out, const struct records *records, struct store *store, struct span run_id)
{
    const struct staged_record *record = map_get(&records->runs, run_id);
    if (record)
        return append_staged(out, record);
    if (!key_valid(run_id))
        return -ENOENT;
    int rc = store_read_begin(store);
    if (rc)
        return rc;
    struct span row;
    rc = store_get(store, STORE_OPEN_RUNS, run_id, &row);
    if (rc == -ENOENT)
        rc = store_get(store, STORE_CLOSED_RUNS, run_id, &row);
    if (rc == 0)
        rc = append_row(out, row);
    store_read_end(store);
    return rc;
}

int records_find_message(struct buffer *out, const struct records *records, struct store *store,
    const struct message_key *message)
{
    char memory[RECORD_KEY_MAX];
    struct span key;
    if (make_message_key(memory, &key, message->user_id, message->message_id))
        return -ENOENT;
    const struct staged_record *record = map_get(&records->messages, key);
    if (record)
        return append_staged(out, record);
    int rc = store_read_begin(store);
    if (rc)
        return rc;
    struct span row;
    rc = store_get(store, STORE_MESSAGES, key, &row);
    if (rc == 0)
        rc = append_row(out, row);
    store_read_end(store);
    return rc;
}

/* ---- a user's messages, in the order of their bytes: those in memory and those in the store */

/* The smallest key above: with one byte more, which no identifier begins with. */
static int make_key_behind(
    char memory[RECORD_KEY_MAX + 1], struct span *ret_key, const struct message_key *message)
{
    if (!key_valid(message->user_id) || message->message_id.len > IDENTIFIER_MAX)
        return -EINVAL;
    size_t prefix = message->user_id.len + 1;
    memcpy(memory, message->user_id.data, message->user_id.len);
    memory[prefix - 1] = '\0';
    *ret_key = span_of(memory, prefix);
    if (!message->message_id.len)
        return 0;
    memcpy(memory + prefix, message->message_id.data, message->message_id.len);
    memory[prefix + message->message_id.len] = '\0';
    *ret_key = span_of(memory, prefix + message->message_id.len + 1);
    return 0;
}

static int compare_spans(struct span a, struct span b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int take_message(
    struct found_message *ret_message, struct span key, struct span run_id, struct span user_id)
{
    size_t prefix = user_id.len + 1;
    if (key.len <= prefix || memcmp(key.data, user_id.data, user_id.len) != 0 ||
        key.data[user_id.len] != '\0')
        return -ENOENT;
    struct span message_id = span_of(key.data + prefix, key.len - prefix);
    if (message_id.len > IDENTIFIER_MAX || run_id.len > IDENTIFIER_MAX)
        return -EIO;
    ret_message->message_len = message_id.len;
    memcpy(ret_message->message_id, message_id.data, message_id.len);
    ret_message->run_len = run_id.len;
    memcpy(ret_message->run_id, run_id.data, run_id.len);
    return 0;
}

static int next_stored(
    struct found_message *ret_message, struct store *store, struct span key, struct span user_id)
{
    struct store_entry entry;
    int rc = store_read_begin(store);
    if (rc)
        return rc;
    rc = store_seek(store, STORE_MESSAGES, key, &entry);
    if (!rc && entry.value.len < ROW_HEADER_SIZE)
        rc = -EIO;
    if (!rc)
        rc = take_message(ret_message, entry.key,
            span_of(entry.value.data + ROW_HEADER_SIZE, entry.value.len - ROW_HEADER_SIZE),
            user_id);
    store_read_end(store);
    return rc;
}

/* Adds what is in memory at or above `key`, the smallest MESSAGES_MAX of it, in order. */
static size_t list_staged(const struct staged_record *ret_list[MESSAGES_MAX],
    const struct records *records, struct span key, struct span user_id)
{
    size_t cursor = 0;
    size_t count = 0;
    const struct staged_record *record;
    while ((record = map_next(&records->messages, &cursor))) {
        struct span own = record_key(record);
        if (own.len <= user_id.len + 1 || memcmp(own.data, key.data, user_id.len + 1) != 0 ||
            compare_spans(own, key) < 0)
            continue;
        size_t at = count < MESSAGES_MAX ? count++ : MESSAGES_MAX - 1;
        if (at == MESSAGES_MAX - 1 && ret_list[at] &&
            compare_spans(own, record_key(ret_list[at])) >= 0)
            continue;
        for (; at > 0 && compare_spans(own, record_key(ret_list[at - 1])) < 0; at--)
            ret_list[at] = ret_list[at - 1];
        ret_list[at] = record;
    }
    return count;
}

static struct span id_of(const struct found_message *message)
{
    return span_of(message->message_id, message->message_len);
}

/* The next one of the store, behind the last one listed. */
static int advance(struct found_message *ret_stored, struct store *store, struct span user_id,
    const struct found_message *last)
{
    char memory[RECORD_KEY_MAX + 1];
    struct span key;
    const struct message_key after = {user_id, id_of(last)};
    int rc = make_key_behind(memory, &key, &after);
    return rc ? rc : next_stored(ret_stored, store, key, user_id);
}

int records_list_messages(struct message_list *list, const struct records *records,
    struct store *store, const struct message_key *after)
{
    char memory[RECORD_KEY_MAX + 1];
    struct span key;
    struct found_message stored;
    struct found_message staged;
    const struct staged_record *in_memory[MESSAGES_MAX] = {NULL};
    list->count = 0;
    int rc = make_key_behind(memory, &key, after);
    if (rc)
        return rc;
    size_t waiting = list_staged(in_memory, records, key, after->user_id);
    rc = next_stored(&stored, store, key, after->user_id);
    for (size_t at = 0; list->count < MESSAGES_MAX && (!rc || rc == -ENOENT);) {
        bool more = at < waiting && take_message(&staged, record_key(in_memory[at]),
                                        record_value(in_memory[at]), after->user_id) == 0;
        if (rc && !more)
            return 0;
        int order = rc ? 1 : !more ? -1 : compare_spans(id_of(&stored), id_of(&staged));
        list->messages[list->count++] = order < 0 ? stored : staged; /* what is staged is newer */
        at += order >= 0;
        if (order <= 0)
            rc = advance(&stored, store, after->user_id, &list->messages[list->count - 1]);
    }
    return rc == -ENOENT ? 0 : rc;
}

/* ---- open runs: what is committed under what is staged, copied, so that the callback may stage */

static int collect(void *context, const struct store_entry *entry)
{
    struct span value = entry->value;
    if (value.len < ROW_HEADER_SIZE)
        return -EIO;
    value = span_of(value.data + ROW_HEADER_SIZE, value.len - ROW_HEADER_SIZE);
    return stage(context, entry->key, true, value);
}

static int lay_staged_over(struct map *open, const struct records *records)
{
    size_t cursor = 0;
    const struct staged_record *record;
    while ((record = map_next(&records->runs, &cursor))) {
        int rc = stage(open, record_key(record), record->open, record_value(record));
        if (rc)
            return rc;
    }
    return 0;
}

static int compare_keys(const void *left, const void *right)
{
    struct span a = record_key(*(const struct staged_record *const *)left);
    struct span b = record_key(*(const struct staged_record *const *)right);
    return compare_spans(a, b);
}

static int call_in_order(const struct map *open,
    int (*callback)(void *context, struct span run_id, struct span record), void *context)
{
    _cleanup_free_ const struct staged_record **order = malloc((open->count + 1) * sizeof(void *));
    if (!order)
        return -ENOMEM;
    size_t count = 0;
    size_t cursor = 0;
    const struct staged_record *record;
    while ((record = map_next(open, &cursor))) {
        if (record->open)
            order[count++] = record;
    }
    qsort(order, count, sizeof(void *), compare_keys);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = callback(context, record_key(order[i]), record_value(order[i]));
    return rc;
}

int records_each_open_run(const struct records *records, struct store *store,
    int (*callback)(void *context, struct span run_id, struct span record), void *context)
{
    _cleanup_(forget) struct map open = {0};
    int rc = store_read_begin(store);
    if (rc)
        return rc;
    rc = store_each(store, STORE_OPEN_RUNS, collect, &open);
    store_read_end(store);
    if (rc == 0)
        rc = lay_staged_over(&open, records);
    return rc ? rc : call_in_order(&open, callback, context);
}

/* ---- dropping */

static int seek_oldest_page(
    struct ledger_page *ret_page, struct store_entry *ret_entry, struct store *store)
{
    int rc = store_seek(store, STORE_LEDGER, SPAN_EMPTY, ret_entry);
    if (rc)
        return rc;
    if (ret_entry->key.len != sizeof(uint64_t) || ret_entry->value.len < LEDGER_HEADER_SIZE)
        return -EUCLEAN;
    memcpy(&ret_page->batch, ret_entry->key.data, sizeof(uint64_t));
    ret_page->time_ms = get_u64(ret_entry->value.data);
    return 0;
}

int records_oldest_page(struct ledger_page *ret_page, struct store *store)
{
    struct store_entry entry;
    return seek_oldest_page(ret_page, &entry, store);
}

static int drop_row(struct store *store, enum store_table table, struct span key, uint64_t batch)
{
    struct span row;
    int rc = store_get(store, table, key, &row);
    if (rc == 0 && row.len >= ROW_HEADER_SIZE && get_u64(row.data) == batch)
        rc = store_delete(store, table, key);
    return rc == -ENOENT ? 0 : rc;
}

/* A message stays as long as its run is open; the run's end lists it anew. */
static int drop_message(struct store *store, struct span key, uint64_t batch)
{
    struct span row;
    struct span run;
    int rc = store_get(store, STORE_MESSAGES, key, &row);
    if (rc || row.len <= ROW_HEADER_SIZE || get_u64(row.data) != batch)
        return rc == -ENOENT ? 0 : rc;
    rc = store_get(store, STORE_OPEN_RUNS,
        span_of(row.data + ROW_HEADER_SIZE, row.len - ROW_HEADER_SIZE), &run);
    return rc == -ENOENT ? store_delete(store, STORE_MESSAGES, key) : rc;
}

int records_drop_oldest_page(struct store *store)
{
    struct ledger_page page;
    struct store_entry entry;
    int rc = seek_oldest_page(&page, &entry, store);
    if (rc)
        return rc;
    /* Copied: deleting moves what the spans point to. */
    _cleanup_(buffer_deinit) struct buffer list = BUFFER_INIT;
    buffer_append_span(&list, entry.value);
    rc = buffer_error(&list);
    for (size_t at = LEDGER_HEADER_SIZE; rc == 0 && at < list.len;) {
        size_t len = at + 2 <= list.len ? (unsigned char)list.data[at + 1] : SIZE_MAX / 2;
        if (len == 0 || len > list.len - at - 2)
            return -EUCLEAN;
        struct span key = span_of(list.data + at + 2, len);
        rc = list.data[at] == 'r' ? drop_row(store, STORE_CLOSED_RUNS, key, page.batch)
                                  : drop_message(store, key, page.batch);
        at += 2 + len;
    }
    return rc ? rc : store_delete(store, STORE_LEDGER, store_number_key(&page.batch));
}
