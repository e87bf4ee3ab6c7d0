#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long it takes from the SIGKILL of a process with 200 open runs until their ends are at a client.

    ringside bench death [--json]

Real processes: a broker, a gateway, a program on the emitter library with 200 open runs of one
user, and a WebSocket client, this program, which notes when bytes came and looks at them only
afterwards. The clock starts just before kill(2). Takes about a second a death.
"""
import base64
import json
import os
import pathlib
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

RUNS = 200
DEATHS = 20
PATIENCE = 30
HERE = pathlib.Path(__file__).resolve().parent
# Of each program, where it was built.
FOLDERS = {"ringside": "cli", "ringside-broker": "broker", "ringside-gateway": "gateway",
           "ringside-bench-open-runs": "bench"}


def find(program):
    """Beside this one, where it is installed, else where it was built."""
    places = [HERE / program, HERE.parent / FOLDERS[program] / program]
    for place in places:
        if place.is_file():
            return str(place)
    sys.exit(f"{program} is neither of {places}")


class Death:
    """When the kernel told of it, and when each run's end was on the screen, in ms."""

    def __init__(self, dead, times):
        self.dead = dead
        self.times = times


class Node:
    def __init__(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="rs-"))
        self.name = f"bench-{os.getpid()}"
        self.environment = {
            "PATH": os.environ["PATH"], "RINGSIDE_NODE_NAME": self.name,
            "RINGSIDE_RUN_DIR": str(self.base / "run"), "RINGSIDE_DATA_DIR": str(self.base / "data"),
            "RINGSIDE_NODE_LOG_LEVEL": "error", "RINGSIDE_GATEWAY_PORT": "0"}
        self.processes = []

    def start(self, program):
        ready, told = os.pipe()
        self.processes.append(subprocess.Popen(
            [find(program)], pass_fds=[told],
            env=self.environment | {"RINGSIDE_READY_FD": str(told)}))
        os.close(told)
        with os.fdopen(ready) as pipe:
            line = pipe.readline()
        if not line:
            sys.exit(f"{program} does not start")
        return line

    def token(self):
        return subprocess.run([find("ringside"), "token", "--user", "ann"],
                              env=self.environment, check=True, capture_output=True,
                              text=True).stdout.strip()

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
        shutil.rmtree(self.base)
        shutil.rmtree(f"/dev/shm/ringside-{self.name}", ignore_errors=True)


class Screen:
    """A WebSocket that keeps what came and when."""

    def __init__(self, port, token):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((
            f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: ringside.v1\r\nAuthorization: Bearer {token}\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            sys.exit(head.decode())

    def until(self, mark, count):
        """Chunks and their times, until `mark` has come `count` times."""
        chunks, tail, seen = [], b"", 0
        while seen < count:
            chunk = self.socket.recv(1 << 16)
            now = time.perf_counter_ns()
            if not chunk:
                sys.exit("the gateway hung up")
            chunks.append((now, chunk))
            # Only as much as counting takes: a mark may be cut by the end of a chunk.
            text = tail + chunk
            seen += text.count(mark)
            cut = len(mark) - 1
            tail = text[-cut:] if cut and not text.endswith(mark) else b""
        return chunks


def times_of(chunks, mark, since):
    """When each of the marks was complete, in ms."""
    text = b"".join(chunk for _, chunk in chunks)
    ends, at = [], 0
    for now, chunk in chunks:
        at += len(chunk)
        ends.append((at, now))
    found, index = [], 0
    for match in re.finditer(re.escape(mark), text):
        while ends[index][0] < match.end():
            index += 1
        found.append((ends[index][1] - since) / 1e6)
    return found


def die_once(node, screen):
    victim = subprocess.Popen(
        [find("ringside-bench-open-runs"), str(RUNS)], env=node.environment,
        stdout=subprocess.PIPE)
    if victim.stdout.readline() != b"open\n":
        sys.exit("the emitter does not start")
    screen.until(b'"delta":"so far"', RUNS)
    death = os.pidfd_open(victim.pid)
    since = time.perf_counter_ns()
    victim.kill()
    select.select([death], [], [])
    dead = (time.perf_counter_ns() - since) / 1e6
    chunks = screen.until(b'"worker_lost"', RUNS)
    os.close(death)
    victim.wait()
    times = times_of(chunks, b'"worker_lost"', since)
    if len(times) != RUNS:
        sys.exit(f"{len(times)} ends of {RUNS} runs")
    return Death(dead, times)


def measure():
    node = Node()
    try:
        node.start("ringside-broker")
        line = node.start("ringside-gateway")
        port = int(re.search(r"(\d+)\s*$", line).group(1))
        screen = Screen(port, node.token())
        return [die_once(node, screen) for _ in range(DEATHS)]
    finally:
        node.stop()


def percentile(values, share):
    values = sorted(values)
    return values[min(int(share * len(values)), len(values) - 1)]


def main():
    if sys.argv[1:] not in ([], ["--json"]):
        sys.exit("usage: ringside-bench-death [--json]")
    deaths = measure()
    every = [took for death in deaths for took in death.times]
    last = [max(death.times) for death in deaths]
    dead = [death.dead for death in deaths]
    figures = {"death_to_client_p50_ms": round(percentile(every, 0.5), 3),
               "death_to_client_p99_ms": round(percentile(every, 0.99), 3)}
    if "--json" in sys.argv:
        print(json.dumps(figures))
        return
    print(f"SIGKILL of a process with {RUNS} open runs, {DEATHS} times: their ends at a client")
    print(f"  the kernel says that it is dead: p50 {percentile(dead, 0.5):.2f} ms")
    print(f"  p50 {figures['death_to_client_p50_ms']:.2f} ms   p99 "
          f"{figures['death_to_client_p99_ms']:.2f} ms   first {min(every):.2f} ms   "
          f"the last of a death: median {percentile(last, 0.5):.2f} ms, worst {max(last):.2f} ms")


if __name__ == "__main__":
    main()
