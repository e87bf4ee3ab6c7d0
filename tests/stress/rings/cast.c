/* SPDX-License-Identifier: Apache-2.0 */
#include "cast.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "step-names.h"

static uint32_t cast_random(struct cast *cast, uint32_t below)
{
    return torture_random(&cast->random) % below;
}

/* Now and then the one at which fewest have died: some are passed in rare moments only. */
static const char *cast_choose_step(struct cast *cast)
{
    uint32_t chosen = cast_random(cast, STEP_COUNT);

    if (cast_random(cast, 4))
        return step_names[chosen];
    for (uint32_t i = 0; i < STEP_COUNT; i++)
        if (cast->counts->at_step[i] < cast->counts->at_step[chosen])
            chosen = i;
    return step_names[chosen];
}

/* Where to die: by hand (random), at a step, or at any; or where to stop. */
static void cast_choose_end(struct cast *cast, struct child_job *job, uint32_t most_passes)
{
    uint32_t choice = cast_random(cast, 16);

    /* Some steps are passed thousands of times, some once in a life. */
    job->count = 1 + (cast_random(cast, 2) ? cast_random(cast, most_passes) : 0);
    job->signal_number = choice == 15 ? SIGSTOP : SIGKILL;
    if (choice < 4)
        job->step = "-";
    else if (choice < 6)
        job->step = "any";
    else
        job->step = cast_choose_step(cast);
}

static void cast_start_writer(struct cast *cast, struct child *child)
{
    char number[16], threads[16], seed[24];
    unsigned thread_count = 1 + (cast_random(cast, 4) == 0);
    struct child_job job = {
        .program = cast->helper,
        .mode = "write",
        .directory = cast->directory,
        .extra = {number, threads, seed},
        .fd = cast->ack_fd,
    };

    *child = (struct child){.number = cast->next_writer};
    cast->next_writer += thread_count;
    snprintf(number, sizeof number, "%u", (unsigned)child->number);
    snprintf(threads, sizeof threads, "%u", thread_count);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)cast->seed);
    cast_choose_end(cast, &job, 32);
    child->kill_at = torture_now_us() + 2000 + cast_random(cast, 40000);
    child_start(child, &job);
}

static void cast_start_reader(struct cast *cast, const char *finish)
{
    char seed[24];
    struct child *child = &cast->children[0];
    struct child_job job = {
        .program = cast->helper,
        .mode = "read",
        .directory = cast->directory,
        .step = "-",
        .extra = {seed, finish, NULL},
        .fd = cast->keep_fd,
    };

    *child = (struct child){.is_reader = true};
    snprintf(seed, sizeof seed, "%u", (unsigned)torture_random(&cast->random));
    if (strcmp(finish, "-") == 0) {
        cast_choose_end(cast, &job, 512);
        child->kill_at = torture_now_us() + 3000 + cast_random(cast, 60000);
    }
    child_start(child, &job);
}

void cast_start_finisher(struct cast *cast)
{
    cast_start_reader(cast, "finish");
}

bool cast_has_reader(const struct cast *cast)
{
    return cast->children[0].pid != 0;
}

bool cast_has_writers(const struct cast *cast)
{
    for (unsigned i = 1; i < CAST_SIZE; i++)
        if (cast->children[i].pid)
            return true;
    return false;
}

bool cast_has_numbers(const struct cast *cast)
{
    return cast->next_writer + 2 <= TORTURE_WRITERS_MAX;
}

static void cast_count_step(struct cast *cast, const char *step)
{
    uint32_t i = 0;

    while (i < STEP_COUNT && strcmp(step_names[i], step) != 0)
        i++;
    cast->counts->at_step[i]++;
}

static void cast_count_end(struct cast *cast, const struct child *child, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        cast->counts->deaths++;
        cast->counts->reader_deaths += child->is_reader;
        if (!child->killed)
            cast_count_step(cast, child->step);
        return;
    }
    if (child->is_reader && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        cast->finished = true;
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == TORTURE_EXIT_STUCK)
        cast->counts->stuck++;
    else
        cast->counts->failures++;
    fprintf(stderr, "%s %u ended by itself, status %#x, step %s\n",
        child->is_reader ? "reader" : "writer", (unsigned)child->number, (unsigned)status,
        child->step);
}

static void cast_reap(struct cast *cast)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        unsigned i = 0;

        while (i < CAST_SIZE && cast->children[i].pid != pid)
            i++;
        if (i == CAST_SIZE)
            continue;
        struct child *child = &cast->children[i];
        if (WIFSTOPPED(status)) {
            cast->counts->stops++;
            child->stopped = true;
            child->wake_at = torture_now_us() + cast_random(cast, 10000);
            continue;
        }
        cast_count_end(cast, child, status);
        child->pid = 0;
    }
}

void cast_kill_writers(struct cast *cast)
{
    for (unsigned i = 1; i < CAST_SIZE; i++)
        if (cast->children[i].pid)
            child_kill(&cast->children[i]);
}

void cast_kill_all(struct cast *cast)
{
    cast_kill_writers(cast);
    if (cast_has_reader(cast))
        child_kill(&cast->children[0]);
}

/* Every few milliseconds someone is killed or stopped, now and then all at once. */
static void cast_blow(struct cast *cast, int64_t now)
{
    struct child *child = &cast->children[cast_random(cast, CAST_SIZE)];
    uint32_t kind = cast_random(cast, 64);

    cast->next_blow = now + 500 + cast_random(cast, 10000);
    if (kind < 2)
        cast_kill_all(cast);
    else if (kind < 4)
        cast_kill_writers(cast);
    else if (child->pid && kind < 24)
        child_kill(child);
    else if (child->pid)
        child_stop(child);
}

static void cast_start_missing(struct cast *cast)
{
    if (cast->reading && !cast_has_reader(cast))
        cast_start_reader(cast, "-");
    for (unsigned i = 1; cast->writing && i < CAST_SIZE; i++)
        if (!cast->children[i].pid && cast_has_numbers(cast))
            cast_start_writer(cast, &cast->children[i]);
}

void cast_turn(struct cast *cast)
{
    int64_t now = torture_now_us();

    cast_reap(cast);
    for (unsigned i = 0; i < CAST_SIZE; i++) {
        struct child *child = &cast->children[i];

        if (child->pid && child->stopped && now >= child->wake_at)
            child_wake(child);
        if (child->pid && child->kill_at && now >= child->kill_at)
            child_kill(child);
    }
    if (cast->writing && now >= cast->next_blow)
        cast_blow(cast, now);
    cast_start_missing(cast);
}
