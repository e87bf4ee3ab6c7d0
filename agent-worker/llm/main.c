/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of an agent that is a language model. The worker starts it; nobody else needs to:
 *
 *   ringside-agent-llm           serves runs on stdin and stdout
 *   ringside-agent-llm --check   the settings on stdin: status 0, or 1 and why on stdout
 */
#include "llm/run.h"
#include "json/view.h"

#include "base/clock.h"
#include "base/json.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define WAIT_MAX_MS 60000

/* ---- judging */

static int check(void)
{
    struct buffer text = BUFFER_INIT, problems = BUFFER_INIT;
    struct llm_settings settings;
    ssize_t got;
    do {
        char *room = buffer_reserve(&text, 4096);
        got = room ? read(STDIN_FILENO, room, 4096) : -1;
        text.len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    if (got < 0)
        buffer_append_string(&problems, "its settings could not be read\n");
    else if (llm_settings_init(&settings, buffer_span(&text), &problems) == 0) {
        llm_settings_check_keys(&settings, &problems);
        llm_settings_deinit(&settings);
    }
    bool good = !problems.len && !buffer_error(&problems);
    printf("%.*s", SPAN_ARG(buffer_span(&problems)));
    buffer_deinit(&problems);
    buffer_deinit(&text);
    return good ? 0 : 1;
}

/* ---- serving */

static void initialize(
    struct llm_run *run, struct llm_line *line, const struct rpc_message *message)
{
    struct buffer problems = BUFFER_INIT;
    int rc = llm_run_prepare(run, message->params, &problems);
    while (problems.len && problems.data[problems.len - 1] == '\n')
        problems.len--;
    if (rc)
        rpc_append_error(&line->out, message->id, RPC_E_REFUSED, buffer_span(&problems));
    else
        rpc_append_result(&line->out, message->id,
            SPAN_LITERAL("{\"name\":\"ringside-agent-llm\",\"version\":\"" RINGSIDE_VERSION "\"}"));
    buffer_deinit(&problems);
}

static void handle(
    struct llm_run *run, struct llm_line *line, const struct rpc_message *message, uint64_t now)
{
    if (message->kind == RPC_RESULT || message->kind == RPC_ERROR) {
        llm_run_answer(run, message, now);
    } else if (strcmp(message->method, "initialize") == 0) {
        initialize(run, line, message);
    } else if (strcmp(message->method, "run/start") == 0) {
        rpc_append_result(&line->out, message->id, SPAN_LITERAL("{}"));
        llm_run_start(run, message->params, now);
    } else if (strcmp(message->method, "run/cancel") == 0) {
        llm_run_cancel(run, now);
    } else if (strcmp(message->method, "shutdown") == 0) {
        line->closed = true;
    } else if (message->kind == RPC_REQUEST) {
        rpc_append_error(
            &line->out, message->id, RPC_E_UNKNOWN_METHOD, SPAN_LITERAL("no such method"));
    }
}

static int listen_to_worker(struct llm_run *run, struct llm_line *line)
{
    struct rpc_message message;
    int rc = llm_line_read(line);
    while (!rc && llm_line_next(line, &message)) {
        handle(run, line, &message, clock_monotonic_ms());
        llm_line_drop(line);
    }
    return rc;
}

static int wait_for_something(CURLM *multi, const struct llm_run *run, const struct llm_line *line)
{
    uint64_t now = clock_monotonic_ms(), due = llm_run_due(run);
    uint64_t left = due <= now ? 0 : due - now < WAIT_MAX_MS ? due - now : WAIT_MAX_MS;
    struct curl_waitfd fds[] = {{.fd = STDIN_FILENO, .events = CURL_WAIT_POLLIN},
        {.fd = STDOUT_FILENO, .events = CURL_WAIT_POLLOUT}};
    unsigned count = line->out.len ? 2 : 1;
    return curl_multi_poll(multi, fds, count, (int)left, NULL) == CURLM_OK ? 0 : -1;
}

/* Until the worker has nothing more for this process. */
static int serve(CURLM *multi, struct llm_line *line)
{
    struct llm_run run;
    int rc = 0, running;
    llm_run_init(&run, line, multi);
    while (!rc && !line->closed) {
        rc = wait_for_something(multi, &run, line);
        if (!rc)
            rc = curl_multi_perform(multi, &running) == CURLM_OK ? 0 : -1;
        if (!rc)
            rc = listen_to_worker(&run, line);
        llm_run_go(&run, clock_monotonic_ms());
        if (!rc)
            rc = llm_line_write(line);
    }
    llm_run_deinit(&run);
    return rc;
}

static int serve_worker(void)
{
    struct llm_line line;
    CURLM *multi = curl_multi_init();
    int rc = multi ? llm_line_init(&line) : -1;
    if (rc) {
        fputs("the line to the worker cannot be set up\n", stderr);
        return 1;
    }
    rc = serve(multi, &line);
    llm_line_deinit(&line);
    curl_multi_cleanup(multi);
    return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    bool checks = argc == 2 && strcmp(argv[1], "--check") == 0;
    if (argc != 1 && !checks) {
        fputs("usage: ringside-agent-llm [--check]\n"
              "A worker starts this for an agent of kind llm; see docs/llm.md.\n",
            stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a worker that is gone is seen where it is written to */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fputs("libcurl cannot be set up\n", stderr);
        return 1;
    }
    int status = checks ? check() : serve_worker();
    curl_global_cleanup();
    return status;
}
