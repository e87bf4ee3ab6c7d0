/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "arenas.h"
#include "bench.h"
#include "event/record.h"

/* As a language model writes: mostly ASCII, an escape now and then. */
static const char text_data[] =
    "{\"delta\":\"The reader may be killed at any instruction; the next one goes on exactly w"
    "here it stood \xe2\x80\x94"
    " that is the whole trick.\\n\\n- Positions count units and n"
    "ever go back.\\n- A record that says \\\"committed\\\" is handed out once, in order, and"
    " kept\"}";
static const char tool_data[] =
    "{\"tool_name\":\"search\",\"args\":{\"query\":\"self-describing tail pointers in rings t"
    "hat survive the death of a \",\"limit\":20,\"language\":\"en\",\"domains\":[\"lwn.net\","
    "\"kernel.org\",\"acm.org\",\"usenix.org\"],\"since\":\"2019-01-01\",\"exact\":false,\"we"
    "ights\":[0.5,0.25]}}";

_Static_assert(sizeof text_data - 1 == LOAD_DATA_BYTES, "the text is as long as it says");
_Static_assert(sizeof tool_data - 1 == LOAD_DATA_BYTES, "the tool call is as long as it says");

struct names {
    char run[32];
    char thread[32];
    char message[32];
    char tool[32];
};

void load_up(struct load *load, const char *directory, uint32_t known, uint32_t active)
{
    *load = (struct load){.known = known, .active = active};
    load->leases = calloc(active, sizeof *load->leases);
    bench_need(load->leases ? 0 : -ENOMEM, "calloc");
    bench_need(arena_attach(&load->arena, directory), "arena_attach");
    bench_need(ring_writer_init(&load->writer, load->arena), "ring_writer_init");
    for (uint32_t user = 0; user < known; user++) {
        struct ring_lease lease = bench_lease(&load->writer, user);

        if (user % (known / active) == 0 && user / (known / active) < active)
            load->leases[user / (known / active)] = lease;
    }
}

void load_down(struct load *load)
{
    ring_writer_deinit(&load->writer);
    arena_detach(load->arena);
    free(load->leases);
}

uint32_t load_user(const struct load *load, uint32_t nth)
{
    return nth * (load->known / load->active);
}

size_t load_user_name(char ret_name[32], uint32_t user)
{
    return (size_t)snprintf(ret_name, 32, "user-%u", (unsigned)user);
}

/* A run has a tool call in each eight of its events, at most. */
static struct names names_of(uint64_t run, unsigned event)
{
    struct names names;

    snprintf(names.run, sizeof names.run, "r-%020llu", (unsigned long long)run);
    snprintf(names.thread, sizeof names.thread, "t-%020llu", (unsigned long long)run);
    snprintf(names.message, sizeof names.message, "m-%020llu", (unsigned long long)run);
    snprintf(names.tool, sizeof names.tool, "c-%020llu",
        (unsigned long long)run * LOAD_RUN_EVENTS + event / 8);
    return names;
}

static struct event event_of(enum event_type type, const struct names *names)
{
    struct event event = {.type = type,
        .timestamp = 1795000000000,
        .run_id = span_of_string(names->run),
        .data = span_of(text_data, sizeof text_data - 1)};

    if (type == EVENT_AGENT_STARTED) {
        event.thread_id = span_of_string(names->thread);
        event.agent = SPAN_LITERAL("librarian");
    } else if (type == EVENT_PARTIAL_RESULT) {
        event.message_id = span_of_string(names->message);
    } else if (type == EVENT_TOOL_EXECUTING || type == EVENT_TOOL_COMPLETED) {
        event.tool_call_id = span_of_string(names->tool);
        event.data = span_of(tool_data, sizeof tool_data - 1);
    }
    return event;
}

/* 0 or -EAGAIN. */
static int try_to_emit(struct load *load, struct ring_lease *lease, const struct event *event)
{
    struct event_record record;
    int r;

    bench_need(event_record_encode(&record, event), "event_record_encode");
    while ((r = ring_emit(NULL, &load->writer, lease, record.parts, EVENT_RECORD_PARTS)) == -ESTALE)
        bench_need(ring_lease_renew(lease, &load->writer), "ring_lease_renew");
    if (r != -EAGAIN)
        bench_need(r, "ring_emit");
    return r;
}

static void emit(struct load *load, struct ring_lease *lease, const struct event *event)
{
    bench_need(try_to_emit(load, lease, event), "ring_emit");
}

static void emit_type(
    struct load *load, struct ring_lease *lease, const struct names *names, enum event_type type)
{
    struct event event = event_of(type, names);

    emit(load, lease, &event);
}

size_t load_acquaint(struct load *load, uint32_t first, uint32_t count)
{
    for (uint32_t user = first; user < first + count; user++) {
        struct ring_lease lease = bench_lease(&load->writer, user);
        struct names names = names_of(1u << 30 | user, 0);

        emit_type(load, &lease, &names, EVENT_AGENT_STARTED);
        emit_type(load, &lease, &names, EVENT_AGENT_COMPLETED);
    }
    return 2 * (size_t)count;
}

void load_begin_one(struct load *load, uint32_t nth)
{
    struct names names = names_of(nth, 0);

    emit_type(load, &load->leases[nth], &names, EVENT_AGENT_STARTED);
}

size_t load_begin(struct load *load)
{
    for (uint32_t nth = 0; nth < load->active; nth++)
        load_begin_one(load, nth);
    load->runs = load->active;
    return load->active;
}

void load_flood(struct load *load, uint32_t nth)
{
    struct names names = names_of(nth, 0);
    struct event event = event_of(EVENT_PARTIAL_RESULT, &names);

    if (try_to_emit(load, &load->leases[nth], &event) == -EAGAIN)
        ring_wait_space(&load->writer, &load->leases[nth], LOAD_DATA_BYTES, FLOOD_WAIT_MS);
}

void load_piece(struct load *load, uint32_t nth, const char *data)
{
    struct names names = names_of(nth, 0);
    struct event event = event_of(EVENT_PARTIAL_RESULT, &names);

    if (data)
        event.data = span_of_string(data);
    emit(load, &load->leases[nth], &event);
}

size_t load_text(struct load *load, unsigned pieces)
{
    for (unsigned piece = 0; piece < pieces; piece++)
        for (uint32_t nth = 0; nth < load->active; nth++)
            load_piece(load, nth, NULL);
    return (size_t)pieces * load->active;
}

static enum event_type nth_of_run(unsigned nth)
{
    if (nth == 0)
        return EVENT_AGENT_STARTED;
    if (nth == LOAD_RUN_EVENTS - 1)
        return EVENT_AGENT_COMPLETED;
    switch (nth % 8) {
    case 1: return EVENT_AGENT_THINKING;
    case 2: return nth < 16 ? EVENT_TOOL_EXECUTING : EVENT_PARTIAL_RESULT;
    case 3: return nth < 16 ? EVENT_TOOL_COMPLETED : EVENT_PARTIAL_RESULT;
    default: return EVENT_PARTIAL_RESULT;
    }
}

size_t load_runs(struct load *load)
{
    for (unsigned event = 0; event < LOAD_RUN_EVENTS; event++) {
        for (uint32_t nth = 0; nth < load->active; nth++) {
            struct names names = names_of(load->runs + nth, event);

            emit_type(load, &load->leases[nth], &names, nth_of_run(event));
        }
    }
    load->runs += load->active;
    return (size_t)LOAD_RUN_EVENTS * load->active;
}

void load_event(struct event *ret_event)
{
    *ret_event = (struct event){.type = EVENT_PARTIAL_RESULT,
        .timestamp = 1795000000000,
        .thread_id = SPAN_LITERAL("t-01234567890123456789"),
        .run_id = SPAN_LITERAL("r-01234567890123456789"),
        .agent = SPAN_LITERAL("librarian"),
        .message_id = SPAN_LITERAL("m-01234567890123456789"),
        .data = span_of(text_data, sizeof text_data - 1)};
}
