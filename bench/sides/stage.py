# SPDX-License-Identifier: Apache-2.0
"""A side on stage: started, with its audience and its publisher, and what a measurement of it is."""
import statistics
import time

from process import Failed, Helper, Shared, kernel_bytes

SOURCES = 16         # addresses that clients come from
PACE = 256           # handshakes at once
DRAIN_SECONDS = 20   # for what was published to arrive, when all goes well


class Measured:
    """What one command to the publisher came to."""

    def __init__(self, published, deliveries, report, cpu_us, writes, missing):
        self.published = published
        self.deliveries = deliveries
        self.rate = report["events"] / report["seconds"] if report["seconds"] else 0.0
        self.cpu_us = cpu_us / max(deliveries, 1)
        self.k = deliveries / max(writes, 1)   # deliveries a write
        self.p50_us, self.p99_us = report["p50_us"], report["p99_us"]
        self.max_us = report["max_us"]
        self.wrong = report["lost"] + report["repeated"] + report["dropped"] + missing


class Stage:
    """`clients` of `users`; with one user all are its. Without a publisher they only stand there."""

    def __init__(self, side, users, clients, publishes=True):
        self.side, self.users, self.clients, self.publishes = side, users, clients, publishes
        self.audience = self.publisher = None

    def __enter__(self):
        try:
            self._set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _set_up(self):
        side = self.side
        side.start()
        self.shared = Shared(side.base / "shared")
        targets = side.base / "targets"
        targets.write_text("".join(
            side.target(f"u{number % self.users}.{number}") + "\n"
            for number in range(self.clients)))
        floor = side.name == "floor"
        if floor:
            self._publish()
        self.audience = Helper(
            "audience", side.dialect, side.port, targets, self.shared.path, SOURCES)
        self.memory_before = self.memory()
        self.connected = self.audience.ask(f"connect {PACE}", 120)
        if not floor and self.publishes:
            self._publish()
        if self.publisher:
            self._until("ready")

    def _publish(self):
        side = self.side
        self.publisher = Helper(
            "publish", side.sink, side.publisher_port(), self.users, self.shared.path,
            environment={**side.environment(), "FLOOR_CLIENTS": str(self.clients)})
        if side.name == "floor":
            side.processes.append(self.publisher.process)
            self._until("listening")

    def _until(self, word):
        said = self.publisher.line()
        if said != word:
            raise Failed(f"the publisher says {said}")

    def __exit__(self, *_):
        if self.side.name == "floor":
            self.side.processes = []
        for helper in (self.publisher, self.audience):
            if helper:
                helper.stop()
        self.side.stop()

    def arrived(self, since, deliveries):
        """How many are still missing when nothing comes any more."""
        seen, deadline = -1, time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            now = self.shared.received() - since
            if now >= deliveries:
                return 0
            if now != seen:
                seen, deadline = now, time.monotonic() + DRAIN_SECONDS / 4
            time.sleep(0.005)
        return deliveries - seen

    def memory(self):
        """Bytes of the processes that hold the connections, of those behind them, and of the kernel."""
        edge = self.side.edge().anonymous_bytes()
        return edge, self.side.group().anonymous_bytes() - edge, kernel_bytes()

    def measure(self, command):
        group = self.side.group()
        self.audience.ask("reset")
        since, cpu, writes = self.shared.received(), group.cpu_us(), self.side.writes()
        published = self.publisher.ask(command)["published"]
        deliveries = published * (self.clients // self.users)
        missing = self.arrived(since, deliveries)
        cpu, writes = group.cpu_us() - cpu, self.side.writes() - writes
        report = self.audience.ask("report")
        return Measured(published, deliveries, report, cpu, writes, missing)

    def median(self, command, times):
        """Each figure's median over several, with what is wrong in any of them."""
        all_of_them = [self.measure(command) for _ in range(times)]
        middle = all_of_them[0]
        for figure in ("rate", "cpu_us", "k", "p50_us", "p99_us"):
            setattr(middle, figure, statistics.median(getattr(one, figure) for one in all_of_them))
        middle.wrong = sum(one.wrong for one in all_of_them)
        return middle
