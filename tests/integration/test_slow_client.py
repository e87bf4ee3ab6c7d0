# SPDX-License-Identifier: Apache-2.0
"""A client that reads slowly is sent less, and makes the same of it."""
import socket
import urllib.request

import websockets

from harness.client import Client
from harness.deadline import until
from harness.gate import COUNTER

FLOOD = '{"events": 5000, "bytes": 700}'


def counters(node):
    with urllib.request.urlopen(f"http://{node.address}/metrics", timeout=20) as answer:
        return {name: int(value) for name, value in COUNTER.findall(answer.read().decode())}


def assert_counted(node, name, occurrences, before):
    counted = counters(node)[name] - before[name]
    assert counted == occurrences, f"{name}: {counted} instead of {occurrences}"


class Sleepy(Client):
    """Its socket holds little, and it reads only when told to."""

    async def connect(self):
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = self.node.address.rsplit(":", 1)
        narrow.connect((host, int(port)))
        connect = websockets.connect
        try:
            websockets.connect = lambda *args, **more: connect(*args, sock=narrow, **more)
            return await super().connect()
        finally:
            websockets.connect = connect


async def test_a_client_that_wakes_up_late_is_sent_folded_text(shared_node, user):
    before = counters(shared_node)
    async with Sleepy(shared_node, user) as slow, Client(shared_node, user) as fast:
        slow.socket.transport.pause_reading()
        run_id = await fast.chat(FLOOD, agent="flood")
        told = await fast.until_ended(run_id)
        slow.socket.transport.resume_reading()
        late = await slow.until_ended(run_id)
        assert slow.stream.text_of(run_id) == fast.stream.text_of(run_id)
        assert len(late) < len(told) and late[-1] == told[-1]
        assert [event for event in late if event["type"] != "partial_result"] == \
            [event for event in told if event["type"] != "partial_result"]
        assert any("first_seq" in event for event in late)
    after = counters(shared_node)
    assert after["sessions_slow"] > before["sessions_slow"]
    assert after["events_folded"] - before["events_folded"] == len(told) - len(late)


async def test_of_pings_of_a_client_that_reads_nothing_the_last_is_answered(shared_node, user):
    async with Sleepy(shared_node, user) as slow, Client(shared_node, user) as fast:
        before = counters(shared_node)
        slow.socket.transport.pause_reading()
        run_id = await fast.chat(FLOOD, agent="flood")
        told = await fast.until_ended(run_id)
        assert counters(shared_node)["sessions_slow"] == before["sessions_slow"] + 1
        await slow.socket.ping(b"first")
        answered = await slow.socket.ping(b"second")
        until(lambda: counters(shared_node)["pings_superseded"] > before["pings_superseded"],
              "the second ping to take the first one's place")
        slow.socket.transport.resume_reading()
        await answered
        assert (await slow.until_ended(run_id))[-1] == told[-1]
        assert_counted(shared_node, "pings_superseded", 1, before)
