# SPDX-License-Identifier: Apache-2.0
"""What became of a user's events, kept as they come: the grammar of each run, which runs have
ended, and the numbers that emitters put into their events (tests/stress/crashes/emitter.c)."""
import collections

from .stream import Broken, is_terminal


class Run:
    """The grammar of one run, event by event."""

    def __init__(self, run_id):
        self.run_id = run_id
        self.started = self.ended = False
        self.asked = False  # began with a request, not with an agent
        self.open_tools = set()
        self.used = set()

    def _broken(self, what):
        return Broken(f"run {self.run_id}: {what}")

    def take(self, event):
        kind = event["type"]
        if self.ended:
            raise self._broken(f"{kind} after the end")
        if kind == "chat_message":
            self.asked = True
        elif kind == "agent_started":
            if self.started:
                raise self._broken("started twice")
            self.started = True
        elif kind == "tool_executing":
            if not self.started or event["tool_call_id"] in self.used:
                raise self._broken(f"tool call {event['tool_call_id']} out of place")
            self.used.add(event["tool_call_id"])
            self.open_tools.add(event["tool_call_id"])
        elif kind == "tool_completed":
            if event["tool_call_id"] not in self.open_tools:
                raise self._broken(f"{event['tool_call_id']} completed without a beginning")
            self.open_tools.discard(event["tool_call_id"])
        elif kind in ("agent_thinking", "partial_result") and not self.started:
            raise self._broken(f"{kind} before agent_started")
        if is_terminal(event):
            if self.open_tools:
                raise self._broken(f"ended with open tools {self.open_tools}")
            self.ended = True
            self.used = None


def _text_number(text):
    word = text.partition(" ")[0] if text else ""
    return int(word) if word.isdigit() else None


NUMBER_OF = {
    "agent_started": lambda data: data.get("input", {}).get("n"),
    "agent_thinking": lambda data: _text_number(data.get("status")),
    "partial_result": lambda data: _text_number(data.get("delta")),
    "tool_executing": lambda data: data.get("args", {}).get("n"),
    "tool_completed": lambda data: data.get("result", {}).get("n"),
    "agent_completed": lambda data: (data.get("result") or {}).get("n"),
}


class Account:
    """One user's."""

    def __init__(self, user):
        self.user = user
        self.runs = {}
        self.events = 0
        self.synthetic = 0
        self.numbers = collections.defaultdict(list)  # emitter -> [(run, type)], by number

    def take(self, event):
        self.events += 1
        run_id = event.get("run_id")
        if run_id is not None:
            if run_id not in self.runs:
                self.runs[run_id] = Run(run_id)
            self.runs[run_id].take(event)
        if event.get("synthetic"):
            self.synthetic += 1
        elif event["agent"].startswith("e-"):
            self._take_number(event)

    def _take_number(self, event):
        of = NUMBER_OF.get(event["type"])
        number = of(event["data"]) if of else None
        if number is None:
            return
        seen = self.numbers[event["agent"]]
        what = "twice" if number < len(seen) else "after a hole"
        if number != len(seen):
            raise Broken(f"{self.user}: {event['agent']} number {number} came {what}: "
                         f"{len(seen)} was next (seq {event['seq']})")
        seen.append((event["run_id"], event["type"]))

    def ended(self, run_id):
        return run_id in self.runs and self.runs[run_id].ended

    def open_runs(self):
        return [run_id for run_id, run in self.runs.items() if not run.ended]


def read_ledger(path):
    """[(user, emitter, run, type, number)]: what was emitted with success, in order."""
    entries = []
    for line in path.read_text().splitlines():
        user, name, run_id, kind, number = line.split()
        entries.append((user, name, run_id, kind, int(number)))
    return entries


def check_ledger(path, accounts):
    """Every emit that succeeded is in its user's stream, once and in order: the account refused
    whatever else came. Returns (events in the ledger, those beyond it: its writer died before it
    could note them)."""
    entries = read_ledger(path)
    noted = collections.Counter()
    for user, name, run_id, kind, number in entries:
        seen = accounts[user].numbers[name]
        if number >= len(seen):
            raise Broken(f"lost: {user}: {kind} {number} of {name}, run {run_id}, was emitted with "
                         f"success; the stream has {len(seen)} of its events")
        if seen[number] != (run_id, kind):
            raise Broken(f"{user}: number {number} of {name} was {kind} of {run_id}, and came as "
                         f"{seen[number]}")
        noted[user, name] = number + 1
    unasked = 0
    for (user, name), count in noted.items():
        beyond = len(accounts[user].numbers[name]) - count
        if beyond > 1:
            raise Broken(f"{user}: {beyond} events of {name} that it never emitted with success")
        unasked += beyond
    return len(entries), unasked
