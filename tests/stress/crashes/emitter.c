/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that emits with libringside until it is killed, or told to stop by TERM: then it ends
 * its runs and leaves. `./dev stress crashes` and the crash matrix run several of them.
 *
 *   crashes-emitter NAME LEDGER SEED EVENTS_PER_SECOND USER…
 *
 * It numbers its events for each user, 0, 1, 2, …, and puts the number into each. Once an emit has
 * returned success, and only then, it appends a line `user agent run type number` to the ledger, a
 * file that outlives it. NAME is the runs' agent: with the user it says whose numbers they are. A
 * number is used again only when its emit said that nothing was emitted.
 */
#include <ringside.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define USERS_MAX 64
#define STEPS_MAX 30    /* of a run, at most */
#define TEXT_MAX 4000   /* bytes of a text, as a rule */
#define LARGE_MAX 60000 /* now and then: too long for a ring that is still small */

struct writer {
    const char *user;
    rs_run *run;
    rs_tool *tool;
    char run_id[128];
    uint64_t number;
    uint32_t steps_left;
};

struct emitter {
    const char *name;
    rs_emitter *node;
    int ledger;
    uint64_t random;
    uint64_t life; /* raised when the broker gave this process up: then numbers begin anew */
    struct writer writers[USERS_MAX];
    size_t count;
};

static volatile sig_atomic_t told_to_stop;

static void on_terminate(int signal_number)
{
    (void)signal_number;
    told_to_stop = 1;
}

static _Noreturn void fail(const struct emitter *emitter, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", emitter->name, what, why);
    _exit(1);
}

static uint32_t chance(struct emitter *emitter)
{
    emitter->random ^= emitter->random << 13;
    emitter->random ^= emitter->random >> 7;
    emitter->random ^= emitter->random << 17;
    return (uint32_t)(emitter->random >> 32);
}

/* One write, so that the line is there whole or not at all. */
static void note(struct emitter *emitter, struct writer *writer, const char *type)
{
    char line[512];
    int len = snprintf(line, sizeof(line), "%s %s.%" PRIu64 " %s %s %" PRIu64 "\n", writer->user,
        emitter->name, emitter->life, writer->run_id, type, writer->number);
    if (write(emitter->ledger, line, (size_t)len) != len)
        fail(emitter, "ledger", strerror(errno));
    writer->number++;
}

/* ---- steps: each emits one numbered event, and answers as the library does */

static const char *numbered(const struct writer *writer)
{
    static char json[64];
    snprintf(json, sizeof(json), "{\"n\":%" PRIu64 "}", writer->number);
    return json;
}

static int start_run(struct emitter *emitter, struct writer *writer)
{
    char agent[64];
    snprintf(agent, sizeof(agent), "%s.%" PRIu64, emitter->name, emitter->life);
    const struct rs_run_context context = {.user_id = writer->user,
        .thread_id = agent,
        .agent = agent,
        .input_json = numbered(writer)};
    int rc = writer->run ? RS_OK : rs_run_open(&writer->run, emitter->node, &context);
    if (rc)
        return rc;
    snprintf(writer->run_id, sizeof(writer->run_id), "%s", rs_run_id(writer->run));
    rc = rs_run_start(writer->run);
    if (rc)
        return rc;
    writer->steps_left = 1 + chance(emitter) % STEPS_MAX;
    note(emitter, writer, "agent_started");
    return RS_OK;
}

static int say(struct emitter *emitter, struct writer *writer)
{
    static char text[LARGE_MAX + 32];
    uint32_t random = chance(emitter);
    size_t most = random % 400 == 0 ? LARGE_MAX : random % 16 == 0 ? TEXT_MAX : 120;
    size_t len = (size_t)snprintf(text, sizeof(text), "%" PRIu64 " ", writer->number);
    size_t padding = (random >> 9) % most;
    memset(text + len, 'x', padding);
    int rc = rs_text(writer->run, NULL, text, len + padding, NULL);
    if (rc == RS_OK)
        note(emitter, writer, "partial_result");
    return rc;
}

static int think(struct emitter *emitter, struct writer *writer)
{
    char status[32];
    snprintf(status, sizeof(status), "%" PRIu64, writer->number);
    int rc = rs_thinking_status(writer->run, status);
    if (rc == RS_OK)
        note(emitter, writer, "agent_thinking");
    return rc;
}

static int use_tool(struct emitter *emitter, struct writer *writer)
{
    int rc;
    if (!writer->tool) {
        rc = rs_tool_begin(&writer->tool, writer->run, NULL, "count", numbered(writer));
        if (rc == RS_OK)
            note(emitter, writer, "tool_executing");
        return rc;
    }
    rc = rs_tool_end(writer->tool, RS_TOOL_OK, numbered(writer), NULL, NULL);
    if (rc)
        return rc;
    writer->tool = NULL;
    note(emitter, writer, "tool_completed");
    return RS_OK;
}

static int complete(struct emitter *emitter, struct writer *writer)
{
    int rc = rs_run_complete(writer->run, RS_SUCCESS, numbered(writer), NULL);
    if (rc)
        return rc;
    note(emitter, writer, "agent_completed");
    writer->tool = NULL;
    writer->run = rs_run_free(writer->run);
    writer->steps_left = 0;
    return RS_OK;
}

static int step(struct emitter *emitter, struct writer *writer)
{
    if (!writer->run || writer->steps_left == 0)
        return start_run(emitter, writer);
    if (writer->steps_left == 1)
        return complete(emitter, writer);
    int rc;
    switch (chance(emitter) % 6) {
    case 0: rc = think(emitter, writer); break;
    case 1:
    case 2: rc = use_tool(emitter, writer); break;
    default: rc = say(emitter, writer); break;
    }
    writer->steps_left -= rc == RS_OK;
    return rc;
}

/* ---- life */

static void attach(struct emitter *emitter)
{
    const struct rs_attach_options options = {.emit_timeout_ms = 500};
    int rc;
    while ((rc = rs_attach(&emitter->node, &options)) != RS_OK) {
        if (rc != RS_E_NO_NODE && rc != RS_E_NO_ROOM)
            fail(emitter, "attach", rs_strerror(rc));
        if (told_to_stop)
            _exit(0);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

/* The broker gave this process up, and ends its runs: begin again under another name. */
static void begin_again(struct emitter *emitter)
{
    for (size_t i = 0; i < emitter->count; i++) {
        struct writer *writer = &emitter->writers[i];
        if (writer->run) {
            rs_run_drop(writer->run);
            rs_run_free(writer->run);
        }
        *writer = (struct writer){.user = writer->user};
    }
    rs_detach(emitter->node);
    emitter->life++;
    attach(emitter);
}

/* A full ring is tried again: its broker may be dead, or stand still. */
static void take_step(struct emitter *emitter, struct writer *writer)
{
    int rc = step(emitter, writer);
    if (rc == RS_E_FENCED)
        begin_again(emitter);
    else if (rc && rc != RS_E_FULL && rc != RS_E_NO_ROOM)
        fail(emitter, writer->user, rs_strerror(rc));
}

static void leave(struct emitter *emitter)
{
    for (size_t i = 0; i < emitter->count; i++) {
        struct writer *writer = &emitter->writers[i];
        while (writer->run && writer->steps_left > 0) {
            int rc = complete(emitter, writer);
            if (rc == RS_E_FENCED)
                _exit(0);
            if (rc && rc != RS_E_FULL && rc != RS_E_NO_ROOM)
                fail(emitter, writer->user, rs_strerror(rc));
        }
        rs_run_free(writer->run);
    }
    rs_detach(emitter->node);
}

int main(int argc, char **argv)
{
    static struct emitter emitter;
    if (argc < 6 || argc - 5 > USERS_MAX) {
        fputs("usage: crashes-emitter NAME LEDGER SEED EVENTS_PER_SECOND USER…\n", stderr);
        return 2;
    }
    emitter.name = argv[1];
    emitter.ledger = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (emitter.ledger < 0)
        fail(&emitter, argv[2], strerror(errno));
    emitter.random = strtoull(argv[3], NULL, 10) * 2 + 1;
    long pause_ns = 1000000000 / (strtol(argv[4], NULL, 10) + 1);
    for (int i = 5; i < argc; i++)
        emitter.writers[emitter.count++].user = argv[i];
    signal(SIGTERM, on_terminate);
    attach(&emitter);
    while (!told_to_stop) {
        take_step(&emitter, &emitter.writers[chance(&emitter) % emitter.count]);
        nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
    }
    leave(&emitter);
    return 0;
}
