/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers that die at every step, among one that lives. The test is the reader. For each victim:
 * what it reported as emitted has arrived, at most one event more (it died between the commit and
 * its report), each once and in order; the survivor loses nothing; no ring stays stuck.
 */
#include "ring-test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dose.h"
#include "helper.h"
#include "ring/arena.h"

#define DEATHS DOSE(480u)
#define DEADLINE_S 100
#define SURVIVOR 0u
#define VICTIM_EVENTS 40u /* a bit each in victim_seqs */

static const char *helper_path;

static const char *const steps[] = {
    "current_ring_set",
    "tail_claimed",
    "padding_claimed",
    "padding_settled",
    "payload_written",
    "committed",
    "one_bit_set",
    "bits_set",
    "wake_won",
    "directory_named",
    "directory_claimed",
    "directory_filled",
    "directory_linked",
    "successor_allocated",
    "tail_closed",
};
#define STEPS (sizeof steps / sizeof *steps)

struct scene {
    struct fixture *f;
    struct helper survivor;
    uint64_t survivor_next[HELPER_SHARED_USERS]; /* per shared user */
    uint64_t survivor_seen;
    uint64_t survivor_reported;
    uint32_t victim;
    uint64_t victim_seen;
    uint64_t victim_reported;
    uint64_t victim_seqs; /* one bit each */
    uint64_t turns;       /* the clock of reclaiming */
    uint32_t reaped;
    uint32_t resolved;
};

static void check_deadline(void)
{
    static time_t end;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!end)
        end = now.tv_sec + DEADLINE_S;
    assert_true(now.tv_sec < end);
}

static void see(struct scene *s, const struct helper_payload *p)
{
    if (p->writer == SURVIVOR) {
        /* Its events go round the shared users, so each user sees every third. */
        uint64_t *next = &s->survivor_next[p->seq % HELPER_SHARED_USERS];

        assert_int_equal(p->seq, *next);
        *next += HELPER_SHARED_USERS;
        s->survivor_seen++;
        return;
    }
    assert_int_equal(p->writer, s->victim);
    s->victim_seen++;
    assert_true(p->seq < VICTIM_EVENTS);
    uint64_t bit = UINT64_C(1) << p->seq % VICTIM_EVENTS;
    assert_false(s->victim_seqs & bit);
    s->victim_seqs |= bit;
}

static void drain_ring(void *userdata, uint32_t ring)
{
    struct scene *s = userdata;
    uint64_t last_of_victim = 0;
    struct ring_record record;
    int r;

    while ((r = ring_reader_next(&record, s->f->reader, ring)) > 0) {
        const struct helper_payload *p = record.payload;

        assert_true(helper_intact(p, record.payload_length));
        if (p->writer == s->victim) {
            assert_true(p->seq + 1 > last_of_victim);
            last_of_victim = p->seq + 1;
        }
        see(s, p);
    }
    assert_int_equal(r, 0);
    release_all(s->f, ring);
}

static uint64_t count_reports(int fd)
{
    char bytes[4096];
    uint64_t count = 0;
    ssize_t n;

    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        count += (uint64_t)n;
    return count;
}

/* One turn of the reader, asleep at its bell for a moment if there is nothing. */
static void turn(struct scene *s)
{
    struct pollfd bell = {.fd = doorbell_fd(s->f->arena), .events = POLLIN};

    check_deadline();
    process_take_news(s->f->arena);
    doorbell_take(s->f->arena, drain_ring, s);
    ring_reader_reclaim(s->f->reader, ++s->turns, 20);
    s->survivor_reported += count_reports(s->survivor.report);
    if (!doorbell_prepare_sleep(s->f->arena))
        poll(&bell, 1, 1);
    doorbell_awake(s->f->arena);
}

static void drain_before_freeing(void *userdata, const struct process_reaped *reaped)
{
    struct scene *s = userdata;

    s->reaped++;
    s->resolved += reaped->discarded + reaped->completed;
    doorbell_take(s->f->arena, drain_ring, s);
}

/* The survivor's open claim may be in front of the victim's last events, for a moment. */
static void drain_to_tails(struct scene *s)
{
    for (uint32_t ring = 0; ring < arena_ring_count(s->f->arena); ring++) {
        uint64_t tail = ring_reader_tail(s->f->reader, ring);

        while (ring_reader_cursor(s->f->reader, ring) < tail)
            turn(s);
    }
}

/* The set bits are 0..n-1 without a hole. */
static int is_prefix(uint64_t bits)
{
    return (bits & (bits + 1)) == 0;
}

static void run_victim(struct scene *s, uint32_t number)
{
    struct helper_job job = {
        .mode = "write",
        .directory = s->f->directory,
        .step = steps[number % STEPS],
        .count = 1 + (number / STEPS) % 4,
        .writer = 1 + number,
        .first = 0,
        .last = VICTIM_EVENTS,
    };
    struct helper victim;
    int status;

    s->victim = job.writer;
    s->victim_seen = s->victim_reported = s->victim_seqs = 0;
    helper_start(&victim, helper_path, &job);
    while (!helper_ended(&victim, &status))
        turn(s);
    s->victim_reported = count_reports(victim.report);
    close(victim.report);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    reap_dead(s->f->arena, drain_before_freeing, s);
    drain_to_tails(s);
    assert_true(is_prefix(s->victim_seqs));
    assert_true(s->victim_seen == s->victim_reported || s->victim_seen == s->victim_reported + 1);
}

/* With the survivor gone, every ring is empty; taken back, each place serves another user. */
static void check_nothing_stuck(struct scene *s)
{
    uint32_t users = arena_user_count(s->f->arena);

    for (uint32_t ring = 0; ring < arena_ring_count(s->f->arena); ring++)
        assert_int_equal(ring_reader_held_bytes(s->f->reader, ring), 0);
    ring_reader_reclaim(s->f->reader, 1000000000, 1);
    ring_reader_reclaim(s->f->reader, 1000000001, 1);
    for (uint32_t i = 0; i < users; i++) {
        struct ring_writer w;
        char user[32];

        snprintf(user, sizeof user, "after-%u", i);
        struct ring_lease lease = writer_up(&w, s->f->arena, user);
        assert_true(lease.ring < users);
        emit_value(&w, &lease, i, 4000);
        drain_value(s->f, lease.ring, i);
        release_all(s->f, lease.ring);
        ring_writer_deinit(&w);
    }
}

static void test_writers_may_die_at_any_step_and_nothing_is_lost_or_stuck(void **state)
{
    struct fixture *f = *state;
    struct scene s = {.f = f};
    struct helper_job steady = {.mode = "write",
        .directory = f->directory,
        .step = "-",
        .writer = SURVIVOR,
        .last = UINT64_MAX};
    struct ring_reader_stats stats;

    for (uint64_t i = 0; i < HELPER_SHARED_USERS; i++)
        s.survivor_next[i] = i;
    helper_start(&s.survivor, helper_path, &steady);
    for (uint32_t number = 0; number < DEATHS; number++)
        run_victim(&s, number);
    kill(s.survivor.pid, SIGKILL);
    assert_int_equal(waitpid(s.survivor.pid, NULL, 0), s.survivor.pid);
    reap_dead(f->arena, drain_before_freeing, &s);
    s.survivor_reported += count_reports(s.survivor.report);
    close(s.survivor.report);
    assert_true(s.survivor_seen - s.survivor_reported <= 1);
    assert_true(s.survivor_seen > DEATHS);
    check_nothing_stuck(&s);
    ring_reader_stats(&stats, f->reader);
    assert_int_equal(stats.quarantined, 0);
    assert_int_equal(stats.misaddressed, 0);
    assert_true(stats.outgrown > 0 && stats.reclaimed > DEATHS / 8);
    assert_true(s.reaped >= DEATHS / 3); /* the victims do reach their steps */
    assert_true(s.resolved > DEATHS / 8);
    print_message(
        "%u deaths, %u claims resolved, %llu events of the survivor, %llu rings taken back\n",
        s.reaped, s.resolved, (unsigned long long)s.survivor_seen,
        (unsigned long long)stats.reclaimed);
}

static int deaths_up(void **state)
{
    struct arena_options options = {.ring_count = 1024,
        .ring_bytes = 4 * FIXTURE_RING_BYTES,
        .first_ring_bytes = FIXTURE_RING_BYTES,
        .process_count = 16,
        .slot_count = 64};

    if (fixture_up_empty(state) < 0)
        return -1;
    struct fixture *f = *state;
    options.directory = f->directory;
    if (arena_create(&f->arena, &options) < 0)
        return -1;
    return ring_reader_new(&f->reader, f->arena);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_writers_may_die_at_any_step_and_nothing_is_lost_or_stuck, deaths_up, fixture_down),
    };

    if (argc != 2)
        return 2;
    helper_path = argv[1];
    return cmocka_run_group_tests_name("ring writer deaths", tests, NULL, NULL);
}
