/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tortures the rings: real processes over a real arena, killed and stopped at every named step of
 * the protocol and at random, writers, reader and all at once, while a ledger keeps account of what
 * was acknowledged and what arrived.
 *
 *   torture HELPER [--deaths N] [--seed N]
 *
 * In rounds, each with an arena of its own, since new users are part of it. A round ends in three
 * steps: the writers are killed, and the reader that happens to be there has to deliver all that
 * was acknowledged, by its bell alone; a last reader has to find everything resolved and every ring
 * empty; and every ring has to take and give one more record.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cast.h"
#include "ledger.h"
#include "probe.h"
#include "step-names.h"

#define DEATHS_SHORT 5000u
#define ROUND_DEATHS 2500u
#define SPELL_DEATHS 40u /* then everything acknowledged has to arrive */
#define STUCK_US (TORTURE_STUCK_S * INT64_C(1000000))

struct torture {
    struct cast cast;
    struct cast_counts ends;
    struct ledger_counts counts;
    struct ledger *ledger;
    struct torture_ack *acks;
    uint64_t stuck;
    uint64_t target;
    uint64_t at_step[STEP_COUNT + 1];
    int64_t started;
    int64_t moved; /* when the last event arrived */
    int64_t shown;
    bool at_rest; /* the reader's last word was that nothing is left */
    int keep_fd;  /* our end of the readers' pipe */
    char parent[64];
    char directory[80];
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
    interrupted = signal_number;
}

static void need(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static bool failed(const struct torture *t)
{
    return t->counts.lost || t->counts.duplicated || t->counts.disordered || t->counts.corrupt ||
           t->stuck || t->ends.stuck || t->ends.failures;
}

static void show_progress(struct torture *t)
{
    int64_t now = torture_now_us(), every = isatty(1) ? 500000 : 5000000;

    if (now - t->shown < every)
        return;
    t->shown = now;
    printf("%s%5.0f s  %llu of %llu deaths (%llu of readers), %llu events, %llu repeats, "
           "%llu stops%s",
        isatty(1) ? "\r" : "", (double)(now - t->started) / 1e6, (unsigned long long)t->ends.deaths,
        (unsigned long long)t->target, (unsigned long long)t->ends.reader_deaths,
        (unsigned long long)t->counts.events, (unsigned long long)t->counts.repeats,
        (unsigned long long)t->ends.stops, isatty(1) ? "" : "\n");
    fflush(stdout);
}

/* What the reader passed on. Writes to the pipe are whole records, and so are reads. */
static void take_kept(struct torture *t)
{
    static struct torture_kept kept[1024];
    ssize_t n;

    while ((n = read(t->keep_fd, kept, sizeof kept)) > 0) {
        if ((size_t)n % sizeof *kept != 0)
            t->counts.corrupt++;
        for (size_t i = 0; i < (size_t)n / sizeof *kept; i++) {
            t->at_rest = kept[i].ring == TORTURE_AT_REST;
            if (!t->at_rest)
                ledger_keep(t->ledger, &kept[i]);
        }
        t->moved = torture_now_us();
    }
    need(n < 0 && errno == EAGAIN, "read");
}

/* False: nothing has moved for too long. */
static bool turn(struct torture *t)
{
    struct pollfd fd = {.fd = t->keep_fd, .events = POLLIN};

    cast_turn(&t->cast);
    poll(&fd, 1, 1);
    take_kept(t);
    show_progress(t);
    if (t->ends.failures > 0 || t->ends.stuck > 0)
        return false;
    if (torture_now_us() - t->moved < STUCK_US)
        return !interrupted;
    t->stuck++;
    fprintf(stderr, "stuck: no event for %d s\n", TORTURE_STUCK_S);
    return false;
}

/* Returns how many rings it has, of all sizes. */
static uint32_t make_arena(struct torture *t)
{
    struct arena_options options;
    struct arena *arena;
    uint32_t rings;

    snprintf(t->parent, sizeof t->parent, "/dev/shm/ringside-torture-XXXXXX");
    need(mkdtemp(t->parent) != NULL, t->parent);
    snprintf(t->directory, sizeof t->directory, "%s/node", t->parent);
    options = torture_options(t->directory);
    errno = -arena_create(&arena, &options);
    need(errno == 0, t->directory);
    rings = arena_ring_count(arena);
    arena_detach(arena);
    return rings;
}

static void start_round(struct torture *t)
{
    uint32_t rings = make_arena(t);
    int fds[2];

    need(pipe2(fds, O_CLOEXEC) == 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0, "pipe");
    (void)fcntl(fds[0], F_SETPIPE_SZ, 1 << 20);
    t->keep_fd = fds[0];
    t->cast.keep_fd = fds[1];
    t->cast.directory = t->directory;
    t->cast.next_writer = 0;
    t->cast.writing = t->cast.reading = true;
    t->cast.finished = false;
    memset(t->acks, 0, TORTURE_WRITERS_MAX * sizeof *t->acks);
    t->ledger = ledger_new(t->acks, &t->counts, rings);
    need(t->ledger != NULL, "ledger");
    t->at_rest = false;
    t->moved = torture_now_us();
}

/* The writers go, at once or as each was going to; what they had acknowledged has to come, by
 * whichever reader there is. */
static bool settle(struct torture *t, bool at_once)
{
    t->cast.writing = false;
    if (at_once)
        cast_kill_writers(&t->cast);
    t->moved = torture_now_us();
    while (cast_has_writers(&t->cast) || !ledger_is_even(t->ledger) || !t->at_rest)
        if (!turn(t))
            return false;
    t->cast.writing = true;
    return true;
}

static bool run_spell(struct torture *t)
{
    uint64_t until = t->ends.deaths + SPELL_DEATHS;

    while (t->ends.deaths < until && cast_has_numbers(&t->cast))
        if (!turn(t))
            return false;
    return settle(t, until % 2);
}

static bool finish(struct torture *t)
{
    t->cast.writing = t->cast.reading = false;
    cast_kill_all(&t->cast);
    while (cast_has_reader(&t->cast))
        cast_turn(&t->cast);
    cast_start_finisher(&t->cast);
    t->moved = torture_now_us() + STUCK_US; /* it has a deadline of its own */
    while (cast_has_reader(&t->cast))
        if (!turn(t))
            return false;
    return t->cast.finished;
}

static void stop_all(struct torture *t)
{
    t->cast.writing = t->cast.reading = false;
    cast_kill_all(&t->cast);
    while (cast_has_reader(&t->cast) || cast_has_writers(&t->cast))
        cast_turn(&t->cast);
    take_kept(t);
}

static void end_round(struct torture *t, bool whole)
{
    stop_all(t);
    if (whole) {
        ledger_close(t->ledger);
        if (!failed(t)) /* else it stays as it is, to be looked at */
            t->stuck += probe_rings(t->directory);
    }
    ledger_free(t->ledger);
    close(t->keep_fd);
    close(t->cast.keep_fd);
    if (whole && !failed(t))
        probe_remove(t->parent, t->directory);
    else if (!interrupted)
        fprintf(stderr, "the arena stays in %s\n", t->directory);
}

static void run_round(struct torture *t)
{
    uint64_t until = t->ends.deaths + ROUND_DEATHS;
    bool whole = true;

    start_round(t);
    while (
        whole && t->ends.deaths < until && t->ends.deaths < t->target && cast_has_numbers(&t->cast))
        whole = run_spell(t);
    if (whole)
        whole = finish(t);
    end_round(t, whole || (!interrupted && t->ends.failures == 0));
}

static unsigned show_steps(const struct torture *t)
{
    unsigned unreached = 0;

    printf("deaths by step:");
    for (size_t i = 0; i < STEP_COUNT; i++) {
        printf(" %s %llu", step_names[i], (unsigned long long)t->at_step[i]);
        unreached += t->at_step[i] == 0;
    }
    printf(", at any %llu\n", (unsigned long long)t->at_step[STEP_COUNT]);
    return unreached;
}

static int show_end(const struct torture *t)
{
    unsigned unreached = show_steps(t);
    bool bad = failed(t);

    printf("deaths %llu (readers %llu, writers %llu), stops %llu, events %llu, repeats %llu, "
           "unasked %llu, %.0f s\n",
        (unsigned long long)t->ends.deaths, (unsigned long long)t->ends.reader_deaths,
        (unsigned long long)(t->ends.deaths - t->ends.reader_deaths),
        (unsigned long long)t->ends.stops, (unsigned long long)t->counts.events,
        (unsigned long long)t->counts.repeats, (unsigned long long)t->counts.unasked,
        (double)(torture_now_us() - t->started) / 1e6);
    printf("lost %llu, duplicated %llu, out of order %llu, corrupt %llu, stuck %llu, "
           "ended by themselves %llu\n",
        (unsigned long long)t->counts.lost, (unsigned long long)t->counts.duplicated,
        (unsigned long long)t->counts.disordered, (unsigned long long)t->counts.corrupt,
        (unsigned long long)t->stuck + t->ends.stuck, (unsigned long long)t->ends.failures);
    if (unreached > 0 && t->target >= DEATHS_SHORT && !interrupted) {
        printf("%u steps at which nobody died\n", unreached);
        bad = true;
    }
    return bad || interrupted ? 1 : 0;
}

static void parse(struct torture *t, int argc, char **argv)
{
    t->target = DEATHS_SHORT;
    t->cast.seed = (uint64_t)torture_now_us();
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--deaths") == 0)
            t->target = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            t->cast.seed = strtoull(argv[i + 1], NULL, 10);
    }
    if (argc < 2 || argc % 2 != 0 || t->target == 0) {
        fputs("usage: torture HELPER [--deaths N] [--seed N]\n", stderr);
        exit(2);
    }
    t->cast.helper = argv[1];
    t->cast.random = t->cast.seed * 2 + 1;
}

int main(int argc, char **argv)
{
    static struct torture t;

    parse(&t, argc, argv);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    t.cast.ack_fd = memfd_create("acknowledgements", MFD_CLOEXEC);
    need(t.cast.ack_fd >= 0 && ftruncate(t.cast.ack_fd, TORTURE_WRITERS_MAX * sizeof *t.acks) == 0,
        "memfd");
    t.acks = mmap(NULL, TORTURE_WRITERS_MAX * sizeof *t.acks, PROT_READ | PROT_WRITE, MAP_SHARED,
        t.cast.ack_fd, 0);
    need(t.acks != MAP_FAILED, "mmap");
    t.ends.at_step = t.at_step;
    t.cast.counts = &t.ends;
    t.started = torture_now_us();
    printf("seed %llu\n", (unsigned long long)t.cast.seed);
    while (t.ends.deaths < t.target && !failed(&t) && !interrupted)
        run_round(&t);
    printf("%s", isatty(1) ? "\n" : "");
    return show_end(&t);
}
