/* SPDX-License-Identifier: Apache-2.0 */
/* Which step is legal after which, as an agent's programmer meets it. */
#include "emitter-test.h"

#include "event/grammar.h"

static int do_start(rs_run *run)
{
    return rs_run_start(run);
}

static int do_think(rs_run *run)
{
    return rs_thinking_status(run, "looking");
}

static int do_text(rs_run *run)
{
    return say(run, "m-1", "hello");
}

static int do_other_text(rs_run *run)
{
    return say(run, "m-2", "there");
}

static int do_final(rs_run *run)
{
    return rs_text_final(run, "m-1");
}

static int do_tool(rs_run *run)
{
    return rs_tool_begin(NULL, run, "c-1", "search", NULL);
}

static int do_other_tool(rs_run *run)
{
    return rs_tool_begin(NULL, run, "c-2", "search", NULL);
}

static int do_progress(rs_run *run)
{
    return rs_emit(run, "partial_result", NULL, "c-1", "{\"progress\":1}");
}

static int do_tool_end(rs_run *run)
{
    return rs_emit(run, "tool_completed", NULL, "c-1", "{\"status\":\"ok\"}");
}

static int do_ask(rs_run *run)
{
    return rs_interrupt_request(run, "i-1", "approval", NULL, 0);
}

static int do_answer(rs_run *run)
{
    return rs_interrupt_resolved(run, "i-1", NULL, NULL);
}

static int do_error(rs_run *run)
{
    return rs_error(run, "hiccup", "went on", true);
}

static int do_done(rs_run *run)
{
    return rs_run_complete(run, RS_SUCCESS, NULL, NULL);
}

static int do_fail(rs_run *run)
{
    return rs_run_fail(run, "broken", "no more", false);
}

static int do_drop(rs_run *run)
{
    rs_run_drop(run);
    return RS_OK;
}

typedef int (*action)(rs_run *run);

/* All actions but the last are legal; the last one answers `expected`. */
static const struct row {
    action actions[6];
    int expected;
} rows[] = {
    {{do_start}, RS_OK},
    {{do_think}, RS_E_ORDER},
    {{do_text}, RS_E_ORDER},
    {{do_final}, RS_E_ORDER},
    {{do_tool}, RS_E_ORDER},
    {{do_ask}, RS_E_ORDER},
    {{do_error}, RS_E_ORDER},
    {{do_done}, RS_OK}, /* ends start first */
    {{do_fail}, RS_OK},
    {{do_start, do_start}, RS_E_ORDER},
    {{do_start, do_think}, RS_OK},
    {{do_start, do_error, do_error}, RS_OK},
    {{do_start, do_text, do_text}, RS_OK},
    {{do_start, do_text, do_other_text, do_final, do_other_text}, RS_OK},
    {{do_start, do_final}, RS_E_ORDER},
    {{do_start, do_text, do_final}, RS_OK},
    {{do_start, do_text, do_final, do_text}, RS_E_ORDER},
    {{do_start, do_text, do_final, do_final}, RS_E_ORDER},
    {{do_start, do_progress}, RS_E_ORDER},
    {{do_start, do_tool_end}, RS_E_ORDER},
    {{do_start, do_tool, do_progress, do_progress, do_tool_end}, RS_OK},
    {{do_start, do_tool, do_tool}, RS_E_ORDER},
    {{do_start, do_tool, do_other_tool, do_tool_end}, RS_OK},
    {{do_start, do_tool, do_tool_end, do_tool}, RS_E_ORDER},
    {{do_start, do_tool, do_tool_end, do_tool_end}, RS_E_ORDER},
    {{do_start, do_tool, do_tool_end, do_progress}, RS_E_ORDER},
    {{do_start, do_tool, do_text, do_think, do_tool_end}, RS_OK},
    {{do_start, do_answer}, RS_E_ORDER},
    {{do_start, do_ask, do_text, do_answer, do_text}, RS_OK},
    {{do_start, do_ask, do_ask}, RS_E_ORDER},
    {{do_start, do_ask, do_answer, do_answer}, RS_E_ORDER},
    {{do_start, do_ask, do_answer, do_ask}, RS_E_ORDER},
    {{do_start, do_done, do_start}, RS_E_ENDED},
    {{do_start, do_done, do_text}, RS_E_ENDED},
    {{do_start, do_done, do_done}, RS_E_ENDED},
    {{do_start, do_done, do_fail}, RS_E_ENDED},
    {{do_start, do_fail, do_done}, RS_E_ENDED},
    {{do_start, do_fail, do_tool}, RS_E_ENDED},
    {{do_start, do_tool, do_done, do_tool_end}, RS_E_ENDED},
    {{do_start, do_drop, do_text}, RS_E_ENDED},
    {{do_start, do_drop, do_fail}, RS_E_ENDED},
    {{do_drop, do_start}, RS_E_ENDED},
};

static void check_row(struct node *node, const struct row *row)
{
    rs_run *run = run_new(node->emitter, "ann");
    size_t last = 0;
    while (last + 1 < 6 && row->actions[last + 1])
        last++;
    for (size_t i = 0; i < last; i++)
        assert_int_equal(row->actions[i](run), RS_OK);
    node_read(node, "ann");
    if (row->actions[last](run) != row->expected)
        fail_msg("row %td", row - rows);
    bool emitted = node_read(node, "ann")[0] != '\0';
    assert_int_equal(emitted, row->expected == RS_OK);
    rs_run_free(run);
    node_read(node, "ann");
}

static void test_each_step_is_legal_or_refused_without_a_trace(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(*state, &rows[i]);
}

static void test_a_run_has_so_many_tools_open_and_no_more(void **state)
{
    struct node *node = *state;
    rs_run *run = run_new(node->emitter, "ann");
    rs_tool *first;
    assert_int_equal(rs_run_start(run), RS_OK);
    assert_int_equal(rs_tool_begin(&first, run, NULL, "search", NULL), RS_OK);
    for (int i = 1; i < GRAMMAR_OPEN_MAX; i++) {
        assert_int_equal(rs_tool_begin(NULL, run, NULL, "search", NULL), RS_OK);
        node_read(node, "ann");
    }
    assert_int_equal(rs_tool_begin(NULL, run, NULL, "search", NULL), RS_E_TOO_MANY);
    assert_string_equal(node_read(node, "ann"), "");
    assert_int_equal(rs_tool_end(first, RS_TOOL_OK, NULL, NULL, NULL), RS_OK);
    assert_int_equal(rs_tool_begin(NULL, run, NULL, "search", NULL), RS_OK);
    rs_run_drop(run);
    rs_run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_each_step_is_legal_or_refused_without_a_trace, node_up, node_down),
        cmocka_unit_test_setup_teardown(
            test_a_run_has_so_many_tools_open_and_no_more, node_up, node_down),
    };
    return cmocka_run_group_tests_name("emitter-grammar", tests, NULL, NULL);
}
