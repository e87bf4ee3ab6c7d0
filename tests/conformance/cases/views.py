# SPDX-License-Identifier: Apache-2.0
"""subscribe: another view on the same connection."""
from kit.case import case
from kit.wire import check


def begin(session, **params):
    """A new view: what was noted of the old one is put away. The result of the request."""
    name = "view"
    session.send({"id": name, "method": "subscribe", "params": params})
    result = session.reply_to(name)
    session.events, session.raw, session.control = [], {}, []
    session.position = result["head"] if "cursor" not in params else None
    return result


@case("V-01", "subscribe from start replays everything, then caught_up", "subscribe")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    before = dict(session.raw)
    check({"epoch", "head", "oldest", "runs", "resume"} <= set(begin(session, cursor="start")), "members")
    session.until_told("caught_up")
    check(session.raw == before, "the bytes differ")
    check([told["type"] for told in session.control] == ["caught_up"], f"{session.control}")


@case("V-02", "subscribe to threads shows only these", "subscribe")
def _(kit):
    session, some = kit.connect(), kit.connect()
    begin(some, threads=["t-2"])
    kit.finished_run(session, thread="t-1")
    some.until_ended(kit.finished_run(session, thread="t-2"))
    check({event["thread_id"] for event in some.events} == {"t-2"}, "others came")


@case("V-03", "subscribe without a cursor is live from now, and says caught_up", "subscribe")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    begin(session)
    session.until_told("caught_up")
    check(session.events == [], f"{session.events}")
    kit.finished_run(session)


@case("V-04", "A subscribe that is refused leaves the old view as it is", "subscribe")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    for cursor in ("x", "", 7):
        session.refused("invalid_argument", "subscribe", cursor=cursor)
    session.refused("invalid_argument", "subscribe", threads="t-1")
    error = session.refused("cursor_expired", "subscribe", cursor="another-epoch.1")
    check({"epoch", "head", "oldest"} <= set(error.data), f"{error.data}")
    kit.finished_run(session)
