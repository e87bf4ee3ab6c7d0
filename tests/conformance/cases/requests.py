# SPDX-License-Identifier: Apache-2.0
"""Every method, and every error that a client can bring about."""
import json

from kit.case import Skipped, case
from kit.session import Closed, Error
from kit.wire import TEXT, Failed, check, frame


def outcome_of(session, run_id):
    return session.until_ended(run_id)[-1]["data"].get("outcome")


# ---- Frames that are requests, and those that are not

@case("R-01", "An id comes back as it was given: text or number", "Replies")
def _(kit):
    session = kit.connect()
    for name in ("x", "\u00e9", "a b", "x" * 100, 0, 7, -1, 1 << 53):
        session.send({"id": name, "method": "ping"})
        check(session.reply_to(name) == {}, f"{name!r}")


@case("R-02", "A frame without id is answered by nothing, not even for an error", "Frames from the client")
def _(kit):
    session = kit.connect()
    for frame_ in ({"method": "ping"}, {"method": "no.such"}, {"method": "ack", "params": {"seq": -1}},
                   {"method": "run.cancel", "params": {"run_id": "r-none"}}):
        session.send(frame_)
    session.alive()
    check(session.replies == {}, f"{session.replies}")


@case("R-03", "What is not one JSON object closes with 4400", "Closing")
def _(kit):
    for text in ("", "{", "nul", "[1,2", "{}x", '"text"', "[]", "7", "null", "\x00",
                 '{"id":"a","id":"b","method":"ping"}', '{"method":"ping",}'):
        session = kit.connect()
        session.text(text)
        session.closes(4400)


@case("R-04", "JSON nested without end closes with 4400", "Closing")
def _(kit):
    session = kit.connect()
    session.text('{"id":"a","method":"ping","params":{"x":' + "[" * 50000 + "]" * 50000 + "}}")
    session.closes(4400)


@case("R-05", "An id that is none, or no method and no id, closes with 4400", "Closing")
def _(kit):
    for frame_ in ({}, {"params": {}}, {"id": {}, "method": "ping"}, {"id": "x" * 1000, "method": "ping"},
                   {"id": 1.5, "method": "ping"}):
        session = kit.connect()
        session.send(frame_)
        session.closes(4400)


@case("R-09", "A request without a method is refused, or closes with 4400", "Closing")
def _(kit):
    for frame_ in ({"id": "a"}, {"id": "a", "method": 7}):
        session = kit.connect()
        session.send(frame_)
        try:
            raise Failed(f"answered with {session.reply_to('a')}")
        except Error as error:
            check(error.code == "invalid_argument", f"{error}")
        except Closed as closed:
            check(closed.code == 4400, f"{closed}")


@case("R-06", "A method that there is not is unknown_method, and the connection lives", "Error codes")
def _(kit):
    session = kit.connect()
    for method in ("no.such", "", "chat", "chat.send.x", "PING"):
        check(not session.refused("unknown_method", method).retryable, "retryable")
    session.alive()


@case("R-07", "Members that are not known are passed over", "Frames from the client")
def _(kit):
    session = kit.connect()
    session.send({"id": "a", "method": "ping", "extra": [1], "params": {"more": {"x": 1}}})
    check(session.reply_to("a") == {}, "not answered")


@case("R-08", "White space and escapes are JSON like any other", "Frames from the client")
def _(kit):
    session = kit.connect()
    session.text(' \n{ "id" :\t"\\u0061" , "method":"p\\u0069ng" } ')
    check(session.reply_to("a") == {}, "not answered")


# ---- chat.send

@case("R-10", "chat.send starts a run, which every tab is shown", "chat.send")
def _(kit):
    session, tab = kit.connect(), kit.connect()
    run_id, message = kit.chat(session)
    said = tab.until_event("chat_message", run_id)
    check(said["message_id"] == message, f"{said}")
    tab.until_ended(run_id)


@case("R-11", "The same message_id is the same run, on any connection, and starts nothing", "chat.send")
def _(kit):
    session, tab = kit.connect(), kit.connect()
    named = {"agent": kit.options.agent} if kit.options.agent else {}
    params = {"thread_id": "t-1", "message_id": "m-same", "content": "once", **named}
    run_id = session.request("chat.send", **params)["run_id"]
    session.until_ended(run_id)
    for each in (session, tab, kit.connect()):
        check(each.request("chat.send", **params)["run_id"] == run_id, "another run")
    session.alive()
    check({event["run_id"] for event in session.events} == {run_id}, "another run began")


@case("R-12", "A parameter that is missing or wrong is invalid_argument, and starts nothing", "Error codes")
def _(kit):
    session = kit.connect()
    good = {"thread_id": "t-1", "message_id": "m-1", "content": "hello"}
    changes = [
        {"thread_id": None}, {"thread_id": ""}, {"thread_id": 7}, {"thread_id": "a b"},
        {"thread_id": "x" * 128}, {"message_id": None}, {"message_id": ""}, {"message_id": {}},
        {"content": None}, {"content": ""}, {"content": 7}, {"content": {}}, {"content": []},
        {"agent": 7}, {"on_busy": "panic"}, {"on_busy": 1}, {"on_disconnect": "explode"},
    ]
    for change in changes:
        params = {name: value for name, value in (good | change).items() if value is not None}
        check(not session.refused("invalid_argument", "chat.send", **params).retryable, "retryable")
    session.alive()
    check(session.events == [], f"{session.events}")


@case("R-13", "Content may be parts", "chat.send")
def _(kit):
    session = kit.connect()
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    run_id = kit.finished_run(session, content=parts)
    check(session.until_event("chat_message", run_id)["data"]["content"] == parts, "other content")


@case("R-14", "An agent that there is not is agent_not_found", "Error codes")
def _(kit):
    kit.connect().refused("agent_not_found", "chat.send", thread_id="t-1", message_id="m-1",
                          content="hello", agent="no-such-agent")


@case("R-15", "Content over max_content is payload_too_large, and the connection lives", "Limits")
def _(kit):
    session = kit.connect()
    limits = session.welcome["limits"]
    if limits["max_content"] + 1000 > limits["max_frame"]:
        raise Skipped("max_content does not fit into max_frame")
    session.refused("payload_too_large", "chat.send", thread_id="t-1", message_id="m-1",
                    content="a" * limits["max_content"])
    session.alive()


@case("R-16", "A thread that is busy: enqueue waits, and says where", "chat.send, on_busy")
def _(kit):
    session = kit.connect()
    first = kit.open_run(session)
    second, _ = kit.chat(session)
    check(isinstance(session.until_event("run_queued", second)["data"]["position"], int), "position")
    check(not any(event["type"] == "agent_started" for event in session.of(second)), "did not wait")
    session.request("run.cancel", run_id=first)
    session.until_ended(second)
    order = [event["run_id"] for event in session.events if event["type"] == "agent_started"]
    check(order == [first, second], f"{order}")


@case("R-17", "A thread that is busy: reject is run_active", "chat.send, on_busy")
def _(kit):
    session = kit.connect()
    first = kit.open_run(session)
    session.refused("run_active", "chat.send", thread_id="t-1", message_id="m-x", content="no",
                    on_busy="reject", **({"agent": kit.options.agent} if kit.options.agent else {}))
    session.request("run.cancel", run_id=first)
    session.until_ended(first)


@case("R-18", "A thread that is busy: interrupt ends the run and begins the next", "chat.send, on_busy")
def _(kit):
    session = kit.connect()
    first = kit.open_run(session)
    second, _ = kit.chat(session, on_busy="interrupt")
    session.until_ended(second)
    check(outcome_of(session, first) == "cancelled", "the first was not cancelled")


@case("R-19", "Runs of other threads do not wait for a busy one", "chat.send, on_busy")
def _(kit):
    session = kit.connect()
    first = kit.open_run(session)
    kit.finished_run(session, thread="t-2")
    session.request("run.cancel", run_id=first)
    session.until_ended(first)


# ---- run.cancel, runs.list, run.get

@case("R-20", "run.cancel ends a run as cancelled, and may be repeated", "run.cancel")
def _(kit):
    session = kit.connect()
    run_id = kit.open_run(session)
    check(isinstance(session.request("run.cancel", run_id=run_id, reason="enough")["status"], str),
          "no status")
    check(outcome_of(session, run_id) == "cancelled", "another outcome")
    for _ in range(2):
        status = session.request("run.cancel", run_id=run_id)["status"]
        check(status == "cancelled", f"a run that has ended answers {status}")


@case("R-21", "run.cancel of a thread cancels its active run", "run.cancel")
def _(kit):
    session = kit.connect()
    run_id = kit.open_run(session, thread="t-busy")
    session.request("run.cancel", thread_id="t-busy")
    check(outcome_of(session, run_id) == "cancelled", "another outcome")


@case("R-22", "A finished run's run.cancel answers with how it ended", "run.cancel")
def _(kit):
    session = kit.connect()
    run_id = kit.finished_run(session)
    status = session.request("run.cancel", run_id=run_id)["status"]
    check(status in ("completed", "failed"), f"{status}")


@case("R-23", "What cannot be cancelled is said", "Error codes")
def _(kit):
    session = kit.connect()
    session.refused("run_not_found", "run.cancel", run_id="r-none")
    session.refused("invalid_argument", "run.cancel")
    session.refused("invalid_argument", "run.cancel", run_id=7)


@case("R-24", "Another user's run is not found: neither cancelled nor shown", "What is promised, 5")
def _(kit):
    session, other = kit.connect(), kit.connect(user=kit.another_user())
    run_id = kit.open_run(session)
    for method in ("run.cancel", "run.get"):
        try:
            raise Failed(f"{method}: {other.request(method, run_id=run_id)}")
        except Error as error:
            check(error.code in ("run_not_found", "permission_denied"), f"{method}: {error.code}")
    check(other.request("runs.list")["runs"] == [], "another's runs are listed")
    session.request("run.cancel", run_id=run_id)
    session.until_ended(run_id)


@case("R-25", "run.get shows a run, open and ended", "run.get")
def _(kit):
    session = kit.connect()
    run_id = kit.open_run(session, thread="t-get")
    record = session.request("run.get", run_id=run_id)
    check(record["run_id"] == run_id and record["thread_id"] == "t-get", f"{record}")
    check(record["state"] == "running", f"{record}")
    session.request("run.cancel", run_id=run_id)
    session.until_ended(run_id)
    check(session.request("run.get", run_id=run_id)["state"] == "cancelled", "another state")
    session.refused("run_not_found", "run.get", run_id="r-none")
    session.refused("invalid_argument", "run.get")


@case("R-26", "runs.list lists, by thread and by state", "runs.list")
def _(kit):
    session = kit.connect()
    one = kit.finished_run(session, thread="t-1")
    two = kit.finished_run(session, thread="t-2")

    def listed(**filters):
        return {run["run_id"] for run in session.request("runs.list", **filters)["runs"]}
    check(listed() == {one, two}, f"{listed()}")
    check(listed(thread_id="t-2") == {two}, f"{listed(thread_id='t-2')}")
    check(listed(state="completed") == {one, two}, f"{listed(state='completed')}")
    check(listed(state="running") == set(), f"{listed(state='running')}")
    session.refused("invalid_argument", "runs.list", state="no-such-state")


# ---- interrupt.respond

@case("R-30", "What a run asks is told, and answered once: first tab wins", "interrupt.respond")
def _(kit):
    if not kit.options.ask_agent:
        raise Skipped("needs --ask-agent")
    session, tab = kit.connect(), kit.connect()
    run_id, _ = kit.chat(session, kit.options.ask_content, agent=kit.options.ask_agent)
    asked = session.until_event("interrupt_requested", run_id)["data"]["interrupt_id"]
    answer = {"interrupt_id": asked, "run_id": run_id, "status": "resolved", "payload": {"yes": True}}
    session.refused("invalid_argument", "interrupt.respond", **(answer | {"status": "perhaps"}))
    check(session.request("interrupt.respond", **answer) == {"ok": True}, "not ok")
    told = tab.until_event("interrupt_resolved", run_id)
    check(told["data"]["interrupt_id"] == asked, f"{told}")
    tab.refused("already_resolved", "interrupt.respond", **answer)
    session.until_ended(run_id)
    session.refused("run_not_found", "interrupt.respond", interrupt_id="i-none", status="cancelled")


# ---- ack

@case("R-31", "ack is taken up to what was sent, and may go back", "ack")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    for seq in (session.position, session.events[0]["seq"], session.position):
        session.send({"method": "ack", "params": {"seq": seq}})
    check(session.request("ack", seq=session.position) == {}, "not {}")
    for seq in (session.position + 1000, -1, "1"):
        session.refused("invalid_argument", "ack", seq=seq)
    session.alive()


# ---- auth.refresh

@case("R-32", "auth.refresh takes a new token of the same user", "auth.refresh")
def _(kit):
    session = kit.connect()
    expires = session.request("auth.refresh", token=kit.token(ttl="2h"))["expires_at"]
    check(isinstance(expires, int) and expires > 1 << 40, f"expires_at {expires}")
    session.alive()


@case("R-33", "auth.refresh refuses a bad token, and the old one stays", "auth.refresh")
def _(kit):
    session = kit.connect()
    session.refused("unauthenticated", "auth.refresh", token="a.b.c")
    session.refused("invalid_argument", "auth.refresh")
    if kit.options.expired_token:
        session.refused("token_expired", "auth.refresh", token=kit.options.expired_token)
    session.alive()


@case("R-34", "auth.refresh with another user's token is refused, and closes with 4403", "auth.refresh")
def _(kit):
    session = kit.connect()
    session.refused("permission_denied", "auth.refresh", token=kit.token(kit.another_user()))
    session.closes(4403)


# ---- Limits

@case("R-40", "More messages than max_messages_per_second are rate_limited, and retryable", "Limits")
def _(kit):
    session = kit.connect()
    most = session.welcome["limits"]["max_messages_per_second"]
    session.wire.send(b"".join(
        frame(TEXT, json.dumps({"id": number, "method": "ping"}).encode()) for number in range(3 * most)))
    refused = 0
    for number in range(3 * most):
        try:
            session.reply_to(number)
        except Error as error:
            check(error.code == "rate_limited" and error.retryable, f"{error}")
            refused += 1
    check(refused > 0, "nothing was refused")


@case("R-41", "Who goes on far over the rate is closed with 4429", "Closing")
def _(kit):
    session = kit.connect()
    most = session.welcome["limits"]["max_messages_per_second"]
    try:
        for _ in range(20):
            session.wire.send(frame(TEXT, b'{"method":"ping"}') * most)
    except OSError:
        pass
    session.closes(4429, drop=True)
