# SPDX-License-Identifier: Apache-2.0
"""Reloads and dropped lines: every event exactly once. And cursors that cannot be honoured."""
import asyncio
import json
import random
import socket
import struct

from harness.client import Client
from harness.deadline import PATIENCE
from harness.stream import check_run


async def reload_after(client, run_id, count):
    """Drops the line once `count` more events of the run have come; the next connection."""
    seen = len(client.stream.of_run(run_id))
    await client.until(lambda: len(client.stream.of_run(run_id)) >= seen + count
                       or client.stream.ended(run_id), f"{count} more events")
    await client.drop()
    return await Client(client.node, client.user, stream=client.stream).connect()


async def test_a_reload_in_the_middle_misses_and_repeats_nothing(shared_node, user):
    chance = random.Random(user)
    client = await Client(shared_node, user).connect()
    run_id = await client.chat(json.dumps({"steps": 100, "pause_ms": 10}), agent="slow")
    while not client.stream.ended(run_id):
        client = await reload_after(client, run_id, chance.randrange(1, 20))
        await client.until(lambda: client.stream.ended(run_id) or client.control[-1]["type"] ==
                           "caught_up", "caught_up")
    await client.close()
    check_run(client.stream.of_run(run_id))
    assert client.stream.repeats == 0
    async with Client(shared_node, user, cursor="start") as fresh:
        await fresh.until_caught_up()
        assert fresh.stream.raw == client.stream.raw


async def test_a_cursor_at_the_head_replays_nothing(shared_node, user):
    async with Client(shared_node, user) as client:
        await client.until_ended(await client.chat("hello", agent="echo"))
        cursor = client.stream.cursor
    async with Client(shared_node, user, cursor=cursor) as client:
        caught_up = await client.until_caught_up()
        assert caught_up["seq"] == client.welcome["head"] and not client.stream.events


def segments_received(client):
    """How many with data the kernel has had for this client: tcpi_data_segs_in."""
    info = client.socket.transport.get_extra_info("socket").getsockopt(
        socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return struct.unpack_from("=I", info, 152)[0]


async def test_the_answer_to_a_handshake_and_the_first_page_come_in_one_segment(shared_node, user):
    """They do where the broker answers within a fifth of a second, so not each time on a busy machine."""
    async with Client(shared_node, user) as client:
        await client.until_ended(await client.chat("one two three", agent="echo"))
    for _ in range(20):
        async with Client(shared_node, user, cursor="start") as client:
            await client.until_caught_up()
            assert client.stream.raw
            if segments_received(client) == 1:
                return
    raise AssertionError("what was known in a moment came in several segments, twenty times")


async def test_a_replay_and_live_events_join_without_a_seam(shared_node, user):
    """Connections from the start, made while events are being written."""
    async with Client(shared_node, user) as client:
        run_id = await client.chat(json.dumps({"steps": 300, "pause_ms": 3}), agent="slow")
        late = []
        while not client.stream.ended(run_id) and len(late) < 20:
            seen = len(client.stream.events)
            await client.until(lambda: len(client.stream.events) > seen + 10
                               or client.stream.ended(run_id), "more events")
            late.append(await Client(shared_node, user, cursor="start").connect())
        await client.until_ended(run_id)
        for other in late:
            await other.until_ended(run_id)
            await other.until_caught_up()
            assert other.stream.raw == client.stream.raw
        await asyncio.gather(*(other.close() for other in late))
        assert len(late) >= 3


async def test_a_cursor_of_another_epoch_is_reset_and_said(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat("hello", agent="echo")
        await client.until_ended(run_id)
        epoch, whole = client.stream.epoch, client.stream.raw
    other = ("a" if epoch[0] != "a" else "b") + epoch[1:]
    async with Client(shared_node, user, cursor=f"{other}.3") as client:
        await client.until_caught_up()
        gap = next(frame for frame in client.control if frame["type"] == "gap")
        assert client.welcome["resume"] == "reset" and gap["reason"] == "epoch_changed"
        assert client.welcome["epoch"] == epoch
        for seq, text in client.stream.raw.items():
            assert whole[seq] == text


async def test_a_cursor_from_the_future_is_reset_never_silence(shared_node, user):
    async with Client(shared_node, user) as client:
        await client.until_ended(await client.chat("hello", agent="echo"))
        cursor = f"{client.stream.epoch}.{client.stream.position + 1000}"
    async with Client(shared_node, user, cursor=cursor) as client:
        assert client.welcome["resume"] == "reset"
        await client.until(
            lambda: any(frame["type"] == "gap" for frame in client.control), "a gap frame")


async def test_a_trimmed_cursor_gets_a_gap_that_says_what_is_gone(make_node, user):
    node = make_node(environment={"RINGSIDE_HISTORY_MAX_AGE": "1s",
                                  "RINGSIDE_GATEWAY_CONNECTION_RATE_PER_USER": "0"}).start()
    async with Client(node, user) as client:
        await client.until_ended(await client.chat("hello", agent="echo"))
        epoch, head = client.stream.epoch, client.stream.position

    async def oldest():
        async with Client(node, user) as probe:
            return probe.welcome["oldest"]

    end = asyncio.get_running_loop().time() + PATIENCE
    while await oldest() <= head:
        assert asyncio.get_running_loop().time() < end, "nothing was trimmed"
    async with Client(node, user, cursor=f"{epoch}.1") as client:
        gap = await client.until(lambda: next(
            (frame for frame in client.control if frame["type"] == "gap"), None), "a gap frame")
        assert client.welcome["resume"] == "gap"
        assert (gap["from"], gap["to"], gap["reason"]) == (2, head, "trimmed")
        await client.until_caught_up()
        run_id = await client.chat("still here", agent="echo")
        check_run(await client.until_ended(run_id))
