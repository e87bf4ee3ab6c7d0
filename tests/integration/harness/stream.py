# SPDX-License-Identifier: Apache-2.0
"""What one client has seen of its user's stream, and where it stands in it.

The stream as a whole, its runs included, is checked by `ringside verify` when a test is over
(record.py). What is checked here is what the record cannot tell, the cursor that was asked for, and
the chain, at once, so that a test ends where it breaks.
"""
import json

from .record import Broken, Record, verify


def is_terminal(event):
    return event["type"] == "agent_completed" or (
        event["type"] == "error_event" and event["data"].get("fatal") is True)


class Stream:
    """A view across connections: each event once, in order, with nothing missing in between."""

    def __init__(self):
        self.events = []    # in order, each once
        self.raw = {}       # seq -> the frame's text
        self.epoch = None
        self.position = None  # what the next event's prev must be
        self.told = 0         # where the server says that a filtered view stands
        self.filtered = False
        self.repeats = 0
        self.record = Record()

    def welcomed(self, welcome, cursor):
        """A connection begins: where, depends on the cursor it asked for."""
        if self.epoch is not None and welcome["epoch"] != self.epoch:
            raise Broken(f"epoch changed from {self.epoch} to {welcome['epoch']}")
        self.epoch = welcome["epoch"]
        if cursor is None:
            self.position = welcome["head"]
        elif cursor == "start":
            self.position = None  # whatever is the oldest that is retained
        else:
            self.position = int(cursor.rpartition(".")[2])

    def skipped_to(self, position):
        """The server said that what lies before is gone."""
        self.position = position

    def caught_up(self, seq):
        """Replay is over; what it ended at is what the server says."""
        if self.filtered and self.position is not None and seq >= self.position:
            self.told = seq  # others' events lie between; the chain goes on from the last of its own
            return
        if self.position not in (None, seq):
            raise Broken(f"caught_up at {seq}, but the last position is {self.position}")
        self.position = seq

    def take_control(self, frame, cursor):
        """A control frame; `cursor` is what the connection asked for."""
        if frame["type"] == "welcome":
            self.welcomed(frame, cursor)
        elif frame["type"] == "gap":
            self.skipped_to(frame["to"])
        elif frame["type"] == "caught_up":
            self.caught_up(frame["seq"])

    def take(self, text, frame):
        seq, prev = frame["seq"], frame["prev"]
        if self.position is not None and prev != self.position:
            raise Broken(f"gap: seq {seq} has prev {prev} after position {self.position}")
        if seq <= prev:
            raise Broken(f"seq {seq} does not follow prev {prev}")
        self.position = seq
        if seq in self.raw:
            if self.raw[seq] != text:
                raise Broken(f"seq {seq} is two different frames:\n{self.raw[seq]}\n{text}")
            self.repeats += 1
            return False
        if self.events and seq < self.events[-1]["seq"]:
            raise Broken(f"seq {seq} after {self.events[-1]['seq']}")
        self.raw[seq] = text
        self.events.append(frame)
        return True

    @property
    def cursor(self):
        if self.position is None:
            return "start"
        return f"{self.epoch}.{max(self.position, self.told)}"

    def of_run(self, run_id):
        return [event for event in self.events if event.get("run_id") == run_id]

    def run_ids(self):
        return list(dict.fromkeys(event["run_id"] for event in self.events if "run_id" in event))

    def ended(self, run_id):
        return any(is_terminal(event) for event in self.of_run(run_id))

    def text_of(self, run_id):
        return "".join(event["data"].get("delta", "") for event in self.of_run(run_id)
                       if event["type"] == "partial_result")


def check_events(events, complete=True):
    """The grammar of the runs these events are of; `complete`: each must have ended.

    They are all there are of these runs, and are chained anew: others lay in between.
    """
    before = [0, *(event["seq"] for event in events)]
    lines = [json.dumps(event | {"prev": prev}) for event, prev in zip(events, before)]
    return verify(lines, *(["--complete"] if complete else []))


def check_run(events, complete=True):
    """The grammar of one run, from its first event on."""
    if len({event["run_id"] for event in events}) != 1:
        raise Broken(f"not the events of one run: {events}")
    verdict = check_events(events, complete)
    if complete and not is_terminal(events[-1]):
        raise Broken(f"run {events[0]['run_id']}: its last event is {events[-1]['type']}")
    return verdict


def check_all_runs(stream, complete=True):
    check_events(stream.events, complete)


def parse(text):
    """A frame's object; members that repeat or are null break the protocol."""
    def members(pairs):
        names = [name for name, _ in pairs]
        if len(names) != len(set(names)):
            raise Broken(f"a member twice in {text}")
        return dict(pairs)
    return json.loads(text, object_pairs_hook=members)
