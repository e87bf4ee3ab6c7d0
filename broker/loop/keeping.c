/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/keeping.h"

#include "base/clock.h"
#include "base/log.h"

/* Between two tries: this many times what the last one took, within these bounds. */
#define PAUSE_TIMES 20
#define PAUSE_LEAST_MS 100
#define PAUSE_MOST_MS 2000

static const char *const state_names[KEEPING_STATES] = {
    [KEEPING_SERVING] = "serving",
    [KEEPING_HOLDING] = "history_unwritable",
    [KEEPING_LIVE] = "history_unwritable_live",
    [KEEPING_FULL] = "history_unwritable_full",
};

/* What the log says on entering a state, behind the reason. */
static const char *const consequences[KEEPING_STATES] = {
    [KEEPING_HOLDING] = "nothing new is taken in until this succeeds",
    [KEEPING_LIVE] = "events are shown from memory until this succeeds",
    [KEEPING_FULL] = "memory holds as much as may wait, nothing more is taken in",
};

const char *keeping_state_name(enum keeping_state state)
{
    return state_names[state];
}

static void enter(struct keeping *keeping, enum keeping_state state, int rc)
{
    bool news = state != keeping->state || rc != keeping->failed_by;
    if (news && state == KEEPING_SERVING)
        log_info("history", "commits succeed again");
    else if (news)
        log_error("history", "cannot commit: %s; %s", strerror(-rc), consequences[state]);
    if (state == KEEPING_FULL && keeping->state != KEEPING_FULL)
        keeping->counters->staged_full++;
    keeping->state = state;
    keeping->failed_by = rc;
    keeping->gateways->stalled = state != KEEPING_SERVING;
}

static int commit(struct keeping *keeping)
{
    uint64_t before = history_commit_count(keeping->history);
    int rc = history_commit(keeping->history);
    keeping->counters->commits += history_commit_count(keeping->history) - before;
    keeping->counters->commit_failures += rc != 0;
    return rc;
}

/* What is staged may be shown once history has noted that it is. */
static enum keeping_state show(struct keeping *keeping)
{
    if (!keeping->live || history_show_staged(keeping->history) != 0)
        return KEEPING_HOLDING;
    uint64_t staged = history_staged_events(keeping->history);
    keeping->counters->events_shown_early += staged - keeping->shown;
    keeping->shown = staged;
    return drain_full(keeping->drain) ? KEEPING_FULL : KEEPING_LIVE;
}

void keeping_fail(struct keeping *keeping, int rc, uint64_t now_ms)
{
    uint64_t pause = (clock_monotonic_ms() - now_ms) * PAUSE_TIMES;
    pause = pause < PAUSE_LEAST_MS ? PAUSE_LEAST_MS : pause;
    keeping->next_try_ms = now_ms + (pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS);
    enter(keeping, show(keeping), rc);
}

/* Between two tries: what was taken in since is shown, unless the last try said that it cannot. */
static void go_on(struct keeping *keeping)
{
    if (keeping->state == KEEPING_LIVE)
        enter(keeping, show(keeping), keeping->failed_by);
}

enum keeping_outcome keeping_turn(struct keeping *keeping, uint64_t now_ms)
{
    if (keeping->state == KEEPING_SERVING || now_ms >= keeping->next_try_ms) {
        int rc = commit(keeping);
        if (rc == 0) {
            keeping->shown = 0;
            enter(keeping, KEEPING_SERVING, 0);
            return KEPT_ALL;
        }
        keeping_fail(keeping, rc, now_ms);
    } else {
        go_on(keeping);
    }
    effects_refuse(keeping->effects, GATEWAY_PORT_STALLED);
    return keeping->state == KEEPING_HOLDING ? KEPT_NOT : KEPT_SHOW;
}
