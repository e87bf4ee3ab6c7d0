/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ringside-bench-audience DIALECT PORT TARGETS SHARED SOURCES
 *
 * TARGETS: a file with a line for each client: the path it asks for, a space, and its word. SHARED:
 * the file of publish/shared-count.h. Then it does what the lines of standard input say, and
 * answers each with one JSON object in a line:
 *
 *   connect PACE    all that are away connect, so many at once; answered when all are ready
 *   resume PACE MS  the same with their cursors, until they have caught up; they begin to, one
 * after the other, over so many milliseconds drop            all connections are cut reset what is
 * counted begins at nothing report          what was counted
 */
#include "audience.h"

#include "publish/shared-count.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define EVENTS_AT_ONCE 512
#define LINE_MAX_BYTES 128

struct stage {
    struct audience audience;
    char command[LINE_MAX_BYTES]; /* of standard input, so far */
    size_t command_len;
    bool gathering; /* an answer is due when all are ready */
};

static _Noreturn void fail(const char *what, int error)
{
    fprintf(stderr, "audience: %s: %s\n", what, strerror(error));
    exit(1);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    if (!file || getdelim(&text, &size, '\0', file) < 0)
        fail(path, errno);
    fclose(file);
    return text;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    while ((text = strchr(text, '\n'))) {
        count++;
        text++;
    }
    return count;
}

static void make_clients(struct audience *audience, char *text)
{
    char *line, *rest = text;
    audience->count = count_lines(text);
    audience->clients = calloc(audience->count, sizeof(*audience->clients));
    if (!audience->clients)
        fail("clients", ENOMEM);
    for (size_t i = 0; i < audience->count; i++) {
        struct client *client = &audience->clients[i];
        line = strsep(&rest, "\n");
        *client = (struct client){.fd = -1, .path = strsep(&line, " "), .expected = NUMBER_BASE};
        client->word = line ? line : "";
    }
    audience->next = audience->count;
}

/* ---- commands */

static void answer_gathered(struct stage *stage)
{
    struct audience *audience = &stage->audience;
    double seconds = (double)(stamp_now() - audience->since_ns) / 1e9;
    printf("{\"ready\":%zu,\"seconds\":%.6f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
        audience->ready, seconds, histogram_percentile(&audience->readiness, .5) / 1e6,
        histogram_percentile(&audience->readiness, .99) / 1e6,
        (double)audience->readiness.max / 1e6);
    stage->gathering = false;
}

static void gather(struct stage *stage, bool resuming, size_t pace)
{
    struct audience *audience = &stage->audience;
    memset(&audience->readiness, 0, sizeof(audience->readiness));
    audience->resuming = resuming;
    audience->pace = pace ? pace : 1;
    audience->next = 0;
    stage->gathering = true;
    audience->since_ns = stamp_now();
    audience_connect(audience);
}

static void report(const struct audience *audience)
{
    const struct tally *tally = &audience->tally;
    printf("{\"events\":%llu,\"bytes\":%llu,\"reads\":%llu,\"lost\":%llu,\"repeated\":%llu,"
           "\"dropped\":%zu,\"seconds\":%.6f,",
        (unsigned long long)tally->events, (unsigned long long)tally->bytes,
        (unsigned long long)tally->reads, (unsigned long long)tally->lost,
        (unsigned long long)tally->repeated, audience->dropped,
        (double)(tally->last_ns - tally->first_ns) / 1e9);
    printf("\"p50_us\":%.3f,\"p90_us\":%.3f,\"p99_us\":%.3f,\"max_us\":%.3f}\n",
        histogram_percentile(&tally->ages, .5) / 1e3, histogram_percentile(&tally->ages, .9) / 1e3,
        histogram_percentile(&tally->ages, .99) / 1e3, (double)tally->ages.max / 1e3);
}

static void obey(struct stage *stage, const char *command)
{
    struct audience *audience = &stage->audience;
    unsigned pace = 0;
    unsigned spread_ms = 0;
    if (sscanf(command, "connect %u", &pace) == 1 ||
        sscanf(command, "resume %u %u", &pace, &spread_ms) == 2) {
        audience->spread_ns = (int64_t)spread_ms * 1000000;
        gather(stage, command[0] == 'r', pace);
        return;
    }
    if (strcmp(command, "report") == 0) {
        report(audience);
        return;
    }
    if (strcmp(command, "drop") == 0)
        audience_drop(audience);
    else if (strcmp(command, "reset") == 0)
        memset(&audience->tally, 0, sizeof(audience->tally));
    else
        fail(command, EINVAL);
    puts("{}");
}

static void handle_input(struct stage *stage)
{
    char *end;
    ssize_t got = read(
        0, stage->command + stage->command_len, sizeof(stage->command) - 1 - stage->command_len);
    if (got <= 0)
        exit(0);
    stage->command_len += (size_t)got;
    stage->command[stage->command_len] = '\0';
    while ((end = strchr(stage->command, '\n'))) {
        *end = '\0';
        obey(stage, stage->command);
        stage->command_len -= (size_t)(end + 1 - stage->command);
        memmove(stage->command, end + 1, stage->command_len + 1);
    }
}

/* ---- turns */

static void turn(struct stage *stage)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    struct audience *audience = &stage->audience;
    bool spreading = audience->spread_ns && audience->next < audience->count;
    int count = epoll_wait(audience->epoll, events, EVENTS_AT_ONCE, spreading ? 1 : -1);
    if (count < 0 && errno != EINTR)
        fail("epoll_wait", errno);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            audience_handle(audience, events[i].data.ptr, events[i].events);
        else
            handle_input(stage);
    }
    if (spreading)
        audience_connect(audience);
    atomic_store_explicit(&audience->shared->received, audience->events, memory_order_release);
    if (stage->gathering && audience->ready == audience->count)
        answer_gathered(stage);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct stage stage;
    struct audience *audience = &stage.audience;
    struct epoll_event input = {.events = EPOLLIN};
    if (argc != 6) {
        fputs("usage: ringside-bench-audience DIALECT PORT TARGETS SHARED SOURCES\n", stderr);
        return 2;
    }
    audience->dialect = dialect_find(argv[1]);
    audience->port = (uint16_t)atoi(argv[2]);
    audience->shared = shared_count_map(argv[4]);
    audience->sources = (unsigned)atoi(argv[5]);
    audience->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!audience->dialect || !audience->shared || audience->epoll < 0 || !audience->sources)
        fail("arguments", errno ? errno : EINVAL);
    make_clients(audience, read_file(argv[3]));
    if (epoll_ctl(audience->epoll, EPOLL_CTL_ADD, 0, &input) < 0)
        fail("standard input", errno);
    for (;;)
        turn(&stage);
}
