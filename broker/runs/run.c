/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/run.h"

#include "base/pack.h"
#include "runs/user.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static const struct {
    const char *name;
    bool final;
} states[RUN_STATE_COUNT] = {
#define RUN_STATE(symbol, name, final) [RUN_##symbol] = {#name, final},
#include "runs/states.def"
#undef RUN_STATE
};

static const struct {
    enum run_cause cause;
    unsigned from;
    enum run_state to;
} moves[] = {
#define S(symbol) (1u << RUN_##symbol)
#define RUN_MOVE(cause, words, from, to) {CAUSE_##cause, from, RUN_##to},
#include "runs/moves.def"
#undef RUN_MOVE
#undef S
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
    for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
        if (moves[i].to == to && moves[i].from & (1u << from))
            return true;
    }
    return false;
}

enum run_state run_state_after(enum run_state from, enum run_cause cause)
{
    for (size_t i = 0; cause != CAUSE_NONE && i < ARRAY_SIZE(moves); i++) {
        if (moves[i].cause == cause && moves[i].from & (1u << from))
            return moves[i].to;
    }
    return from;
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
    grammar_init(&run->grammar);
    snapshot_init(&run->snapshot);
    list_init(&run->user_link);
    list_init(&run->thread_link);
    heap_node_init(&run->begun_node);
    list_init(&run->holder_link);
    list_init(&run->farewell_link);
    return run;
}

void run_free(struct run *run)
{
    if (!run)
        return;
    grammar_deinit(&run->grammar);
    snapshot_deinit(&run->snapshot);
    list_remove(&run->user_link);
    list_remove(&run->thread_link);
    list_remove(&run->holder_link);
    list_remove(&run->farewell_link);
    buffer_deinit(&run->content);
    buffer_deinit(&run->context);
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

struct open_item *run_find_open(const struct run *run, enum grammar_set set, struct span id)
{
    struct grammar_item *item = grammar_find(&run->grammar, set, id);
    return item ? CONTAINER_OF(item, struct open_item, item) : NULL;
}

/* ---- the record: a flat array, version first */

enum {
    RECORD_VERSION = 2,
    RECORD_FIELDS = 21,
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
    pack_uint(out, run_started(run));
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
    pack_str(out, span_of_string(run->retry_of));
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

int run_peek_thread(struct span record, struct span *ret_thread_id)
{
    struct pack_reader reader = pack_reader_of(record);
    struct span user_id;
    struct span thread_id;
    enum run_state state;
    if (!read_head(&reader, &user_id, &state) || !pack_read_str(&reader, &thread_id))
        return -EBADMSG;
    *ret_thread_id = thread_id;
    return 0;
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
    bool started;
    bool ending;
    if (!read_text(reader, run->thread_id) || !read_text(reader, run->request_id) ||
        !read_text(reader, run->message_id) || !read_text(reader, run->agent) ||
        !pack_read_bin(reader, &content) || !read_flag(reader, &started) ||
        !read_flag(reader, &run->dispatched) || !read_flag(reader, &run->cancel_on_disconnect) ||
        !pack_read_uint(reader, &run->attempts) || !read_flag(reader, &run->placed) ||
        !pack_read_uint(reader, &process) || process > UINT32_MAX ||
        !pack_read_uint(reader, &run->incarnation) || !pack_read_uint(reader, &run->arena_id) ||
        !pack_read_uint(reader, &run->accepted_ms) || !pack_read_uint(reader, &run->deadline_ms) ||
        !pack_read_uint(reader, &run->first_seq) || !read_flag(reader, &ending) ||
        !read_text(reader, run->retry_of))
        return false;
    run->grammar.state = started ? GRAMMAR_RUNNING : GRAMMAR_NEW;
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
