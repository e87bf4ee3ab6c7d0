# SPDX-License-Identifier: Apache-2.0
"""A new broker takes over from the one that serves: workers, gateways and clients go on."""
import asyncio
import os
import shutil
import signal

import pytest

from harness.account import Account, check_ledger
from harness.client import Client
from harness.deadline import until
from harness.node import BUILD, PROGRAMS, kill
from harness.parts import Part, Parts
from harness.recorder import Recorder
from harness.stream import check_run

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


async def test_a_worker_of_another_wire_version_is_refused_by_name(parts):
    other = Part(parts, "other", [BUILD / "tests/unit/worker/worker-of-another-wire"]).start()
    until(lambda: "(version_mismatch)" in other.said(), "the refusal")
    assert "speaks version 2 of the messages between processes, the worker speaks 99" in \
        other.said()
    other.signal(signal.SIGTERM)
    other.until_ended()


# ---- `ringside upgrade`: the supervisor has its broker replaced

@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The programs beside each other, as they are installed, where a test can replace them."""
    for name, path in PROGRAMS.items():
        shutil.copy2(path, tmp_path / name)
    monkeypatch.setitem(PROGRAMS, "ringside", tmp_path / "ringside")
    return tmp_path


def install(folder, source):
    """As a package does: the new file takes the name, the old one lives on in who runs it."""
    shutil.copy2(source, folder / "fresh")
    os.replace(folder / "fresh", folder / "ringside-broker")


def broker_pid(node):
    return node.status()["broker"]["pid"]


async def test_ringside_upgrade_replaces_the_broker_under_a_run_that_goes_on(installed, make_node):
    node = make_node().start()
    async with Client(node, "ann") as client:
        run_id = await client.chat('{"steps": 100, "pause_ms": 10}', agent="slow")
        await client.until_event("partial_result", run_id, count=10)
        before = broker_pid(node)
        for _ in range(2):
            install(installed, BUILD / "broker/ringside-broker")
            done = await asyncio.to_thread(node.run, "upgrade")
            assert done.returncode == 0, done.stderr
            assert "the broker was replaced" in done.stdout
            assert broker_pid(node) != before
            before = broker_pid(node)
        events = await client.until_ended(run_id)
        assert not any(event.get("synthetic") for event in events)
        check_run(events)
    kill(before)
    until(lambda: node.run("status").returncode == 0 and broker_pid(node) != before,
          "the supervisor's next broker")


@pytest.mark.parametrize("program, said", [
    ("broken", "before it was ready"),
    ("broker-of-another-arena", "the old one goes on"),
])
async def test_a_new_broker_that_cannot_start_leaves_the_old_one_serving(
        installed, make_node, tmp_path, program, said):
    node = make_node().start()
    before = broker_pid(node)
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    install(installed, broken if program == "broken" else BUILD / "tests/unit/broker" / program)
    done = await asyncio.to_thread(node.run, "upgrade")
    assert done.returncode == 1 and said in done.stderr
    assert broker_pid(node) == before
    async with Client(node, "ann") as client:
        check_run(await client.until_ended(await client.chat("hello", agent="echo")))
    kill(before)
    until(lambda: node.run("status").returncode == 0 and broker_pid(node) != before,
          "the same program again, whatever is installed")


async def test_when_the_new_broker_dies_after_the_old_one_left_the_old_one_is_started_again(
        installed, make_node, tmp_path):
    node = make_node().start()
    before = broker_pid(node)
    fatal = tmp_path / "fatal"
    fatal.write_text("#!/bin/sh\n"
                     f"kill -TERM {before}\n"
                     f"while kill -0 {before} 2>/dev/null; do :; done\nexit 3\n")
    fatal.chmod(0o755)
    install(installed, fatal)
    done = await asyncio.to_thread(node.run, "upgrade")
    assert done.returncode == 1 and "the old one is started again" in done.stderr
    until(lambda: node.run("status").returncode == 0, "the old broker's program")
    until(lambda: node.get("/health/ready")[0] == 200, "a gateway that has it again")
    async with Client(node, "ann") as client:
        check_run(await client.until_ended(await client.chat("hello", agent="echo")))


def test_upgrade_without_a_supervisor_says_what_to_do(parts):
    done = parts.run("upgrade")
    assert done.returncode == 3 and "ringside-broker --take-over" in done.stderr
