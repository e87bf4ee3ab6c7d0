# SPDX-License-Identifier: Apache-2.0
"""Addresses of both kinds, lines that are dead and do not say so, and several tabs at once."""
import asyncio
import socket

import pytest

from conftest import finish_parts
from harness.client import Client
from harness.deadline import PATIENCE, until
from harness.gate import Gate
from harness.handshake import handshake
from harness.held import request_text


@pytest.fixture(scope="module")
def gate():
    """On every address, impatient, and with events of alice's all the time."""
    gate = Gate(host="::", heartbeat="1500ms")
    gate.add_emitter("pacemaker", ["alice"], 50)
    try:
        gate.start()
        yield gate
    finally:
        finish_parts(gate)


def test_one_socket_serves_ipv6_and_ipv4(gate):
    for address in (f"[::1]:{gate.port}", f"127.0.0.1:{gate.port}"):
        gate.address = address
        assert handshake(gate, gate.token("alice")).status == 101, address
        assert handshake(gate, gate.token("alice"), Origin=f"http://{address}").status == 101
        assert gate.get("/health/ready")[0] == 200


async def test_a_gateway_may_be_on_an_ipv6_address_alone():
    gate = Gate(host="::1")
    try:
        gate.start()
        async with Client(gate, "alice") as client:
            assert client.welcome["user_id"] == "alice"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", gate.port), timeout=PATIENCE)
    finally:
        finish_parts(gate)


def closing_code(connection):
    """What a client that only listens is told at the end: the code of the last, unmasked, frame."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
        at = received.rfind(b"\x88", -130)
        if at >= 0 and len(received) == at + 2 + received[at + 1]:
            return int.from_bytes(received[at + 2:at + 4], "big")
    return None


async def test_a_resumed_client_and_other_tabs_outlive_the_dead_line_before_them(gate):
    """A line that went dead without a word is found out; nobody who came after it notices."""
    before = gate.counters()
    dead = socket.create_connection(("::1", gate.port), timeout=PATIENCE)
    dead.sendall(request_text(gate, gate.token("alice")))
    client = await Client(gate, "alice").connect()
    tabs = [await Client(gate, "alice", cursor=client.stream.cursor).connect() for _ in range(2)]
    await client.until_event("partial_result")
    await client.drop()
    resumed = await Client(gate, "alice", stream=client.stream).connect()
    try:
        assert await asyncio.to_thread(closing_code, dead) == 4003
        gate.assert_counted("closed_silent", 1, before)
        for other in (resumed, *tabs):
            seen = len(other.stream.events)
            await other.until(lambda: len(other.stream.events) > seen, "events afterwards")
            assert other.problem is None
        last = resumed.stream.events[-1]["seq"]
        for tab in tabs:
            await tab.until(lambda: last in tab.stream.raw, "what the resumed one has")
            shared = tab.stream.raw.keys() & resumed.stream.raw.keys()
            assert len(shared) > 1
            assert all(tab.stream.raw[seq] == resumed.stream.raw[seq] for seq in shared)
    finally:
        dead.close()
        for other in (resumed, *tabs):
            await other.close()
    until(lambda: gate.counters()["connections"] == before["connections"], "all to be gone")
