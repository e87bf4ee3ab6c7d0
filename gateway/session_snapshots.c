/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What open runs show, told between the events.
 *
 *   OWED   the view replays; when it has reached what there is, the broker is asked
 *   ASKED  the view stands still: its position is at or before the answer's number
 *   HELD   the answer is here; the view goes on to its number, and there it is sent
 *
 * So whoever applies a snapshot where it comes, and then the events behind it, has applied each
 * event once. The answer is asked for late, so that it is held for a few events, not for a replay.
 * It may come in several parts, each with a number of its own.
 */
#include "session_private.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "wire/snapshot.h"

#include <stdlib.h>

struct session_snapshots {
    struct session *session;
    struct link_call call;
    uint64_t after; /* the part comes behind this run */
    uint64_t seq;   /* HELD: the place */
    bool held;
    bool more;
    struct buffer runs;
};

/* ---- the answer */

static bool is_ours(const struct session *session, const struct wire_snapshot *answer)
{
    if (span_is(answer->user, session->user))
        return true;
    session->host->counters->events_foreign++;
    log_error(
        "session", "a snapshot for user %s is of another user; it was kept back", session->user);
    return false;
}

static void hold(struct session_snapshots *snapshots, const struct wire_snapshot *answer)
{
    struct session *session = snapshots->session;
    buffer_clear(&snapshots->runs);
    buffer_append_span(&snapshots->runs, answer->runs);
    if (buffer_error(&snapshots->runs)) {
        session_close(session, 4002, "out of memory: resume with the cursor");
        return;
    }
    snapshots->held = true;
    snapshots->seq = answer->seq;
    snapshots->more = answer->more != 0;
    snapshots->after = answer->last;
    feed_learn(session->feed, span_of_string(session->epoch), answer->seq);
    session_resume(session);
}

static void snapshot_done(struct link_call *call, const struct wire_message *answer)
{
    struct session_snapshots *snapshots = CONTAINER_OF(call, struct session_snapshots, call);
    struct session *session = snapshots->session;
    if (!answer)
        return; /* asked again when there is a link, or at the next tick */
    if (answer->kind != WIRE_SNAPSHOT || !is_ours(session, &answer->snapshot))
        session_close(session, 1011, "the state of the runs could not be read");
    else if (answer->snapshot.status != WIRE_PAGE_OK)
        session_close(session, 4004, "the stream was numbered anew");
    else
        hold(snapshots, &answer->snapshot);
}

static void ask(struct session_snapshots *snapshots)
{
    const struct session *session = snapshots->session;
    struct wire_message message = {.kind = WIRE_SNAPSHOT_READ,
        .snapshot_read = {.user = span_of_string(session->user),
            .epoch = span_of_string(session->epoch),
            .after = snapshots->after}};
    broker_link_call(session->link, &snapshots->call, &message);
}

/* ---- its place */

static void send_run(struct session *session, const struct wire_snapshot_run *run)
{
    _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
    if (session->filter && !filter_passes(session->filter, run->thread_id))
        return;
    control_append_snapshot(&json, run->body);
    session->host->counters->snapshots_sent++;
    session_send_text(session, &json);
}

/* May go past the limit, as a page: it was asked for with room left. */
static void send_runs(struct session *session, struct span runs)
{
    struct wire_snapshot_run run;
    size_t offset = 0;
    int rc;
    bool before = session->unbounded;
    session->unbounded = true;
    while ((rc = wire_snapshot_next(&run, runs, &offset)) > 0 && session_is_open(session))
        send_run(session, &run);
    session->unbounded = before;
    if (rc < 0 && session_is_open(session))
        session_close(session, 1011, "the state of the runs could not be read");
}

static void place(struct session *session)
{
    struct session_snapshots *snapshots = session->snapshots;
    _cleanup_(buffer_deinit) struct buffer runs = snapshots->runs;
    snapshots->runs = BUFFER_INIT;
    snapshots->held = false;
    if (!snapshots->more)
        session_forget_snapshots(session);
    send_runs(session, buffer_span(&runs));
}

/* ---- the session's side */

void session_owe_snapshots(struct session *session)
{
    session_forget_snapshots(session);
    session->snapshots = calloc(1, sizeof(*session->snapshots));
    if (!session->snapshots) {
        session_close(session, 4002, "out of memory: resume with the cursor");
        return;
    }
    session->snapshots->session = session;
    session->snapshots->call.done = snapshot_done;
}

void session_forget_snapshots(struct session *session)
{
    struct session_snapshots *snapshots = session->snapshots;
    if (!snapshots)
        return;
    session->snapshots = NULL;
    broker_link_cancel(&snapshots->call);
    buffer_deinit(&snapshots->runs);
    free(snapshots);
}

bool session_snapshots_asked(const struct session *session)
{
    return session->snapshots && link_call_active(&session->snapshots->call);
}

void session_snapshots_passed(struct session *session)
{
    const struct session_snapshots *snapshots = session->snapshots;
    if (snapshots && snapshots->held && session->view.position >= snapshots->seq)
        place(session);
}

bool session_snapshots_step(struct session *session)
{
    session_snapshots_passed(session);
    struct session_snapshots *snapshots = session->snapshots;
    if (!snapshots || snapshots->held || view_is_short(&session->view, session->feed->newest))
        return true;
    ask(snapshots);
    return false;
}

bool session_snapshots_exhausted(struct session *session)
{
    if (session->snapshots && session->snapshots->held)
        place(session);
    if (!session->snapshots)
        return false;
    ask(session->snapshots);
    return true;
}
