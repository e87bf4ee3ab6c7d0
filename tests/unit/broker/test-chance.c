/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything at once, by chance: three worker processes write legal and illegal events of many runs
 * of three users into the rings, are killed and given up; runs are asked for, cancelled and pass
 * their deadlines; the broker is restarted, now and then between taking something in and keeping
 * it. A plain model, which shares no code with the broker, says what each event is worth and what
 * each run's part of its user's stream is, to the last event the broker must write itself.
 */
#include "chance-model.h"
#include "chance.h"
#include "process-test.h"

#include "base/clock.h"
#include "event/codec.h"
#include "runs/payload.h"

#include <errno.h>
#include <stdio.h>

#define USERS 3
#define WORKERS 3
#define RUNS 150
#define STEPS 1500

struct world {
    struct fixture *f;
    struct chance chance;
    struct child workers[WORKERS];
    struct worker *seats[WORKERS];
    struct model_run runs[RUNS];
    unsigned count;
    unsigned messages;
    uint64_t refused[VERDICT_COUNT]; /* since the broker's start */
    unsigned ends[4];                /* how runs ended, for the test of the test */
};

static const char *const user_names[USERS] = {"ann", "bob", "cleo"};

static size_t pick(struct world *w, size_t below)
{
    return chance_below(&w->chance, below);
}

/* ---- the broker: what its streams hold */

static void tell_event(struct buffer *out, const struct event *event)
{
    char text[IDENTIFIER_SIZE] = "";
    bool synthetic = event->flags & EVENT_FLAG_SYNTHETIC;
    struct span id = event->tool_call_id.len ? event->tool_call_id : event->message_id;
    bool asks = event->type == EVENT_INTERRUPT_REQUESTED || event->type == EVENT_INTERRUPT_RESOLVED;
    if (asks)
        payload_string(text, event->data, "interrupt_id");
    if (asks)
        id = span_of_string(text);
    if (out->len)
        buffer_append_char(out, ' ');
    buffer_append_string(out, event_type_name(event->type));
    if (id.len && event->type != EVENT_CHAT_MESSAGE && event->type != EVENT_RUN_QUEUED) {
        buffer_append_char(out, ':');
        buffer_append_span(out, id);
    }
    buffer_append_string(
        out, event->type == EVENT_PARTIAL_RESULT && event->flags & EVENT_FLAG_FINAL ? "!" : "");
    if (!synthetic)
        return;
    payload_string(text, event->data, event->type == EVENT_ERROR_EVENT ? "code" : "status");
    buffer_append_string(out, text[0] ? "*=" : "*");
    buffer_append_string(out, text);
}

static struct model_run *find_run(struct world *w, struct span id)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (span_is(id, w->runs[i].id))
            return &w->runs[i];
    }
    fail_msg("a run nobody knows: %.*s", SPAN_ARG(id));
    return NULL;
}

static void read_user(struct world *w, unsigned user, struct buffer told[RUNS])
{
    struct history_stream *stream = fixture_user(w->f, user_names[user])->stream;
    struct buffer page = BUFFER_INIT;
    struct event event;
    uint64_t last = 0;
    for (uint64_t after = 0; after < history_head(stream); after = last) {
        buffer_clear(&page);
        assert_return_code(history_read(stream, after, 1u << 20, &page, &last), 0);
        assert_true(last > after);
        uint64_t seq = after;
        for (size_t at = 0; event_decode_next(&event, buffer_span(&page), &at) == 1;) {
            assert_int_equal(event.seq, ++seq);
            struct model_run *run = find_run(w, event.run_id);
            assert_int_equal(run->user, user);
            tell_event(&told[run - w->runs], &event);
        }
    }
    buffer_deinit(&page);
}

static void compare_streams(struct world *w)
{
    static struct buffer told[RUNS];
    for (unsigned user = 0; user < USERS; user++)
        read_user(w, user, told);
    for (unsigned i = 0; i < w->count; i++) {
        struct model_run *run = &w->runs[i];
        if (!span_equal(buffer_span(&told[i]), buffer_span(&run->told)))
            fail_msg("run %s\nis:     %.*s\nshould: %.*s", run->id, (int)told[i].len,
                told[i].len ? told[i].data : "", (int)run->told.len,
                run->told.len ? run->told.data : "");
        buffer_clear(&told[i]);
    }
}

/* ---- steps */

static void lose_all(struct world *w, int worker, const char *code)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (w->runs[i].worker == worker && !w->runs[i].over)
            w->ends[0] += model_lose(&w->runs[i], code);
    }
}

static void learn_places(struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct model_run *run = &w->runs[i];
        if (!run->asked || run->over || run->worker != NOBODY)
            continue;
        const struct run *known = fixture_find(w->f, run->id);
        assert_true(known->placed); /* there is always room */
        for (int worker = 0; worker < WORKERS; worker++) {
            if (w->workers[worker].index == known->process)
                run->worker = worker;
        }
        assert_int_not_equal(run->worker, NOBODY);
        run->given++;
    }
}

static void compare_refused(struct world *w)
{
    for (unsigned verdict = 1; verdict < VERDICT_COUNT; verdict++) {
        if (w->f->counters.refused[verdict] != w->refused[verdict])
            fail_msg("%s: %llu, not %llu", verdict_name((enum verdict)verdict),
                (unsigned long long)w->f->counters.refused[verdict],
                (unsigned long long)w->refused[verdict]);
    }
}

static void turn(struct world *w)
{
    fixture_turn(w->f);
    fixture_turn(w->f); /* places what the first one gave back */
    compare_refused(w);
    learn_places(w);
}

static void seat(struct world *w, int worker)
{
    w->seats[worker] = fixture_worker(w->f, w->workers[worker].index, 10000, "librarian");
    w->seats[worker]->incarnation = w->workers[worker].incarnation;
}

static void start_worker(struct world *w, int worker)
{
    child_start(&w->workers[worker], w->f);
    processes_turn(w->f->processes, true);
    seat(w, worker);
}

static void kill_worker(struct world *w, int worker)
{
    workers_remove(w->seats[worker]);
    lose_all(w, worker, "worker_lost"); /* after all it wrote, which nobody has read yet */
    child_kill(&w->workers[worker]);
    turn(w);
    child_reap(&w->workers[worker]);
    start_worker(w, worker);
    turn(w);
}

static void give_up_worker(struct world *w, int worker)
{
    struct child *child = &w->workers[worker];
    workers_remove(w->seats[worker]);
    lose_all(w, worker, "worker_stalled");
    assert_int_equal(processes_fence(w->f->processes, child->index, child->incarnation), 0);
    drain_turn(w->f->drain, SIZE_MAX);
    processes_disown(w->f->processes, child->index, child->incarnation);
    farewell_process_stalled(&w->f->farewell, child->index, child->incarnation);
    assert_int_equal(child_try(child, "ann", started("r-late")), -EOWNERDEAD);
    turn(w);
    child_stop(child);
    turn(w);
    start_worker(w, worker);
    turn(w);
}

/* Between two turns, or in one: before or after the commit. All that the rings still hold is met
 * again by the next one, which must know what was kept. */
static void restart_broker(struct world *w)
{
    uint64_t before[VERDICT_COUNT];
    size_t where = pick(w, 3);
    memcpy(before, w->f->counters.refused, sizeof(before));
    if (where > 0)
        drain_turn(w->f->drain, 1 + pick(w, 8));
    if (where > 1) {
        fixture_commit(w->f);
        memcpy(before, w->f->counters.refused, sizeof(before));
    }
    fixture_restart(w->f);
    fixture_recover(w->f);
    for (unsigned verdict = 0; verdict < VERDICT_COUNT; verdict++)
        w->refused[verdict] -= before[verdict];
    for (int worker = 0; worker < WORKERS; worker++)
        seat(w, worker);
    turn(w);
}

static struct model_run *new_run(struct world *w)
{
    struct model_run *run = &w->runs[w->count];
    if (w->count == RUNS)
        return NULL;
    *run = (struct model_run){.worker = NOBODY, .user = (unsigned)pick(w, USERS)};
    snprintf(run->id, sizeof(run->id), "r-%u", w->count++);
    return run;
}

static void ask(struct world *w)
{
    char message[32];
    struct model_run *run = new_run(w);
    if (!run)
        return;
    snprintf(message, sizeof(message), "m-%u", ++w->messages);
    struct answer answer = chat(w->f, user_names[run->user], message, message);
    assert_null(answer.code);
    memcpy(run->id, answer.run_id, IDENTIFIER_SIZE);
    run->exists = run->asked = true;
    model_tell(run, "chat_message", "");
    model_tell(run, "run_queued", "");
    turn(w);
}

static void cancel(struct world *w)
{
    struct model_run *run = &w->runs[pick(w, w->count)];
    if (!run->exists)
        return;
    turn(w);
    run->cancelled |= !run->over;
    cancel_run(w->f, user_names[run->user], run->id);
    turn(w); /* what is not kept was not promised either */
}

static void pass_time(struct world *w, bool deadline)
{
    turn(w);
    uint64_t grace = 2 * w->f->config.broker_cancel_grace;
    uint64_t wall = deadline ? 2 * w->f->config.broker_run_timeout + grace : 0;
    dispatch_overdue(&w->f->dispatch, clock_monotonic_ms() + grace, clock_wall_ms() + wall);
    for (unsigned i = 0; i < w->count; i++) {
        struct model_run *run = &w->runs[i];
        if (!run->exists || run->over)
            continue;
        if (deadline && run->asked)
            model_end(run, "cancelled", "run_timeout");
        else if (run->cancelled)
            model_end(run, "cancelled", NULL);
        w->ends[2] += run->over;
    }
    turn(w);
}

/* ---- events */

static struct model_run *run_of(struct world *w, int worker)
{
    unsigned start = (unsigned)pick(w, w->count + 1);
    for (unsigned i = 0; i < w->count; i++) {
        struct model_run *run = &w->runs[(start + i) % w->count];
        if (run->worker == worker && !run->over)
            return run;
    }
    return NULL;
}

static void choose_run(struct world *w, struct attempt *a)
{
    size_t choice = pick(w, 20);
    a->run = choice < 17 ? run_of(w, a->worker) : NULL;
    if (!a->run && choice < 18 && w->count)
        a->run = &w->runs[pick(w, w->count)];
    if (!a->run)
        a->run = new_run(w);
    if (!a->run)
        a->run = &w->runs[pick(w, w->count)];
    a->user = pick(w, 30) == 0 ? (unsigned)pick(w, USERS) : a->run->user;
}

static void choose_type(struct world *w, struct attempt *a)
{
    enum event_type type = (enum event_type)(1 + pick(w, EVENT_TYPE_COUNT - 1));
    bool ends = type == EVENT_AGENT_COMPLETED || type == EVENT_ERROR_EVENT;
    if (ends && pick(w, 5) != 0)
        type = EVENT_PARTIAL_RESULT;
    if (!a->run->begun && pick(w, 3) != 0)
        type = EVENT_AGENT_STARTED;
    a->event.type = type;
    a->event.flags = (uint32_t)chance_next(&w->chance) & EVENT_FLAGS_ALL;
    if (type == EVENT_PARTIAL_RESULT && pick(w, 2))
        a->event.flags &= ~(uint32_t)EVENT_FLAG_FINAL;
}

static void choose_identities(struct world *w, struct attempt *a)
{
    for (int kind = 0; kind < KINDS; kind++) {
        bool named = pick(w, 8) != 0;
        if (kind == TOOL && a->event.type == EVENT_PARTIAL_RESULT)
            named = pick(w, 4) == 0;
        a->ids[kind] = named ? pick(w, IDS) : IDS;
        if (named)
            snprintf(a->text[kind], sizeof(a->text[kind]), "%c-%zu", model_letters[kind],
                a->ids[kind] % 10);
    }
    if (a->ids[QUESTION] != IDS)
        snprintf(a->data, sizeof(a->data), "{\"interrupt_id\":\"%s\"}", a->text[QUESTION]);
    else
        strcpy(a->data, pick(w, 10) ? "{}" : "[]");
}

static void fill_event(struct world *w, struct attempt *a)
{
    bool whole = pick(w, 10) != 0;
    bool thing = a->event.type == EVENT_TOOL_EXECUTING || a->event.type == EVENT_TOOL_COMPLETED ||
                 a->event.type == EVENT_PARTIAL_RESULT;
    a->event.timestamp = 1795000000000;
    a->event.run_id = span_of_string(a->run->id);
    a->event.data = span_of_string(a->data);
    if (thing && a->ids[TOOL] != IDS)
        a->event.tool_call_id = span_of_string(a->text[TOOL]);
    if (a->event.type == EVENT_PARTIAL_RESULT && a->ids[TEXT] != IDS)
        a->event.message_id = span_of_string(a->text[TEXT]);
    if (a->event.type == EVENT_AGENT_STARTED && whole) {
        a->event.thread_id = SPAN_LITERAL("t-1");
        a->event.agent = SPAN_LITERAL("librarian");
    }
}

static void emit(struct world *w)
{
    struct attempt a = {.worker = (int)pick(w, WORKERS)};
    choose_run(w, &a);
    choose_type(w, &a);
    choose_identities(w, &a);
    fill_event(w, &a);
    bool strange = a.user != a.run->user; /* between two rings there is no order */
    if (strange)
        turn(w);
    enum verdict verdict = model_judge(&a);
    child_emit(&w->workers[a.worker], user_names[a.user], a.event);
    if (verdict == VERDICT_LEGAL)
        w->ends[1] += model_take(&a);
    else
        w->refused[verdict]++;
    if (strange)
        turn(w);
}

static void step(struct world *w)
{
    size_t choice = pick(w, 1000);
    if (choice < 760)
        emit(w);
    else if (choice < 880)
        turn(w);
    else if (choice < 930)
        ask(w);
    else if (choice < 960 && w->count)
        cancel(w);
    else if (choice < 972)
        kill_worker(w, (int)pick(w, WORKERS));
    else if (choice < 980)
        give_up_worker(w, (int)pick(w, WORKERS));
    else if (choice < 988)
        restart_broker(w);
    else
        pass_time(w, choice < 991);
}

static void end_all(struct world *w)
{
    turn(w);
    for (int worker = 0; worker < WORKERS; worker++)
        kill_worker(w, worker);
    for (unsigned i = 0; i < w->count; i++)
        w->runs[i].cancelled |= w->runs[i].exists && !w->runs[i].over;
    for (unsigned i = 0; i < w->count; i++) {
        if (!w->runs[i].over && w->runs[i].exists)
            cancel_run(w->f, user_names[w->runs[i].user], w->runs[i].id);
    }
    pass_time(w, false);
    compare_streams(w);
    assert_int_equal(w->f->pipeline.runs.count, 0); /* whatever began has ended, once */
    for (unsigned i = 0; i < w->count; i++)
        assert_true(w->runs[i].over || !w->runs[i].exists);
}

static void test_whatever_happens_streams_hold_what_the_model_says(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->f = *state;
    w->chance = chance_make();
    w->f->config.broker_placement_timeout = 0;
    w->f->config.broker_max_queued = w->f->config.broker_max_queued_per_user = 1000;
    for (int worker = 0; worker < WORKERS; worker++)
        start_worker(w, worker);
    for (int i = 0; i < STEPS; i++) {
        step(w);
        if (i % 50 == 0)
            compare_streams((turn(w), w));
    }
    end_all(w);
    assert_true(w->ends[0] > 5 && w->ends[1] > 5 && w->ends[2] > 2);
    for (int worker = 0; worker < WORKERS; worker++)
        child_stop(&w->workers[worker]);
    for (unsigned i = 0; i < w->count; i++)
        buffer_deinit(&w->runs[i].told);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_whatever_happens_streams_hold_what_the_model_says, fixture_up_large, fixture_down),
    };
    return cmocka_run_group_tests_name("broker-chance", tests, NULL, NULL);
}
