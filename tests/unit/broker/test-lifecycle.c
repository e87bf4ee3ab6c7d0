/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar twice: as a table that names the verdict for every state and type, and against a
 * model that shares no code with it, driven by chance.
 */
#include "chance.h"
#include "unit.h"

#include "base/cleanup.h"
#include "runs/lifecycle.h"

#include <stdio.h>

static struct span letter_id(char kind, size_t number)
{
    static char ids[8][8];
    static unsigned turn;
    char *id = ids[turn++ % 8];
    snprintf(id, sizeof(ids[0]), "%c-%zu", kind, number % 100);
    return span_of_string(id);
}

/* ---- every state, every type */

struct situation {
    const char *name;
    enum run_state state;
    bool started;
    bool asked;           /* i-1 is open */
    const char *verdicts; /* one letter a type, in the order of types.def */
};

static const struct {
    char letter;
    enum verdict verdict;
} letters[] = {
    {'.', VERDICT_LEGAL},
    {'n', VERDICT_NOT_STARTED},
    {'2', VERDICT_STARTED_TWICE},
    {'b', VERDICT_NOT_FOR_AGENTS},
    {'w', VERDICT_NOT_WAITING},
    {'S', VERDICT_SEALED},
};

/*
 * run_queued chat_message agent_started agent_thinking tool_executing tool_completed
 * partial_result agent_completed error_event interrupt_requested interrupt_resolved
 */
static const struct situation situations[] = {
    {"accepted", RUN_ACCEPTED, false, false, "nnnnnnnnnnn"},
    {"queued", RUN_QUEUED, false, false, "nnnnnnnnnnn"},
    {"starting", RUN_STARTING, false, false, "bb.nnnnnnnn"},
    {"running", RUN_RUNNING, true, false, "bb2.......w"},
    {"waiting", RUN_WAITING, true, true, "bb2........"},
    {"cancelled before it began", RUN_CANCELLING, false, false, "bb.nnnnnnnn"},
    {"cancelled while running", RUN_CANCELLING, true, false, "bb2.......w"},
    {"cancelled while waiting", RUN_CANCELLING, true, true, "bb2........"},
    {"completed", RUN_COMPLETED, true, false, "SSSSSSSSSSS"},
    {"cancelled", RUN_CANCELLED, true, false, "SSSSSSSSSSS"},
    {"failed", RUN_FAILED, true, false, "SSSSSSSSSSS"},
    {"rejected", RUN_REJECTED, false, false, "SSSSSSSSSSS"},
};

static enum verdict verdict_of(char letter)
{
    for (size_t i = 0; i < ARRAY_SIZE(letters); i++) {
        if (letters[i].letter == letter)
            return letters[i].verdict;
    }
    fail_msg("no verdict has the letter %c", letter);
    return VERDICT_LEGAL;
}

static struct run *make_run(enum run_state state, bool has_started)
{
    struct run *run = run_new(NULL, SPAN_LITERAL("r-1"), state);
    assert_non_null(run);
    run->grammar.state = has_started ? GRAMMAR_RUNNING : GRAMMAR_NEW;
    return run;
}

/* Something is open in the run, whatever its state. */
static void open_in(struct run *run, enum grammar_step step, const char *id)
{
    struct grammar_item *item;
    struct span id_span = span_of_string(id);
    assert_int_equal(
        grammar_follow(&item, &run->grammar, step, id_span, sizeof(struct open_item)), 0);
    assert_non_null(item);
}

/* An event with all the identity its type could need: the tool call is open for its end only. */
static struct event whole_event(enum event_type type)
{
    struct event event = {.type = type, .data = SPAN_LITERAL("{}")};
    if (type == EVENT_TOOL_EXECUTING)
        event.tool_call_id = SPAN_LITERAL("c-new");
    if (type == EVENT_TOOL_COMPLETED)
        event.tool_call_id = SPAN_LITERAL("c-open");
    if (type == EVENT_PARTIAL_RESULT)
        event.message_id = SPAN_LITERAL("m-1");
    if (type == EVENT_INTERRUPT_REQUESTED)
        event.data = SPAN_LITERAL("{\"interrupt_id\":\"i-new\"}");
    if (type == EVENT_INTERRUPT_RESOLVED)
        event.data = SPAN_LITERAL("{\"interrupt_id\":\"i-1\"}");
    return event;
}

static void test_each_type_has_its_verdict_in_each_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(situations); i++) {
        const struct situation *situation = &situations[i];
        assert_int_equal(strlen(situation->verdicts), EVENT_TYPE_COUNT - 1);
        struct run *run = make_run(situation->state, situation->started);
        if (situation->asked)
            open_in(run, STEP_INTERRUPT_BEGIN, "i-1");
        open_in(run, STEP_TOOL_BEGIN, "c-open");
        for (enum event_type type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
            const struct event event = whole_event(type);
            enum verdict expected = verdict_of(situation->verdicts[type - 1]);
            enum verdict verdict = lifecycle_check(run, &event);
            if (verdict != expected)
                fail_msg("%s, %s: %s, not %s", situation->name, event_type_name(type),
                    verdict_name(verdict), verdict_name(expected));
        }
        run_free(run);
    }
}

static enum verdict check_tool(struct run *run, enum event_type type, const char *id)
{
    const struct event event = {.type = type, .tool_call_id = span_of_string(id)};
    return lifecycle_check(run, &event);
}

static void test_tool_calls_pair_by_their_identifier(void **state)
{
    (void)state;
    struct run *run = make_run(RUN_RUNNING, true);
    open_in(run, STEP_TOOL_BEGIN, "c-1");
    assert_int_equal(check_tool(run, EVENT_TOOL_EXECUTING, "c-1"), VERDICT_TOOL_ALREADY_OPEN);
    assert_int_equal(check_tool(run, EVENT_TOOL_EXECUTING, "c-2"), VERDICT_LEGAL);
    assert_int_equal(check_tool(run, EVENT_TOOL_COMPLETED, "c-1"), VERDICT_LEGAL);
    assert_int_equal(check_tool(run, EVENT_TOOL_COMPLETED, "c-2"), VERDICT_TOOL_NOT_OPEN);
    assert_int_equal(check_tool(run, EVENT_PARTIAL_RESULT, "c-1"), VERDICT_LEGAL);
    assert_int_equal(check_tool(run, EVENT_PARTIAL_RESULT, "c-2"), VERDICT_TOOL_NOT_OPEN);
    run_free(run);
}

static void test_events_without_the_identity_they_need_are_refused(void **state)
{
    (void)state;
    struct run *run = make_run(RUN_RUNNING, true);
    assert_int_equal(check_tool(run, EVENT_TOOL_EXECUTING, ""), VERDICT_NO_IDENTITY);
    assert_int_equal(check_tool(run, EVENT_TOOL_COMPLETED, ""), VERDICT_NO_IDENTITY);
    assert_int_equal(check_tool(run, EVENT_PARTIAL_RESULT, ""), VERDICT_NO_IDENTITY);
    run_free(run);
}

static void test_tool_keeps_the_name_it_was_begun_with(void **state)
{
    (void)state;
    struct run *run = make_run(RUN_RUNNING, true);
    const struct event event = {.type = EVENT_TOOL_EXECUTING,
        .tool_call_id = SPAN_LITERAL("c-1"),
        .timestamp = 77,
        .data = SPAN_LITERAL("{\"args\":{\"tool_name\":\"no\"},\"tool_name\":\"search\"}")};
    assert_int_equal(lifecycle_apply(run, &event), 0);
    const struct open_item *tool = run_find_open(run, GRAMMAR_TOOL, SPAN_LITERAL("c-1"));
    assert_non_null(tool);
    assert_string_equal(tool->label, "search");
    assert_int_equal(tool->since_ms, 77);
    run_free(run);
}

static struct event open_event(enum grammar_set set, const char *id, char data[64])
{
    static const enum event_type types[] = {
        EVENT_PARTIAL_RESULT, EVENT_TOOL_EXECUTING, EVENT_INTERRUPT_REQUESTED};
    snprintf(data, 64, "{\"interrupt_id\":\"%s\"}", id);
    return (struct event){.type = types[set],
        .message_id = set == GRAMMAR_TEXT ? span_of_string(id) : SPAN_EMPTY,
        .tool_call_id = set == GRAMMAR_TOOL ? span_of_string(id) : SPAN_EMPTY,
        .data = span_of_string(data)};
}

static void test_a_run_has_so_many_open_and_no_more(void **state)
{
    (void)state;
    for (enum grammar_set set = 0; set < GRAMMAR_SETS; set++) {
        struct run *run = make_run(RUN_RUNNING, true);
        char id[16];
        char data[64];
        for (unsigned i = 0; i < GRAMMAR_OPEN_MAX; i++) {
            snprintf(id, sizeof(id), "x-%u", i);
            struct event event = open_event(set, id, data);
            assert_int_equal(lifecycle_check(run, &event), VERDICT_LEGAL);
            assert_int_equal(lifecycle_apply(run, &event), 0);
        }
        struct event event = open_event(set, "x-more", data);
        assert_int_equal(lifecycle_check(run, &event), VERDICT_TOO_MANY_OPEN);
        run_free(run);
    }
}

static enum run_state state_after(enum run_state before, enum event_type type, uint32_t flags)
{
    struct run *run = make_run(before, before != RUN_QUEUED && before != RUN_ACCEPTED);
    const struct event event = {.type = type, .flags = flags};
    assert_int_equal(lifecycle_apply(run, &event), 0);
    enum run_state after = run->state;
    run_free(run);
    return after;
}

static void test_terminal_event_decides_how_a_run_ended(void **state)
{
    (void)state;
    const uint32_t cancelled = EVENT_FLAG_OUTCOME_CANCELLED;
    const uint32_t fatal = EVENT_FLAG_FATAL;
    assert_int_equal(state_after(RUN_RUNNING, EVENT_AGENT_COMPLETED, 0), RUN_COMPLETED);
    assert_int_equal(state_after(RUN_WAITING, EVENT_AGENT_COMPLETED, 0), RUN_COMPLETED);
    assert_int_equal(state_after(RUN_CANCELLING, EVENT_AGENT_COMPLETED, 0), RUN_COMPLETED);
    assert_int_equal(state_after(RUN_RUNNING, EVENT_AGENT_COMPLETED, cancelled), RUN_CANCELLED);
    assert_int_equal(state_after(RUN_CANCELLING, EVENT_AGENT_COMPLETED, cancelled), RUN_CANCELLED);
    assert_int_equal(state_after(RUN_STARTING, EVENT_ERROR_EVENT, fatal), RUN_FAILED);
    assert_int_equal(state_after(RUN_RUNNING, EVENT_ERROR_EVENT, fatal), RUN_FAILED);
    assert_int_equal(state_after(RUN_WAITING, EVENT_ERROR_EVENT, fatal), RUN_FAILED);
    assert_int_equal(state_after(RUN_CANCELLING, EVENT_ERROR_EVENT, fatal), RUN_FAILED);
    assert_int_equal(state_after(RUN_QUEUED, EVENT_ERROR_EVENT, fatal), RUN_REJECTED);
    assert_int_equal(state_after(RUN_RUNNING, EVENT_ERROR_EVENT, 0), RUN_RUNNING);
}

/* ---- chance against a model */

#define IDS 12

enum lot { UNHEARD, OPEN, CLOSED };

/* What the grammar says, in the words of its page rather than those of the code. */
struct model {
    bool begun;
    bool cancel_asked;
    bool over;
    enum lot tool[IDS];
    enum lot text[IDS];
    enum lot question[IDS];
};

struct step {
    struct event event;
    size_t tool; /* IDS: none named */
    size_t text;
    size_t question;
    char data[64];
};

static enum verdict model_tool(const struct model *model, const struct step *step)
{
    if (step->tool == IDS)
        return VERDICT_NO_IDENTITY;
    enum lot lot = model->tool[step->tool];
    if (step->event.type != EVENT_TOOL_EXECUTING)
        return lot == OPEN ? VERDICT_LEGAL : VERDICT_TOOL_NOT_OPEN;
    if (lot == CLOSED)
        return VERDICT_IDENTITY_USED;
    return lot == OPEN ? VERDICT_TOOL_ALREADY_OPEN : VERDICT_LEGAL;
}

static enum verdict model_question(const struct model *model, const struct step *step)
{
    if (step->question == IDS)
        return VERDICT_NO_IDENTITY;
    enum lot lot = model->question[step->question];
    if (step->event.type == EVENT_INTERRUPT_RESOLVED)
        return lot == OPEN ? VERDICT_LEGAL : VERDICT_NOT_WAITING;
    if (lot == CLOSED)
        return VERDICT_IDENTITY_USED;
    return lot == OPEN ? VERDICT_ALREADY_WAITING : VERDICT_LEGAL;
}

static enum verdict model_judge(const struct model *model, const struct step *step)
{
    enum event_type type = step->event.type;
    if (model->over)
        return VERDICT_SEALED;
    if (type == EVENT_RUN_QUEUED || type == EVENT_CHAT_MESSAGE)
        return VERDICT_NOT_FOR_AGENTS;
    if (type == EVENT_AGENT_STARTED)
        return model->begun ? VERDICT_STARTED_TWICE : VERDICT_LEGAL;
    if (!model->begun)
        return VERDICT_NOT_STARTED;
    if (type == EVENT_INTERRUPT_REQUESTED || type == EVENT_INTERRUPT_RESOLVED)
        return model_question(model, step);
    if (type == EVENT_TOOL_EXECUTING || type == EVENT_TOOL_COMPLETED)
        return model_tool(model, step);
    if (type == EVENT_PARTIAL_RESULT && step->tool != IDS)
        return model_tool(model, step);
    if (type == EVENT_PARTIAL_RESULT && step->text == IDS)
        return VERDICT_NO_IDENTITY;
    if (type == EVENT_PARTIAL_RESULT && model->text[step->text] == CLOSED)
        return VERDICT_IDENTITY_USED;
    return VERDICT_LEGAL;
}

static void model_take(struct model *model, const struct step *step)
{
    const struct event *event = &step->event;
    model->begun |= event->type == EVENT_AGENT_STARTED;
    if (event->type == EVENT_TOOL_EXECUTING || event->type == EVENT_TOOL_COMPLETED)
        model->tool[step->tool] = event->type == EVENT_TOOL_EXECUTING ? OPEN : CLOSED;
    if (event->type == EVENT_PARTIAL_RESULT && step->tool == IDS)
        model->text[step->text] = event->flags & EVENT_FLAG_FINAL ? CLOSED : OPEN;
    if (event->type == EVENT_INTERRUPT_REQUESTED || event->type == EVENT_INTERRUPT_RESOLVED)
        model->question[step->question] = event->type == EVENT_INTERRUPT_REQUESTED ? OPEN : CLOSED;
    model->over |= event->type == EVENT_AGENT_COMPLETED ||
                   (event->type == EVENT_ERROR_EVENT && event->flags & EVENT_FLAG_FATAL);
}

static struct step random_step(struct chance *chance)
{
    struct step step = {.event.type = (enum event_type)(1 + chance_below(chance, 11)),
        .tool = IDS,
        .text = IDS,
        .question = IDS,
        .data = "{}"};
    /* Ends are rare, so that runs become long. */
    bool ends = step.event.type == EVENT_AGENT_COMPLETED || step.event.type == EVENT_ERROR_EVENT;
    if (ends && chance_below(chance, 8) != 0)
        step.event.type = EVENT_AGENT_THINKING;
    if (chance_below(chance, 2) == 0)
        step.tool = chance_below(chance, IDS);
    if (chance_below(chance, 4) != 0)
        step.text = chance_below(chance, IDS);
    if (chance_below(chance, 4) != 0)
        step.question = chance_below(chance, IDS);
    if (step.question != IDS)
        snprintf(step.data, sizeof(step.data), "{\"interrupt_id\":\"i-%zu\"}", step.question);
    step.event.flags = (uint32_t)chance_next(chance) & EVENT_FLAGS_ALL;
    step.event.tool_call_id = step.tool == IDS ? SPAN_EMPTY : letter_id('c', step.tool);
    step.event.message_id = step.text == IDS ? SPAN_EMPTY : letter_id('m', step.text);
    return step;
}

static void assert_open(const struct run *run, enum grammar_set set, struct span id, enum lot lot)
{
    assert_int_equal(run_find_open(run, set, id) != NULL, lot == OPEN);
}

static void assert_same(const struct run *run, const struct model *model)
{
    unsigned questions = 0;
    for (size_t i = 0; i < IDS; i++) {
        assert_open(run, GRAMMAR_TOOL, letter_id('c', i), model->tool[i]);
        assert_open(run, GRAMMAR_TEXT, letter_id('m', i), model->text[i]);
        assert_open(run, GRAMMAR_INTERRUPT, letter_id('i', i), model->question[i]);
        questions += model->question[i] == OPEN;
    }
    assert_int_equal(run_started(run), model->begun);
    assert_int_equal(run_state_final(run->state), model->over);
    if (model->over)
        return;
    enum run_state expected = model->cancel_asked ? RUN_CANCELLING
                              : !model->begun     ? RUN_STARTING
                              : questions         ? RUN_WAITING
                                                  : RUN_RUNNING;
    assert_int_equal(run->state, expected);
}

static void live_one_run(struct chance *chance)
{
    struct model model = {0};
    struct run *run = make_run(RUN_STARTING, false);
    size_t steps = 5 + chance_below(chance, 80);
    for (size_t i = 0; i < steps; i++) {
        if (!model.over && !model.cancel_asked && chance_below(chance, 40) == 0) {
            run_set_state(run, RUN_CANCELLING);
            model.cancel_asked = true;
        }
        struct step step = random_step(chance);
        step.event.data = span_of_string(step.data);
        enum verdict verdict = lifecycle_check(run, &step.event);
        assert_string_equal(verdict_name(verdict), verdict_name(model_judge(&model, &step)));
        if (verdict == VERDICT_LEGAL) {
            assert_int_equal(lifecycle_apply(run, &step.event), 0);
            model_take(&model, &step);
        }
        assert_same(run, &model);
    }
    run_free(run);
}

static void test_any_sequence_is_judged_as_the_model_judges_it(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    for (int i = 0; i < 3000; i++)
        live_one_run(&chance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type_has_its_verdict_in_each_state),
        cmocka_unit_test(test_tool_calls_pair_by_their_identifier),
        cmocka_unit_test(test_events_without_the_identity_they_need_are_refused),
        cmocka_unit_test(test_tool_keeps_the_name_it_was_begun_with),
        cmocka_unit_test(test_a_run_has_so_many_open_and_no_more),
        cmocka_unit_test(test_terminal_event_decides_how_a_run_ended),
        cmocka_unit_test(test_any_sequence_is_judged_as_the_model_judges_it),
    };
    return cmocka_run_group_tests_name("broker-lifecycle", tests, NULL, NULL);
}
