/* SPDX-License-Identifier: Apache-2.0 */
#include "worker-test.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define PATIENCE_SECONDS 30.

static const char *config_file;

void bench_use(const char *file)
{
    config_file = file;
}

/* ---- life */

static void load(struct bench *bench)
{
    static const char *const sections[] = {"worker", NULL};
    static const struct config_flag flags[] = {{.name = NULL}};
    const struct config_program program = {
        .name = "test-worker", .summary = "", .sections = sections, .flags = flags};
    char name[] = "test-worker";
    char flag[] = "--config";
    char file[4096];
    char *argv[] = {name, flag, file, NULL};
    struct buffer problems = BUFFER_INIT;
    snprintf(file, sizeof(file), "%s", config_file);
    assert_int_equal(config_load(&bench->config, &program, 3, argv), CONFIG_RUN);
    assert_int_equal(registry_init(&bench->registry, &bench->config, &problems), 0);
    buffer_deinit(&problems);
}

static void collect(struct bench *bench)
{
    uint32_t ring;
    if (directory_find(&ring, bench->node->arena, USER, strlen(USER)) < 0)
        return;
    if (bench->events.len)
        bench->events.len--;
    buffer_append_string(&bench->events, node_read(bench->node, USER));
    buffer_append_char(&bench->events, '\0');
}

static void on_drain(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    struct bench *bench = watcher->data;
    if (bench->reading)
        collect(bench);
    /* What the action emits may be what is awaited next, and nothing else would wake the loop. */
    while (bench->awaited && bench->events.len && strstr(bench->events.data, bench->awaited)) {
        bench->awaited = NULL;
        bench->on_awaited(bench);
        if (bench->reading)
            collect(bench);
    }
}

int bench_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    if (node_up((void **)&bench->node) != 0)
        return -1;
    load(bench);
    bench->loop = ev_loop_new(EVFLAG_AUTO);
    bench->reading = true;
    bench->limits = (struct engine_limits){.start_timeout_ms = 20000,
        .idle_timeout_ms = 20000,
        .cancel_grace_ms = 100,
        .kill_grace_ms = 100,
        .line_max = 1u << 20,
        .tools_max = 4,
        .tool_output_max = 256u << 10};
    buffer_append_char(&bench->events, '\0');
    buffer_append_char(&bench->settled, '\0');
    bench->pools = calloc(bench->registry.count, sizeof(*bench->pools));
    assert_non_null(bench->pools);
    for (size_t i = 0; i < bench->registry.count; i++)
        assert_int_equal(
            pool_init(&bench->pools[i], bench->loop, &bench->registry.agents[i], &bench->limits),
            0);
    for (size_t i = 0; i < bench->registry.count; i++)
        mcp_set_await(&bench->pools[i].mcp, bench->loop);
    ev_prepare_init(&bench->drain, on_drain);
    bench->drain.data = bench;
    ev_prepare_start(bench->loop, &bench->drain);
    *state = bench;
    return 0;
}

int bench_down(void **state)
{
    struct bench *bench = *state;
    engine_free(bench->engine);
    for (size_t i = 0; i < bench->registry.count; i++)
        pool_deinit(&bench->pools[i]);
    free(bench->pools);
    /* Whatever a run started has been ended and reaped with it. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    ev_loop_destroy(bench->loop);
    registry_deinit(&bench->registry);
    config_deinit(&bench->config);
    buffer_deinit(&bench->events);
    buffer_deinit(&bench->settled);
    node_down((void **)&bench->node);
    free(bench);
    return 0;
}

/* ---- runs */

static void on_gone(void *context, struct engine *engine, const struct engine_refusal *refusal)
{
    struct bench *bench = context;
    if (engine == bench->engine) {
        bench->refusal = *refusal;
        bench->engine = NULL;
    } else {
        bench->others--;
    }
    engine_free(engine);
}

static void on_settled(void *context, uint64_t answer, const char *code, const char *message)
{
    struct bench *bench = context;
    assert_int_equal(code[0] == '\0', message[0] == '\0');
    bench->settled.len--;
    buffer_printf(&bench->settled, "%d:%s ", (int)answer, code);
    buffer_append_char(&bench->settled, '\0');
}

static void on_emitter_lost(void *context, int rc)
{
    struct bench *bench = context;
    bench->emitter_lost = rc;
}

static const struct engine_events engine_events = {
    .on_gone = on_gone, .on_settled = on_settled, .on_emitter_lost = on_emitter_lost};

static struct pool *pool_of(struct bench *bench, const char *agent)
{
    const struct registry_agent *found = registry_find(&bench->registry, span_of_string(agent));
    assert_non_null(found);
    return &bench->pools[found - bench->registry.agents];
}

static struct engine *start(
    struct bench *bench, const char *agent, const struct engine_request *request)
{
    const struct engine_options options = {.loop = bench->loop,
        .emitter = bench->node->emitter,
        .pool = pool_of(bench, agent),
        .limits = &bench->limits,
        .events = &engine_events,
        .context = bench};
    struct engine *engine = NULL;
    struct engine_refusal refusal = {.code = ""};
    int rc = engine_new(&engine, &options, request, &refusal);
    assert_string_equal(refusal.code, "");
    assert_int_equal(rc, 0);
    return engine;
}

static struct engine_request request_of(const char *user, const char *run, const char *content)
{
    return (struct engine_request){.run_id = span_of_string(run),
        .user_id = span_of_string(user),
        .thread_id = SPAN_LITERAL("t-1"),
        .request_id = SPAN_LITERAL("q-1"),
        .message_id = SPAN_LITERAL("m-1"),
        .content = span_of_string(content)};
}

void bench_start(struct bench *bench, const char *agent, const char *content_json)
{
    struct engine_request request = request_of(USER, "r-1", content_json);
    if (bench->run_deadline_ms)
        request.deadline = clock_wall_ms() + bench->run_deadline_ms;
    bench->engine = start(bench, agent, &request);
}

void bench_start_other(struct bench *bench, const char *agent, const char *content_json)
{
    struct engine_request request = request_of("bob", "r-2", content_json);
    start(bench, agent, &request);
    bench->others++;
}

static void on_patience(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct bench *bench = watcher->data;
    print_error("nothing more came after:\n%s", bench->events.data);
    fail_msg("out of patience");
}

void bench_until(struct bench *bench, bool (*holds)(struct bench *bench))
{
    ev_timer patience;
    ev_timer_init(&patience, on_patience, PATIENCE_SECONDS, 0.);
    patience.data = bench;
    ev_timer_start(bench->loop, &patience);
    while (!holds(bench))
        ev_run(bench->loop, EVRUN_ONCE);
    ev_timer_stop(bench->loop, &patience);
}

static bool is_gone(struct bench *bench)
{
    return bench->engine == NULL;
}

const char *bench_finish(struct bench *bench)
{
    bench_until(bench, is_gone);
    collect(bench);
    return bench->events.data;
}

const char *bench_run(struct bench *bench, const char *agent, const char *content_json)
{
    bench_start(bench, agent, content_json);
    return bench_finish(bench);
}

void bench_when(struct bench *bench, const char *text, void (*action)(struct bench *bench))
{
    bench->awaited = text;
    bench->on_awaited = action;
}

/* ---- looking */

int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

void assert_ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    if (len < end_len || strcmp(text + len - end_len, end) != 0)
        fail_msg("\"%s\" is not the end of:\n%s", end, text);
}
