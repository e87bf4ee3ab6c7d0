/* SPDX-License-Identifier: Apache-2.0 */
#include "native/link.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

struct native_answer {
    struct list_link link;
    uint64_t id;
    bool come;
    bool failed;
    struct buffer json;
};

/* ---- sending */

static int write_line(struct native_link *link, const struct buffer *line)
{
    int rc = buffer_error(line);
    size_t done = 0;
    pthread_mutex_lock(&link->writing);
    while (!rc && done < line->len) {
        ssize_t wrote = write(link->out, line->data + done, line->len - done);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            rc = -errno;
    }
    pthread_mutex_unlock(&link->writing);
    return rc;
}

int native_link_notify(struct native_link *link, const char *method, struct span params)
{
    struct buffer line = BUFFER_INIT;
    rpc_append_notification(&line, method, params);
    int rc = write_line(link, &line);
    buffer_deinit(&line);
    return rc;
}

static void answer(struct native_link *link, struct span id, struct span result)
{
    struct buffer line = BUFFER_INIT;
    rpc_append_result(&line, id, result);
    (void)write_line(link, &line); /* a line that is gone is seen by whoever reads */
    buffer_deinit(&line);
}

static void refuse(struct native_link *link, struct span id)
{
    struct buffer line = BUFFER_INIT;
    rpc_append_error(&line, id, RPC_E_UNKNOWN_METHOD, SPAN_LITERAL("no such method"));
    (void)write_line(link, &line);
    buffer_deinit(&line);
}

/* ---- asking */

static struct native_answer *find(struct native_link *link, uint64_t id)
{
    LIST_FOR_EACH(struct native_answer, wanted, &link->answers, link)
    {
        if (wanted->id == id)
            return wanted;
    }
    return NULL;
}

static void forget(struct native_answer *wanted)
{
    list_remove(&wanted->link);
    buffer_deinit(&wanted->json);
    free(wanted);
}

int native_link_ask(
    struct native_link *link, const char *method, struct span params, uint64_t *ret_id)
{
    struct native_answer *wanted = calloc(1, sizeof(*wanted));
    struct buffer line = BUFFER_INIT;
    if (!wanted)
        return -ENOMEM;
    pthread_mutex_lock(&link->lock);
    *ret_id = wanted->id = ++link->last_id;
    list_append(&link->answers, &wanted->link);
    pthread_mutex_unlock(&link->lock);
    rpc_append_request(&line, *ret_id, method, params);
    int rc = write_line(link, &line);
    buffer_deinit(&line);
    if (rc) {
        pthread_mutex_lock(&link->lock);
        forget(wanted);
        pthread_mutex_unlock(&link->lock);
    }
    return rc;
}

static int take(struct native_answer *wanted, struct buffer *ret_json)
{
    int rc = wanted->failed ? 0 : 1;
    buffer_append_span(ret_json, buffer_span(&wanted->json));
    if (buffer_error(ret_json))
        rc = -ENOMEM;
    forget(wanted);
    return rc;
}

int native_link_answer(struct native_link *link, uint64_t id, struct buffer *ret_json)
{
    int rc = -ENOENT;
    pthread_mutex_lock(&link->lock);
    struct native_answer *wanted = find(link, id);
    while (wanted && !wanted->come && !link->closed) {
        pthread_cond_wait(&link->changed, &link->lock);
        wanted = find(link, id); /* another thread may have taken it */
    }
    if (wanted)
        rc = wanted->come ? take(wanted, ret_json) : -EPIPE;
    pthread_mutex_unlock(&link->lock);
    return rc;
}

/* ---- what the worker says */

static void keep(struct buffer *buffer, struct span bytes)
{
    buffer_clear(buffer);
    buffer_append_span(buffer, bytes);
}

static void handle_answer(struct native_link *link, const struct rpc_message *message)
{
    pthread_mutex_lock(&link->lock);
    struct native_answer *wanted = find(link, rpc_own_id(message));
    if (wanted) {
        wanted->failed = message->kind == RPC_ERROR;
        keep(&wanted->json, wanted->failed ? message->error : message->result);
        wanted->come = true;
    }
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

static void handle_start(struct native_link *link, const struct rpc_message *message)
{
    answer(link, message->id, SPAN_LITERAL("{}"));
    pthread_mutex_lock(&link->lock);
    keep(&link->start, message->params);
    link->started = true;
    link->cancelled = false;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

static void set(struct native_link *link, bool *flag)
{
    pthread_mutex_lock(&link->lock);
    *flag = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

static void handle_initialize(struct native_link *link, const struct rpc_message *message)
{
    pthread_mutex_lock(&link->lock);
    keep(&link->introduction, message->params);
    pthread_mutex_unlock(&link->lock);
    answer(link, message->id, span_of_string(link->who));
}

static void handle(struct native_link *link, const struct rpc_message *message)
{
    if (message->kind == RPC_RESULT || message->kind == RPC_ERROR)
        handle_answer(link, message);
    else if (strcmp(message->method, "initialize") == 0)
        handle_initialize(link, message);
    else if (strcmp(message->method, "run/start") == 0)
        handle_start(link, message);
    else if (strcmp(message->method, "run/cancel") == 0)
        set(link, &link->cancelled);
    else if (strcmp(message->method, "shutdown") == 0)
        set(link, &link->closed);
    else if (message->kind == RPC_REQUEST)
        refuse(link, message->id);
}

static void *read_lines(void *userdata)
{
    struct native_link *link = userdata;
    FILE *in = fdopen(link->in, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while (in && (len = getline(&line, &cap, in)) > 0) {
        struct rpc_message message;
        const char *reason;
        if (rpc_parse(&message, span_of(line, (size_t)len), &reason) == 0)
            handle(link, &message);
        else
            fprintf(stderr, "the worker's message makes no sense: %s\n", reason);
    }
    free(line);
    if (in)
        fclose(in);
    set(link, &link->closed);
    return NULL;
}

/* ---- for the main thread */

bool native_link_next_run(
    struct native_link *link, struct buffer *ret_introduction, struct buffer *ret_start)
{
    pthread_mutex_lock(&link->lock);
    while (!link->started && !link->closed)
        pthread_cond_wait(&link->changed, &link->lock);
    bool started = link->started && !link->closed;
    link->started = false;
    if (started) {
        keep(ret_introduction, buffer_span(&link->introduction));
        keep(ret_start, buffer_span(&link->start));
    }
    pthread_mutex_unlock(&link->lock);
    return started;
}

static bool look(struct native_link *link, const bool *flag)
{
    pthread_mutex_lock(&link->lock);
    bool value = *flag;
    pthread_mutex_unlock(&link->lock);
    return value;
}

bool native_link_cancelled(struct native_link *link)
{
    return look(link, &link->cancelled);
}

bool native_link_closed(struct native_link *link)
{
    return look(link, &link->closed);
}

void native_link_wait(struct native_link *link, uint64_t ms)
{
    uint64_t until = clock_monotonic_ns() + ms * 1000000;
    struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    int rc = 0;
    pthread_mutex_lock(&link->lock);
    while (rc == 0 && !link->cancelled && !link->closed)
        rc = pthread_cond_timedwait(&link->changed, &link->lock, &at);
    pthread_mutex_unlock(&link->lock);
}

/* ---- life */

/* Moves a descriptor away, and puts another where it was. */
static int take_away(int fd, int instead)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0 || dup2(instead, fd) < 0)
        return -errno;
    return own;
}

static int take_descriptors(struct native_link *link)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0)
        return -errno;
    link->in = take_away(STDIN_FILENO, nothing);
    link->out = take_away(STDOUT_FILENO, STDERR_FILENO);
    close(nothing);
    return link->in < 0 ? link->in : link->out < 0 ? link->out : 0;
}

int native_link_init(struct native_link *link, const char *who)
{
    pthread_condattr_t clock;
    *link = (struct native_link){.who = who};
    list_init(&link->answers);
    pthread_mutex_init(&link->lock, NULL);
    pthread_mutex_init(&link->writing, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&link->changed, &clock);
    pthread_condattr_destroy(&clock);
    int rc = take_descriptors(link);
    return rc < 0 ? rc : -pthread_create(&link->reader, NULL, read_lines, link);
}
