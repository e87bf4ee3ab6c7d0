/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/map.h"
#include "history/messages.h"
#include "history/store.h"

/*
 * Runs and accepted messages: those staged, in memory; those committed, in the store.
 *
 * A row is the number of the batch that wrote it last, and the value. For each batch the table
 * `ledger` lists the closed runs and the messages it wrote, with the time, so that they can be
 * dropped again when nobody can ask for them any more. Open runs are never dropped.
 */
struct records {
    struct map runs;     /* struct staged_record by run_id */
    struct map messages; /* struct staged_record by user, NUL, message */
};

void records_deinit(struct records *records);
bool records_empty(const struct records *records);
int records_stage_run(struct records *records, struct span run_id, bool open, struct span record);
int records_stage_message(
    struct records *records, struct span user_id, struct span message_id, struct span run_id);
/* Inside a write: puts what is staged. */
int records_save(
    const struct records *records, struct store *store, uint64_t batch, uint64_t time_ms);
void records_committed(struct records *records);

int records_find_run(
    struct buffer *out, const struct records *records, struct store *store, struct span run_id);
struct message_key {
    struct span user_id;
    struct span message_id;
};
int records_find_message(struct buffer *out, const struct records *records, struct store *store,
    const struct message_key *key);
/* The messages behind `after->message_id` ("" for the first), of the same user, in the order of
 * their bytes. Looks through all that is staged. */
int records_list_messages(struct message_list *list, const struct records *records,
    struct store *store, const struct message_key *after);
int records_each_open_run(const struct records *records, struct store *store,
    int (*callback)(void *context, struct span run_id, struct span record), void *context);

/* The oldest ledger page: its batch and time. -ENOENT when there is none. */
struct ledger_page {
    uint64_t batch;
    uint64_t time_ms;
};
int records_oldest_page(struct ledger_page *ret_page, struct store *store);
/* Inside a write: drops the oldest ledger page, and the rows that no later batch wrote again. */
int records_drop_oldest_page(struct store *store);
