# SPDX-License-Identifier: Apache-2.0
"""Server-Sent Events: the same stream over plain HTTP."""
import urllib.parse

from kit.case import case
from kit.session import is_terminal, parse
from kit.wire import check


class EventStream:
    def __init__(self, kit, query=(), token=None, more=()):
        self.kit = kit
        self.wire = kit.wire()
        token = None if token is False else token or kit.token()
        headers = [("Host", kit.target.netloc), ("Accept", "text/event-stream"), *more]
        headers += [("Authorization", f"Bearer {token}")] if token else []
        path = kit.options.events_path + ("?" + urllib.parse.urlencode(query) if query else "")
        self.wire.ask("GET", path, headers)
        self.blocks = []   # (event, id, data)
        self.raw = {}      # seq -> bytes
        self.last_id = None

    def begin(self):
        status, self.headers = self.wire.read_head()
        check(status == 200, f"{status}")
        check(self.headers.get("content-type", "").startswith("text/event-stream"), f"{self.headers}")
        return self

    def block(self):
        """The next one with an event; others and comments are passed over."""
        while True:
            fields = {}
            for line in self.wire.read_until(b"\n\n").split(b"\n"):
                name, _, value = line.partition(b":")
                fields[name] = value.removeprefix(b" ")
            if b"id" in fields:
                self.last_id = fields[b"id"].decode()
            if b"data" in fields:
                got = (fields.get(b"event", b"").decode(), fields.get(b"id"),
                       parse(fields[b"data"].decode()))
                self.blocks.append(got)
                if b"id" in fields:
                    self.raw[got[2]["seq"]] = fields[b"data"]
                return got

    def until(self, kind, run_id=None):
        while True:
            event, _, data = self.block()
            if event == kind and run_id in (None, data.get("run_id")):
                return data

    def until_ended(self, run_id):
        while True:
            data = self.block()[2]
            if data.get("run_id") == run_id and "seq" in data and is_terminal(data):
                return


@case("E-01", "The stream begins with the welcome", "Server-Sent Events")
def _(kit):
    stream = EventStream(kit).begin()
    event, identifier, data = stream.block()
    check(event == "welcome" and identifier is None, f"{event}")
    check(data["user_id"] == kit.user and data["resume"] == "live", f"{data}")


@case("E-02", "Events are those of the WebSocket to the byte, named and numbered", "Server-Sent Events")
def _(kit):
    session = kit.connect()
    stream = EventStream(kit).begin()
    epoch = stream.until("welcome")["epoch"]
    run_id = kit.finished_run(session)
    stream.until_ended(run_id)
    check(stream.raw == session.raw, "the bytes differ")
    for event, identifier, data in stream.blocks:
        if "prev" in data:
            check(event == data["type"], f"event: {event}")
            check(identifier == f"{epoch}.{data['seq']}".encode(), f"id: {identifier}")


@case("E-03", "Last-Event-ID resumes behind its event, and counts before the cursor", "Server-Sent Events")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    middle = session.events[len(session.events) // 2]["seq"]
    last = f"{session.welcome['epoch']}.{middle}"
    for query in ((), [("cursor", "start")]):
        stream = EventStream(kit, query, more=[("Last-Event-ID", last)]).begin()
        check(stream.until("caught_up")["seq"] == session.position, "caught_up elsewhere")
        rest = {seq: raw for seq, raw in session.raw.items() if seq > middle}
        check(stream.raw == rest, f"{sorted(stream.raw)}, not {sorted(rest)}")


@case("E-04", "cursor=start and thread= are as on a WebSocket", "Server-Sent Events")
def _(kit):
    session = kit.connect()
    kit.finished_run(session, thread="t-1")
    kit.finished_run(session, thread="t-2")
    whole = EventStream(kit, [("cursor", "start")]).begin()
    whole.until("caught_up")
    check(whole.raw == session.raw, "the bytes differ")
    some = EventStream(kit, [("cursor", "start"), ("thread", "t-2")]).begin()
    some.until("caught_up")
    check({data["thread_id"] for _, _, data in some.blocks if "prev" in data} == {"t-2"}, "others")


@case("E-05", "A live stream has an id before its first event, to resume by", "Server-Sent Events")
def _(kit):
    session = kit.connect()
    kit.finished_run(session)
    stream = EventStream(kit).begin()
    welcome = stream.until("welcome")
    run_id = kit.finished_run(session)
    stream.until("chat_message", run_id)
    first = min(stream.raw)
    again = EventStream(kit, more=[("Last-Event-ID", f"{welcome['epoch']}.{welcome['head']}")]).begin()
    again.until("caught_up")
    check(min(again.raw) == first, "resumed elsewhere")


@case("E-06", "It is refused as a handshake is: 401, 400, 403", "Server-Sent Events")
def _(kit):
    for status, codes, options in (
            (401, ["unauthenticated"], {"token": False}), (401, ["unauthenticated"], {"token": "a.b.c"}),
            (400, ["invalid_argument"], {"query": [("cursor", "x")]}),
            (400, ["invalid_argument"], {"more": [("Last-Event-ID", "x")]}),
            (403, ["permission_denied"], {"more": [("Origin", "https://evil.example")]})):
        answer = EventStream(kit, **options).wire.read_answer()
        check(answer.status == status, f"{answer.status}, not {status} for {options}")
        kit.check_error_body(answer, codes)


@case("E-07", "What is open comes as a snapshot after a gap", "Server-Sent Events")
def _(kit):
    session = kit.connect()
    run_id = kit.open_run(session)
    stream = EventStream(kit, [("cursor", "another-epoch.7")]).begin()
    check(stream.until("gap")["reason"] == "epoch_changed", "another reason")
    check(stream.until("snapshot")["run_id"] == run_id, "another run")
    stream.until("caught_up")
    session.request("run.cancel", run_id=run_id)
    session.until_ended(run_id)
