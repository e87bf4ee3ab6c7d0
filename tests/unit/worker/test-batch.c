/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind a batch's files, at its limits. */
#include "unit.h"

#include "batch/input.h"
#include "batch/run.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

static struct registry_agent agent = {.name = "a"};
static const struct registry registry = {.agents = &agent, .count = 1};

struct told {
    int count;
    uint64_t line;
    char reason[160];
};

static void on_malformed(void *context, uint64_t line, const char *reason)
{
    struct told *told = context;
    told->count++;
    told->line = line;
    snprintf(told->reason, sizeof(told->reason), "%s", reason);
}

static int new_file(char ret_path[64])
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static struct batch_input open_input(const char *path, struct told *told)
{
    struct batch_input input;
    const struct batch_input_options options = {.path = path,
        .default_agent = "a",
        .registry = &registry,
        .malformed = on_malformed,
        .context = told};
    assert_int_equal(batch_input_init(&input, &options), 0);
    return input;
}

static void test_a_line_longer_than_the_limit_is_left_out_and_the_next_is_found(void **state)
{
    (void)state;
    char path[64];
    struct told told = {0};
    struct batch_content content = {0};
    char *spaces = malloc(BATCH_LINE_MAX + 1);
    int fd = new_file(path);
    memset(spaces, ' ', BATCH_LINE_MAX);
    spaces[BATCH_LINE_MAX] = '\0';
    put(fd, "{\"content\":\"long\"}");
    put(fd, spaces);
    put(fd, "\n{\"content\":\"short\"}");
    struct batch_input input = open_input(path, &told);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.line, 1);
    assert_non_null(strstr(told.reason, "16 MiB"));
    assert_int_equal(input.count, 1);
    assert_string_equal(input.requests[0].id, "2");
    assert_int_equal(batch_input_read(&input, &input.requests[0], &content), 0);
    assert_true(span_is(content.content, "\"short\""));
    buffer_deinit(&content.line);
    batch_input_deinit(&input);
    close(fd);
    free(spaces);
}

static void test_a_line_that_changed_after_it_was_checked_is_not_run(void **state)
{
    (void)state;
    char path[64];
    struct told told = {0};
    struct batch_content content = {0};
    int fd = new_file(path);
    put(fd, "{\"request_id\":\"one\",\"content\":\"x\"}\n");
    struct batch_input input = open_input(path, &told);
    assert_int_equal(pwrite(fd, "{\"request_id\":\"two\"", 19, 0), 19);
    assert_int_equal(batch_input_read(&input, &input.requests[0], &content), -EIO);
    assert_int_equal(ftruncate(fd, 5), 0);
    assert_int_equal(batch_input_read(&input, &input.requests[0], &content), -EIO);
    buffer_deinit(&content.line);
    batch_input_deinit(&input);
    close(fd);
}

/* ---- a run */

static struct batch_run *new_run(struct batch_request *request)
{
    struct batch_content content = {.agent = "a", .user_id = "u", .thread_id = "t"};
    struct batch_run *run = batch_run_new(request, &content);
    assert_non_null(run);
    return run;
}

static void take(struct batch_run *run, enum event_type type, uint32_t flags, const char *data)
{
    const struct event event = {.type = type,
        .flags = flags,
        .timestamp = 1,
        .run_id = span_of_string(run->run_id),
        .data = span_of_string(data)};
    batch_run_take(run, &event, 5);
}

static const char *lines_of(struct buffer *out, const struct batch_run *run)
{
    uint64_t seq = 0;
    buffer_clear(out);
    batch_run_append(out, run, &seq);
    buffer_append_char(out, '\0');
    return out->data;
}

static void test_text_is_put_together_as_it_was_written_without_the_tools(void **state)
{
    (void)state;
    struct batch_request request = {.id = (char[]){"q"}};
    struct batch_run *run = new_run(&request);
    struct buffer out = BUFFER_INIT;
    const struct event progress = {.type = EVENT_PARTIAL_RESULT,
        .tool_call_id = SPAN_LITERAL("c"),
        .data = SPAN_LITERAL("{\"delta\":\"tool\"}")};
    take(run, EVENT_PARTIAL_RESULT, 0, "{\"delta\":\"a\\n\\ud83d\"}");
    batch_run_take(run, &progress, 4);
    take(run, EVENT_PARTIAL_RESULT, 0, "{\"delta\":\"\\ude00\\\"\"}");
    take(run, EVENT_AGENT_COMPLETED, 0, "{\"outcome\":\"success\",\"result\":{\"n\":\n1}}");
    const char *lines = lines_of(&out, run);
    assert_non_null(strstr(lines, "\"text\":\"a\\n\\ud83d\\ude00\\\"\",\"result\":{\"n\": 1}"));
    assert_null(strstr(lines, "\"type\":\"partial_result\""));
    buffer_deinit(&out);
    batch_run_free(run);
}

static void test_text_beyond_the_limit_is_cut_at_a_piece_and_said_to_be(void **state)
{
    (void)state;
    struct batch_request request = {.id = (char[]){"q"}};
    struct batch_run *run = new_run(&request);
    struct buffer out = BUFFER_INIT, piece = BUFFER_INIT;
    buffer_append_string(&piece, "{\"delta\":\"");
    for (size_t i = 0; i < BATCH_TEXT_MAX / 4; i++)
        buffer_append_char(&piece, 'x');
    buffer_append_string(&piece, "\"}");
    buffer_append_char(&piece, '\0');
    for (int i = 0; i < 5; i++)
        take(run, EVENT_PARTIAL_RESULT, 0, piece.data);
    take(run, EVENT_AGENT_COMPLETED, EVENT_FLAG_OUTCOME_CANCELLED, "{\"outcome\":\"cancelled\"}");
    assert_int_equal(run->text.len, BATCH_TEXT_MAX);
    const char *lines = lines_of(&out, run);
    assert_non_null(strstr(lines, "\"text_truncated\":true"));
    assert_non_null(strstr(lines, "\"status\":\"cancelled\""));
    buffer_deinit(&out);
    buffer_deinit(&piece);
    batch_run_free(run);
}

static void test_more_events_than_fit_fail_the_run_and_show_none(void **state)
{
    (void)state;
    struct batch_request request = {.id = (char[]){"q"}};
    struct batch_run *run = new_run(&request);
    struct buffer out = BUFFER_INIT, data = BUFFER_INIT;
    run->keeps_events = true;
    buffer_append_string(&data, "{\"status\":\"");
    for (size_t i = 0; i < 1u << 20; i++)
        buffer_append_char(&data, 'x');
    buffer_append_string(&data, "\"}");
    buffer_append_char(&data, '\0');
    for (int i = 0; i < 64; i++)
        take(run, EVENT_AGENT_THINKING, 0, data.data);
    assert_true(run->too_large);
    take(run, EVENT_AGENT_COMPLETED, EVENT_FLAG_OUTCOME_CANCELLED, "{\"outcome\":\"cancelled\"}");
    const char *lines = lines_of(&out, run);
    assert_int_equal(strncmp(lines, "{\"type\":\"result\"", 16), 0);
    assert_non_null(
        strstr(lines, "\"status\":\"failed\",\"error\":{\"code\":\"events_too_large\""));
    buffer_deinit(&out);
    buffer_deinit(&data);
    batch_run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_longer_than_the_limit_is_left_out_and_the_next_is_found),
        cmocka_unit_test(test_a_line_that_changed_after_it_was_checked_is_not_run),
        cmocka_unit_test(test_text_is_put_together_as_it_was_written_without_the_tools),
        cmocka_unit_test(test_text_beyond_the_limit_is_cut_at_a_piece_and_said_to_be),
        cmocka_unit_test(test_more_events_than_fit_fail_the_run_and_show_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
