/* SPDX-License-Identifier: Apache-2.0 */
#include "broker-test.h"

#include "base/cleanup.h"
#include "event/codec.h"

#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- up and down */

static void on_death(void *context, const struct process_death *death)
{
    struct fixture *f = context;
    farewell_process_died(&f->farewell, death);
}

static const struct processes_events process_events = {.on_death = on_death};

static void open_history(struct fixture *f)
{
    char path[PATHS_MAX];
    char reason[HISTORY_REASON_SIZE];
    assert_return_code(paths_join(path, f->directory, "history"), 0);
    const struct history_options options = {.directory = path,
        .sync = f->syncs_commits ? HISTORY_SYNC_ALWAYS : HISTORY_SYNC_NEVER,
        .max_age_ms = f->config.history_max_age,
        .max_bytes = f->config.history_max_bytes,
        .max_events_per_user = f->config.history_max_events_per_user,
        .keep_records_ms = f->config.history_keep_records};
    int rc = history_open(&f->history, &options, reason);
    if (rc)
        fail_msg("history: %s: %s", strerror(-rc), reason);
}

static void open_arena(struct fixture *f)
{
    char path[PATHS_MAX];
    assert_return_code(paths_join(path, f->directory, "arena"), 0);
    const struct arena_options options = {.directory = path,
        .ring_count = 64,
        .ring_bytes = f->ring_bytes,
        .process_count = 16,
        .slot_count = 64};
    assert_return_code(arena_create(&f->arena, &options), 0);
}

static void make_intake(struct fixture *f)
{
    users_init(&f->users, f->history);
    router_init(&f->router, f->history, &f->counters);
    reads_init(&f->reads, &f->users, &f->router);
    pipeline_init(&f->pipeline, &(struct pipeline_options){.history = f->history,
                                    .router = &f->router,
                                    .counters = &f->counters,
                                    .arena_id = arena_id(f->arena),
                                    .snapshot_bytes = f->config.broker_snapshot_bytes,
                                    .max_own_runs = f->config.broker_max_own_runs});
    assert_return_code(processes_new(&f->processes, f->loop, f->arena, &process_events, f), 0);
    assert_return_code(
        drain_new(&f->drain, &(struct drain_options){.arena = f->arena,
                                 .processes = f->processes,
                                 .pipeline = &f->pipeline,
                                 .users = &f->users,
                                 .history = f->history,
                                 .counters = &f->counters,
                                 .max_staged = f->config.history_max_staged,
                                 .user_rate = f->config.broker_max_events_per_second_per_user,
                                 .worker_rate = f->config.broker_max_events_per_second_per_worker}),
        0);
}

static void make_ports(struct fixture *f)
{
    f->gateways = (struct gateway_port){.users = &f->users,
        .router = &f->router,
        .reads = &f->reads,
        .drain = f->drain,
        .dispatch = &f->dispatch,
        .history = f->history,
        .effects = &f->effects,
        .counters = &f->counters};
    f->worker_port = (struct worker_port){.workers = &f->workers,
        .dispatch = &f->dispatch,
        .farewell = &f->farewell,
        .leases = &f->leases,
        .processes = f->processes};
    f->router.on_watch = gateway_port_watch;
    f->router.context = f->drain;
    f->ports[0] = gateway_port_link(&f->gateways, "gateway");
    f->ports[1] = worker_port_link(&f->worker_port);
    f->ports[2] = (struct link_port){0};
}

static void make_dispatch(struct fixture *f)
{
    workers_init(&f->workers);
    effects_init(&f->effects, f->links);
    dispatch_init(&f->dispatch, &(struct dispatch_options){.config = &f->config,
                                    .pipeline = &f->pipeline,
                                    .users = &f->users,
                                    .workers = &f->workers,
                                    .effects = &f->effects,
                                    .counters = &f->counters});
    farewell_init(&f->farewell, &f->dispatch, f->processes, f->drain);
    f->leases = (struct leases){.farewell = &f->farewell,
        .processes = f->processes,
        .workers = &f->workers,
        .holders = &f->pipeline.holders,
        .counters = &f->counters,
        .lease_ms = f->config.broker_worker_lease};
}

static void open_all(struct fixture *f)
{
    f->counters = (struct counters){0};
    f->loop = ev_loop_new(0);
    open_history(f);
    open_arena(f);
    assert_return_code(links_new(&f->links, &(struct links_options){.loop = f->loop,
                                                .run_dir = f->directory,
                                                .broker_id = "b-test",
                                                .counters = &f->counters,
                                                .ports = f->ports}),
        0);
    make_intake(f);
    make_dispatch(f);
    make_ports(f);
}

static void drop_peers(struct fixture *f)
{
    for (const struct link_port *port = f->ports; port->role; port++) {
        size_t cursor = 0;
        for (struct link *link; (link = links_next(f->links, port->role, &cursor));)
            link_drop(link, "the test is over");
    }
}

static void close_all(struct fixture *f)
{
    drop_peers(f);
    LIST_FOR_EACH(struct worker, worker, &f->workers.list, workers_link)
    workers_remove(worker);
    f->fake_count = 0;
    dispatch_deinit(&f->dispatch);
    effects_deinit(&f->effects);
    buffer_deinit(&f->gateways.scratch);
    if (!f->linked)
        free(f->links); /* without slots it is nothing but itself */
    drain_free(f->drain);
    processes_free(f->processes);
    pipeline_deinit(&f->pipeline);
    users_deinit(&f->users);
    reads_deinit(&f->reads);
    router_deinit(&f->router);
    arena_detach(f->arena);
    history_close(f->history);
    if (!f->linked)
        ev_loop_destroy(f->loop);
}

static char default_agent[] = "librarian";

static int up(void **state, uint32_t ring_bytes)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->ring_bytes = ring_bytes;
    strcpy(f->directory, "/tmp/ringside-broker-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->config = (struct config){.broker_max_queued = 100,
        .broker_max_queued_per_user = 10,
        .broker_cancel_grace = 10000,
        .broker_run_timeout = 60000,
        .broker_placement_timeout = 30000,
        .broker_worker_lease = 10000,
        .broker_max_own_runs = 1000,
        .history_max_staged = 64u << 20,
        .broker_snapshot_bytes = 65536,
        .broker_default_agent = default_agent};
    open_all(f);
    *state = f;
    return 0;
}

int fixture_up(void **state)
{
    return up(state, 16384);
}

int fixture_up_large(void **state)
{
    return up(state, 4u << 20);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int fixture_down(void **state)
{
    struct fixture *f = *state;
    close_all(f);
    nftw(f->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (!f->linked)
        free(f);
    return 0;
}

void fixture_restart(struct fixture *f)
{
    close_all(f);
    open_all(f);
}

struct recovery fixture_recovery(struct fixture *f)
{
    return (struct recovery){.history = f->history,
        .users = &f->users,
        .pipeline = &f->pipeline,
        .dispatch = &f->dispatch,
        .processes = f->processes,
        .drain = f->drain,
        .farewell = &f->farewell};
}

void fixture_recover(struct fixture *f)
{
    const struct recovery recovery = fixture_recovery(f);
    assert_return_code(recovery_load(&recovery), 0);
    assert_return_code(recovery_settle(&recovery), 0);
    fixture_commit(f);
    drain_release(f->drain);
}

void fixture_commit(struct fixture *f)
{
    assert_return_code(history_commit(f->history), 0);
}

void fixture_turn(struct fixture *f)
{
    processes_turn(f->processes, true);
    drain_turn(f->drain, 8192);
    farewell_turn(&f->farewell);
    dispatch_place(&f->dispatch);
    fixture_commit(f);
    drain_release(f->drain);
    effects_release(&f->effects);
    router_flush(&f->router);
    while (reads_turn(&f->reads))
        ;
}

struct user *fixture_user(struct fixture *f, const char *id)
{
    struct user *user = users_get(&f->users, span_of_string(id));
    assert_non_null(user);
    return user;
}

struct run *fixture_find(struct fixture *f, const char *run_id)
{
    return pipeline_find(&f->pipeline, span_of_string(run_id));
}

struct worker *fixture_worker(
    struct fixture *f, uint32_t process, uint64_t slots, const char *agents)
{
    assert_true(f->fake_count < ARRAY_SIZE(f->fake_links));
    struct link *link = &f->fake_links[f->fake_count++];
    *link = (struct link){.links = f->links, .state = LINK_READY, .serial = 1000 + f->fake_count};
    const struct wire_hello hello = {.process = process, .agents = span_of_string(agents)};
    struct worker *worker = workers_add(&f->workers, link, &hello);
    assert_non_null(worker);
    worker->incarnation = AGENT_INCARNATION;
    worker->announced = true;
    fixture_room(f, worker, slots);
    return worker;
}

void fixture_room(struct fixture *f, struct worker *worker, uint64_t slots)
{
    worker->slots = slots;
    f->workers.changed = true;
}

/* ---- events */

enum verdict push_from(
    struct fixture *f, const char *user, struct event event, const struct origin *origin)
{
    return pipeline_push(&f->pipeline, fixture_user(f, user), &event, origin);
}

enum verdict push(struct fixture *f, const char *user, struct event event)
{
    const struct origin origin = {AGENT_PROCESS, AGENT_INCARNATION};
    return push_from(f, user, event, &origin);
}

struct event event_of(enum event_type type, const char *run_id)
{
    bool asks = type == EVENT_INTERRUPT_REQUESTED || type == EVENT_INTERRUPT_RESOLVED;
    return (struct event){.type = type,
        .timestamp = 1795000000000,
        .run_id = span_of_string(run_id),
        .data = asks ? SPAN_LITERAL("{\"interrupt_id\":\"i-1\"}") : SPAN_LITERAL("{}")};
}

struct event started(const char *run_id)
{
    struct event event = event_of(EVENT_AGENT_STARTED, run_id);
    event.thread_id = SPAN_LITERAL("t-1");
    event.agent = SPAN_LITERAL("librarian");
    return event;
}

struct event tool_event(enum event_type type, const char *run_id, const char *tool_call_id)
{
    struct event event = event_of(type, run_id);
    event.tool_call_id = span_of_string(tool_call_id);
    event.data = SPAN_LITERAL("{\"tool_name\":\"search\",\"args\":{}}");
    return event;
}

struct event text_event(const char *run_id, const char *message_id, uint32_t flags)
{
    struct event event = event_of(EVENT_PARTIAL_RESULT, run_id);
    event.message_id = span_of_string(message_id);
    event.flags = flags;
    event.data = SPAN_LITERAL("{\"delta\":\"word \"}");
    return event;
}

/* ---- streams */

void keep_stream(struct kept *ret_kept, struct fixture *f, const char *user)
{
    struct kept *kept = ret_kept;
    uint64_t last = 0;
    *kept = (struct kept){0};
    struct history_stream *stream = fixture_user(f, user)->stream;
    assert_return_code(history_read(stream, 0, SIZE_MAX, &kept->bytes, &last), 0);
    struct event event;
    for (size_t at = 0; event_decode_next(&event, buffer_span(&kept->bytes), &at) == 1;) {
        assert_true(kept->count < ARRAY_SIZE(kept->events));
        assert_int_equal(event.seq, kept->count + 1);
        assert_int_equal(event.user_tag, event_user_tag(span_of_string(user)));
        kept->events[kept->count++] = event;
    }
    assert_int_equal(kept->count, history_committed_head(stream));
}

void kept_free(struct kept *kept)
{
    buffer_deinit(&kept->bytes);
}

const char *kept_types(const struct kept *kept, const char *run_id)
{
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < kept->count; i++) {
        const struct event *event = &kept->events[i];
        if (run_id && !span_is(event->run_id, run_id))
            continue;
        int more = snprintf(text + len, sizeof(text) - len, "%s%s%s", len ? " " : "",
            event_type_name(event->type), event->flags & EVENT_FLAG_SYNTHETIC ? "*" : "");
        assert_in_range(more, 1, sizeof(text) - len - 1);
        len += (size_t)more;
    }
    return text;
}

void assert_run_events(struct fixture *f, const char *user, const char *run_id, const char *types)
{
    struct kept kept;
    keep_stream(&kept, f, user);
    assert_string_equal(kept_types(&kept, run_id), types);
    kept_free(&kept);
}

void assert_stream(struct fixture *f, const char *user, const char *types)
{
    assert_run_events(f, user, NULL, types);
}

char *data_member(const struct event *event, const char *name)
{
    json_t *root = json_loadb(event->data.data, event->data.len, 0, NULL);
    json_t *member = json_object_get(root, name);
    const char *string = json_string_value(member);
    char *text = string ? strdup(string) : member ? json_dumps(member, JSON_ENCODE_ANY) : NULL;
    json_decref(root);
    return text;
}

void assert_member(const struct event *event, const char *name, const char *expected)
{
    _cleanup_free_ char *text = data_member(event, name);
    if (!expected) {
        assert_null(text);
        return;
    }
    assert_non_null(text);
    assert_string_equal(text, expected);
}

/* ---- requests */

struct answer chat_as(struct fixture *f, const struct wire_chat_send *request)
{
    struct answer answer;
    dispatch_chat(&f->dispatch, request, &answer);
    return answer;
}

struct answer chat(struct fixture *f, const char *user, const char *thread, const char *message)
{
    const struct wire_chat_send request = {.user = span_of_string(user),
        .thread_id = span_of_string(thread),
        .message_id = span_of_string(message),
        .content = SPAN_LITERAL("\"what is a ring?\"")};
    return chat_as(f, &request);
}

struct answer cancel_run(struct fixture *f, const char *user, const char *run_id)
{
    struct answer answer;
    const struct wire_run_cancel request = {.user = span_of_string(user),
        .run_id = span_of_string(run_id),
        .reason = SPAN_LITERAL("enough")};
    dispatch_cancel(&f->dispatch, &request, &answer);
    return answer;
}

struct answer cancel_thread(struct fixture *f, const char *user, const char *thread_id)
{
    struct answer answer;
    const struct wire_run_cancel request = {
        .user = span_of_string(user), .thread_id = span_of_string(thread_id)};
    dispatch_cancel(&f->dispatch, &request, &answer);
    return answer;
}

void assert_state(struct fixture *f, const char *run_id, const char *state)
{
    const struct run *run = fixture_find(f, run_id);
    assert_non_null(run);
    assert_string_equal(run_state_name(run->state), state);
}

const char *ended_state(struct fixture *f, const char *run_id)
{
    _cleanup_(buffer_deinit) struct buffer record = BUFFER_INIT;
    struct span user_id;
    enum run_state state;
    assert_null(fixture_find(f, run_id));
    assert_return_code(history_find_run(f->history, span_of_string(run_id), &record), 0);
    assert_return_code(run_peek(buffer_span(&record), &user_id, &state), 0);
    assert_true(run_state_final(state));
    return run_state_name(state);
}
