/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers that die between hand-over, consumed, stamp and freed, one after the other, while two
 * writers go on. The test stands for the store behind the reader: it knows events again by ring and
 * position. All arrive, in each writer's order for each user, and none twice under two positions.
 */
#include "ring-test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dose.h"
#include "helper.h"

#define DEATHS DOSE(240u)
#define WRITERS 2u
#define RINGS (3 * FIXTURE_RINGS) /* of three classes */
#define DEADLINE_S 100

static const char *helper_path;

static const char *const steps[] = {"handed_over", "consumed_stored", "stamping", "stamped",
    "freed_stored", "idle_seen", "ring_retired", "entry_retiring", "entry_unlinked", "ring_punched",
    "ring_refreshed", "rings_refreshed", "outgrown_punched"};
#define COMMON_STEPS 5u /* the first are passed all the time, the others now and then */
#define STEPS (sizeof steps / sizeof *steps)

struct scene {
    struct fixture *f;
    struct helper writers[WRITERS];
    uint64_t reported[WRITERS];
    uint64_t kept[WRITERS];
    uint64_t next[WRITERS][HELPER_SHARED_USERS];
    uint64_t end[RINGS]; /* of the last event kept, by ring */
    uint64_t repeats;
    time_t deadline;
};

static void keep(struct scene *s, const struct helper_passed *passed)
{
    assert_true(passed->ring < RINGS);
    assert_true(passed->writer < WRITERS); /* else the payload was not intact */
    if (passed->begin < s->end[passed->ring]) {
        assert_true(passed->end <= s->end[passed->ring]);
        s->repeats++;
        return;
    }
    uint64_t *next = &s->next[passed->writer][passed->seq % HELPER_SHARED_USERS];
    assert_int_equal(passed->seq, *next);
    *next += HELPER_SHARED_USERS;
    s->end[passed->ring] = passed->end;
    s->kept[passed->writer]++;
}

static void keep_all(struct scene *s, int fd)
{
    struct helper_passed passed;
    ssize_t n;

    while ((n = read(fd, &passed, sizeof passed)) == (ssize_t)sizeof passed)
        keep(s, &passed);
    assert_true(n <= 0);
}

static void count_reports(struct scene *s)
{
    char bytes[4096];
    ssize_t n;

    for (uint32_t i = 0; i < WRITERS; i++)
        while ((n = read(s->writers[i].report, bytes, sizeof bytes)) > 0)
            s->reported[i] += (uint64_t)n;
}

static void turn(struct scene *s, struct helper *reader)
{
    struct pollfd fds[1 + WRITERS] = {{.fd = reader->report, .events = POLLIN}};
    struct timespec now;

    for (uint32_t i = 0; i < WRITERS; i++)
        fds[1 + i] = (struct pollfd){.fd = s->writers[i].report, .events = POLLIN};
    poll(fds, 1 + WRITERS, 10);
    keep_all(s, reader->report);
    count_reports(s);
    clock_gettime(CLOCK_MONOTONIC, &now);
    assert_true(now.tv_sec < s->deadline);
}

static void run_reader(struct scene *s, uint32_t number)
{
    struct helper_job job = {
        .mode = "read",
        .directory = s->f->directory,
        .step = steps[number % STEPS],
        .count = 1 + (number * 7) % (number % STEPS < COMMON_STEPS ? 23 : 3),
    };
    struct helper reader;
    int status;

    helper_start(&reader, helper_path, &job);
    while (!helper_ended(&reader, &status))
        turn(s, &reader);
    keep_all(s, reader.report);
    close(reader.report);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void start_writers(struct scene *s)
{
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct helper_job job = {.mode = "write-shared",
            .directory = s->f->directory,
            .step = "-",
            .writer = i,
            .last = UINT64_MAX};

        for (uint64_t u = 0; u < HELPER_SHARED_USERS; u++)
            s->next[i][u] = u;
        helper_start(&s->writers[i], helper_path, &job);
    }
}

static void keep_rest(void *userdata, uint32_t ring)
{
    struct scene *s = userdata;
    struct ring_record record;
    int r;

    while ((r = ring_reader_next(&record, s->f->reader, ring)) > 0) {
        const struct helper_payload *p = record.payload;

        assert_true(helper_intact(p, record.payload_length));
        keep(s, &(struct helper_passed){record.begin, record.end, p->seq, ring, p->writer});
    }
    assert_int_equal(r, 0);
    release_all(s->f, ring);
}

static void test_readers_may_die_at_any_step_and_the_next_goes_on(void **state)
{
    struct fixture *f = *state;
    struct scene s = {.f = f};
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    s.deadline = now.tv_sec + DEADLINE_S;
    fixture_disown(f);
    start_writers(&s);
    for (uint32_t number = 0; number < DEATHS; number++)
        run_reader(&s, number);
    for (uint32_t i = 0; i < WRITERS; i++) {
        kill(s.writers[i].pid, SIGKILL);
        assert_int_equal(waitpid(s.writers[i].pid, NULL, 0), s.writers[i].pid);
    }
    count_reports(&s);
    fixture_own(f);
    reap_dead(f->arena, NULL, NULL);
    while (doorbell_take(f->arena, keep_rest, &s) > 0)
        ;
    for (uint32_t i = 0; i < WRITERS; i++) {
        close(s.writers[i].report);
        assert_true(s.kept[i] >= s.reported[i] && s.kept[i] <= s.reported[i] + 1);
    }
    for (uint32_t ring = 0; ring < RINGS; ring++) {
        assert_int_equal(ring_reader_held_bytes(f->reader, ring), 0);
        assert_null(ring_reader_damage(f->reader, ring));
    }
    assert_true(s.repeats > 0); /* deaths after the hand-over do happen */
    print_message("%u deaths, %llu events, %llu repeated\n", DEATHS,
        (unsigned long long)s.kept[0] + s.kept[1], (unsigned long long)s.repeats);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_readers_may_die_at_any_step_and_the_next_goes_on,
            fixture_up_growing, fixture_down),
    };

    if (argc != 2)
        return 2;
    helper_path = argv[1];
    return cmocka_run_group_tests_name("ring reader deaths", tests, NULL, NULL);
}
