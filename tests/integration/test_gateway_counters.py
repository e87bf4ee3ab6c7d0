# SPDX-License-Identifier: Apache-2.0
"""What a gateway counts is what happened, once each. Limits count in test_limits.py."""
import signal

import pytest

from conftest import finish_parts
from harness.client import Client, Refused
from harness.deadline import until
from harness.gate import Gate
from harness.handshake import handshake


@pytest.fixture(scope="module")
def gate():
    gate = Gate()
    try:
        gate.start()
        yield gate
    finally:
        finish_parts(gate)


def test_requests_and_handshakes_are_counted(gate):
    before = gate.counters()
    assert handshake(gate, gate.token("alice")).status == 101
    gate.assert_counted("handshakes_accepted", 1, before)
    before = gate.counters()
    assert gate.get("/health/live")[0] == 200
    gate.assert_counted("http_requests", 2, before)  # the one that asks for the counters, too


async def test_what_a_client_sends_and_is_sent_is_counted(gate):
    async with Client(gate, "alice") as client:
        before = gate.counters()
        await client.send('{"id":1,"method":"ping"}')
        await client.until(lambda: client.replied(1), "the reply")
        gate.assert_counted("frames_received", 1, before)
        gate.assert_counted("writes", 1, before)
        gate.assert_counted("bytes_sent", 2 + len('{"id":1,"result":{}}'), before)
        with pytest.raises(Refused, match="run_not_found"):
            await client.request("run.cancel", run_id="r-none")
        gate.assert_counted("requests_forwarded", 1, before)
        gate.assert_counted("requests_failed", 1, before)


async def test_events_are_counted_on_each_of_their_ways(gate):
    before = gate.counters()
    async with Client(gate, "writer") as client:
        gate.add_emitter("finite", ["writer"], 200)
        emitter = gate.emitters[-1].start()
        await client.until(lambda: len(client.stream.events) > 20, "events")
        emitter.signal(signal.SIGTERM)
        emitter.until_ended()
        last_run = gate.ledgers[-1].read_text().splitlines()[-1].split()[2]
        await client.until(lambda: client.stream.ended(last_run), "the last run's end")
        events = len(client.stream.events)
        gate.assert_counted("events_received", events, before)
        gate.assert_counted("events_encoded", events, before)
        gate.assert_counted("events_queued", events, before)
        await client.request("ack", seq=client.stream.events[-1]["seq"])
        gate.assert_counted("acks_forwarded", 1, before)
        async with Client(gate, "writer", cursor="start") as again:
            await again.until_caught_up()
            gate.assert_counted("events_replayed", events, before)
            gate.assert_counted("events_queued", 2 * events, before)


async def test_gaps_and_violations_are_counted(gate):
    before = gate.counters()
    async with Client(gate, "alice", cursor="another-epoch.5") as client:
        assert client.welcome["resume"] == "reset"
        await client.until_caught_up()
    gate.assert_counted("gaps_sent", 1, before)
    client = await Client(gate, "alice").connect()
    await client.send("nul")
    assert await client.until_closed() == 4400
    gate.assert_counted("closed_protocol", 1, before)
    client = await Client(gate, "alice").connect()
    client.socket.transport.write(b"\x81\x02{}")  # not masked
    assert await client.until_closed() == 1002
    gate.assert_counted("closed_malformed", 1, before)


def test_a_broker_that_is_lost_is_counted(gate):
    before = gate.counters()
    gate.broker.signal(signal.SIGKILL)
    until(lambda: gate.get("/health/ready")[0] == 503, "the link to be lost")
    gate.assert_counted("link_lost", 1, before)
    assert gate.broker.start().until_ready()
    until(lambda: gate.get("/health/ready")[0] == 200, "the link to be back")
    gate.assert_counted("link_lost", 1, before)
