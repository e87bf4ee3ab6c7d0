/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include "base/pack.h"
#include "user.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define FROM(symbol) (1u << RUN_##symbol)

static const struct {
    const char *name;
    bool final;
    unsigned from;
} states[RUN_STATE_COUNT] = {
#define RUN_STATE(symbol, name, final, from) [RUN_##symbol] = {#name, final, from},
#include "run_states.def"
#undef RUN_STATE
};

const char *run_state_name(enum run_state state)
{
    return states[state].name;
}

bool run_state_final(enum run_state state)
{
    return states[state].final;
}

bool run_state_follows(enum run_state from, enum run_state to)
{
    return states[to].from & (1u << from);
}

void run_set_state(struct run *run, enum run_state to)
{
    assert(run_state_follows(run->state, to));
    run->state = to;
}

void run_set_text(char field[IDENTIFIER_SIZE], struct span text)
{
    size_t len = text.len <= IDENTIFIER_MAX ? text.len : IDENTIFIER_MAX;
    if (len)
        memcpy(field, text.data, len);
    field[len] = '\0';
}

struct run *run_new(struct user *user, struct span run_id, enum run_state state)
{
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return NULL;
    run->user = user;
    run->state = state;
    run_set_text(run->id, run_id);
    list_init(&run->tools);
    list_init(&run->texts);
    list_init(&run->user_link);
    list_init(&run->queue_link);
    return run;
}

static void drop_all(struct list_link *items)
{
    LIST_FOR_EACH(struct open_item, item, items, link)
    run_drop_open(item);
}

void run_free(struct run *run)
{
    if (!run)
        return;
    drop_all(&run->tools);
    drop_all(&run->texts);
    list_remove(&run->user_link);
    list_remove(&run->queue_link);
    buffer_deinit(&run->content);
    free(run);
}

int run_compare_age(const struct run *a, const struct run *b)
{
    if (a->accepted_ms != b->accepted_ms)
        return a->accepted_ms < b->accepted_ms ? -1 : 1;
    /* Within one millisecond the numbers in the stream tell one user's runs apart. */
    if (a->first_seq != b->first_seq)
        return a->first_seq < b->first_seq ? -1 : 1;
    return strcmp(a->id, b->id);
}

struct open_item *run_find_open(const struct list_link *items, struct span id)
{
    LIST_FOR_EACH(struct open_item, item, items, link)
    {
        if (span_is(id, item->id))
            return item;
    }
    return NULL;
}

int run_add_open(struct list_link *items, struct span id, uint64_t now_ms)
{
    struct open_item *item = calloc(1, sizeof(*item));
    if (!item)
        return -ENOMEM;
    run_set_text(item->id, id);
    item->since_ms = now_ms;
    list_append(items, &item->link);
    return 0;
}

void run_drop_open(struct open_item *item)
{
    list_remove(&item->link);
    free(item);
}

/* ---- the record: a flat array, version first */

enum {
    RECORD_VERSION = 1,
    RECORD_FIELDS = 20,
};

void run_encode(struct buffer *out, const struct run *run)
{
    pack_array(out, RECORD_FIELDS);
    pack_uint(out, RECORD_VERSION);
    pack_str(out, span_of_string(run->user->id));
    pack_uint(out, run->state);
    pack_str(out, span_of_string(run->thread_id));
    pack_str(out, span_of_string(run->request_id));
    pack_str(out, span_of_string(run->message_id));
    pack_str(out, span_of_string(run->agent));
    pack_bin(out, buffer_span(&run->content));
    pack_uint(out, run->started);
    pack_uint(out, run->dispatched);
    pack_uint(out, run->cancel_on_disconnect);
    pack_uint(out, run->attempts);
    pack_uint(out, run->placed);
    pack_uint(out, run->process);
    pack_uint(out, run->incarnation);
    pack_uint(out, run->arena_id);
    pack_uint(out, run->accepted_ms);
    pack_uint(out, run->deadline_ms);
    pack_uint(out, run->first_seq);
    pack_uint(out, run->end_by_ms != 0);
}

static bool read_head(struct pack_reader *reader, struct span *user_id, enum run_state *state)
{
    uint32_t count;
    uint64_t version;
    uint64_t number;
    if (!pack_read_array(reader, &count) || count != RECORD_FIELDS ||
        !pack_read_uint(reader, &version) || version != RECORD_VERSION ||
        !pack_read_str(reader, user_id) || !pack_read_uint(reader, &number) ||
        number >= RUN_STATE_COUNT)
        return false;
    *state = (enum run_state)number;
    return true;
}

int run_peek(struct span record, struct span *ret_user_id, enum run_state *ret_state)
{
    struct pack_reader reader = pack_reader_of(record);
    return read_head(&reader, ret_user_id, ret_state) ? 0 : -EBADMSG;
}

static bool read_text(struct pack_reader *reader, char field[IDENTIFIER_SIZE])
{
    struct span text;
    if (!pack_read_str(reader, &text) || text.len > IDENTIFIER_MAX)
        return false;
    run_set_text(field, text);
    return true;
}

static bool read_flag(struct pack_reader *reader, bool *ret_flag)
{
    uint64_t number;
    if (!pack_read_uint(reader, &number) || number > 1)
        return false;
    *ret_flag = number;
    return true;
}

static bool read_body(struct pack_reader *reader, struct run *run)
{
    struct span content;
    uint64_t process;
    bool ending;
    if (!read_text(reader, run->thread_id) || !read_text(reader, run->request_id) ||
        !read_text(reader, run->message_id) || !read_text(reader, run->agent) ||
        !pack_read_bin(reader, &content) || !read_flag(reader, &run->started) ||
        !read_flag(reader, &run->dispatched) || !read_flag(reader, &run->cancel_on_disconnect) ||
        !pack_read_uint(reader, &run->attempts) || !read_flag(reader, &run->placed) ||
        !pack_read_uint(reader, &process) || process > UINT32_MAX ||
        !pack_read_uint(reader, &run->incarnation) || !pack_read_uint(reader, &run->arena_id) ||
        !pack_read_uint(reader, &run->accepted_ms) || !pack_read_uint(reader, &run->deadline_ms) ||
        !pack_read_uint(reader, &run->first_seq) || !read_flag(reader, &ending))
        return false;
    run->process = (uint32_t)process;
    run->end_by_ms = ending; /* long past on this clock: ended at the first look */
    buffer_append_span(&run->content, content);
    return true;
}

int run_decode(struct run **ret_run, struct user *user, struct span run_id, struct span record)
{
    struct pack_reader reader = pack_reader_of(record);
    struct span user_id;
    enum run_state state;
    if (!read_head(&reader, &user_id, &state))
        return -EBADMSG;
    struct run *run = run_new(user, run_id, state);
    if (!run)
        return -ENOMEM;
    if (!read_body(&reader, run) || buffer_error(&run->content)) {
        run_free(run);
        return -EBADMSG;
    }
    *ret_run = run;
    return 0;
}
