#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an event costs the program that emits it: in C, in Python, and as an agent of a worker's.

    ./dev bench emit [--json]

Calls are timed one by one, in bursts of 32, while somebody else empties the ring (emit-cost.c), or
reads the agent's stdout. Some ten seconds.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("RINGSIDE_BENCH_BUILD", ROOT / "build"))
sys.path.insert(0, str(ROOT / "clients/python"))

import ringside  # noqa: E402

SAMPLES, BURST, PAUSE = 20000, 32, 0.001
TEXT, LONG_TEXT = "a" * 40, "a" * 1000
ROWS = [
    ("c", "text", "C: rs_text, 40 bytes"),
    ("c", "long_text", "C: rs_text, 1,000 bytes"),
    ("c", "tool", "C: rs_tool_begin and rs_tool_end"),
    ("python", "text", "Python: run.text, 40 characters"),
    ("python", "long_text", "Python: run.text, 1,000 characters"),
    ("python", "tool", "Python: with run.tool(…)"),
    ("agent", "text", "Python agent: ctx.text, 40 characters"),
    ("agent", "long_text", "Python agent: ctx.text, 1,000 characters"),
]


def percentiles(call):
    """p50 and p99 of a call, in ns, less what looking at the clock costs."""
    now = time.perf_counter_ns
    clock = statistics.median(-now() + now() for _ in range(SAMPLES))
    samples = []
    for number in range(SAMPLES):
        begin = now()
        call()
        samples.append(now() - begin)
        if number % BURST == BURST - 1:
            time.sleep(PAUSE)
    cuts = statistics.quantiles(samples, n=100)
    return [round(cuts[49] - clock), round(cuts[98] - clock)]


def use_tool(run):
    with run.tool("search", query="rings") as tool:
        tool.result = {"hits": 3}


def measure_emitter(folder):
    """In a process of its own, on the first processor."""
    with ringside.Emitter("bench", folder, library_path=str(
            BUILD / "common/emitter/libringside.so")) as emitter:
        found = {}
        for name, call in [("text", lambda run: run.text(TEXT)),
                           ("long_text", lambda run: run.text(LONG_TEXT)), ("tool", use_tool)]:
            with emitter.run("bob", "t", "bench") as run:
                found[name] = percentiles(lambda: call(run))
    print(json.dumps(found))


@ringside.agent
def measured(ctx):
    return {"text": percentiles(lambda: ctx.text(TEXT)),
            "long_text": percentiles(lambda: ctx.text(LONG_TEXT))}


def own(*arguments, **options):
    """This program again, on the first processor."""
    def pin():
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return subprocess.Popen([sys.executable, __file__, *arguments], preexec_fn=pin, text=True,
                            stdout=subprocess.PIPE, **options)


def run_agent():
    """The worker is played here: asks, and reads to the end."""
    messages = [{"id": 1, "method": "initialize", "params": {"agent": "bench"}},
                {"id": 2, "method": "run/start", "params": {
                    "run_id": "r", "thread_id": "t", "user_id": "u", "input": {"content": ""}}}]
    with own("--agent", stdin=subprocess.PIPE) as agent:
        for message in messages:
            agent.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        agent.stdin.flush()
        for line in agent.stdout:
            message = json.loads(line)
            if message.get("method") == "run/finished":
                agent.stdin.close()
                return message["params"]["result"]
    sys.exit("the agent ended early")


def measure_all():
    found = {}
    with tempfile.TemporaryDirectory(prefix="ringside-bench-", dir="/dev/shm") as folder:
        arena = os.path.join(folder, "arena")
        with subprocess.Popen([BUILD / "bench/ringside-bench-emit-cost", arena], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
            for line in iter(lambda: owner.stdout.readline().split(), ["ready"]):
                if not line:
                    sys.exit("the measurement in C ended early")
                found["c", line[0]] = [int(line[1]), int(line[2])]
            with own("--emitter", arena) as emitter:
                for name, figures in json.loads(emitter.stdout.read()).items():
                    found["python", name] = figures
            owner.stdin.close()
    for name, figures in run_agent().items():
        found["agent", name] = figures
    return found


def main(arguments):
    if arguments[:1] == ["--emitter"]:
        return measure_emitter(arguments[1])
    if arguments == ["--agent"]:
        return measured.serve()
    if arguments not in ([], ["--json"]):
        sys.exit("usage: ./dev bench emit [--json]")
    found = measure_all()
    if arguments:
        print(json.dumps({f"emit_{side}_{name}_ns_{share}": value for (side, name), figures
                          in found.items() for share, value in zip(("p50", "p99"), figures)}))
        return None
    print(f"{'ns a call':44}{'p50':>8}{'p99':>10}")
    for side, name, title in ROWS:
        print(f"{title:44}{found[side, name][0]:8,}{found[side, name][1]:10,}")
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
