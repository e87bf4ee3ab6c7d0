# SPDX-License-Identifier: Apache-2.0
"""Processes that measure or are measured: lines of JSON to and fro, and what the kernel says of them."""
import json
import mmap
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RINGSIDE_BUILD", ROOT / "build"))
PATIENCE = 60


# Told to end, it takes along what it started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


class Failed(Exception):
    """A side cannot be measured, and why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


class Helper:
    """One of the programs of bench/: it answers a line with a line."""

    def __init__(self, program, *arguments, environment=None):
        self.name = program
        self.process = subprocess.Popen(
            [str(BUILD / "bench" / f"ringside-bench-{program}"), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | (environment or {}))

    def line(self, seconds=PATIENCE):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise Failed(f"{self.name} says nothing for {seconds} s")
        text = self.process.stdout.readline()
        if not text:
            raise Failed(f"{self.name} ended")
        return text.strip()

    def ask(self, command, seconds=PATIENCE):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self.name} ended") from None
        return json.loads(self.line(seconds))

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Shared:
    """The count that publisher and audience share; see bench/publish/shared-count.h."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(128))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 128)

    def received(self):
        return int.from_bytes(self.map[:8], "little")


class Group:
    """The processes of a server, told apart by name."""

    def __init__(self, pids):
        self.pids = pids

    @staticmethod
    def below(pid):
        found = [pid]
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            for child in task.read_text().split():
                found += Group.below(int(child)).pids
        return Group(found)

    def cpu_us(self):
        # The processor time of a process and all its threads: CPUCLOCK_SCHED of its pid.
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids) / 1000

    def writes(self):
        """write(2), writev(2) and their like; not send(2)."""
        return sum(int(line.split()[1]) for pid in self.pids
                   for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines()
                   if line.startswith("syscw"))

    def anonymous_bytes(self):
        """What is theirs alone, without files' pages."""
        return sum(int(line.split()[1]) * 1024 for pid in self.pids
                   for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                   if line.startswith("Pss_Anon:"))


def kernel_bytes():
    """The kernel's own memory: its slabs, and what sockets hold."""
    def kilobytes(name):
        text = pathlib.Path("/proc/meminfo").read_text()
        return int(next(line for line in text.splitlines() if line.startswith(name)).split()[1])
    sockets = pathlib.Path("/proc/net/sockstat").read_text()
    pages = next(line for line in sockets.splitlines() if line.startswith("TCP:")).split()[-1]
    return kilobytes("Slab:") * 1024 + int(pages) * mmap.PAGESIZE


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_listening(port, process, seconds=20):
    import socket
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise Failed(f"it ended with {process.returncode}")
        time.sleep(0.02)
    raise Failed(f"nothing listens on port {port}")


def terminate(process):
    """A process and its group, at once: nothing of theirs is wanted any more."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
