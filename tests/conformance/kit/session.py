# SPDX-License-Identifier: Apache-2.0
"""A client of ringside.v1 that reads strictly: order, chain and shape are checked frame by frame."""
import itertools
import json
import time

from . import msgpack
from .wire import (BINARY, CLOSE, PING, PONG, SECONDS, TEXT, Ended, Failed, check, frame)

JSON, MSGPACK = "ringside.v1", "ringside.v1.msgpack"


class Closed(Ended):
    def __init__(self, code, reason):
        super().__init__(f"closed with {code}: {reason}")
        self.code = code


class Error(Exception):
    """A request was answered with an error."""

    def __init__(self, error):
        super().__init__(str(error))
        check(set(error) <= {"code", "message", "retryable", "data"}, f"an error with more: {error}")
        check(isinstance(error.get("code"), str) and isinstance(error.get("message"), str)
              and isinstance(error.get("retryable"), bool), f"an error without its members: {error}")
        self.code = error["code"]
        self.retryable = error["retryable"]
        self.data = error.get("data")


def parse(text):
    def members(pairs):
        check(len(dict(pairs)) == len(pairs), f"a member twice: {text[:200]}")
        check(all(value is not None for _, value in pairs), f"a member is null: {text[:200]}")
        return dict(pairs)
    return json.loads(text, object_pairs_hook=members)


def is_terminal(event):
    return event["type"] == "agent_completed" or (
        event["type"] == "error_event" and event["data"].get("fatal") is True)


class Session:
    """A connection behind its handshake. `events`, `control` and `replies` are what has come."""

    def __init__(self, wire, answer, user, subprotocol=JSON):
        self.wire = wire
        self.answer = answer
        self.user = user
        self.subprotocol = subprotocol
        self.events = []
        self.raw = {}        # seq -> the frame as it came
        self.control = []
        self.replies = {}
        self.position = None  # what the next event's prev must be, once that is known
        self._ids = itertools.count(1)

    # ---- Reading

    def message(self, seconds=SECONDS):
        """The next whole message, (opcode, bytes). Pings are answered."""
        opcode, payload = None, b""
        while True:
            got = self.wire.read_frame(seconds)
            if got.opcode == PING:
                self.wire.send(frame(PONG, got.payload))
            elif got.opcode == CLOSE:
                code = int.from_bytes(got.payload[:2], "big") if got.payload else 1005
                raise Closed(code, got.payload[2:].decode())
            elif got.opcode != PONG:
                check((opcode is None) == (got.opcode != 0), "fragments out of order")
                opcode = opcode or got.opcode
                payload += got.payload
                if got.fin:
                    return opcode, payload

    def read(self, seconds=SECONDS):
        """The next object, which is also noted."""
        opcode, payload = self.message(seconds)
        check(opcode == (TEXT if self.subprotocol == JSON else BINARY),
              f"opcode {opcode} on {self.subprotocol}")
        got = parse(payload.decode()) if opcode == TEXT else msgpack.unpack(payload)
        self._note(got, payload)
        return got

    def _note(self, got, payload):
        if "type" not in got:
            check(("result" in got) != ("error" in got) and "id" in got, f"no reply: {got}")
            self.replies[got["id"]] = got
        elif "seq" in got and "prev" in got:
            self._note_event(got, payload)
        else:
            self.control.append(got)
            self._note_control(got)

    def _note_event(self, event, payload):
        if self.position is not None:
            check(event["prev"] == self.position, f"prev is not {self.position}: {event}")
        check(event["seq"] > event["prev"], f"seq is not beyond prev: {event}")
        self.position = event["seq"]
        self.events.append(event)
        self.raw[event["seq"]] = payload

    def _note_control(self, got):
        if got["type"] == "welcome" and got["resume"] == "live":
            self.position = got["head"]
        elif got["type"] == "gap":
            self.position = got["to"] if got["reason"] == "trimmed" else None
        elif got["type"] == "caught_up":
            self.position = got["seq"]

    def until(self, condition, what, seconds=SECONDS):
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            check(time.monotonic() < end, f"{what}: not within {seconds:g} s")
            self.read(max(0.01, end - time.monotonic()))

    def until_told(self, kind):
        return self.until(lambda: next((c for c in self.control if c["type"] == kind), None), kind)

    def until_event(self, kind, run_id):
        return self.until(lambda: next((e for e in self.of(run_id) if e["type"] == kind), None),
                          f"{kind} of {run_id}")

    def until_ended(self, run_id):
        self.until(lambda: any(map(is_terminal, self.of(run_id))), f"the end of {run_id}")
        return self.of(run_id)

    def of(self, run_id):
        return [event for event in self.events if event.get("run_id") == run_id]

    def closes(self, *codes, drop=False):
        """Reads until the server closes, which must be with one of the codes. With `drop` it may also
        end the connection without a word, as RFC 6455, 7.1.7 lets it for what is not WebSocket."""
        try:
            while True:
                self.message()
        except Closed as closed:
            check(closed.code in codes, f"closed with {closed.code}, not {codes}")
        except Ended:
            check(drop, f"the connection ended without a Close frame, {codes} was due")

    # ---- Writing

    def send(self, value):
        if self.subprotocol == MSGPACK:
            self.wire.send(frame(BINARY, msgpack.pack(value)))
        else:
            self.wire.send(frame(TEXT, json.dumps(value).encode()))

    def text(self, text):
        self.wire.send(frame(TEXT, text if isinstance(text, bytes) else text.encode()))

    def reply_to(self, name):
        reply = self.until(lambda: self.replies.pop(name, None), f"the reply to {name}")
        if "error" in reply:
            raise Error(reply["error"])
        return reply["result"]

    def request(self, method, **params):
        name = f"c-{next(self._ids)}"
        self.send({"id": name, "method": method, "params": params})
        return self.reply_to(name)

    def refused(self, code, method, **params):
        """The request is answered with this error."""
        try:
            result = self.request(method, **params)
        except Error as error:
            check(error.code == code, f"{method} {params}: {error.code}, not {code}")
            return error
        raise Failed(f"{method} {params}: {result}, not {code}")

    def alive(self):
        check(self.request("ping") == {}, "ping's result is not {}")

    def close(self):
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
