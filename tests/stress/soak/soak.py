#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node under load for a long time, with clients of every kind, which must not make it grow.

    soak.py [--seconds N] [--seed N]

A broker, a gateway, a worker, and programs that emit with libringside all the time, for one user as fast as
a slow client cannot take it. Clients read steadily, come and go with their cursors, stand still, flood, break
every rule, or go silent half-way (clients.py). Memory, descriptors and processor time of broker and gateway,
and how old events are when a client has them, are compared between the first and the last third of the
time, after a while in which all grows to its size (samples.py). Behind it nothing may be left of the clients,
and what each of them was sent must stand up to `ringside verify`.
"""
import argparse
import asyncio
import collections
import pathlib
import random
import re
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests/integration"), str(pathlib.Path(__file__).resolve().parent)]

import clients  # noqa: E402
import samples  # noqa: E402
from harness.deadline import Missed  # noqa: E402
from harness.parts import Parts  # noqa: E402
from harness.record import Broken  # noqa: E402

USERS = 8
EVENTS_EACH = 60         # a second, of the emitter of all users
TORRENT_EVENTS = 300     # of the one for the user of that name
WARM_SHARE = 0.25        # of the time, before anything is compared
SAMPLE_SECONDS = 0.5
PULSE_SECONDS = 0.05     # how late a wake-up is, is noted so often
PROGRESS_SECONDS = 10
PROGRESS_SECONDS_LONG = 60
LONG_SECONDS = 180       # from here on it says something once a minute
REST_SECONDS = 40        # for the server to notice that the last of them are gone
LEFT_DESCRIPTORS = 4     # more than before the clients came: none is theirs
COUNTERS = ["events_queued", "events_folded", "sessions_behind", "closed_too_slow", "closed_silent",
            "closed_protocol", "closed_too_large", "closed_rate", "requests_late",
            "requests_rate_limited"]
OPTIONS = {
    "RINGSIDE_GATEWAY_HEARTBEAT": "3s", "RINGSIDE_GATEWAY_HANDSHAKE_TIMEOUT": "3s",
    "RINGSIDE_GATEWAY_MAX_OUTBOX": "128K", "RINGSIDE_GATEWAY_CONNECTION_RATE_PER_USER": "0",
    # So that what is retained has its size before anything is compared.
    "RINGSIDE_HISTORY_MAX_EVENTS_PER_USER": "30000",
}
KINDS = [(clients.Steady, 4), (clients.Resuming, 4), (clients.Slow, 2), (clients.Asking, 2),
         (clients.Flooding, 1), (clients.Malformed, 2), (clients.HalfOpen, 3), (clients.Streaming, 2),
         (clients.Measuring, 4)]


class Soak:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.node = Parts(workers=1, gateways=1, environment=OPTIONS)
        self.kinds = []
        self.stopping = False
        self.codes = collections.Counter()
        self.ages = samples.Series()
        self.lateness = samples.Series()
        self.held = collections.defaultdict(samples.Held)
        self.began = time.monotonic()
        self.ended = self.began
        self.shown = 0.0

    # ---- what clients tell

    def aged(self, seconds):
        self.ages.add(time.monotonic(), seconds)

    def closed_with(self, code):
        self.codes[code] += 1

    # ---- the traffic

    def user_of(self, kind, number):
        if kind is clients.Slow or (kind is clients.Steady and number == 0):
            return clients.TORRENT
        if kind in (clients.Flooding, clients.Malformed):
            return f"rude-{number}"
        return f"user-{number % USERS}"

    def make_clients(self):
        for kind, count in KINDS:
            if kind is clients.Streaming and not self.has_streams():
                print("no event streams here: nobody reads any", flush=True)
                continue
            for number in range(count):
                chance = random.Random(f"{self.options.seed} {kind.__name__} {number}")
                self.kinds.append(kind(self, self.user_of(kind, number), chance))

    def has_streams(self):
        return self.node.get("/v1/events")[0] != 404

    @property
    def watched(self):
        return {"broker": self.node.broker, "gateway": self.node.gateways[0]}

    async def sample(self):
        while not self.stopping:
            now = time.monotonic()
            for name, part in self.watched.items():
                if not part.running():
                    raise Broken(f"{name} ended by itself:\n{part.said()[-3000:]}")
                self.held[name].note(now, part.pid)
            if now - self.shown >= self.progress_seconds:
                print(self.progress(now), flush=True)
                self.shown = now
            await asyncio.sleep(SAMPLE_SECONDS)

    async def pulse(self):
        """How late a wake-up is: what the machine does to everybody."""
        while not self.stopping:
            due = time.monotonic() + PULSE_SECONDS
            await asyncio.sleep(PULSE_SECONDS)
            now = time.monotonic()
            self.lateness.add(now, now - due)

    @property
    def progress_seconds(self):
        return PROGRESS_SECONDS_LONG if self.options.seconds >= LONG_SECONDS else PROGRESS_SECONDS

    def progress(self, now):
        held = ", ".join(f"{name} {one.memory.last / 2**20:.1f} MiB {one.descriptors.last:.0f} fds "
                         f"{one.cpu.last:.0f} s" for name, one in self.held.items())
        return (f"{now - self.began:6.0f} s  {len(self.ages)} events, {held}; "
                f"{self.shown_percentiles('age', self.ages, now)}; "
                f"{self.shown_percentiles('late', self.lateness, now)}")

    def shown_percentiles(self, what, series, now):
        values = series.between(self.shown, now) or [0.0]
        p50, p99 = (1000 * samples.percentile(values, share) for share in (0.5, 0.99))
        return f"{what} p50 {p50:.1f} p99 {p99:.1f} ms"

    async def run_for_a_while(self):
        tasks = [asyncio.create_task(work) for work in
                 [self.sample(), self.pulse(), *(kind.run() for kind in self.kinds)]]
        try:
            done, _ = await asyncio.wait(tasks, timeout=self.options.seconds,
                                         return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            self.stopping, self.ended = True, time.monotonic()
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    # ---- the end

    async def until_forgotten(self, before):
        """Nothing of the clients is left in the gateway."""
        gateway, end = self.node.gateways[0], time.monotonic() + REST_SECONDS
        while True:
            left = samples.descriptors(gateway.pid)
            if left <= before + LEFT_DESCRIPTORS:
                return
            if time.monotonic() > end:
                raise Broken(f"the gateway had {before} descriptors before its clients, and "
                             f"{left} behind them")
            await asyncio.sleep(0.2)

    def verdicts(self):
        end = self.ended
        begin = self.began + WARM_SHARE * (end - self.began)
        for name in self.watched:
            yield from samples.judge_process(name, self.held[name], begin, end)
        yield from samples.judge_latency(self.ages, self.lateness, begin, end)

    def counters(self):
        """What the clients drove the gateway to."""
        text = self.node.get("/metrics")[1]
        for name in COUNTERS:
            value = re.search(rf"^ringside_gateway_{name}_total (\d+)$", text, re.MULTILINE)
            if value:
                yield f"{name} {value.group(1)}"

    def judge(self):
        rows = list(self.verdicts())
        print(f"  {'':32}{'first third':>12}{'last third':>12}{'at most':>12}")
        print("\n".join(map(str, rows)))
        turns = collections.Counter()
        for kind in self.kinds:
            turns[type(kind).__name__.lower()] += kind.turns
        print("turns: " + ", ".join(f"{name} {count}" for name, count in turns.items()))
        print("closed by the server: " +
              ", ".join(f"{code} {count}" for code, count in self.codes.items()))
        print("the gateway's: " + ", ".join(self.counters()), flush=True)
        if any(row.grew for row in rows):
            raise Broken("something grew")

    def check_records(self):
        found = []
        for kind in self.kinds:
            if not isinstance(kind, clients.Follower):
                continue
            kind.file.close()
            if not kind.path.stat().st_size:
                continue   # it stood still all the time
            done = self.node.run("verify", str(kind.path), seconds=600)
            if done.returncode:
                found.append(f"ringside verify {kind.path}: {done.stdout[-2000:]}{done.stderr[-500:]}")
        if found:
            raise Broken("\n".join(found))

    async def run(self):
        users = [f"user-{number}" for number in range(USERS)]
        self.node.add_emitter("e-all", users, EVENTS_EACH, seed=self.options.seed)
        self.node.add_emitter("e-torrent", [clients.TORRENT], TORRENT_EVENTS, seed=self.options.seed + 1)
        self.node.start()
        before = samples.descriptors(self.node.gateways[0].pid)
        self.make_clients()
        self.began = self.shown = time.monotonic()
        await self.run_for_a_while()
        await self.until_forgotten(before)
        self.judge()
        self.check_records()


def finish(soak, failed):
    """The exit status. What is left of a failure stays where it is."""
    node = soak.node
    if not failed:
        try:
            node.stop()
        except Missed as missed:
            failed = str(missed)
    node.kill_everything()
    reports = node.reports()
    if reports:
        failed = f"{failed or ''}\n" + "\n\n".join(reports)
    if failed:
        print(f"FAILED: {failed}\nseed {soak.options.seed}; frames and logs are in {node.base}",
              flush=True)
        return 1
    node.remove()
    return 0


def main():
    parser = argparse.ArgumentParser(description="a node under load that must not grow")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10 ** 6))
    options = parser.parse_args()
    print(f"seed {options.seed}: {options.seconds} s", flush=True)
    soak = Soak(options)
    failed = None
    try:
        asyncio.run(soak.run())
    except (Broken, Missed) as problem:
        failed = str(problem)
    except BaseException:
        failed = traceback.format_exc()
    return finish(soak, failed)


if __name__ == "__main__":
    sys.exit(main())
