/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   STARTING  initialize is out
 *   LISTING   tools/list is out, for the first time of this process
 *   READY     calls may be made; a list may be on its way again
 *   ENDING    it is being killed, or has gone: `timer` frees it from the top of the loop
 *   DOWN      there is no process: `timer` starts another
 *
 * One request beside the calls is out at a time: `asked` is its id. A process that has gone is
 * never freed from within its own event, and its calls are lost from the top of the loop too:
 * nothing of a run is on the stack when it hears of that.
 */
#include "mcp/server.h"

#include "process/process.h"
#include "protocol/lines.h"
#include "json/view.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGES_MAX 64
#define DELAY_MAX_SECONDS 60.
#define PROGRESS_EVERY_MS 50
#define GRACE_MS 2000
/* From the news that the tools have changed until they are listed: further news cost nothing. */
#define RELIST_SECONDS 0.1
#define REASON_MAX 256

enum state {
    STATE_STARTING,
    STATE_LISTING,
    STATE_READY,
    STATE_ENDING,
    STATE_DOWN,
};

struct mcp_server {
    struct mcp_server_options options;
    char name[3 * IDENTIFIER_SIZE]; /* for logs */
    enum state state;
    struct process *process;
    struct lines lines;
    struct list_link calls; /* mcp_call.link */
    uint64_t last_id;
    uint64_t asked; /* 0: nothing */
    struct mcp_tools tools;
    struct mcp_tools listed; /* so far */
    unsigned pages;
    bool list_again; /* they have changed since: READY's `timer` lists them */
    unsigned deaths; /* since a call last succeeded */
    int verdict;
    char reason[REASON_MAX];
    struct buffer scratch;
    ev_timer timer;
};

struct mcp_call {
    struct list_link link;
    struct mcp_server *server;
    uint64_t id;
    uint64_t told_ms; /* when progress was told last */
    const struct mcp_call_events *events;
    void *context;
    ev_timer limit;
};

/* ---- small things */

static void timer_in(struct mcp_server *server, double seconds)
{
    ev_timer_stop(server->options.loop, &server->timer);
    ev_timer_set(&server->timer, seconds, 0.);
    ev_timer_start(server->options.loop, &server->timer);
}

static void call_free(struct mcp_call *call)
{
    ev_timer_stop(call->server->options.loop, &call->limit);
    list_remove(&call->link);
    free(call);
}

static void end_call(struct mcp_call *call, enum mcp_end how, struct span value)
{
    const struct mcp_call_events *events = call->events;
    void *context = call->context;
    call_free(call);
    events->on_ended(context, how, value);
}

static void lose_calls(struct mcp_server *server)
{
    struct mcp_call *call;
    while ((call = LIST_FIRST(struct mcp_call, &server->calls, link)))
        end_call(call, MCP_LOST, SPAN_EMPTY);
}

/* The first start decides whether the agent can be used at all. */
static void judge(struct mcp_server *server, int verdict, const char *reason)
{
    if (server->verdict == 0) {
        server->verdict = verdict;
        snprintf(server->reason, sizeof(server->reason), "%s", reason);
    }
}

static void stop(struct mcp_server *server, const char *reason)
{
    if (server->state >= STATE_ENDING)
        return;
    log_warn("mcp", "%s is ended: %s", server->name, reason);
    judge(server, -ENOEXEC, reason);
    server->state = STATE_ENDING;
    process_pause(server->process);
    process_stop(server->process, PROCESS_STOP_KILL);
    timer_in(server, 0.);
}

/* What is in `scratch`. -ENOBUFS, -ENOMEM; nothing is sent then. */
static int send_scratch(struct mcp_server *server)
{
    int rc = buffer_error(&server->scratch);
    if (!rc)
        rc = process_write(server->process, buffer_span(&server->scratch));
    buffer_clear(&server->scratch);
    return rc;
}

static void send_or_stop(struct mcp_server *server)
{
    if (send_scratch(server) < 0)
        stop(server, "it does not read what it is sent");
}

/* ---- listing */

static void ask_for_page(struct mcp_server *server, struct span cursor)
{
    server->asked = ++server->last_id;
    server->pages++;
    timer_in(server, (double)server->options.start_timeout_ms / 1000.);
    mcp_append_list(&server->scratch, server->asked, cursor);
    send_or_stop(server);
}

static void list_tools(struct mcp_server *server)
{
    mcp_tools_deinit(&server->listed);
    server->pages = 0;
    server->list_again = false;
    ask_for_page(server, SPAN_EMPTY);
}

/* A tool that the configuration speaks of has to be there. */
static bool has_declared_tools(struct mcp_server *server)
{
    const struct registry_mcp *declared = server->options.declared;
    char reason[REASON_MAX];
    for (size_t i = 0; i < declared->tool_count; i++) {
        if (mcp_tools_find(&server->listed, declared->tools[i].name))
            continue;
        snprintf(reason, sizeof(reason), "it has no tool %.100s", declared->tools[i].name);
        if (server->verdict == 0) {
            stop(server, reason);
            return false;
        }
        log_warn("mcp", "%s: %s", server->name, reason);
    }
    return true;
}

static void take_list(struct mcp_server *server)
{
    ev_timer_stop(server->options.loop, &server->timer);
    server->asked = 0;
    if (!has_declared_tools(server))
        return;
    mcp_tools_deinit(&server->tools);
    server->tools = server->listed;
    server->listed = (struct mcp_tools){0};
    server->state = STATE_READY;
    judge(server, 1, "");
    log_info("mcp", "%s has %zu tools", server->name, server->tools.count);
    if (server->list_again)
        timer_in(server, RELIST_SECONDS);
}

static void take_page(struct mcp_server *server, const struct rpc_message *message)
{
    struct mcp_page page;
    if (message->kind != RPC_RESULT || !mcp_parse_page(&page, message->result)) {
        stop(server, "it does not list its tools");
        return;
    }
    if (mcp_tools_add(&server->listed, &page, server->options.declared->name) < 0)
        stop(server, "out of memory");
    else if (page.next_cursor.len == 0)
        take_list(server);
    else if (server->pages == PAGES_MAX)
        stop(server, "its list of tools has no end");
    else
        ask_for_page(server, page.next_cursor);
}

static void take_initialized(struct mcp_server *server, const struct rpc_message *message)
{
    const char *reason = "it refused initialize";
    if (message->kind != RPC_RESULT || !mcp_accepts(message->result, &reason)) {
        stop(server, reason);
        return;
    }
    mcp_append_initialized(&server->scratch);
    server->state = STATE_LISTING;
    list_tools(server);
}

/* ---- what it says */

static struct mcp_call *find_call(struct mcp_server *server, uint64_t id)
{
    LIST_FOR_EACH(struct mcp_call, call, &server->calls, link)
    {
        if (call->id == id)
            return call;
    }
    return NULL;
}

static void take_result(
    struct mcp_server *server, struct mcp_call *call, const struct rpc_message *message)
{
    struct buffer value = BUFFER_INIT;
    bool ok = mcp_parse_result(message, &value);
    enum mcp_end how = ok ? MCP_OK : MCP_FAILED;
    server->deaths = 0;
    if (buffer_error(&value) || value.len > server->options.output_max) {
        how = MCP_TOO_LARGE;
        buffer_clear(&value);
    }
    end_call(call, how, buffer_span(&value));
    buffer_deinit(&value);
}

static void take_answer(struct mcp_server *server, const struct rpc_message *message)
{
    uint64_t id = rpc_own_id(message);
    struct mcp_call *call = id ? find_call(server, id) : NULL;
    if (call)
        take_result(server, call, message);
    else if (id == 0 || id != server->asked)
        return; /* of a call that is over, or of none: both happen */
    else if (server->state == STATE_STARTING)
        take_initialized(server, message);
    else
        take_page(server, message);
}

static void take_progress(struct mcp_server *server, struct span params)
{
    struct mcp_progress progress;
    struct mcp_call *call =
        mcp_parse_progress(&progress, params) ? find_call(server, progress.token) : NULL;
    uint64_t now = clock_monotonic_ms();
    if (!call || (call->told_ms && now - call->told_ms < PROGRESS_EVERY_MS))
        return;
    struct buffer note = BUFFER_INIT;
    call->told_ms = now;
    mcp_append_progress(&note, &progress);
    if (buffer_error(&note) == 0)
        call->events->on_progress(call->context, buffer_span(&note));
    buffer_deinit(&note);
}

static void take_news(struct mcp_server *server)
{
    if (server->state == STATE_READY && !server->asked && !server->list_again)
        timer_in(server, RELIST_SECONDS);
    server->list_again = true;
}

/* Logging and the like is passed over: nobody asked for it. */
static void take_notification(struct mcp_server *server, const struct rpc_message *message)
{
    if (strcmp(message->method, "notifications/progress") == 0)
        take_progress(server, message->params);
    else if (strcmp(message->method, "notifications/tools/list_changed") == 0)
        take_news(server);
}

static void take_request(struct mcp_server *server, const struct rpc_message *message)
{
    if (strcmp(message->method, "ping") == 0)
        rpc_append_result(&server->scratch, message->id, SPAN_LITERAL("{}"));
    else
        rpc_append_error(&server->scratch, message->id, RPC_E_UNKNOWN_METHOD,
            SPAN_LITERAL("this client has no such method"));
    send_or_stop(server);
}

static void take_line(struct mcp_server *server, struct span line)
{
    struct rpc_message message;
    const char *reason;
    if (json_trim(line).len == 0)
        return;
    if (rpc_parse(&message, line, &reason) < 0) {
        char text[REASON_MAX];
        snprintf(text, sizeof(text), "it wrote a line that is not a message, as %s", reason);
        stop(server, text);
        return;
    }
    switch (message.kind) {
    case RPC_REQUEST: take_request(server, &message); break;
    case RPC_NOTIFICATION: take_notification(server, &message); break;
    case RPC_RESULT:
    case RPC_ERROR: take_answer(server, &message); break;
    }
}

static void on_output(void *context)
{
    struct mcp_server *server = context;
    struct span line;
    int rc = 0;
    while (server->state < STATE_ENDING && (rc = lines_peek(&line, &server->lines)) > 0) {
        take_line(server, line);
        lines_drop(&server->lines);
    }
    if (rc < 0)
        stop(server, "it wrote too long a line");
    if (server->state >= STATE_ENDING)
        buffer_clear(process_output(server->process));
}

static void on_exit_told(void *context)
{
    struct mcp_server *server = context;
    struct buffer why = BUFFER_INIT;
    struct span words = process_last_words(server->process);
    if (server->state >= STATE_ENDING)
        return;
    buffer_append_string(&why, "it ");
    process_describe_exit(server->process, &why);
    if (words.len)
        buffer_printf(&why, ": %.*s", SPAN_ARG(words));
    for (size_t i = 0; i < why.len; i++)
        why.data[i] = why.data[i] == '\n' ? ' ' : why.data[i];
    buffer_append_char(&why, '\0');
    stop(server, buffer_error(&why) ? "it has gone" : why.data);
    buffer_deinit(&why);
}

static const struct process_events process_events = {
    .on_output = on_output, .on_exit = on_exit_told};

/* ---- its life */

static void start(struct mcp_server *server)
{
    const struct mcp_server_options *options = &server->options;
    const struct process_options process = {.loop = options->loop,
        .program = &options->declared->program,
        .log_name = server->name,
        .input_max = 8 * options->line_max,
        .ask_grace_ms = GRACE_MS,
        .kill_grace_ms = GRACE_MS};
    int rc = process_new(&server->process, &process, &process_events, server);
    if (rc < 0) {
        log_warn("mcp", "%s cannot be started: %s", server->name, strerror(-rc));
        judge(server, -ENOEXEC, strerror(-rc));
        server->deaths++;
        server->state = STATE_DOWN;
        timer_in(server, DELAY_MAX_SECONDS);
        return;
    }
    server->state = STATE_STARTING;
    server->lines =
        (struct lines){.bytes = process_output(server->process), .max = options->line_max};
    server->asked = ++server->last_id;
    timer_in(server, (double)options->start_timeout_ms / 1000.);
    mcp_append_initialize(&server->scratch, server->asked);
    send_or_stop(server);
}

static void bury(struct mcp_server *server)
{
    double delay = 1.;
    lose_calls(server);
    process_free(STEAL_POINTER(server->process));
    for (unsigned i = 0; i < server->deaths && delay < DELAY_MAX_SECONDS; i++)
        delay *= 2.;
    server->deaths++;
    server->asked = 0;
    server->state = STATE_DOWN;
    if (server->verdict > 0)
        timer_in(server, delay < DELAY_MAX_SECONDS ? delay : DELAY_MAX_SECONDS);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct mcp_server *server = watcher->data;
    if (server->state == STATE_ENDING)
        bury(server);
    else if (server->state == STATE_DOWN)
        start(server);
    else if (server->state == STATE_READY && !server->asked)
        list_tools(server);
    else
        stop(server, server->state == STATE_STARTING ? "it did not answer initialize in time"
                                                     : "it did not list its tools in time");
}

int mcp_server_new(struct mcp_server **ret_server, const struct mcp_server_options *options)
{
    struct mcp_server *server = calloc(1, sizeof(*server));
    if (!server)
        return -ENOMEM;
    server->options = *options;
    snprintf(server->name, sizeof(server->name), "agent %s, server %s", options->agent,
        options->declared->name);
    list_init(&server->calls);
    ev_timer_init(&server->timer, on_timer, 0., 0.);
    server->timer.data = server;
    start(server);
    *ret_server = server;
    return 0;
}

void mcp_server_free(struct mcp_server *server)
{
    if (!server)
        return;
    ev_timer_stop(server->options.loop, &server->timer);
    process_free(server->process);
    mcp_tools_deinit(&server->tools);
    mcp_tools_deinit(&server->listed);
    buffer_deinit(&server->scratch);
    free(server);
}

int mcp_server_verdict(const struct mcp_server *server, const char **ret_reason)
{
    *ret_reason = server->reason;
    return server->verdict;
}

const struct mcp_tools *mcp_server_tools(const struct mcp_server *server)
{
    return &server->tools;
}

const struct registry_mcp *mcp_server_declared(const struct mcp_server *server)
{
    return server->options.declared;
}

/* ---- calls */

static void on_limit(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct mcp_call *call = watcher->data;
    struct mcp_server *server = call->server;
    mcp_append_cancelled(&server->scratch, call->id);
    end_call(call, MCP_TIMED_OUT, SPAN_EMPTY);
    send_or_stop(server);
}

int mcp_server_call(struct mcp_call **ret_call, struct mcp_server *server,
    const struct mcp_wanted *wanted, const struct mcp_call_events *events, void *context)
{
    if (server->state != STATE_READY)
        return -EHOSTDOWN;
    struct mcp_call *call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    call->server = server;
    call->id = ++server->last_id;
    call->events = events;
    call->context = context;
    ev_timer_init(&call->limit, on_limit, (double)wanted->timeout_ms / 1000., 0.);
    call->limit.data = call;
    list_append(&server->calls, &call->link);
    mcp_append_call(&server->scratch, call->id, wanted->name, wanted->args);
    int rc = send_scratch(server);
    if (rc < 0) {
        call_free(call);
        return rc;
    }
    ev_timer_start(server->options.loop, &call->limit);
    *ret_call = call;
    return 0;
}

void mcp_call_drop(struct mcp_call *call)
{
    if (!call)
        return;
    struct mcp_server *server = call->server;
    if (server->state == STATE_READY) {
        mcp_append_cancelled(&server->scratch, call->id);
        call_free(call);
        send_or_stop(server);
    } else {
        call_free(call);
    }
}
