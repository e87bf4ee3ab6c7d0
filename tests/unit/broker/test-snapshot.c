/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of an open run, against a plain model that folds JSON trees: whatever happens and
 * wherever one cuts, a snapshot with the events behind it is the same as all events.
 */
#include "broker-test.h"

#include "base/cleanup.h"
#include "chance.h"
#include "runs/snapshot.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMIT 65536

/* ---- the model: {"status", "tools": {id: …}, "texts": {id: …}, "interrupts": {id: …}} */

static json_t *model_new(void)
{
    return json_pack("{s:{}, s:{}, s:{}}", "tools", "texts", "interrupts");
}

static json_t *text_in(json_t *model, const char *id)
{
    json_t *texts = json_object_get(model, "texts");
    if (!json_object_get(texts, id))
        json_object_set_new(texts, id, json_pack("{s:s}", "text", ""));
    return json_object_get(texts, id);
}

static void model_text(json_t *model, const char *id, const json_t *data)
{
    json_t *text = text_in(model, id);
    const char *delta = json_string_value(json_object_get(data, "delta"));
    const char *before = json_string_value(json_object_get(text, "text"));
    char *whole;
    assert_true(asprintf(&whole, "%s%s", before, delta ? delta : "") >= 0);
    json_object_set_new(text, "text", json_string(whole));
    free(whole);
    if (json_is_true(json_object_get(data, "final")))
        json_object_set_new(text, "final", json_true());
    if (json_is_true(json_object_get(data, "truncated")))
        json_object_set_new(text, "truncated", json_true());
}

static void model_tool(json_t *model, const struct event *event, const char *id, json_t *data)
{
    json_t *tools = json_object_get(model, "tools");
    if (event->type == EVENT_TOOL_COMPLETED) {
        json_object_del(tools, id);
        return;
    }
    json_t *tool = json_pack("{s:I}", "started_at", (json_int_t)event->timestamp);
    json_object_set(tool, "tool_name", json_object_get(data, "tool_name"));
    if (json_object_get(data, "args"))
        json_object_set(tool, "args", json_object_get(data, "args"));
    json_object_set_new(tools, id, tool);
}

static void model_interrupt(json_t *model, enum event_type type, json_t *data)
{
    json_t *interrupts = json_object_get(model, "interrupts");
    const char *id = json_string_value(json_object_get(data, "interrupt_id"));
    if (type == EVENT_INTERRUPT_REQUESTED)
        json_object_set(interrupts, id, data);
    else
        json_object_del(interrupts, id);
}

static void model_fold(json_t *model, const struct event *event)
{
    char id[IDENTIFIER_SIZE];
    json_t *data = json_loadb(event->data.data, event->data.len, 0, NULL);
    assert_non_null(data);
    struct span of = event->tool_call_id.len ? event->tool_call_id : event->message_id;
    snprintf(id, sizeof(id), "%.*s", SPAN_ARG(of));
    switch (event->type) {
    case EVENT_AGENT_STARTED:
        json_object_set_new(model, "started_at", json_integer((json_int_t)event->timestamp));
        break;
    case EVENT_AGENT_THINKING:
        if (json_object_get(data, "status"))
            json_object_set(model, "status", json_object_get(data, "status"));
        break;
    case EVENT_TOOL_EXECUTING:
    case EVENT_TOOL_COMPLETED: model_tool(model, event, id, data); break;
    case EVENT_PARTIAL_RESULT:
        if (!event->tool_call_id.len)
            model_text(model, id, data);
        break;
    case EVENT_INTERRUPT_REQUESTED:
    case EVENT_INTERRUPT_RESOLVED: model_interrupt(model, event->type, data); break;
    default: break;
    }
    json_decref(data);
}

/* A snapshot's lists as the model's tables. */
static void by_id(json_t *model, json_t *frame, const char *list, const char *id)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(frame, list), i, item)
    {
        json_t *copy = json_deep_copy(item);
        if (strcmp(list, "interrupts") != 0)
            json_object_del(copy, id);
        json_object_set_new(
            json_object_get(model, list), json_string_value(json_object_get(item, id)), copy);
    }
}

static json_t *frame_of(const struct snapshot *snapshot)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    json_error_t error;
    buffer_append_char(&out, '{');
    snapshot_append(&out, snapshot);
    buffer_append_char(&out, '}');
    assert_int_equal(buffer_error(&out), 0);
    json_t *frame = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, &error);
    if (!frame)
        fail_msg("%s: %.*s", error.text, SPAN_ARG(buffer_span(&out)));
    return frame;
}

static json_t *model_of(const struct snapshot *snapshot)
{
    json_t *frame = frame_of(snapshot);
    json_t *model = model_new();
    by_id(model, frame, "tools", "tool_call_id");
    by_id(model, frame, "texts", "message_id");
    by_id(model, frame, "interrupts", "interrupt_id");
    if (json_object_get(frame, "status"))
        json_object_set(model, "status", json_object_get(frame, "status"));
    if (json_object_get(frame, "started_at"))
        json_object_set(model, "started_at", json_object_get(frame, "started_at"));
    json_decref(frame);
    return model;
}

static void assert_same(json_t *left, json_t *right)
{
    if (json_equal(left, right))
        return;
    char *one = json_dumps(left, JSON_SORT_KEYS);
    char *other = json_dumps(right, JSON_SORT_KEYS);
    fail_msg("%s\nis not\n%s", one, other);
}

/* ---- runs by chance */

static const char *const pieces[] = {"word ", "", "\\n", "\\\"quoted\\\" ", "\\u00e9",
    "\\ud83d\\ude00", "gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x98\x80", "\\\\", "\\/", "{\\\"delta\\\":1}"};

static void random_data(struct chance *chance, struct event *event, struct buffer *data)
{
    static const char *const around[] = {
        "", "\"x\":[{\"delta\":\"no\"},\"}\"],", " \"y\" : -1.5e3 , "};
    const char *piece = pieces[chance_below(chance, ARRAY_SIZE(pieces))];
    const char *before = around[chance_below(chance, ARRAY_SIZE(around))];
    bool final = chance_below(chance, 8) == 0;
    switch (event->type) {
    case EVENT_AGENT_THINKING:
        buffer_printf(data, "{%s\"%s\":\"%s\"}", before, final ? "delta" : "status", piece);
        break;
    case EVENT_TOOL_EXECUTING:
        buffer_printf(
            data, "{%s\"tool_name\":\"a%s\",\"args\":{\"q\":[\"%s\"]}}", before, piece, piece);
        break;
    case EVENT_PARTIAL_RESULT:
        if (event->message_id.len && final)
            event->flags |= EVENT_FLAG_FINAL;
        buffer_printf(data, "{%s\"delta\":\"old\",\"delta\" : \"%s\"%s}", before, piece,
            final ? ",\"final\":true" : "");
        break;
    case EVENT_INTERRUPT_REQUESTED:
    case EVENT_INTERRUPT_RESOLVED:
        buffer_printf(data, "{\"interrupt_id\":\"%.*s\",\"reason\":\"%s\"} ",
            SPAN_ARG(event->request_id), piece);
        break;
    default: buffer_append_string(data, "{}");
    }
    event->data = buffer_span(data);
}

static void random_event(struct chance *chance, struct event *event, struct buffer *data)
{
    static const enum event_type types[] = {EVENT_AGENT_STARTED, EVENT_AGENT_THINKING,
        EVENT_TOOL_EXECUTING, EVENT_TOOL_COMPLETED, EVENT_PARTIAL_RESULT, EVENT_PARTIAL_RESULT,
        EVENT_PARTIAL_RESULT, EVENT_INTERRUPT_REQUESTED, EVENT_INTERRUPT_RESOLVED,
        EVENT_ERROR_EVENT};
    static const char *const ids[] = {"a", "b", "c", "d"};
    struct span id = span_of_string(ids[chance_below(chance, ARRAY_SIZE(ids))]);
    *event = (struct event){.type = types[chance_below(chance, ARRAY_SIZE(types))],
        .timestamp = 1795000000000 + chance_below(chance, 1000)};
    bool tool = event->type == EVENT_TOOL_EXECUTING || event->type == EVENT_TOOL_COMPLETED ||
                (event->type == EVENT_PARTIAL_RESULT && chance_below(chance, 5) == 0);
    if (tool)
        event->tool_call_id = id;
    else
        event->message_id = id;
    event->request_id = id; /* an interrupt's, for its data */
    random_data(chance, event, data);
}

/* Only what the grammar lets through: what opens is not open, what closes is. */
static bool legal(json_t *model, const struct event *event)
{
    char id[IDENTIFIER_SIZE];
    snprintf(id, sizeof(id), "%.*s", SPAN_ARG(event->request_id));
    bool tool = json_object_get(json_object_get(model, "tools"), id);
    bool asked = json_object_get(json_object_get(model, "interrupts"), id);
    switch (event->type) {
    case EVENT_TOOL_EXECUTING: return !tool;
    case EVENT_TOOL_COMPLETED: return tool;
    case EVENT_INTERRUPT_REQUESTED: return !asked;
    case EVENT_INTERRUPT_RESOLVED: return asked;
    case EVENT_PARTIAL_RESULT: return !event->tool_call_id.len || tool;
    default: return true;
    }
}

#define EVENTS 60

static void test_snapshot_and_the_rest_are_the_same_as_all_events(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    for (int round = 0; round < 300; round++) {
        struct event events[EVENTS];
        struct buffer data[EVENTS] = {BUFFER_INIT};
        size_t cut = chance_below(&chance, EVENTS + 1);
        struct snapshot snapshot;
        json_t *whole = model_new();
        json_t *late = NULL;
        snapshot_init(&snapshot);
        for (size_t i = 0; i < EVENTS; i++) {
            do {
                buffer_clear(&data[i]);
                random_event(&chance, &events[i], &data[i]);
            } while (!legal(whole, &events[i]));
            if (i == cut)
                late = model_of(&snapshot);
            model_fold(whole, &events[i]);
            if (late)
                model_fold(late, &events[i]);
            else
                snapshot_fold(&snapshot, &events[i], LIMIT);
        }
        if (!late)
            late = model_of(&snapshot);
        assert_same(late, whole);
        json_decref(late);
        json_decref(whole);
        snapshot_deinit(&snapshot);
        for (size_t i = 0; i < EVENTS; i++)
            buffer_deinit(&data[i]);
    }
}

/* ---- limits */

static void fold_text(
    struct snapshot *snapshot, const char *id, const char *escaped, uint32_t flags, size_t limit)
{
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    buffer_printf(&data, "{\"delta\":\"%s\"}", escaped);
    const struct event event = {.type = EVENT_PARTIAL_RESULT,
        .message_id = span_of_string(id),
        .flags = flags,
        .data = buffer_span(&data)};
    snapshot_fold(snapshot, &event, limit);
}

static size_t characters(const char *utf8)
{
    size_t count = 0;
    for (; *utf8; utf8++)
        count += (*utf8 & 0xc0) != 0x80;
    return count;
}

static void test_text_beyond_the_limit_keeps_its_end_and_says_how_much_is_missing(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    for (int round = 0; round < 40; round++) {
        struct snapshot snapshot;
        const size_t limit = 600 + chance_below(&chance, 400);
        _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
        snapshot_init(&snapshot);
        buffer_append_string(&json, "{\"t\":\"");
        for (int i = 0; i < 400; i++) {
            const char *piece = pieces[chance_below(&chance, ARRAY_SIZE(pieces))];
            fold_text(&snapshot, "m-1", piece, 0, limit);
            buffer_append_string(&json, piece);
            assert_in_range(snapshot_bytes(&snapshot), 0, limit);
        }
        buffer_append_string(&json, "\"}");
        json_t *whole = json_loadb(json.data, json.len, 0, NULL);
        json_t *model = model_of(&snapshot);
        const char *text = json_string_value(json_object_get(text_in(model, "m-1"), "text"));
        const char *all = json_string_value(json_object_get(whole, "t"));
        json_int_t missing = json_integer_value(json_object_get(text_in(model, "m-1"), "missing"));
        assert_true(strlen(text) > 0 && strlen(text) < strlen(all));
        assert_string_equal(all + strlen(all) - strlen(text), text);
        assert_int_equal(missing, characters(all) - characters(text));
        json_decref(whole);
        json_decref(model);
        snapshot_deinit(&snapshot);
    }
}

static json_int_t number_in(const struct snapshot *snapshot, const char *name)
{
    json_t *frame = frame_of(snapshot);
    json_int_t number = json_integer_value(json_object_get(frame, name));
    json_decref(frame);
    return number;
}

static void test_finished_messages_go_first_and_are_counted(void **state)
{
    (void)state;
    struct snapshot snapshot;
    char id[32];
    snapshot_init(&snapshot);
    fold_text(&snapshot, "open", "still being written", 0, 4096);
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "m-%d", i);
        fold_text(&snapshot, id, "a whole message", EVENT_FLAG_FINAL, 4096);
        assert_in_range(snapshot_bytes(&snapshot), 0, 4096);
    }
    json_t *frame = frame_of(&snapshot);
    size_t kept = json_array_size(json_object_get(frame, "texts"));
    assert_in_range(kept, 2, 40);
    assert_int_equal(json_integer_value(json_object_get(frame, "omitted")), 101 - kept);
    json_decref(frame);
    json_t *model = model_of(&snapshot);
    assert_non_null(json_object_get(json_object_get(model, "texts"), "open"));
    assert_non_null(json_object_get(json_object_get(model, "texts"), "m-99"));
    json_decref(model);
    snapshot_deinit(&snapshot);
}

static void test_limit_of_nothing_keeps_no_text(void **state)
{
    (void)state;
    struct snapshot snapshot;
    snapshot_init(&snapshot);
    fold_text(&snapshot, "m-1", "twelve chars", 0, 0);
    json_t *model = model_of(&snapshot);
    json_t *text = text_in(model, "m-1");
    assert_string_equal(json_string_value(json_object_get(text, "text")), "");
    assert_int_equal(json_integer_value(json_object_get(text, "missing")), 12);
    json_decref(model);
    snapshot_deinit(&snapshot);
}

static void fold_tool(struct snapshot *snapshot, enum event_type type, const char *id)
{
    struct event event = {.type = type, .tool_call_id = span_of_string(id)};
    event.data = SPAN_LITERAL("{\"tool_name\":\"search\",\"args\":{\"q\":\"0123456789\"}}");
    snapshot_fold(snapshot, &event, 200);
}

static void test_arguments_that_do_not_fit_are_left_out_and_the_call_is_not(void **state)
{
    (void)state;
    struct snapshot snapshot;
    char id[32];
    snapshot_init(&snapshot);
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof(id), "c-%d", i);
        fold_tool(&snapshot, EVENT_TOOL_EXECUTING, id);
    }
    json_t *model = model_of(&snapshot);
    json_t *tools = json_object_get(model, "tools");
    assert_non_null(json_object_get(json_object_get(tools, "c-4"), "args"));
    assert_null(json_object_get(json_object_get(tools, "c-5"), "args"));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(tools, "c-7"), "tool_name")), "search");
    json_decref(model);
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof(id), "c-%d", i);
        fold_tool(&snapshot, EVENT_TOOL_COMPLETED, id);
    }
    assert_int_equal(snapshot_bytes(&snapshot), 0);
    snapshot_deinit(&snapshot);
}

static void test_items_beyond_the_most_are_counted_until_they_are_closed(void **state)
{
    (void)state;
    struct snapshot snapshot;
    char id[32];
    snapshot_init(&snapshot);
    for (int i = 0; i < SNAPSHOT_ITEMS_MAX + 3; i++) {
        snprintf(id, sizeof(id), "c-%d", i);
        fold_tool(&snapshot, EVENT_TOOL_EXECUTING, id);
    }
    assert_int_equal(number_in(&snapshot, "omitted"), 3);
    for (int i = SNAPSHOT_ITEMS_MAX; i < SNAPSHOT_ITEMS_MAX + 3; i++) {
        snprintf(id, sizeof(id), "c-%d", i);
        fold_tool(&snapshot, EVENT_TOOL_COMPLETED, id);
    }
    assert_int_equal(number_in(&snapshot, "omitted"), 0);
    snapshot_deinit(&snapshot);
}

static void test_status_beyond_its_limit_is_cut_at_a_character(void **state)
{
    (void)state;
    struct snapshot snapshot;
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    snapshot_init(&snapshot);
    buffer_append_string(&data, "{\"status\":\"x");
    for (int i = 0; i < 300; i++)
        buffer_append_string(&data, "\\ud83d\\ude00");
    buffer_append_string(&data, "\"}");
    const struct event event = {.type = EVENT_AGENT_THINKING, .data = buffer_span(&data)};
    snapshot_fold(&snapshot, &event, LIMIT);
    json_t *frame = frame_of(&snapshot);
    const char *status = json_string_value(json_object_get(frame, "status"));
    assert_int_equal(strlen(status), 1 + (SNAPSHOT_STATUS_MAX - 1) / 12 * 4);
    json_decref(frame);
    snapshot_deinit(&snapshot);
}

/* ---- in the broker */

static void assert_text(struct fixture *f, const char *run_id, const char *text)
{
    json_t *model = model_of(&fixture_find(f, run_id)->snapshot);
    assert_string_equal(json_string_value(json_object_get(text_in(model, "m-1"), "text")), text);
    assert_non_null(json_object_get(json_object_get(model, "tools"), "c-1"));
    json_decref(model);
}

static void test_restarted_broker_has_the_same_snapshot(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(push(f, "ann", started("r-1")), VERDICT_LEGAL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(push(f, "ann", text_event("r-1", "m-1", 0)), VERDICT_LEGAL);
    push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"));
    assert_text(f, "r-1", "word word word ");
    fixture_commit(f);
    fixture_restart(f);
    const struct recovery recovery = fixture_recovery(f);
    assert_return_code(recovery_load(&recovery), 0);
    assert_text(f, "r-1", "word word word ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_and_the_rest_are_the_same_as_all_events),
        cmocka_unit_test(test_text_beyond_the_limit_keeps_its_end_and_says_how_much_is_missing),
        cmocka_unit_test(test_finished_messages_go_first_and_are_counted),
        cmocka_unit_test(test_limit_of_nothing_keeps_no_text),
        cmocka_unit_test(test_arguments_that_do_not_fit_are_left_out_and_the_call_is_not),
        cmocka_unit_test(test_items_beyond_the_most_are_counted_until_they_are_closed),
        cmocka_unit_test(test_status_beyond_its_limit_is_cut_at_a_character),
        cmocka_unit_test_setup_teardown(
            test_restarted_broker_has_the_same_snapshot, fixture_up, fixture_down),
    };
    return cmocka_run_group_tests_name("broker-snapshot", tests, NULL, NULL);
}
