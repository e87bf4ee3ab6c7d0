# SPDX-License-Identifier: Apache-2.0
"""Streams at full rate: resumed anywhere, over several gateways, past one that stands still; what
open runs show; and what emitters learn of all that."""
import asyncio
import json
import os
import pathlib
import random
import signal

import pytest

from harness.client import Client, Follower
from harness.deadline import PATIENCE, until
from harness.folding import Open
from harness.node import BUILD, PROGRAMS
from harness.parts import Part, Parts, free_port
from harness.stream import is_terminal

ASK = BUILD / "examples/example-ask"
FLAT_OUT = 1_000_000_000
MIB = 1 << 20


class Doors(Parts):
    """A node whose gateways each have a port of their own."""

    def __init__(self, gateways):
        super().__init__(workers=0, gateways=0)
        self.doors = [Door(self, number) for number in range(gateways)]
        self.gateways = [door.part for door in self.doors]
        self.address = self.doors[0].address

    @property
    def environment(self):
        # Memory that was freed is to count as free, in builds that watch it too; and nothing is folded
        # for clients that cannot keep up with a flood, so that they can be compared by their bytes. To
        # look at a user's head is a connection, many times a second.
        given = super().environment
        return given | {"ASAN_OPTIONS": given["ASAN_OPTIONS"] + ":quarantine_size_mb=1",
                        "RINGSIDE_GATEWAY_MAX_OUTBOX": "256M",
                        "RINGSIDE_GATEWAY_CONNECTION_RATE_PER_USER": "1000",
                        "RINGSIDE_GATEWAY_CONNECTION_RATE_PER_ADDRESS": "1000"}

    def flood(self, user, name):
        """An emitter that writes for the user as fast as it can; started by the test."""
        self.add_emitter(name, [user], FLAT_OUT, seed=len(self.emitters) + 1)
        return self.emitters[-1]


class Door:
    """One gateway, as a client sees a node."""

    def __init__(self, node, number):
        self.address = f"127.0.0.1:{free_port()}"
        self.token, self.secure = node.token, node.secure
        self.part = Part(node, f"gateway-{number}", [
            BUILD / "gateway/ringside-gateway", "--gateway-port", self.address.split(":")[1]])


@pytest.fixture(scope="module")
def doors():
    node = Doors(gateways=2)
    try:
        node.start()
        yield node
        node.stop()
        assert not node.reports(), "\n\n".join(node.reports())
    finally:
        node.kill_everything()
        node.remove()


async def stop_all(emitters):
    for emitter in emitters:
        emitter.signal(signal.SIGTERM)
    for emitter in emitters:
        assert await asyncio.to_thread(emitter.until_ended) == 0, emitter.said()
        emitter.node.emitters.remove(emitter)


def assert_same(part, whole):
    """Every event of the part is, byte for byte, in the whole."""
    for seq, text in part.raw.items():
        assert whole.raw[seq] == text, (whole.raw[seq], text)


async def all_of(client, position):
    await client.until(lambda: (client.stream.position or 0) >= position, f"event {position}",
                       4 * PATIENCE)


async def head_of(node, user):
    async with Client(node, user) as probe:
        return probe.welcome["epoch"], probe.welcome["head"]


async def until_head(node, user, position):
    while (await head_of(node, user))[1] < position:
        pass


async def test_resumed_at_random_while_emitters_write_as_fast_as_they_can(doors, user):
    """Each view begins in the past and goes on beyond what was the newest event when it began."""
    chance = random.Random(user)
    node = doors.doors[0]
    floods = [doors.flood(user, f"e-{number}").start() for number in range(2)]
    await until_head(node, user, 500)
    parts = []
    for _ in range(5):
        epoch, head = await head_of(node, user)
        after = chance.randrange(max(0, head - 1500), head)
        async with Client(node, user, cursor=f"{epoch}.{after}") as part:
            await all_of(part, part.welcome["head"] + 200)
            parts.append(part.stream)
    await stop_all(floods)
    async with Follower(node, user) as whole:
        await all_of(whole, max(part.position for part in parts))
    for part in parts:
        seqs = list(part.raw)
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "a hole"
        assert part.repeats == 0
        assert_same(part, whole.stream)


# AddressSanitizer keeps what is freed, and so much beside, that a process's memory says nothing of it.
MEMORY_TELLS = b"__asan_init" not in PROGRAMS["ringside-broker"].read_bytes()


def anonymous_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) << 10


async def test_gateway_that_stands_still_costs_little_and_nobody_else_anything(doors, user):
    quick, slow = doors.doors
    async with Follower(quick, user) as one, Follower(slow, user) as other:
        before = anonymous_bytes(doors.broker.pid)
        behind = doors.status()["counters"]["subscriptions_behind"]
        os.kill(slow.part.pid, signal.SIGSTOP)
        floods = [doors.flood(user, f"s-{number}").start() for number in range(2)]
        try:
            await until_head(quick, user, 20000)  # 9 MB, and 4 MiB is what a gateway grants
            full = anonymous_bytes(doors.broker.pid)
            await until_head(quick, user, 45000)  # 11 MB more
            cost = anonymous_bytes(doors.broker.pid) - before
            growth = anonymous_bytes(doors.broker.pid) - full
            await one.until(lambda: one.stream.position, "events past the one that stands still")
        finally:
            os.kill(slow.part.pid, signal.SIGCONT)
        await stop_all(floods)
        if MEMORY_TELLS:
            assert cost < 16 * MIB, f"{cost} bytes for a gateway that takes nothing"
            assert growth < 3 * MIB, f"{growth} bytes more while it takes nothing"
        assert doors.status()["counters"]["subscriptions_behind"] > behind
        _, head = await head_of(quick, user)
        await all_of(one, head)
        await all_of(other, head)
        assert one.stream.raw == other.stream.raw and list(one.stream.raw) == list(
            range(1, head + 1))


async def test_gateways_show_the_same_bytes_and_one_takes_over_from_another(doors, user):
    first, second = doors.doors
    flood = doors.flood(user, "t").start()
    async with Client(second, user, cursor="start") as whole:
        async with Client(first, user, cursor="start") as client:
            await all_of(client, 300)
            first.part.signal(signal.SIGKILL)
            await asyncio.to_thread(first.part.until_ended)
            await client.gone()
        resumed = await Client(second, user, stream=client.stream).connect()
        await all_of(resumed, resumed.stream.position + 300)
        await stop_all([flood])
        await resumed.close()
        await all_of(whole, resumed.stream.position)
        assert resumed.stream.repeats == 0
        assert_same(resumed.stream, whole.stream)
        assert min(resumed.stream.raw) == 1 and len(resumed.stream.raw) == max(resumed.stream.raw)
    assert first.part.start().until_ready()


async def test_emitter_learns_that_its_question_was_seen_and_that_nobody_is_there(doors, user):
    asking = Part(doors, "asking", [ASK, "--user", user]).start()
    try:
        until(lambda: "asked" in asking.said(), "the question")
        async with Client(doors.doors[0], user, cursor="start") as client:
            event = await client.until_event("interrupt_requested")
            assert asking.said().split() == ["asked"]  # sent, and not yet acknowledged
            await client.notify("ack", seq=event["seq"])
            await client.until_event("interrupt_resolved")
            assert "seen" in asking.said().split()
            await client.until_event("partial_result", count=3)
        assert await asyncio.to_thread(asking.until_ended) == 0, asking.said()
        assert asking.said().split() == ["asked", "seen", "alone"]
    finally:
        asking.signal(signal.SIGKILL)


async def test_client_that_sees_some_threads_speaks_for_no_other(doors, user):
    asking = Part(doors, "asking-filtered", [ASK, "--user", user]).start()
    try:
        until(lambda: "asked" in asking.said(), "the question")
        async with Client(doors.doors[0], user, cursor="start", threads=["asks"]) as some:
            event = await some.until_event("interrupt_requested")
            await some.request("ack", seq=event["seq"])
            await some.request("ping")  # there and back: the acknowledgement is with the broker
            assert asking.said().split() == ["asked"]
            async with Client(doors.doors[0], user, cursor="start") as whole:
                event = await whole.until_event("interrupt_requested")
                await whole.notify("ack", seq=event["seq"])
                await some.until_event("interrupt_resolved")
    finally:
        asking.signal(signal.SIGKILL)
        asking.until_ended()


async def test_what_was_acknowledged_while_the_broker_was_dead_is_told_to_the_next(doors, user):
    asking = Part(doors, "asking-restart", [ASK, "--user", user]).start()
    try:
        until(lambda: "asked" in asking.said(), "the question")
        async with Client(doors.doors[0], user, cursor="start") as client:
            event = await client.until_event("interrupt_requested")
            doors.broker.signal(signal.SIGKILL)
            await asyncio.to_thread(doors.broker.until_ended)
            await client.notify("ack", seq=event["seq"])
            await client.request("ping")  # the gateway has it
            assert asking.said().split() == ["asked"]
            assert await asyncio.to_thread(doors.broker.start().until_ready)
            await client.until_event("interrupt_resolved")
            assert asking.said().split()[:2] == ["asked", "seen"]
    finally:
        asking.signal(signal.SIGKILL)
        asking.until_ended()
    until(lambda: doors.get("/health/ready")[0] == 200, "readiness")


# ---- What open runs show


def fold(events, run_id, after=0, state=None):
    state = state or Open()
    for event in events:
        if event.get("run_id") == run_id and event["seq"] > after:
            state.take(event)
    return state


def snapshots(client):
    return [frame for frame in client.control if frame["type"] == "snapshot"]


async def test_live_client_that_comes_late_shows_what_one_shows_that_saw_everything(
        shared_node, user):
    content = json.dumps({"steps": 30, "pause_ms": 30, "tool_ms": 50, "tool_every": 12})
    async with Client(shared_node, user) as whole:
        run_id = await whole.chat(content, agent="slow")
        late = []
        for count in (3, 10, 20):
            await whole.until_event("partial_result", run_id, count)
            late.append(await Client(shared_node, user, snapshots=True).connect())
        for client in late:
            frame = await client.until(lambda: next(iter(snapshots(client)), None), "a snapshot")
            assert (frame["run_id"], frame["thread_id"], frame["agent"]) == (run_id, "t-1", "slow")
            assert not client.stream.events or client.stream.events[0]["seq"] > client.welcome["head"]
        await whole.until_ended(run_id)
        for client in late:
            await client.until_ended(run_id)
            frame, = snapshots(client)
            state = Open()
            state.take_snapshot(frame)
            assert state == fold(whole.stream.events, run_id) or \
                frame["seq"] < whole.stream.position
            seen_before = [event for event in whole.stream.events if event["seq"] <= frame["seq"]]
            assert state == fold(seen_before, run_id)
            rest = [event for event in client.stream.events if not is_terminal(event)]
            everything = [event for event in whole.stream.events if not is_terminal(event)]
            assert fold(rest, run_id, frame["seq"], state) == fold(everything, run_id)
            await client.close()


async def test_after_a_gap_each_open_run_is_shown_before_caught_up(make_node, user):
    node = make_node(environment={
        "RINGSIDE_HISTORY_MAX_AGE": "1s", "RINGSIDE_GATEWAY_CONNECTION_RATE_PER_USER": "0",
        "RINGSIDE_GATEWAY_CONNECTION_RATE_PER_ADDRESS": "0"}).start()
    async with Client(node, user) as client:
        await client.until_ended(await client.chat("hello", agent="echo"))
        epoch, head = client.stream.epoch, client.stream.position

        async def oldest():
            async with Client(node, user) as probe:
                return probe.welcome["oldest"]

        end = asyncio.get_running_loop().time() + PATIENCE
        while await oldest() <= head:
            assert asyncio.get_running_loop().time() < end, "nothing was trimmed"
        run_id = await client.chat(json.dumps({"steps": 100000, "pause_ms": 20}), agent="slow")
        await client.until_event("partial_result", run_id, 5)
        async with Client(node, user, cursor=f"{epoch}.1") as late:
            await late.until_caught_up()
            kinds = [frame["type"] for frame in late.control]
            assert kinds == ["welcome", "gap", "snapshot", "caught_up"]
            frame, = snapshots(late)
            assert frame["run_id"] == run_id and frame["state"] == "running"
            await client.until(lambda: client.stream.position >= frame["seq"], "the same events")
            seen = [event for event in client.stream.events if event["seq"] <= frame["seq"]]
            assert frame["texts"][0]["text"] == fold(seen, run_id).texts[
                frame["texts"][0]["message_id"]]
        await client.request("run.cancel", run_id=run_id)
        await client.until_ended(run_id)
