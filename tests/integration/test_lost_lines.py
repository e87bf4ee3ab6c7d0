# SPDX-License-Identifier: Apache-2.0
"""Peers that vanish without a word: the line between is cut, and neither an end nor a reset comes."""
import pytest
import websockets

from conftest import finish_parts
from harness.certificates import Authority
from harness.client import Client
from harness.deadline import until
from harness.gate import COUNTER, Gate
from harness.networks import Network
from harness.parts import Parts

GATEWAY_PORT = 7000


def counted(node, name):
    return int(dict(COUNTER.findall(node.get("/metrics")[1]))[name])


@pytest.fixture
def network():
    with Network() as network:
        yield network


class Away(Client):
    """It connects from another network."""

    def __init__(self, network, *args, **more):
        super().__init__(*args, **more)
        self.network = network

    async def connect(self):
        connect, line = websockets.connect, self.network.connect(self.node.port)
        try:
            websockets.connect = lambda *args, **more: connect(*args, sock=line, **more)
            return await super().connect()
        finally:
            websockets.connect = connect


async def test_a_client_that_vanishes_is_noticed_and_resumes_from_elsewhere(network):
    gate = Gate(host="::", heartbeat="1s")
    gate.add_emitter("pacemaker", ["alice"], 50)
    try:
        gate.start()
        before = gate.counters()
        client = await Away(network, gate, "alice", cursor="start").connect()
        await client.until(lambda: len(client.stream.events) >= 20, "events")
        gate.assert_counted("connections", 1, before)
        network.cut()
        until(lambda: gate.counters()["closed_silent"] > before["closed_silent"], "it to be missed")
        until(lambda: gate.counters()["connections"] == before["connections"], "it to be let go")
        gate.assert_counted("closed_silent", 1, before)
        gate.assert_counted("handshakes_accepted", 1, before)
        await client.drop()  # it has heard nothing of all that
        seen = client.stream.events[-1]["seq"]
        async with Client(gate, "alice", stream=client.stream) as back:
            await back.until(lambda: len(back.stream.events) >= 2 * seen, "what it has missed")
            assert back.welcome["resume"] == "replay" and back.problem is None
            numbers = [event["seq"] for event in back.stream.events]
            assert numbers == list(range(1, len(numbers) + 1)), "nothing is lost, nothing twice"
            assert gate.counters()["gaps_sent"] == before["gaps_sent"]
    finally:
        finish_parts(gate)


def linked(network, folder):
    """A node with the broker, within the network, and one with a gateway to it."""
    authority = Authority(folder)
    address = f"tls+tcp://{network.far}:{GATEWAY_PORT}"
    broker = authority.issue("broker", names=f"subjectAltName=DNS:{network.far}")
    far = Parts(workers=1, gateways=0, environment={
        "RINGSIDE_BROKER_GATEWAY_ADDRESS": address,
        **authority.files("BROKER_GATEWAY", *broker)})
    near = Parts(workers=0, gateways=1, environment={
        "RINGSIDE_GATEWAY_BROKERS": f"far={address}",
        **authority.files("GATEWAY_BROKERS", *authority.issue("gateway"))})
    far.broker.command = network.command(far.broker.command)
    return far, near


async def test_a_broker_that_vanishes_for_a_while_is_a_pause_for_clients(network, tmp_path):
    far, near = linked(network, tmp_path)
    try:
        for part in (far.broker, *far.workers):
            assert part.start().until_ready(), part.said()
        near.gateways[0].start()
        until(lambda: near.get("/health/ready")[0] == 200, "the link")
        async with Client(near, "alice") as client:
            run = await client.chat('{"steps": 100000, "pause_ms": 20}', agent="slow")
            await client.until_event("partial_result", run, count=10)
            network.cut()
            until(lambda: near.get("/health/ready")[0] == 503, "the link to be given up")
            assert counted(near, "link_lost") == 1
            seen = len(client.stream.events)
            network.mend()
            until(lambda: near.get("/health/ready")[0] == 200, "the next link")
            await client.until(lambda: len(client.stream.events) > seen + 20, "events again")
            await client.request("run.cancel", run_id=run)
            events = await client.until_ended(run)
            assert [event["prev"] for event in events[1:]] == \
                [event["seq"] for event in events[:-1]], "nothing is lost, nothing twice"
            assert [frame["type"] for frame in client.control] == ["welcome"]
    finally:
        finish_parts(near)
        finish_parts(far)
