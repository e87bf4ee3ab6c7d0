/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of one run, read back: what a checker of finished streams says of them. */
#include "unit.h"

#include "event/grammar.h"

#include <stdio.h>

/*
 * A stream is written as words: what happens, its identifier behind a colon, a '*' behind what the
 * broker wrote.
 */
static const struct word {
    const char *name;
    enum event_type type;
    uint32_t flags;
    char item; /* what the identifier is of: m, c, i */
} words[] = {
    {"chat", EVENT_CHAT_MESSAGE, 0, 0},
    {"queued", EVENT_RUN_QUEUED, 0, 0},
    {"started", EVENT_AGENT_STARTED, 0, 0},
    {"thinking", EVENT_AGENT_THINKING, 0, 0},
    {"text", EVENT_PARTIAL_RESULT, 0, 'm'},
    {"final", EVENT_PARTIAL_RESULT, EVENT_FLAG_FINAL, 'm'},
    {"call", EVENT_TOOL_EXECUTING, 0, 'c'},
    {"progress", EVENT_PARTIAL_RESULT, 0, 'c'},
    {"called", EVENT_TOOL_COMPLETED, 0, 'c'},
    {"ask", EVENT_INTERRUPT_REQUESTED, 0, 'i'},
    {"answer", EVENT_INTERRUPT_RESOLVED, 0, 'i'},
    {"error", EVENT_ERROR_EVENT, 0, 0},
    {"failed", EVENT_ERROR_EVENT, EVENT_FLAG_FATAL, 0},
    {"completed", EVENT_AGENT_COMPLETED, 0, 0},
};

static const struct word *find_word(struct span name)
{
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (span_is(name, words[i].name))
            return &words[i];
    }
    fail_msg("no word %.*s", SPAN_ARG(name));
    return NULL;
}

static enum grammar_verdict read_word(struct grammar *grammar, struct span text)
{
    size_t end = 0;
    while (end < text.len && text.data[end] != ':' && text.data[end] != '*')
        end++;
    const struct word *word = find_word(span_of(text.data, end));
    bool synthetic = text.len && text.data[text.len - 1] == '*';
    struct span id = SPAN_EMPTY;
    if (end < text.len && text.data[end] == ':')
        id = span_of(text.data + end + 1, text.len - end - 1 - synthetic);
    const struct event event = {.type = word->type,
        .flags = word->flags | (synthetic ? EVENT_FLAG_SYNTHETIC : 0),
        .message_id = word->item == 'm' ? id : SPAN_EMPTY,
        .tool_call_id = word->item == 'c' ? id : SPAN_EMPTY};
    return grammar_read(grammar, &event, word->item == 'i' ? id : SPAN_EMPTY);
}

/* All words but the last are legal; what the grammar says of that. */
static enum grammar_verdict read_words(struct grammar *grammar, const char *stream)
{
    enum grammar_verdict verdict = GRAMMAR_LEGAL;
    for (const char *at = stream; *at;) {
        size_t len = strcspn(at, " ");
        if (verdict != GRAMMAR_LEGAL)
            fail_msg("%s, before %s: %s", stream, at, grammar_verdict_name(verdict));
        verdict = read_word(grammar, span_of(at, len));
        at += len + (at[len] == ' ');
    }
    return verdict;
}

static const struct {
    const char *stream;
    enum grammar_verdict last;
} rows[] = {
    {"chat queued started thinking text:a text:a final:a completed", GRAMMAR_LEGAL},
    {"started completed", GRAMMAR_LEGAL},
    {"started error error failed", GRAMMAR_LEGAL},
    {"chat queued failed*", GRAMMAR_LEGAL}, /* rejected, or lost before it began */
    {"chat queued completed*", GRAMMAR_LEGAL},
    {"chat queued completed", GRAMMAR_NOT_STARTED}, /* no agent ends what it has not begun */
    {"chat queued failed", GRAMMAR_NOT_STARTED},
    {"text:a", GRAMMAR_NOT_STARTED},
    {"started started", GRAMMAR_STARTED_TWICE},
    {"started*", GRAMMAR_NOT_FOR_AGENTS}, /* nor does the broker begin one */
    {"started queued", GRAMMAR_STARTED_TWICE},
    {"started chat text:a", GRAMMAR_LEGAL},
    {"started text:a call:c text:b progress:c final:b called:c final:a completed", GRAMMAR_LEGAL},
    {"started final:a final:a", GRAMMAR_IDENTITY_USED},
    {"started text:a final:a text:a", GRAMMAR_IDENTITY_USED},
    {"started text", GRAMMAR_NO_IDENTITY},
    {"started call:c call:c", GRAMMAR_TOOL_ALREADY_OPEN},
    {"started call:c called:c call:c", GRAMMAR_IDENTITY_USED},
    {"started call:c called:c called:c", GRAMMAR_TOOL_NOT_OPEN},
    {"started called:c", GRAMMAR_TOOL_NOT_OPEN},
    {"started progress:c", GRAMMAR_TOOL_NOT_OPEN},
    {"started call", GRAMMAR_NO_IDENTITY},
    {"started ask:i answer:i ask:j answer:j", GRAMMAR_LEGAL},
    {"started ask:i ask:i", GRAMMAR_ALREADY_WAITING},
    {"started ask:i answer:i ask:i", GRAMMAR_IDENTITY_USED},
    {"started answer:i", GRAMMAR_NOT_WAITING},
    {"started ask", GRAMMAR_NO_IDENTITY},
    {"started ask:i completed", GRAMMAR_LEGAL},
    {"started text:same call:same ask:same final:same called:same answer:same", GRAMMAR_LEGAL},
    {"started call:c completed", GRAMMAR_LEFT_OPEN},
    {"started text:a failed*", GRAMMAR_LEFT_OPEN},
    {"started text:a call:c called:c* final:a* failed*", GRAMMAR_LEGAL},
    {"started completed completed", GRAMMAR_SEALED},
    {"started failed* text:a", GRAMMAR_SEALED},
    {"started completed chat", GRAMMAR_SEALED},
};

static void test_streams_are_judged_event_by_event(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct grammar grammar;
        grammar_init(&grammar);
        enum grammar_verdict verdict = read_words(&grammar, rows[i].stream);
        if (verdict != rows[i].last)
            fail_msg("%s: %s, not %s", rows[i].stream, grammar_verdict_name(verdict),
                grammar_verdict_name(rows[i].last));
        grammar_deinit(&grammar);
    }
}

static void test_what_a_run_did_before_it_was_joined_is_not_held_against_it(void **state)
{
    (void)state;
    struct grammar grammar;
    grammar_init(&grammar);
    grammar_join(&grammar);
    assert_int_equal(read_words(&grammar, "progress:c called:c final:a answer:i"), GRAMMAR_LEGAL);
    assert_int_equal(read_words(&grammar, "called:c"), GRAMMAR_TOOL_NOT_OPEN);
    assert_int_equal(read_words(&grammar, "started"), GRAMMAR_STARTED_TWICE);
    grammar_deinit(&grammar);
}

static void test_every_verdict_and_step_has_its_row(void **state)
{
    (void)state;
    for (enum grammar_verdict verdict = 0; verdict < GRAMMAR_VERDICTS; verdict++)
        assert_true(strlen(grammar_verdict_name(verdict)) > 3);
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++)
        assert_int_not_equal(grammar_step_of(&(struct event){.type = type}), STEP_NONE);
}

static void call_and_return(struct grammar *grammar, unsigned number)
{
    char words_of[48];
    snprintf(words_of, sizeof(words_of), "call:c-%u called:c-%u", number, number);
    assert_int_equal(read_words(grammar, words_of), GRAMMAR_LEGAL);
}

static void test_the_newest_closed_identifiers_are_remembered(void **state)
{
    (void)state;
    struct grammar grammar;
    grammar_init(&grammar);
    assert_int_equal(read_words(&grammar, "started"), GRAMMAR_LEGAL);
    for (unsigned i = 0; i <= GRAMMAR_PAST_MAX; i++)
        call_and_return(&grammar, i);
    assert_int_equal(read_words(&grammar, "call:c-1"), GRAMMAR_IDENTITY_USED);
    assert_int_equal(read_words(&grammar, "call:c-256"), GRAMMAR_IDENTITY_USED);
    call_and_return(&grammar, 0); /* one too long ago */
    assert_int_equal(grammar.items[GRAMMAR_TOOL].count, 0);
    grammar_deinit(&grammar);
}

static void test_so_many_may_be_open_and_no_more(void **state)
{
    (void)state;
    struct grammar grammar;
    char word[32];
    grammar_init(&grammar);
    assert_int_equal(read_words(&grammar, "started"), GRAMMAR_LEGAL);
    for (unsigned i = 0; i < GRAMMAR_OPEN_MAX; i++) {
        snprintf(word, sizeof(word), "call:c-%u", i);
        assert_int_equal(read_words(&grammar, word), GRAMMAR_LEGAL);
    }
    assert_int_equal(read_words(&grammar, "call:more"), GRAMMAR_TOO_MANY_OPEN);
    assert_int_equal(read_words(&grammar, "text:a"), GRAMMAR_LEGAL); /* counted apart */
    assert_int_equal(read_words(&grammar, "called:c-7"), GRAMMAR_LEGAL);
    assert_int_equal(read_words(&grammar, "call:more"), GRAMMAR_LEGAL);
    grammar_deinit(&grammar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_are_judged_event_by_event),
        cmocka_unit_test(test_what_a_run_did_before_it_was_joined_is_not_held_against_it),
        cmocka_unit_test(test_every_verdict_and_step_has_its_row),
        cmocka_unit_test(test_the_newest_closed_identifiers_are_remembered),
        cmocka_unit_test(test_so_many_may_be_open_and_no_more),
    };
    return cmocka_run_group_tests_name("event-grammar", tests, NULL, NULL);
}
