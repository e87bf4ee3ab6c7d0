/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a stream: sound ones pass, and each way to break one is found, named, with its line.
 */
#include "record_check.h"

#include "base/cleanup.h"
#include "chance.h"
#include "unit.h"

/* clang-format off */
#define EVENT_OF(run, type, seq, prev, more)                                                       \
    "{\"type\":\"" type "\",\"seq\":" #seq ",\"prev\":" #prev ",\"timestamp\":1795000000000,"      \
    "\"thread_id\":\"t-1\",\"run_id\":\"" run "\"" more "}\n"
#define EVENT(type, seq, prev, more) EVENT_OF("r-1", type, seq, prev, more)
#define SAID(seq, prev) EVENT("chat_message", seq, prev, ",\"message_id\":\"m-0\",\"data\":{\"role\":\"user\",\"content\":\"x\"}")
#define QUEUED(seq, prev) EVENT("run_queued", seq, prev, ",\"data\":{\"position\":1}")
#define STARTED(seq, prev) EVENT("agent_started", seq, prev, ",\"data\":{\"agent\":\"a\"}")
#define THINKING(seq, prev) EVENT("agent_thinking", seq, prev, ",\"data\":{\"status\":\"s\"}")
#define TEXT(seq, prev, delta) EVENT("partial_result", seq, prev, ",\"message_id\":\"m-1\",\"data\":{\"delta\":\"" delta "\"}")
#define LAST(seq, prev) EVENT("partial_result", seq, prev, ",\"message_id\":\"m-1\",\"data\":{\"delta\":\"\",\"final\":true}")
#define FOLD(seq, prev, first, delta) EVENT("partial_result", seq, prev, ",\"first_seq\":" #first ",\"message_id\":\"m-1\",\"data\":{\"delta\":\"" delta "\"}")
#define TOOL(seq, prev) EVENT("tool_executing", seq, prev, ",\"tool_call_id\":\"c-1\",\"data\":{\"tool_name\":\"search\",\"args\":{\"q\":null}}")
#define TOOL_DONE(seq, prev) EVENT("tool_completed", seq, prev, ",\"tool_call_id\":\"c-1\",\"data\":{\"tool_name\":\"search\",\"status\":\"ok\"}")
#define TOOL_LOST(seq, prev) EVENT("tool_completed", seq, prev, ",\"tool_call_id\":\"c-1\",\"synthetic\":true,\"data\":{\"tool_name\":\"search\",\"status\":\"lost\"}")
#define DONE(seq, prev) EVENT("agent_completed", seq, prev, ",\"data\":{\"outcome\":\"success\"}")
#define LOST(seq, prev) EVENT("error_event", seq, prev, ",\"synthetic\":true,\"data\":{\"code\":\"worker_lost\",\"message\":\"m\",\"fatal\":true}")
#define HARMLESS(seq, prev) EVENT("error_event", seq, prev, ",\"data\":{\"code\":\"c\",\"message\":\"m\",\"fatal\":false}")
#define ASKED(seq, prev) EVENT("interrupt_requested", seq, prev, ",\"data\":{\"interrupt_id\":\"i-1\",\"reason\":\"r\"}")
#define ANSWERED(seq, prev) EVENT("interrupt_resolved", seq, prev, ",\"data\":{\"interrupt_id\":\"i-1\"}")
#define WELCOME_OF(user, epoch, head, oldest, resume)                                              \
    "{\"type\":\"welcome\",\"protocol\":\"ringside.v1\",\"user_id\":\"" user "\",\"epoch\":\""     \
    epoch "\",\"head\":" #head ",\"oldest\":" #oldest ",\"runs\":[],\"resume\":\"" resume "\"}\n"
#define WELCOME(head, resume) WELCOME_OF("ann", "e", head, 1, resume)
#define GAP(from, to) "{\"type\":\"gap\",\"from\":" #from ",\"to\":" #to ",\"reason\":\"trimmed\"}\n"
#define RENEWED "{\"type\":\"gap\",\"from\":0,\"to\":0,\"reason\":\"epoch_changed\"}\n"
#define CAUGHT_UP(seq) "{\"type\":\"caught_up\",\"seq\":" #seq "}\n"
#define SNAPSHOT(seq, tools) "{\"type\":\"snapshot\",\"run_id\":\"r-1\",\"seq\":" #seq ",\"tools\":[" tools "]}\n"
/* clang-format on */

static struct record_check check;

static void read_record(const char *text, size_t piece, struct record_options options)
{
    size_t len = strlen(text);
    record_check_init(&check, &options);
    for (size_t at = 0; at < len; at += piece)
        assert_int_equal(
            record_check_feed(&check, span_of(text + at, piece < len - at ? piece : len - at)), 0);
    assert_int_equal(record_check_end(&check), 0);
}

static void assert_sound_with(const char *text, struct record_options options)
{
    options.limit = 10;
    read_record(text, strlen(text), options);
    for (size_t i = 0; i < check.report.count; i++)
        print_error("line %llu: %s: %s\n", (unsigned long long)check.report.findings[i].line,
            record_rule_name(check.report.findings[i].rule), check.report.findings[i].text);
    assert_int_equal(check.report.found, 0);
    record_check_deinit(&check);
}

static void assert_sound(const char *text)
{
    assert_sound_with(text, (struct record_options){.complete = true});
}

/* ---- broken ones */

struct broken {
    enum record_rule rule;
    uint64_t line;
    const char *record;
    bool filtered;
};

static const struct broken broken[] = {
    {RECORD_NOT_JSON, 2, STARTED(1, 0) "{\"type\":\n" DONE(2, 1)},
    {RECORD_NOT_JSON, 1, "[1]\n" STARTED(1, 0) DONE(2, 1)},
    {RECORD_NOT_JSON, 1, "{\"id\":1,\"result\":1e999}\n"},
    {RECORD_DUPLICATE_MEMBER, 1, "{\"id\":\"c\",\"result\":{\"a\":1,\"a\":1}}\n"},
    {RECORD_NULL_MEMBER, 1, "{\"id\":\"c\",\"result\":{},\"error\":null}\n"},
    {RECORD_NULL_MEMBER, 1, EVENT("agent_started", 1, 0, ",\"data\":{\"agent\":null}")},
    {RECORD_BAD_FRAME, 1, "{\"result\":{}}\n"},
    {RECORD_BAD_FRAME, 1, "{\"id\":1}\n"},
    {RECORD_BAD_FRAME, 1, "{\"type\":7}\n"},
    {RECORD_BAD_FRAME, 1, "{\"type\":\"agent_started\",\"seq\":1}\n"},
    {RECORD_BAD_FRAME, 1, EVENT("agent_started", 0, 0, ",\"data\":{}")},
    {RECORD_BAD_FRAME, 1, EVENT("agent_started", -1, 0, ",\"data\":{}")},
    {RECORD_BAD_FRAME, 1, EVENT("agent_started", 1, 0, "")},
    {RECORD_BAD_FRAME, 1, EVENT("agent_started", 1, 0, ",\"synthetic\":1,\"data\":{}")},
    {RECORD_BAD_FRAME, 1, EVENT("agent_started", 1, 0, ",\"agent\":\"two words\",\"data\":{}")},
    {RECORD_BAD_FRAME, 1, EVENT("agent_completed", 1, 0, ",\"data\":{\"outcome\":\"fine\"}")},
    {RECORD_BAD_FRAME, 1, EVENT("error_event", 1, 0, ",\"data\":{\"code\":\"c\"}")},
    {RECORD_BAD_FRAME, 1, EVENT("tool_executing", 1, 0, ",\"data\":{\"tool_name\":\"x\"}")},
    {RECORD_BAD_FRAME, 1,
        EVENT("tool_completed", 1, 0,
            ",\"tool_call_id\":\"c\",\"data\":{\"tool_name\":\"x\",\"status\":\"good\"}")},
    {RECORD_BAD_FRAME, 1, EVENT("partial_result", 1, 0, ",\"data\":{\"delta\":\"x\"}")},
    {RECORD_BAD_FRAME, 1, EVENT("partial_result", 1, 0, ",\"message_id\":\"m\",\"data\":{}")},
    {RECORD_BAD_FRAME, 1, EVENT("interrupt_requested", 1, 0, ",\"data\":{}")},
    {RECORD_BAD_FRAME, 1, WELCOME(0, "somehow")},
    {RECORD_BAD_FRAME, 1, WELCOME_OF("ann", "", 0, 1, "live")},
    {RECORD_BAD_FRAME, 1, "{\"type\":\"gap\",\"from\":1,\"to\":2}\n"},
    {RECORD_BAD_FRAME, 1, "{\"type\":\"caught_up\"}\n"},
    {RECORD_BAD_FRAME, 1, "{\"type\":\"snapshot\",\"seq\":1}\n"},
    {RECORD_EMPTY, 0, ""},
    {RECORD_EMPTY, 2, "\n\n"},

    {RECORD_FOREIGN_USER, 2, WELCOME(0, "live") WELCOME_OF("bob", "e", 0, 1, "live")},
    {RECORD_OLD_EPOCH, 3,
        WELCOME(0, "live") WELCOME_OF("ann", "f", 0, 1, "live") WELCOME(0, "live")},
    {RECORD_HEAD_WENT_BACK, 4,
        WELCOME(0, "live") STARTED(1, 0) DONE(2, 1) WELCOME(1, "replay") DONE(2, 1)},
    {RECORD_NOT_AFTER_PREV, 2, STARTED(1, 0) THINKING(1, 1) DONE(2, 1)},
    {RECORD_GAP, 2, STARTED(1, 0) DONE(3, 2)},
    {RECORD_GAP, 2, WELCOME(4, "live") STARTED(6, 5) DONE(7, 6)},
    {RECORD_GAP, 4, WELCOME(0, "live") STARTED(1, 0) WELCOME(3, "replay") DONE(3, 2)},
    {RECORD_NOT_INCREASING, 3, STARTED(1, 0) THINKING(2, 1) THINKING(2, 1) DONE(3, 2)},
    {RECORD_NOT_INCREASING, 3, STARTED(1, 0) THINKING(2, 1) STARTED(1, 0) DONE(3, 2)},
    {RECORD_WRONG_PREV, 3, STARTED(1, 0) THINKING(2, 1) DONE(3, 1)},
    {RECORD_WRONG_PREV, 2, WELCOME(4, "live") STARTED(5, 3) DONE(6, 5)},
    {RECORD_BYTES_CHANGED, 5,
        STARTED(1, 0) THINKING(2, 1) DONE(3, 2) WELCOME(3, "replay") HARMLESS(2, 1) DONE(3, 2)},
    {RECORD_BYTES_CHANGED, 5,
        STARTED(1, 0) THINKING(2, 1) DONE(3, 2) WELCOME(3, "replay") HARMLESS(2, 0) DONE(3, 2),
        .filtered = true},
    {RECORD_WRONG_GAP, 2, STARTED(1, 0) GAP(3, 5) DONE(6, 5)},
    {RECORD_WRONG_GAP, 2, STARTED(1, 0) GAP(2, 1) DONE(2, 1)},
    {RECORD_WRONG_GAP, 3, STARTED(1, 0) WELCOME(9, "gap") GAP(3, 5) DONE(6, 5)},
    {RECORD_WRONG_CAUGHT_UP, 3, STARTED(1, 0) DONE(2, 1) CAUGHT_UP(3)},
    {RECORD_WRONG_CAUGHT_UP, 4,
        STARTED(1, 0) DONE(2, 1) WELCOME(2, "replay") CAUGHT_UP(1) "{\"id\":1,\"result\":{}}\n"},
    {RECORD_WRONG_SNAPSHOT, 3, STARTED(1, 0) THINKING(2, 1) SNAPSHOT(1, "") DONE(3, 2)},
    {RECORD_WRONG_FOLD, 1, EVENT("agent_started", 1, 0, ",\"first_seq\":1,\"data\":{}") DONE(2, 1)},
    {RECORD_WRONG_FOLD, 2, STARTED(1, 0) FOLD(3, 1, 4, "x") LAST(4, 3) DONE(5, 4)},
    {RECORD_WRONG_FOLD, 2, STARTED(1, 0) FOLD(3, 1, 1, "x") LAST(4, 3) DONE(5, 4)},
    {RECORD_WRONG_FOLD, 4,
        STARTED(1, 0) TEXT(2, 1, "a") WELCOME(5, "replay") FOLD(3, 2, 2, "ab") LAST(4, 3)
            DONE(5, 4)},
    {RECORD_FOLD_TEXT, 7,
        STARTED(1, 0) TEXT(2, 1, "a") TEXT(3, 2, "b") LAST(4, 3) DONE(5, 4) WELCOME(5, "replay")
            FOLD(3, 1, 2, "ba") LAST(4, 3) DONE(5, 4)},
    {RECORD_FOLD_TEXT, 7,
        STARTED(1, 0) FOLD(3, 1, 2, "ab") LAST(4, 3) DONE(5, 4) WELCOME(5, "replay") TEXT(2, 1, "a")
            TEXT(3, 2, "c") LAST(4, 3) DONE(5, 4)},

    {RECORD_NO_RUN, 1,
        "{\"type\":\"agent_thinking\",\"seq\":1,\"prev\":0,\"timestamp\":1,\"data\":{}}\n"},
    {RECORD_RUN_CHANGED, 2,
        EVENT("agent_started", 1, 0, ",\"agent\":\"a\",\"data\":{}")
            EVENT("agent_thinking", 2, 1, ",\"agent\":\"b\",\"data\":{}") DONE(3, 2)},
    {RECORD_RUN_NOT_STARTED, 1, THINKING(1, 0) DONE(2, 1)},
    {RECORD_RUN_NOT_STARTED, 2, QUEUED(8, 7) TEXT(9, 8, "x") LAST(10, 9) DONE(11, 10)},
    {RECORD_RUN_NOT_STARTED, 2, SAID(1, 0) DONE(2, 1)},
    {RECORD_RUN_STARTED_TWICE, 2, STARTED(1, 0) STARTED(2, 1) DONE(3, 2)},
    {RECORD_RUN_STARTED_TWICE, 2, STARTED(1, 0) QUEUED(2, 1) DONE(3, 2)},
    {RECORD_RUN_SEALED, 3, STARTED(1, 0) DONE(2, 1) THINKING(3, 2)},
    {RECORD_RUN_SEALED, 3, STARTED(1, 0) DONE(2, 1) DONE(3, 2)},
    {RECORD_RUN_SEALED, 3, STARTED(1, 0) DONE(2, 1) LOST(3, 2)},
    {RECORD_RUN_SEALED, 3, STARTED(1, 0) DONE(2, 1) SNAPSHOT(2, "")},
    {RECORD_RUN_TOOL_ALREADY_OPEN, 3,
        STARTED(1, 0) TOOL(2, 1) TOOL(3, 2) TOOL_DONE(4, 3) DONE(5, 4)},
    {RECORD_RUN_IDENTITY_USED, 4,
        STARTED(1, 0) TOOL(2, 1) TOOL_DONE(3, 2) TOOL(4, 3) TOOL_DONE(5, 4) DONE(6, 5)},
    {RECORD_RUN_TOOL_NOT_OPEN, 2, STARTED(1, 0) TOOL_DONE(2, 1) DONE(3, 2)},
    {RECORD_RUN_TOOL_NOT_OPEN, 4,
        STARTED(1, 0) TOOL(2, 1) TOOL_DONE(3, 2) TOOL_DONE(4, 3) DONE(5, 4)},
    {RECORD_RUN_TOOL_NOT_OPEN, 2,
        STARTED(1, 0) EVENT("partial_result", 2, 1, ",\"tool_call_id\":\"c-1\",\"data\":{}")
            DONE(3, 2)},
    {RECORD_TOOL_RENAMED, 3,
        STARTED(1, 0) EVENT(
            "tool_executing", 2, 1, ",\"tool_call_id\":\"c-1\",\"data\":{\"tool_name\":\"other\"}")
            TOOL_DONE(3, 2) DONE(4, 3)},
    {RECORD_RUN_LEFT_OPEN, 3, STARTED(1, 0) TOOL(2, 1) DONE(3, 2)},
    {RECORD_RUN_IDENTITY_USED, 3,
        STARTED(1, 0) LAST(2, 1) TEXT(3, 2, "more") LAST(4, 3) DONE(5, 4)},
    {RECORD_RUN_LEFT_OPEN, 3, STARTED(1, 0) TEXT(2, 1, "x") DONE(3, 2)},
    {RECORD_RUN_ALREADY_WAITING, 3, STARTED(1, 0) ASKED(2, 1) ASKED(3, 2) DONE(4, 3)},
    {RECORD_RUN_NOT_WAITING, 2, STARTED(1, 0) ANSWERED(2, 1) DONE(3, 2)},
    {RECORD_RUN_NOT_WAITING, 4, STARTED(1, 0) ASKED(2, 1) ANSWERED(3, 2) ANSWERED(4, 3) DONE(5, 4)},
    {RECORD_SYNTHETIC, 1,
        EVENT("agent_started", 1, 0, ",\"synthetic\":true,\"data\":{}") DONE(2, 1)},
    {RECORD_SYNTHETIC, 2,
        STARTED(1, 0) EVENT(
            "agent_completed", 2, 1, ",\"synthetic\":true,\"data\":{\"outcome\":\"success\"}")},
    {RECORD_SYNTHETIC, 3,
        STARTED(1, 0) TOOL(2, 1) EVENT("tool_completed", 3, 2,
            ",\"tool_call_id\":\"c-1\",\"synthetic\":true,\"data\":{\"tool_name\":\"search\","
            "\"status\":\"ok\"}") DONE(4, 3)},
    {RECORD_NOT_ENDED, 2, STARTED(1, 0) THINKING(2, 1)},
    {RECORD_NOT_ENDED, 1, QUEUED(1, 0)},
};

static void test_each_broken_record_is_found_once_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        read_record(broken[i].record, 4096,
            (struct record_options){.complete = broken[i].rule == RECORD_NOT_ENDED,
                .filtered = broken[i].filtered,
                .limit = 10});
        const struct record_finding *found = check.report.findings;
        if (check.report.found != 1 || found->rule != broken[i].rule ||
            found->line != broken[i].line)
            fail_msg("%s: %llu findings, the first %s in line %llu of\n%s",
                record_rule_name(broken[i].rule), (unsigned long long)check.report.found,
                check.report.count ? record_rule_name(found->rule) : "none",
                check.report.count ? (unsigned long long)found->line : 0, broken[i].record);
        record_check_deinit(&check);
    }
}

/* These have tests of their own, or cannot be had from a record. */
static bool apart(int rule)
{
    return rule == RECORD_TOO_LONG || rule == RECORD_RUN || rule == RECORD_RUN_TOO_MANY_OPEN ||
           rule == RECORD_RUN_NO_MEMORY || rule == RECORD_RUN_NO_IDENTITY ||
           rule == RECORD_RUN_NOT_FOR_AGENTS;
}

static void test_every_rule_has_a_broken_record(void **state)
{
    (void)state;
    for (int rule = 0; rule < RECORD_RULES; rule++) {
        size_t i = 0;
        while (i < ARRAY_SIZE(broken) && (int)broken[i].rule != rule)
            i++;
        if (i == ARRAY_SIZE(broken) && !apart(rule))
            fail_msg("%s has none", record_rule_name((enum record_rule)rule));
    }
}

static void test_more_open_tools_than_a_run_may_have_are_found(void **state)
{
    (void)state;
    struct buffer record = BUFFER_INIT;
    buffer_append_string(&record, STARTED(1, 0));
    for (unsigned i = 0; i <= GRAMMAR_OPEN_MAX; i++)
        buffer_printf(&record,
            "{\"type\":\"tool_executing\",\"seq\":%u,\"prev\":%u,\"timestamp\":1,\"run_id\":\"r-"
            "1\","
            "\"tool_call_id\":\"c-%u\",\"data\":{\"tool_name\":\"x\"}}\n",
            i + 2, i + 1, i);
    buffer_append(&record, "", 1);
    read_record(record.data, 1000, (struct record_options){.limit = 10});
    assert_int_equal(check.report.found, 1);
    assert_int_equal(check.report.findings[0].rule, RECORD_RUN_TOO_MANY_OPEN);
    assert_int_equal(check.report.findings[0].line, GRAMMAR_OPEN_MAX + 2);
    record_check_deinit(&check);
    buffer_deinit(&record);
}

static void test_line_beyond_the_limit_is_said_and_passed_over(void **state)
{
    (void)state;
    char *text = malloc(RECORD_LINE_MAX + 3);
    const struct record_options options = {.limit = 10};
    assert_non_null(text);
    memset(text, ' ', RECORD_LINE_MAX + 1);
    strcpy(text + RECORD_LINE_MAX + 1, "\n");
    for (size_t piece = 1u << 20; piece <= RECORD_LINE_MAX * 2; piece *= 32) {
        record_check_init(&check, &options);
        for (size_t at = 0; at < RECORD_LINE_MAX + 2; at += piece)
            record_check_feed(
                &check, span_of(text + at,
                            piece < RECORD_LINE_MAX + 2 - at ? piece : RECORD_LINE_MAX + 2 - at));
        record_check_feed(&check, SPAN_LITERAL(STARTED(1, 0)));
        record_check_end(&check);
        assert_int_equal(check.report.found, 1);
        assert_int_equal(check.report.findings[0].rule, RECORD_TOO_LONG);
        assert_int_equal(check.report.findings[0].line, 1);
        assert_int_equal(check.order.events, 1);
        record_check_deinit(&check);
    }
    free(text);
}

/* ---- sound ones */

static void test_a_whole_run_is_sound(void **state)
{
    (void)state;
    assert_sound(SAID(1, 0) QUEUED(2, 1) STARTED(3, 2) THINKING(4, 3) TEXT(5, 4, "a") TOOL(6, 5)
            TEXT(7, 6, "b") TOOL_DONE(8, 7) HARMLESS(9, 8) ASKED(10, 9) ANSWERED(11, 10)
                LAST(12, 11) DONE(13, 12));
    assert_sound(STARTED(1, 0) TOOL(2, 1) TOOL_LOST(3, 2) LOST(4, 3));
}

static void test_a_run_that_was_never_started_may_be_ended_by_the_broker(void **state)
{
    (void)state;
    assert_sound(SAID(1, 0) QUEUED(2, 1) QUEUED(3, 2) LOST(4, 3));
    assert_sound(QUEUED(1, 0) EVENT(
        "agent_completed", 2, 1, ",\"synthetic\":true,\"data\":{\"outcome\":\"cancelled\"}"));
}

static void test_runs_beside_each_other_are_checked_apart(void **state)
{
    (void)state;
    assert_sound(STARTED(1, 0) EVENT_OF("r-2", "agent_started", 2, 1, ",\"data\":{}") DONE(3, 2)
            EVENT_OF("r-2", "agent_completed", 4, 3, ",\"data\":{\"outcome\":\"interrupt\"}"));
}

static void test_control_frames_replies_and_what_is_unknown_are_passed_over(void **state)
{
    (void)state;
    assert_sound(WELCOME(
        0, "live") "{\"id\":\"c-1\",\"result\":{\"run_id\":\"r-1\"}}\n"
                   "{\"id\":7,\"error\":{\"code\":\"unavailable\",\"message\":\"m\",\"retryable\":"
                   "true}}\n" STARTED(1, 0) "{\"type\":\"weather\",\"rain\":true}\n"
                                            "{\"type\":\"weather\",\"seq\":2,\"prev\":1}\n" DONE(3,
                                                2) "{\"type\":\"going_away\",\"reason\":\"r\","
                                                   "\"reconnect_after_ms\":1,\"cursor\":\"e.3\"}");
}

static void test_a_resumed_connection_may_repeat_byte_for_byte(void **state)
{
    (void)state;
    assert_sound(WELCOME(0, "replay") CAUGHT_UP(0) STARTED(1, 0) TOOL(2, 1) WELCOME(4, "replay")
            TOOL(2, 1) TOOL_DONE(3, 2) DONE(4, 3) CAUGHT_UP(4) WELCOME(4, "replay") CAUGHT_UP(4));
}

static void test_a_filtered_view_may_differ_in_prev_and_nothing_else(void **state)
{
    (void)state;
    assert_sound_with(STARTED(1, 0) THINKING(5, 1) DONE(9, 5) WELCOME(12, "replay") THINKING(5, 4)
                          DONE(9, 5) CAUGHT_UP(12),
        (struct record_options){.complete = true, .filtered = true});
}

static void test_a_gap_that_is_said_forgives_what_was_open(void **state)
{
    (void)state;
    assert_sound(STARTED(1, 0) TOOL(2, 1) TEXT(3, 2, "x") GAP(4, 9) TOOL_DONE(10, 9) LAST(11, 10)
            DONE(12, 11));
    assert_sound(STARTED(
        1, 0) "{\"type\":\"gap\",\"from\":2,\"to\":4,\"reason\":\"damaged\"}\n" THINKING(5, 4));
    assert_sound(STARTED(1, 0) WELCOME(9, "gap") GAP(2, 8) THINKING(9, 8) CAUGHT_UP(9));
    assert_sound(STARTED(1, 0) WELCOME(9, "live") THINKING(10, 9));
    assert_sound(STARTED(1, 0) WELCOME_OF("ann", "e", 9, 6, "replay") THINKING(6, 5));
}

static void test_a_snapshot_tells_which_tools_are_open(void **state)
{
    (void)state;
    assert_sound(WELCOME(9, "gap") GAP(1, 8) SNAPSHOT(
        8, "{\"tool_call_id\":\"c-1\",\"tool_name\":\"search\"}") TOOL_DONE(9, 8) DONE(10, 9));
    read_record(WELCOME(9, "gap") GAP(1, 8)
                    SNAPSHOT(8, "{\"tool_call_id\":\"c-1\",\"tool_name\":\"search\"}") DONE(9, 8),
        100, (struct record_options){.limit = 1});
    assert_int_equal(check.report.by_rule[RECORD_RUN_LEFT_OPEN], 1);
    record_check_deinit(&check);
}

static void test_another_epoch_begins_from_nothing(void **state)
{
    (void)state;
    assert_sound(WELCOME(0, "live") STARTED(1, 0) TOOL(2, 1) WELCOME_OF("ann", "f", 2, 1, "reset")
            RENEWED STARTED(1, 0) DONE(2, 1) CAUGHT_UP(2));
}

static void test_a_record_that_begins_in_the_middle_is_checked_from_there(void **state)
{
    (void)state;
    assert_sound(WELCOME(40, "live") TOOL_DONE(41, 40) LAST(42, 41) DONE(43, 42));
}

static void test_folded_texts_are_compared_with_their_parts(void **state)
{
    (void)state;
    assert_sound(STARTED(1, 0) TEXT(2, 1, "al") TEXT(3, 2, "") TEXT(4, 3, "pha") LAST(5, 4)
            DONE(6, 5) WELCOME(6, "replay") FOLD(4, 1, 2, "alpha") LAST(5, 4) DONE(6, 5));
    /* resumed within what was folded meanwhile: the rest */
    assert_sound(STARTED(1, 0) TEXT(2, 1, "al") TEXT(3, 2, "p") WELCOME(6, "replay")
            FOLD(4, 3, 4, "ha") LAST(5, 4) DONE(6, 5) WELCOME(6, "replay") FOLD(4, 1, 2, "alpha"));
    assert_sound(STARTED(1, 0) FOLD(4, 1, 2, "alpha") LAST(5, 4) DONE(6, 5) WELCOME(6, "replay")
            TEXT(2, 1, "al") TEXT(3, 2, "p") TEXT(4, 3, "ha") LAST(5, 4) DONE(6, 5));
    assert_sound(STARTED(1, 0) EVENT(
        "agent_thinking", 9, 1, ",\"first_seq\":2,\"data\":{\"status\":\"s\"}") DONE(10, 9));
}

static void test_numbers_too_big_for_an_integer_are_the_agents_own_affair(void **state)
{
    (void)state;
    assert_sound(STARTED(1, 0) EVENT("agent_completed", 2, 1,
        ",\"data\":{\"outcome\":\"success\",\"result\":123456789012345678901234567890}"));
}

static void test_record_is_the_same_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char record[] = STARTED(1, 0) TOOL(2, 1) TOOL_DONE(3, 2) DONE(5, 4);
    for (size_t piece = 1; piece < 400; piece += 7) {
        read_record(record, piece, (struct record_options){.limit = 10});
        assert_int_equal(check.lines, 4);
        assert_int_equal(check.report.found, 1);
        assert_int_equal(check.report.findings[0].line, 4);
        record_check_deinit(&check);
    }
}

static void test_open_runs_are_listed(void **state)
{
    (void)state;
    size_t cursor = 0;
    read_record(STARTED(1, 0) THINKING(2, 1), 100, (struct record_options){.limit = 10});
    assert_int_equal(check.report.found, 0);
    const struct record_run *run = record_runs_next(&check.runs, &cursor);
    assert_non_null(run);
    assert_string_equal(record_run_id(run), "r-1");
    assert_false(record_run_uncertain(run));
    record_check_deinit(&check);
}

static void test_findings_beyond_the_limit_are_counted(void **state)
{
    (void)state;
    read_record("x\nx\nx\nx\n", 100, (struct record_options){.limit = 3});
    assert_int_equal(check.report.found, 4);
    assert_int_equal(check.report.count, 3);
    record_check_deinit(&check);
}

static void test_mutated_records_harm_nothing(void **state)
{
    (void)state;
    static const char record[] = WELCOME(0, "live") STARTED(1, 0) TEXT(2, 1, "a") TOOL(3, 2)
        TOOL_DONE(4, 3) WELCOME(4, "replay") FOLD(2, 1, 2, "a") GAP(3, 9) LAST(10, 9) DONE(11, 10);
    char text[sizeof(record) + 64];
    struct chance chance = chance_make();
    const struct record_options options = {.complete = true, .limit = 5};
    for (int i = 0; i < 3000; i++) {
        memcpy(text, record, sizeof(record));
        size_t len =
            chance_mutate(&chance, text, sizeof(record) - 1, sizeof(text), "{}[]\":,0129\\\nu");
        record_check_init(&check, &options);
        assert_int_equal(record_check_feed(&check, span_of(text, len)), 0);
        assert_int_equal(record_check_end(&check), 0);
        record_check_deinit(&check);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_broken_record_is_found_once_and_named),
        cmocka_unit_test(test_every_rule_has_a_broken_record),
        cmocka_unit_test(test_more_open_tools_than_a_run_may_have_are_found),
        cmocka_unit_test(test_line_beyond_the_limit_is_said_and_passed_over),
        cmocka_unit_test(test_a_whole_run_is_sound),
        cmocka_unit_test(test_a_run_that_was_never_started_may_be_ended_by_the_broker),
        cmocka_unit_test(test_runs_beside_each_other_are_checked_apart),
        cmocka_unit_test(test_control_frames_replies_and_what_is_unknown_are_passed_over),
        cmocka_unit_test(test_a_resumed_connection_may_repeat_byte_for_byte),
        cmocka_unit_test(test_a_filtered_view_may_differ_in_prev_and_nothing_else),
        cmocka_unit_test(test_a_gap_that_is_said_forgives_what_was_open),
        cmocka_unit_test(test_a_snapshot_tells_which_tools_are_open),
        cmocka_unit_test(test_another_epoch_begins_from_nothing),
        cmocka_unit_test(test_a_record_that_begins_in_the_middle_is_checked_from_there),
        cmocka_unit_test(test_folded_texts_are_compared_with_their_parts),
        cmocka_unit_test(test_numbers_too_big_for_an_integer_are_the_agents_own_affair),
        cmocka_unit_test(test_record_is_the_same_in_pieces_of_any_size),
        cmocka_unit_test(test_open_runs_are_listed),
        cmocka_unit_test(test_findings_beyond_the_limit_are_counted),
        cmocka_unit_test(test_mutated_records_harm_nothing),
    };
    return cmocka_run_group_tests_name("cli-record", tests, NULL, NULL);
}
