# SPDX-License-Identifier: Apache-2.0
"""A node whose processes are started one by one by the test, which is its supervisor: what dies is
started again when the test says so, without the pauses that `ringside up` makes."""
import contextlib
import itertools
import os
import re
import select
import signal
import socket
import subprocess

from .deadline import PATIENCE, Missed, until
from .node import BUILD, CONFIG, PROGRAMS, REPORTS, Node, alive, kill

EMITTER = BUILD / "tests/stress/crashes/crashes-emitter"


_ports = itertools.count()


def free_port():
    """One that no other test takes before it is used: each process that runs tests has a range,
    below those that the system gives out."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    while True:
        port = 12000 + worker % 8 * 1500 + (os.getpid() + next(_ports)) % 1500
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def free_ports(count):
    """The first of so many in a row: above those of free_port, and others at each call."""
    blocks = 8000 // count
    while True:
        first = 24000 + (os.getpid() + next(_ports)) % blocks * count
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in (first, first + 1, first + count - 1):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


class Part:
    """One place in the node: a broker, a gateway, a worker, an emitter, through all its lives."""

    def __init__(self, node, name, command, environment=None):
        self.node = node
        self.name = name
        self.command = command
        self.extra = dict(environment or {})
        self.process = None
        self.lives = 0
        self._ready = None

    def start(self):
        """Starts it without waiting; what it says goes to a file of this life."""
        self.lives += 1
        reading, writing = os.pipe()
        self._forget_ready()
        self._ready = reading
        command = self.command(self.lives) if callable(self.command) else self.command
        self.said_at = self.node.logs / f"{self.name}.{self.lives}"
        with open(self.said_at, "wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[writing],
                env=self.node.environment | self.extra | {"RINGSIDE_READY_FD": str(writing)})
        os.close(writing)
        return self

    def _forget_ready(self):
        if self._ready is not None:
            os.close(self._ready)
        self._ready = None

    def until_ready(self, seconds=PATIENCE):
        """False when it ended first."""
        if self._ready is None:
            return True
        if not select.select([self._ready], [], [], seconds)[0]:
            raise Missed(f"{self.name} is not ready within {seconds:g} s:\n{self.said()[-3000:]}")
        ready = os.read(self._ready, 64) != b""
        self._forget_ready()
        return ready

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def until_ended(self, seconds=PATIENCE):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Missed(f"{self.name} did not end within {seconds:g} s:\n"
                         f"{self.said()[-3000:]}") from None

    def said(self):
        return self.said_at.read_text(errors="replace")


class Parts(Node):
    """`gateways` share a port; `workers` have the agents of the tests."""

    def __init__(self, workers=2, gateways=2, config=CONFIG, environment=None):
        super().__init__(workers=workers, config=config, environment=environment)
        self.logs = self.base / "said"
        self.logs.mkdir()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.broker = Part(self, "broker", [PROGRAMS["ringside-broker"]])
        self.gateways = [Part(self, f"gateway-{number}", [
            PROGRAMS["ringside-gateway"], "--gateway-port", self.port])
            for number in range(gateways)]
        self.workers = [Part(self, f"worker-{number}", [PROGRAMS["ringside-worker"]])
                        for number in range(workers)]
        self.emitters = []

    @property
    def environment(self):
        # Agents are many here: the system's own interpreter, whatever shim stands before it.
        return super().environment | {"PATH": "/usr/bin:/bin:" + os.environ.get("PATH", "")}

    def add_emitter(self, name, users, events_per_second, seed=1):
        """A program that emits for these users. Each life has a ledger, and a name, of its own."""
        def command(life):
            return [EMITTER, f"{name}-{life}", self.base / f"ledger.{name}-{life}", seed + life,
                    events_per_second, *users]
        self.emitters.append(Part(self, name, command))

    @property
    def ledgers(self):
        return sorted(self.base.glob("ledger.*"))

    def verify_records(self):
        """The project's own checker over every frame that recorders were sent; what it found."""
        found = []
        for record in sorted(self.base.glob("frames.*")):
            done = self.run("verify", "--complete", str(record))
            if done.returncode != 0:
                found.append(f"ringside verify {record}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return found

    @property
    def parts(self):
        return [self.broker, *self.gateways, *self.workers, *self.emitters]

    def start(self):
        for part in [self.broker, *self.workers, *self.gateways]:
            if not part.start().until_ready(2 * PATIENCE):
                raise Missed(f"{part.name} did not start:\n{part.said()[-3000:]}")
        until(lambda: self.get("/health/ready")[0] == 200, "readiness")
        for emitter in self.emitters:
            emitter.start()
        return self

    def stop(self, seconds=PATIENCE):
        """Politely and in order: emitters, gateways, workers, broker; the broker's status."""
        for group in (self.emitters, self.gateways, self.workers, [self.broker]):
            for part in group:
                part.signal(signal.SIGCONT)
                part.signal(signal.SIGTERM)
            for part in group:
                if part.process:
                    part.until_ended(seconds)
        return self.broker.process.returncode if self.broker.process else 0

    def kill_everything(self):
        for part in self.parts:
            if part.running():
                part.signal(signal.SIGKILL)
                part.process.wait()
        strays = self.stray()
        for pid in strays:
            kill(pid)
        until(lambda: not any(map(alive, strays)), "the end of what the node's processes left")

    def reports(self):
        found = []
        for path in sorted(self.logs.iterdir()):
            lines = path.read_text(errors="replace").splitlines()
            found += ["\n".join([path.name, *lines[number:number + 60]])
                      for number, line in enumerate(lines) if REPORTS.search(line)]
        return found
