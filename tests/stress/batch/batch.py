#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills a batch at random while it works, gives the same command again, and looks at its results.

    batch.py [--requests N] [--jobs N] [--kills N] [--agent c|python] [--uses N] [--seed N]

At the end each request must have one result, the right one; what was there at a kill must stand there
still, byte for byte. Then it says how many requests a second that were, what the processors were used
for, and how much of it was emitting: the events of these requests, times what `ringside-bench-emit-cost`
says one costs here.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("RINGSIDE_TEST_BUILD", ROOT / "build")).resolve()
COMMANDS = {"c": [str(BUILD / "examples/example-agent")],
            "python": ["python3", str(ROOT / "examples/agents/echo.py")]}
RESULT = b'{"type":"result"'
LOOK = 0.01           # seconds between two looks at a batch that works
PATIENCE = 600
TICKS = os.sysconf("SC_CLK_TCK")


class Wrong(Exception):
    pass


def processor_time(pid):
    """Seconds of the process itself, and of those children that it has waited for."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    own, own_system, theirs, theirs_system = (int(field) / TICKS for field in stat[11:15])
    return own + own_system, theirs + theirs_system


def ended_within(process, seconds):
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


class Batch:
    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.requests, self.results = folder / "requests.jsonl", folder / "results.jsonl"
        self.config = folder / "ringside.yaml"
        self.used = [0.0, 0.0]  # of the batch itself, of its agents
        self.seconds = 0.0
        agent = {"command": COMMANDS[options.agent], "pool": {"max_uses": options.uses}}
        self.config.write_text(json.dumps({"agents": {"echo": agent}}))

    def ask(self, count):
        self.requests.write_text("".join(
            json.dumps({"request_id": f"q-{n}", "content": f"say number {n}"}) + "\n"
            for n in range(count)))

    def start(self, *arguments):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGSIDE_")}
        return subprocess.Popen(
            [BUILD / "cli/ringside", "batch", self.requests, "--config", self.config, "--agent",
             "echo", "--jobs", str(self.options.jobs), "--out", self.results, *arguments],
            env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def count(self):
        return self.results.read_bytes().count(RESULT) if self.results.exists() else 0

    def go(self, until=None):
        """Works until there are so many results, then is killed; without a number, to its end."""
        began, used = time.monotonic(), None
        process = self.start("--quiet")
        while not ended_within(process, LOOK) and (until is None or self.count() < until):
            used = processor_time(process.pid) or used
            if time.monotonic() - began > PATIENCE:
                process.kill()
                raise Wrong(f"after {PATIENCE} s there are {self.count()} results")
        if until is not None:
            if process.poll() is not None:
                raise Wrong("the batch ended before it could be killed: give more requests")
            process.kill()
        said = process.communicate()[0]
        self.seconds += time.monotonic() - began
        self.used = [old + new for old, new in zip(self.used, used or (0, 0))]
        if until is None and process.returncode != 0:
            raise Wrong(f"the batch ended with {process.returncode}: {said}")

    def whole_lines(self):
        return self.results.read_bytes().rpartition(b"\n")[0].splitlines()

    def check(self, count):
        found = {}
        for line in self.whole_lines():
            result = json.loads(line)
            name = result["request_id"]
            if name in found:
                raise Wrong(f"{name} has two results")
            found[name] = result
        missing = {f"q-{n}" for n in range(count)} - found.keys()
        if missing or len(found) != count:
            raise Wrong(f"{len(found)} results of {count}; missing: {sorted(missing)[:5]}")
        for name, result in found.items():
            if result["status"] != "completed" or result["text"] != f"say number {name[2:]}":
                raise Wrong(f"{name} has a wrong result: {result}")


def kill_and_go_on(batch, options):
    """As often as wanted, at random; then to the end."""
    chance = random.Random(options.seed)
    kept = []
    for left in range(options.kills, 0, -1):
        there = batch.count()
        step = (options.requests - there) // (left + 1)
        batch.go(until=there + chance.randint(1, max(1, step)))
        lines = batch.whole_lines()
        if lines[:len(kept)] != kept:
            raise Wrong("what was there at a kill is something else now")
        kept = lines
        print(f"killed with {len(kept)} results", file=sys.stderr)
    batch.go()
    if batch.whole_lines()[:len(kept)] != kept:
        raise Wrong("what was there at the last kill is something else now")
    batch.check(options.requests)


def events_of_a_request(folder, options):
    folder.mkdir()
    batch = Batch(folder, options)
    batch.ask(1)
    batch.start("--quiet", "--events").communicate(timeout=PATIENCE)
    return len(batch.whole_lines()) - 1


def emit_ns(folder):
    """What rs_text costs here, in the middle; None when the benchmark is not there."""
    program = BUILD / "bench/ringside-bench-emit-cost"
    if not program.exists():
        return None
    done = subprocess.run([program, folder / "arena"], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=True)
    return float(dict(line.split()[:2] for line in done.stdout.splitlines()[:-1])["text"])


def tell(batch, options, events, each_ns):
    own, agents = batch.used
    print(f"{options.requests} requests, {options.jobs} at once, {options.kills} kills: "
          f"{options.requests / batch.seconds:.0f} a second")
    print(f"processor time of a request: {1e6 * own / options.requests:.0f} µs of the batch, "
          f"{1e6 * agents / options.requests:.0f} µs of its agents")
    if each_ns:
        spent = options.requests * events * each_ns / 1e9
        print(f"emitting: {events} events of a request, {each_ns:.0f} ns each: "
              f"{100 * spent / own:.2f} % of the batch's, {100 * spent / (own + agents):.2f} % of all")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=64)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--agent", choices=COMMANDS, default="c")
    parser.add_argument("--uses", type=int, default=1, help="runs that a process serves")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    options = parse()
    with tempfile.TemporaryDirectory(prefix="rs-batch-") as name:
        folder = pathlib.Path(name)
        batch = Batch(folder, options)
        batch.ask(options.requests)
        try:
            kill_and_go_on(batch, options)
        except Wrong as wrong:
            sys.exit(f"batch: {wrong}")
        tell(batch, options, events_of_a_request(folder / "one", options), emit_ns(folder))


if __name__ == "__main__":
    main()
