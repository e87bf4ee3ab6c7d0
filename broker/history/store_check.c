/* SPDX-License-Identifier: Apache-2.0 */
#include "history/check.h"

#include "history/section.h"
#include "history/store_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void tell(
    const struct history_check *check, const char *format, ...)
{
    char sentence[HISTORY_REASON_SIZE];
    va_list args;
    if (!check->tell)
        return;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    check->tell(check->context, sentence);
}

static void tell_events(struct history_check *check, const struct batch *batch,
    const struct batch_section *section, uint64_t from, uint64_t to)
{
    check->damaged_events += to - from + 1;
    tell(check, "batch %llu: events %llu to %llu of %.*s are damaged",
        (unsigned long long)batch->number, (unsigned long long)from, (unsigned long long)to,
        SPAN_ARG(section->user_id));
}

static void check_section(
    struct history_check *check, const struct batch *batch, const struct batch_section *section)
{
    struct section_cursor cursor;
    struct section_event event;
    uint64_t next = section->first_seq;
    int rc;
    check->sections++;
    section_begin(&cursor, batch, section);
    while ((rc = section_next(&cursor, &event)) == 1) {
        check->events++;
        next = event.last_seq + 1;
        if (!section_event_intact(&event))
            tell_events(check, batch, section, event.first_seq, event.last_seq);
    }
    if (rc && next <= section->last_seq)
        tell_events(check, batch, section, next, section->last_seq);
}

static int check_sections(struct history_check *check, const struct batch *batch)
{
    struct batch_section section;
    for (uint32_t i = 0; i < batch->sections; i++) {
        if (batch_section_at(&section, batch, i))
            return -EBADMSG;
        check_section(check, batch, &section);
    }
    return 0;
}

static void check_batch(struct history_check *check, const MDB_val *key, const MDB_val *value)
{
    struct batch batch;
    uint64_t number = 0;
    memcpy(&number, key->mv_data, key->mv_size < sizeof(number) ? key->mv_size : sizeof(number));
    check->batches++;
    if (batch_open(&batch, span_of(value->mv_data, value->mv_size)) == 0 &&
        batch_check_front(&batch) == 0 && batch.number == number &&
        check_sections(check, &batch) == 0)
        return;
    check->damaged_batches++;
    tell(check, "batch %llu, %zu bytes: what says whose events are where is damaged",
        (unsigned long long)number, value->mv_size);
}

static int check_all(struct history_check *check, MDB_env *env)
{
    MDB_txn *txn;
    MDB_dbi batches;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, store_table_names[STORE_BATCHES], MDB_INTEGERKEY, &batches);
    if (rc == 0)
        rc = mdb_cursor_open(txn, batches, &cursor);
    if (rc == 0) {
        while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
            check_batch(check, &key, &value);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return rc;
}

int history_check(
    struct history_check *check, const char *directory, char ret_reason[HISTORY_REASON_SIZE])
{
    MDB_env *env;
    int rc = mdb_env_create(&env);
    if (rc == 0) {
        mdb_env_set_maxdbs(env, STORE_TABLE_COUNT);
        rc = mdb_env_open(env, directory, MDB_RDONLY | MDB_NOTLS, 0600);
        if (rc == 0)
            rc = check_all(check, env);
        mdb_env_close(env);
    }
    if (rc == MDB_NOTFOUND)
        return 0;
    snprintf(ret_reason, HISTORY_REASON_SIZE,
        "the history in %.150s cannot be read: %s; "
        "restore a backup, or move it away and start with an empty one",
        directory, mdb_strerror(rc));
    return rc > 0 ? -rc : -EUCLEAN;
}
