# SPDX-License-Identifier: Apache-2.0
"""A new broker takes over from the one that serves: workers, gateways and clients go on."""
import asyncio
import os
import signal

import pytest

from harness.account import Account, check_ledger
from harness.node import BUILD, PROGRAMS
from harness.parts import Part, Parts
from harness.recorder import Recorder

USERS = ["ann", "bob"]
HANDS_OVER_FAST = {"RINGSIDE_BROKER_HAND_OVER_TIMEOUT": "300ms"}
LIMIT = 60  # events that come between two hand-overs


@pytest.fixture
def parts():
    node = Parts(workers=2, gateways=1)
    for number in range(2):
        node.add_emitter(f"e-{number}", USERS, 150, seed=number)
    yield node.start()
    node.stop()
    node.kill_everything()
    assert not node.reports(), "\n\n".join(node.reports())
    node.remove()


def successor(node, number, program=PROGRAMS["ringside-broker"], environment=None):
    return Part(node, f"successor-{number}", [program, "--take-over"], environment).start()


class Traffic:
    """Recorders of all users, a long run of each, and the longest time in which nothing came."""

    def __init__(self, node):
        self.node = node
        self.accounts = {user: Account(user) for user in USERS}
        self.recorders = [Recorder(node, user, node.base / f"frames.{user}.{number}",
                                   self.accounts[user] if number == 0 else None)
                          for user in USERS for number in range(2)]
        self.runs = {}

    async def begin(self):
        for recorder in self.recorders:
            await recorder.until(lambda r=recorder: r.live, "to be live")
        for user in USERS:
            self.runs[user] = await self.chat(user, '{"steps": 150, "pause_ms": 10}', "m-1")

    async def chat(self, user, content, message):
        first = next(r for r in self.recorders if r.user == user)
        while True:
            run_id = await first.try_chat(content, "t-1", message, "slow")
            if run_id:
                return run_id
            await first.until(lambda: first.live, "to be live")

    async def more_events(self, count=LIMIT):
        for user in USERS:
            first = next(r for r in self.recorders if r.user == user)
            wanted = first.events + count
            await first.until(lambda: first.events >= wanted, "more events")

    async def end(self):
        for emitter in self.node.emitters:
            emitter.signal(signal.SIGTERM)
            await asyncio.to_thread(emitter.until_ended)
            assert emitter.process.returncode == 0, emitter.said()
        for user in USERS:
            own = [r for r in self.recorders if r.user == user]
            await own[0].until(lambda: self.accounts[user].ended(self.runs[user]) and
                               not self.accounts[user].open_runs(), "the end of all runs")
            for recorder in own:
                await recorder.until(lambda r=recorder: r.position >= own[0].position, "the rest")
                assert recorder.digest.hexdigest() == own[0].digest.hexdigest()
        for recorder in self.recorders:
            await recorder.close()
        for path in self.node.ledgers:
            check_ledger(path, self.accounts)
        assert self.node.verify_records() == []
        assert sum(account.synthetic for account in self.accounts.values()) == 0


async def test_brokers_that_take_over_one_after_the_other_lose_and_repeat_nothing(parts, capsys):
    traffic = Traffic(parts)
    await traffic.begin()
    pauses = []
    for number in range(3):
        await traffic.more_events()
        before = traffic.recorders[0].events
        began = asyncio.get_running_loop().time()
        old, parts.broker = parts.broker, successor(parts, number)
        assert await asyncio.to_thread(parts.broker.until_ready), parts.broker.said()
        assert await asyncio.to_thread(old.until_ended) == 0, old.said()
        await traffic.recorders[0].until(lambda: traffic.recorders[0].events > before + 5, "events")
        pauses.append(asyncio.get_running_loop().time() - began)
        assert "handing over to a new broker" in old.said()
    assert all(recorder.connections == 1 for recorder in traffic.recorders), \
        "a client's connection ended"
    again = await traffic.chat("ann", '{"steps": 1}', "m-2")
    traffic.runs["ann"] = again
    await traffic.end()
    with capsys.disabled():
        print("\nfrom the start of the new broker to events: "
              f"{', '.join(f'{pause * 1000:.0f} ms' for pause in pauses)}")


async def test_a_broker_that_stands_still_is_not_taken_over_from_and_goes_on(parts):
    traffic = Traffic(parts)
    await traffic.begin()
    os.kill(parts.broker.pid, signal.SIGSTOP)
    failed = successor(parts, 0, environment=HANDS_OVER_FAST)
    assert not await asyncio.to_thread(failed.until_ready)
    assert await asyncio.to_thread(failed.until_ended) == 1
    assert "did not hand over within 300 ms (broker.hand_over_timeout)" in failed.said()
    os.kill(parts.broker.pid, signal.SIGCONT)
    await traffic.more_events()
    assert parts.broker.running()
    await traffic.end()


def test_with_nobody_to_take_over_from_it_starts_as_ever(parts):
    parts.broker.signal(signal.SIGKILL)
    parts.broker.until_ended()
    parts.broker = successor(parts, 0)
    assert parts.broker.until_ready(), parts.broker.said()


@pytest.mark.parametrize("version", ["wire", "arena", "record", "history"])
async def test_a_broker_of_another_version_is_refused_by_name_and_the_running_one_goes_on(
        parts, version):
    traffic = Traffic(parts)
    await traffic.begin()
    other = successor(parts, 0, program=BUILD / f"tests/unit/broker/broker-of-another-{version}")
    assert not await asyncio.to_thread(other.until_ready)
    assert await asyncio.to_thread(other.until_ended) == 1
    assert "the running broker does not hand over" in other.said()
    assert "the running broker has version " in other.said() and "the new one 99" in other.said()
    assert parts.broker.running()
    await traffic.more_events()
    await traffic.end()
