/* SPDX-License-Identifier: Apache-2.0 */
#include "emitter-test.h"

#include "event/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int node_make(void **state, uint32_t spill_bytes)
{
    struct node *node = calloc(1, sizeof(*node));
    snprintf(node->parent, sizeof(node->parent), "%s/ringside-test-XXXXXX",
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(node->parent))
        return -1;
    snprintf(node->directory, sizeof(node->directory), "%s/node", node->parent);
    struct arena_options options = {.directory = node->directory,
        .ring_count = 64,
        .ring_bytes = RING_BYTES,
        .spill_bytes = spill_bytes,
        .process_count = 16,
        .slot_count = 32};
    assert_int_equal(arena_create(&node->arena, &options), 0);
    assert_int_equal(ring_reader_new(&node->reader, node->arena), 0);
    node->emitter = node_attach(node, 0);
    *state = node;
    return 0;
}

int node_up(void **state)
{
    return node_make(state, 0);
}

int node_up_spilling(void **state)
{
    return node_make(state, SPILL_BYTES);
}

int node_down(void **state)
{
    struct node *node = *state;
    rs_detach(node->emitter);
    ring_reader_free(node->reader);
    assert_int_equal(arena_unlink(node->arena), 0);
    arena_detach(node->arena);
    assert_int_equal(rmdir(node->parent), 0);
    buffer_deinit(&node->script);
    free(node);
    return 0;
}

rs_emitter *node_attach(const struct node *node, uint32_t emit_timeout_ms)
{
    struct rs_attach_options options = {
        .arena_dir = node->directory, .emit_timeout_ms = emit_timeout_ms};
    rs_emitter *emitter = NULL;
    assert_int_equal(rs_attach(&emitter, &options), RS_OK);
    return emitter;
}

rs_run *run_new(rs_emitter *emitter, const char *user_id)
{
    struct rs_run_context context = {.user_id = user_id,
        .thread_id = "t-1",
        .agent = "tester",
        .run_id = "r-1",
        .request_id = "q-1"};
    rs_run *run = NULL;
    assert_int_equal(rs_run_open(&run, emitter, &context), RS_OK);
    return run;
}

rs_run *run_started(rs_emitter *emitter, const char *user_id)
{
    rs_run *run = run_new(emitter, user_id);
    assert_int_equal(rs_run_start(run), RS_OK);
    return run;
}

uint32_t node_ring(const struct node *node, const char *user_id)
{
    uint32_t ring;
    assert_int_equal(directory_find(&ring, node->arena, user_id, strlen(user_id)), 0);
    return ring;
}

bool node_next(struct event *ret_event, struct node *node, const char *user_id)
{
    struct ring_record record;
    int rc = ring_reader_next(&record, node->reader, node_ring(node, user_id));
    assert_in_range(rc, 0, 1);
    if (rc == 0)
        return false;
    assert_int_equal(record.user_tag, event_user_tag(span_of_string(user_id)));
    struct span bytes = span_of(record.payload, record.payload_length);
    assert_int_equal(event_record_decode(ret_event, bytes), 0);
    return true;
}

void node_release(struct node *node, const char *user_id)
{
    uint32_t ring = node_ring(node, user_id);
    uint64_t cursor = ring_reader_cursor(node->reader, ring);
    assert_int_equal(ring_reader_release(node->reader, ring, cursor), 0);
}

static void write_data(struct buffer *script, struct span data)
{
    static const char name[] = "\"duration_ms\":";
    const char *at = memmem(data.data, data.len, name, strlen(name));
    if (!at) {
        buffer_append_span(script, data);
        return;
    }
    size_t head = (size_t)(at - data.data) + strlen(name);
    buffer_append(script, data.data, head);
    buffer_append_char(script, '0');
    while (head < data.len && data.data[head] >= '0' && data.data[head] <= '9')
        head++;
    buffer_append(script, data.data + head, data.len - head);
}

static void write_event(struct buffer *script, const struct event *event)
{
    buffer_append_string(script, event_type_name(event->type));
    if (event->message_id.len)
        buffer_printf(script, " message=%.*s", SPAN_ARG(event->message_id));
    if (event->tool_call_id.len)
        buffer_printf(script, " tool=%.*s", SPAN_ARG(event->tool_call_id));
    if (event->flags & EVENT_FLAG_FATAL)
        buffer_append_string(script, " fatal");
    if (event->flags & EVENT_FLAG_FINAL)
        buffer_append_string(script, " final");
    if (event->flags & EVENT_FLAG_OUTCOME_CANCELLED)
        buffer_append_string(script, " cancelled");
    buffer_append_char(script, ' ');
    write_data(script, event->data);
    buffer_append_char(script, '\n');
}

const char *node_read(struct node *node, const char *user_id)
{
    struct event event;
    buffer_clear(&node->script);
    while (node_next(&event, node, user_id))
        write_event(&node->script, &event);
    node_release(node, user_id);
    buffer_append_char(&node->script, '\0');
    assert_int_equal(buffer_error(&node->script), 0);
    return node->script.data;
}

int say(rs_run *run, const char *message_id, const char *text)
{
    size_t taken;
    int rc = rs_text(run, message_id, text, strlen(text), &taken);
    assert_int_equal(taken, rc ? 0 : strlen(text));
    return rc;
}

void fill_ring(rs_run *run)
{
    char filler[1000];
    int rc = RS_OK;
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    for (int i = 0; i < 1000 && rc == RS_OK; i++)
        rc = rs_thinking_status(run, filler);
    assert_int_equal(rc, RS_E_FULL);
    rc = RS_OK;
    for (int i = 0; i < 1000 && rc == RS_OK; i++)
        rc = rs_thinking_status(run, "");
    assert_int_equal(rc, RS_E_FULL);
}
