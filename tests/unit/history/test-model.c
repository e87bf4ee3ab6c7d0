/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention against a plain model: random appends, commits, runs that open and close, trimming,
 * merging and reopening, with each kind of limit. What the model cannot know exactly (which batches
 * the store's own limit takes) it takes from the history, and checks what must hold of it.
 */
#include "history-test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "chance.h"
#include "history/rewrite.h"

#include <stdio.h>

#define USERS 4
#define RUNS 3
#define EVENTS_MAX 4096

struct model_user {
    char name[8];
    uint64_t head;
    uint64_t committed;
    uint64_t floor;
    uint64_t runs[RUNS]; /* first numbers of open runs; 0: none */
    uint64_t committed_runs[RUNS];
    uint64_t pin;        /* as of the last commit */
    uint64_t staged_pin; /* the lowest since then */
};

struct model {
    struct fixture *fixture;
    struct chance chance;
    struct model_user users[USERS];
    uint32_t lengths[USERS][EVENTS_MAX];
    bool exact; /* no limit of the store's own */
    bool staged;
};

static uint64_t lowest_run(const struct model_user *user)
{
    uint64_t lowest = UINT64_MAX;
    for (int i = 0; i < RUNS; i++) {
        if (user->runs[i] && user->runs[i] < lowest)
            lowest = user->runs[i];
    }
    return lowest;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void tell_pin(struct model *model, struct model_user *user)
{
    uint64_t lowest = lowest_run(user);
    history_pin(model->fixture->history, fixture_stream(model->fixture, user->name),
        lowest == UINT64_MAX ? 0 : lowest);
    user->staged_pin = lower(user->staged_pin, lowest);
}

/* ---- what is done */

static void append(struct model *model, struct model_user *user, unsigned count)
{
    _cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
    count = (unsigned)lower(count, EVENTS_MAX - 1 - user->head);
    stage_events(model->fixture, user->name, count);
    for (unsigned i = 0; i < count; i++) {
        buffer_clear(&text);
        event_text(&text, user->name, ++user->head);
        model->lengths[user - model->users][user->head] = (uint32_t)text.len;
    }
    model->staged |= count > 0;
}

static void open_or_close_run(struct model *model, struct model_user *user)
{
    uint64_t *run = &user->runs[chance_below(&model->chance, RUNS)];
    if (*run == 0 && user->head + 1 < EVENTS_MAX) {
        *run = user->head + 1;
        tell_pin(model, user);
        append(model, user, 1);
    } else if (*run) {
        *run = 0;
        tell_pin(model, user);
    }
}

static uint64_t bytes_of(const struct model *model, const struct model_user *user)
{
    uint64_t bytes = 0;
    for (uint64_t seq = user->floor; seq <= user->committed; seq++)
        bytes += model->lengths[user - model->users][seq];
    return bytes;
}

static bool over_by_a_sixteenth(uint64_t count, uint64_t limit)
{
    return limit && count > limit && count - limit > limit / 16;
}

/* The rule as docs/history.md has it. */
static void trim_user(struct model *model, struct model_user *user)
{
    const struct history_options *limits = &model->fixture->options;
    uint64_t pin = lower(user->pin, user->staged_pin);
    uint64_t events = user->committed + 1 - user->floor;
    uint64_t bytes = bytes_of(model, user);
    if (!over_by_a_sixteenth(events, limits->max_events_per_user) &&
        !over_by_a_sixteenth(bytes, limits->max_bytes_per_user))
        return;
    while (user->floor < pin &&
           ((limits->max_events_per_user && events > limits->max_events_per_user) ||
               (limits->max_bytes_per_user && bytes > limits->max_bytes_per_user))) {
        bytes -= model->lengths[user - model->users][user->floor];
        user->floor++;
        events--;
    }
}

static void commit(struct model *model)
{
    assert_return_code(history_commit(model->fixture->history), 0);
    for (int i = 0; model->staged && i < USERS; i++) {
        struct model_user *user = &model->users[i];
        user->committed = user->head;
        memcpy(user->committed_runs, user->runs, sizeof(user->runs));
        user->pin = lowest_run(user);
        user->staged_pin = user->pin;
    }
    model->staged = false;
}

static void trim(struct model *model)
{
    uint64_t now = clock_wall_ms() + chance_below(&model->chance, 3) * 1000;
    int rc;
    while ((rc = history_trim(model->fixture->history, now)) == 1)
        continue;
    assert_int_equal(rc, 0);
    for (int i = 0; i < USERS; i++) {
        struct model_user *user = &model->users[i];
        uint64_t oldest = history_oldest(fixture_stream(model->fixture, user->name));
        uint64_t pin = lower(user->pin, user->staged_pin);
        if (model->exact) {
            trim_user(model, user);
        } else if (oldest > user->floor) {
            assert_true(oldest <= pin);
            user->floor = oldest;
        }
        assert_int_equal(oldest, user->floor);
    }
    struct history_usage usage;
    history_usage(model->fixture->history, &usage);
    assert_true(usage.dead_bytes * 2 <= usage.batch_bytes);
    if (model->fixture->options.max_bytes && usage.excess_bytes == 0)
        assert_true(usage.batch_bytes <= model->fixture->options.max_bytes);
}

static void merge(struct model *model)
{
    struct history *history = model->fixture->history;
    const struct retained_batch *first =
        batches_at_least(&history->batches, 1 + chance_below(&model->chance, history->next_batch));
    if (!first)
        return;
    struct rewrite_order order = {.first = first->number, .last = first->number};
    for (size_t more = chance_below(&model->chance, 5); more > 0; more--) {
        const struct retained_batch *next = batches_at_least(&history->batches, order.last + 1);
        order.last = next ? next->number : order.last;
    }
    assert_return_code(history_rewrite(history, &order), 0);
}

/* As after a crash: what was staged is gone, runs are as they were committed. */
static void reopen(struct model *model)
{
    fixture_reopen(model->fixture);
    for (int i = 0; i < USERS; i++) {
        struct model_user *user = &model->users[i];
        user->head = user->committed;
        memcpy(user->runs, user->committed_runs, sizeof(user->runs));
        user->pin = lowest_run(user);
        user->staged_pin = user->pin;
        tell_pin(model, user);
    }
    model->staged = false;
}

/* ---- what must hold */

static void check(struct model *model)
{
    struct history_usage usage;
    struct history_stream_usage each;
    uint64_t events = 0;
    for (int i = 0; i < USERS; i++) {
        struct model_user *user = &model->users[i];
        history_stream_usage(fixture_stream(model->fixture, user->name), &each);
        assert_int_equal(each.oldest, user->floor);
        assert_int_equal(each.head, user->committed);
        assert_int_equal(each.events, user->committed + 1 - user->floor);
        assert_int_equal(each.bytes, bytes_of(model, user));
        assert_events(model->fixture, user->name, user->floor - 1, user->committed);
        events += each.events;
    }
    history_usage(model->fixture->history, &usage);
    assert_int_equal(usage.events, events);
    assert_int_equal(usage.folded, 0);
}

static void step(struct model *model)
{
    struct model_user *user = &model->users[chance_below(&model->chance, USERS)];
    switch (chance_below(&model->chance, 16)) {
    case 0: trim(model); break;
    case 1: merge(model); break;
    case 2: open_or_close_run(model, user); break;
    case 3:
        if (chance_below(&model->chance, 6) == 0)
            reopen(model);
        break;
    case 4:
    case 5:
    case 6: commit(model); break;
    default: append(model, user, 1 + (unsigned)chance_below(&model->chance, 8)); break;
    }
}

static void run_model(struct fixture *fixture, uint64_t seed, int steps)
{
    _cleanup_free_ struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    model->fixture = fixture;
    model->chance = chance_make();
    model->chance.state += seed;
    model->exact = fixture->options.max_bytes == 0 && fixture->options.max_age_ms == 0;
    for (int i = 0; i < USERS; i++) {
        struct model_user *user = &model->users[i];
        *user = (struct model_user){.floor = 1, .pin = UINT64_MAX, .staged_pin = UINT64_MAX};
        snprintf(user->name, sizeof(user->name), "u%d", i);
    }
    fixture_open(fixture);
    for (int i = 0; i < steps; i++) {
        step(model);
        if (i % 10 == 0)
            check(model);
    }
    reopen(model);
    check(model);
}

static void test_limits_of_a_user_are_kept_to_the_event(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_events_per_user = 40;
    run_model(fixture, 1, 2000);
}

static void test_limits_of_a_users_bytes_are_kept_to_the_event(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_events_per_user = 70;
    fixture->options.max_bytes_per_user = 2500;
    run_model(fixture, 2, 2000);
}

static void test_a_limit_of_the_store_takes_nothing_that_is_pinned(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_bytes = 20000;
    run_model(fixture, 3, 2000);
}

static void test_all_limits_together_leave_streams_without_holes(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_bytes = 16000;
    fixture->options.max_age_ms = 1500;
    fixture->options.max_events_per_user = 60;
    fixture->options.max_bytes_per_user = 5000;
    fixture->options.fold_after_ms = 800; /* batches are merged for it, whatever is in them */
    run_model(fixture, 4, 2000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_limits_of_a_user_are_kept_to_the_event),
        CASE(test_limits_of_a_users_bytes_are_kept_to_the_event),
        CASE(test_a_limit_of_the_store_takes_nothing_that_is_pinned),
        CASE(test_all_limits_together_leave_streams_without_holes),
    };
    return cmocka_run_group_tests_name("history-model", tests, NULL, NULL);
}
