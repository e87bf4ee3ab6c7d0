# SPDX-License-Identifier: Apache-2.0
"""The welcome, and a user's stream: order, chain, resuming, gaps, filters, snapshots."""
import re

from kit.case import Skipped, case
from kit.session import Closed, is_terminal
from kit.wire import check

TYPES = {
    "run_queued", "chat_message", "agent_started", "agent_thinking", "tool_executing",
    "tool_completed", "partial_result", "agent_completed", "error_event", "interrupt_requested",
    "interrupt_resolved",
}


def cursor_of(session, seq):
    return f"{session.welcome['epoch']}.{seq}"


@case("S-01", "The welcome is the first frame and has all its members", "Control frames")
def _(kit):
    welcome = kit.connect().welcome
    kinds = {"protocol": str, "connection_id": str, "user_id": str, "epoch": str, "head": int,
             "oldest": int, "runs": list, "heartbeat_ms": int, "limits": dict, "resume": str}
    for name, kind in kinds.items():
        check(isinstance(welcome.get(name), kind), f"{name} is {welcome.get(name)!r}")
    check(welcome["protocol"] == "ringside.v1", f"protocol {welcome['protocol']}")
    check(welcome["user_id"] == kit.user and welcome["resume"] == "live", f"{welcome}")
    check(welcome["oldest"] <= welcome["head"] + 1, f"oldest is beyond head: {welcome}")


@case("S-02", "No two connections have the same identifier", "Control frames")
def _(kit):
    ids = {kit.connect().welcome["connection_id"] for _ in range(5)}
    check(len(ids) == 5, f"{ids}")


@case("S-03", "A live stream's chain begins at head, and each event names the one before", "The chain")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    check(session.events[0]["prev"] == session.welcome["head"], "the chain begins elsewhere")
    check(not any(frame["type"] == "caught_up" for frame in session.control),
          "a live connection was told caught_up")


@case("S-04", "An event has the members of an event", "Events")
def _(kit):
    session = kit.connect()
    run_id = kit.finished_run(session, thread="t-members")
    for event in session.of(run_id):
        check(event["type"] in TYPES, f"type {event['type']}")
        check(isinstance(event["timestamp"], int) and 1 << 40 < event["timestamp"] < 1 << 42,
              f"timestamp {event['timestamp']}")
        check(isinstance(event["data"], dict) and event["thread_id"] == "t-members", f"{event}")


@case("S-05", "The user's own message is in the stream, with what was sent", "Events")
def _(kit):
    session = kit.connect()
    content = 'gr\u00fc\u00dfe \U0001f44b "quoted" \\ \u2028 \t\n'
    run_id = kit.finished_run(session, content=content)
    said = session.until_event("chat_message", run_id)
    check(said["data"]["content"] == content, f"{said}")
    check(said["data"]["role"] == "user" and "message_id" in said, f"{said}")


@case("S-06", "A run begins once and has one end, which is its last event", "What is promised, 4")
def _(kit):
    session = kit.connect()
    events = session.of(kit.finished_run(session))
    types = [event["type"] for event in events]
    check(types.count("agent_started") <= 1, f"{types}")
    check([is_terminal(event) for event in events].count(True) == 1, f"{types}")
    session.alive()
    check(is_terminal(session.of(events[0]["run_id"])[-1]), "something came behind the end")


@case("S-07", "Two connections of a user are sent the same bytes", "The same bytes")
def _(kit):
    one, two = kit.connect(), kit.connect()
    run_id = kit.finished_run(one)
    two.until_ended(run_id)
    check(one.raw == two.raw, "the bytes differ")


@case("S-08", "cursor=start is everything, then caught_up", "Connecting")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    kit.finished_run(session, thread="t-2")
    again = kit.connect([("cursor", "start")])
    check(again.welcome["resume"] == "replay", f"{again.welcome}")
    last = again.until_told("caught_up")["seq"]
    check(last == session.position, f"caught_up at {last}, not {session.position}")
    check(again.raw == session.raw, "the bytes of the replay differ")


@case("S-09", "A cursor is behind its event: nothing twice, nothing left out", "Connecting")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    middle = session.events[len(session.events) // 2]["seq"]
    for seq in (session.events[0]["prev"], middle, session.position):
        again = kit.connect([("cursor", cursor_of(session, seq))])
        again.until_told("caught_up")
        rest = {each: raw for each, raw in session.raw.items() if each > seq}
        check(again.raw == rest, f"behind {seq}: {sorted(again.raw)}, not {sorted(rest)}")


@case("S-10", "After caught_up a resumed stream is live", "Control frames")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    again = kit.connect([("cursor", "start")])
    again.until_told("caught_up")
    again.until_ended(kit.finished_run(session))
    check(again.raw == session.raw, "the bytes differ")


@case("S-11", "A stream resumed in the middle of a run has all of it", "What is promised, 2")
def _(kit):
    session = kit.connect()
    run_id = kit.open_run(session)
    seq = session.position
    again = kit.connect([("cursor", cursor_of(session, seq))])
    session.request("run.cancel", run_id=run_id)
    session.until_ended(run_id)
    again.until_ended(run_id)
    later = {each: raw for each, raw in session.raw.items() if each > seq}
    check(again.raw == later, "the bytes differ")


@case("S-12", "A cursor of another epoch is told: reset, a gap, then all that is retained", "Control frames")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    again = kit.connect([("cursor", "another-epoch.7")])
    check(again.welcome["resume"] == "reset", f"{again.welcome}")
    gap = again.until_told("gap")
    check(gap["reason"] == "epoch_changed" and not again.events, f"{gap}")
    again.until_told("caught_up")
    check(again.raw == session.raw, "the replay is not all that is retained")


@case("S-13", "A cursor ahead of the stream is a reset too", "Control frames")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    again = kit.connect([("cursor", cursor_of(session, session.position + 1000))])
    check(again.welcome["resume"] == "reset", f"{again.welcome}")
    check(again.until_told("gap")["reason"] == "epoch_changed", f"{again.control}")


@case("S-14", "A cursor whose next events were trimmed is told which", "Control frames")
def _(kit):
    session = kit.connect(user=kit.options.trimmed_user) if kit.options.trimmed_user else None
    if not session or session.welcome["oldest"] <= 1:
        raise Skipped("needs --trimmed-user, one whose oldest events are gone")
    again = kit.connect([("cursor", cursor_of(session, 0))], user=kit.options.trimmed_user)
    gap = again.until_told("gap")
    check(again.welcome["resume"] == "gap" and gap["reason"] == "trimmed", f"{again.control}")
    check(gap["from"] == 1 and gap["to"] == again.welcome["oldest"] - 1, f"{gap}")


@case("S-15", "A filter lets its threads through, each with the one before in prev", "Connecting")
def _(kit):
    session = kit.connect()
    some = kit.connect([("thread", "t-1"), ("thread", "t-3")])
    for number in (1, 2, 3):
        last = kit.finished_run(session, thread=f"t-{number}")
    some.until_ended(last)
    expected = [event["seq"] for event in session.events if event["thread_id"] in ("t-1", "t-3")]
    check([event["seq"] for event in some.events] == expected, "other events than the filter's")
    for event in some.events:
        whole = next(each for each in session.events if each["seq"] == event["seq"])
        check(event | {"prev": 0} == whole | {"prev": 0}, "an event differs in more than prev")


@case("S-16", "A filtered replay is that of its threads", "Connecting")
def _(kit):
    session = kit.connect()
    kit.finished_run(session, thread="t-1")
    kit.finished_run(session, thread="t-2")
    some = kit.connect([("cursor", "start"), ("thread", "t-2")])
    check(some.until_told("caught_up")["seq"] >= session.position, "caught_up too early")
    expected = [event["seq"] for event in session.events if event["thread_id"] == "t-2"]
    check([event["seq"] for event in some.events] == expected, "other events than the filter's")


@case("S-17", "The welcome names the runs that are open", "Control frames")
def _(kit):
    session = kit.connect()
    run_id = kit.open_run(session, thread="t-open")
    runs = {run["run_id"]: run for run in kit.connect().welcome["runs"]}
    check(run_id in runs, f"{run_id} is not in {runs}")
    check(runs[run_id]["thread_id"] == "t-open" and {"agent", "state"} <= set(runs[run_id]), f"{runs}")
    session.request("run.cancel", run_id=run_id)
    session.until_ended(run_id)
    check(kit.connect().welcome["runs"] == [], "a run that has ended is open")


@case("S-18", "After a gap each open run has a snapshot, before caught_up", "Control frames")
def _(kit):
    session = kit.connect()
    run_id = kit.open_run(session)
    again = kit.connect([("cursor", "another-epoch.7")])
    again.until_told("caught_up")
    kinds = [frame["type"] for frame in again.control]
    check(kinds == ["welcome", "gap", "snapshot", "caught_up"], f"{kinds}")
    snapshot = again.control[2]
    check(snapshot["run_id"] == run_id and snapshot["seq"] <= again.control[3]["seq"], f"{snapshot}")
    text = "".join(event["data"].get("delta", "") for event in again.of(run_id)
                   if event["seq"] <= snapshot["seq"] and event["type"] == "partial_result")
    check(text == "".join(part["text"] for part in snapshot["texts"]), "another text than the events'")
    session.request("run.cancel", run_id=run_id)
    session.until_ended(run_id)


@case("S-19", "A user is sent nothing of another's", "What is promised, 5")
def _(kit):
    session, other = kit.connect(), kit.connect(user=kit.another_user())
    kit.finished_run(session)
    other.alive()
    check(other.events == [] and other.welcome["runs"] == [], f"{other.events}")
    replay = kit.connect([("cursor", "start")], user=kit.another_user())
    replay.until_told("caught_up")
    check(replay.events == [], f"{replay.events}")


@case("S-20", "A run goes on without its client", "What is promised, 6")
def _(kit):
    session = kit.connect()
    run_id, _ = kit.chat(session)
    session.close()
    again = kit.connect([("cursor", "start")])
    again.until_ended(run_id)


@case("S-21", "An epoch may be of any characters, and is the same on every connection", "Connecting")
def _(kit):
    epochs = {kit.connect().welcome["epoch"] for _ in range(3)}
    check(len(epochs) == 1 and all(re.fullmatch(r"[!-~]+", epoch) for epoch in epochs), f"{epochs}")


@case("S-22", "A token about to end is told, and closes with 4401 when nothing replaces it", "Tokens end")
def _(kit):
    if "{ttl}" not in kit.options.token_cmd or not kit.options.patient:
        raise Skipped("needs {ttl} in --token-cmd, and --patient: it waits until a token has ended")
    session = kit.connect(token=kit.token(ttl="2s"))
    told = session.until_told("token_expiring")
    check(told["closes_at"] >= told["expires_at"], f"{told}")
    try:
        while True:
            session.read(120)
    except Closed as closed:
        check(closed.code == 4401, f"closed with {closed.code}")
