# SPDX-License-Identifier: Apache-2.0
"""A gateway that is told to leave: who is sent away when, what it says meanwhile, and when it ends."""
import asyncio
import contextlib
import json
import signal

import pytest

from harness.client import Client
from harness.deadline import until
from harness.handshake import handshake
from harness.parts import Parts

IDLE = 12
LONG = json.dumps({"steps": 100000, "pause_ms": 20})


@pytest.fixture
def parts():
    node = Parts(workers=1, gateways=1, environment={
        "RINGSIDE_GATEWAY_DRAIN_WINDOW": "3s", "RINGSIDE_GATEWAY_DRAIN_GRACE": "300ms",
        "RINGSIDE_WORKER_DRAIN_TIMEOUT": "0"})
    try:
        yield node.start()
    finally:
        node.stop()
        problems = node.reports()
        node.remove()
    assert not problems, "\n\n".join(problems)


async def left(client, order):
    """Notes when the client was told to go; what it was told."""
    frame = await client.until(
        lambda: next((each for each in client.control if each["type"] == "going_away"), None),
        "going_away")
    order.append(client.user)
    assert await client.until_closed() == 4001
    return frame


async def test_idle_users_leave_first_and_those_with_open_runs_last(parts):
    gateway = parts.gateways[0]
    async with contextlib.AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(Client(parts, f"idle-{number}"))
                for number in range(IDLE)]
        busy = await stack.enter_async_context(Client(parts, "busy"))
        ending = await stack.enter_async_context(Client(parts, "ending"))
        await busy.chat(LONG, agent="slow")
        ending_run = await ending.chat(LONG, agent="slow")
        await busy.until_event("agent_started")
        await ending.until_event("agent_started")
        order = []
        leaving = [asyncio.create_task(left(client, order)) for client in [*idle, busy, ending]]

        gateway.signal(signal.SIGTERM)
        until(lambda: parts.get("/health/ready")[0] == 503, "no readiness")
        assert not busy.problem and parts.get("/health/live")[0] == 200
        refused = handshake(parts, parts.token("late"))
        assert refused.status == 503 and int(refused.headers["Retry-After"]) >= 1
        assert refused.error["code"] == "unavailable" and refused.error["retryable"]
        await ending.request("run.cancel", run_id=ending_run)

        told = await asyncio.gather(*leaving)
        assert order[-1] == "busy" and set(order[:-1]) == {f"idle-{number}" for number in
                                                           range(IDLE)} | {"ending"}
        assert len({frame["reconnect_after_ms"] for frame in told}) > IDLE // 2
        assert all(frame["cursor"].startswith(client.welcome["epoch"] + ".")
                   for frame, client in zip(told, [*idle, busy, ending]))
    assert gateway.until_ended() == 0
    assert f"draining {IDLE + 2} connections, 2 of users with open runs" in gateway.said()
    assert "no connection is left" in gateway.said()


async def test_a_gateway_that_is_empty_leaves_at_once(parts):
    parts.gateways[0].signal(signal.SIGTERM)
    assert parts.gateways[0].until_ended() == 0
    assert "no connection is left" in parts.gateways[0].said()


async def test_who_does_not_answer_does_not_hold_the_gateway(parts):
    """The client neither reads nor closes: its line is there, and that is all."""
    client = await Client(parts, "deaf").connect()
    client.socket.transport.pause_reading()
    parts.gateways[0].signal(signal.SIGTERM)
    assert parts.gateways[0].until_ended() == 0
    assert "1 connections did not close in time" in parts.gateways[0].said()
    await client.drop()


async def test_reading_the_configuration_again_sends_nobody_away(parts):
    gateway = parts.gateways[0]
    async with Client(parts, "alice") as client:
        gateway.signal(signal.SIGHUP)
        until(lambda: "were read again" in gateway.said(), "the reload")
        await client.request("ping")
        assert parts.get("/health/ready")[0] == 200
        assert [frame["type"] for frame in client.control] == ["welcome"]


async def test_each_connection_that_is_sent_away_is_counted(parts):
    def counted():
        lines = parts.get("/metrics")[1].splitlines()
        return [line for line in lines if line.startswith("ringside_gateway_sent_away_total ")]
    async with Client(parts, "alice"), Client(parts, "alice") as busy:
        await busy.chat(LONG, agent="slow")
        await busy.until_event("agent_started")
        assert counted() == ["ringside_gateway_sent_away_total 0"]
        parts.gateways[0].signal(signal.SIGTERM)
        until(lambda: counted() == ["ringside_gateway_sent_away_total 1"], "the first to leave")
        assert await busy.until_closed() == 4001
