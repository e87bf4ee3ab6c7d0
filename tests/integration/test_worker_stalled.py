# SPDX-License-Identifier: Apache-2.0
"""A worker stands still: it is given up, and what it writes when it wakes up reaches nobody."""
import json
import os
import signal

import pytest

from harness.client import Client
from harness.deadline import until
from harness.node import alive
from harness.stream import check_run, is_terminal

ENDLESS = json.dumps({"steps": 100000, "pause_ms": 10})
SHORT_LEASE = {"RINGSIDE_BROKER_WORKER_LEASE": "3s"}


@pytest.fixture
def stop(request):
    """Stops a process until the test lets it go on, or is over."""
    stopped = []

    def stop_one(pid):
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)

    yield stop_one
    for pid in filter(alive, stopped):
        os.kill(pid, signal.SIGCONT)


def fenced(node):
    return node.status()["counters"]["workers_fenced"]


async def test_a_stopped_workers_run_ends_as_stalled_and_nothing_comes_after_it(make_node, stop):
    node = make_node(workers=1, environment=SHORT_LEASE).start()
    async with Client(node, "alice") as client:
        run_id = await client.chat(ENDLESS, agent="slow")
        await client.until_event("partial_result", run_id, count=3)
        worker = node.pids("ringside-worker")[0]
        agents = node.descendants(worker)
        stop(worker)
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["data"]["code"] == "worker_stalled"
        assert events[-1]["data"]["retryable"] is True and events[-1]["synthetic"] is True
        assert fenced(node) == 1

        os.kill(worker, signal.SIGCONT)
        node.stderr.wait_for("the broker gave this process up")
        until(lambda: not any(map(alive, agents)), "the end of the agents it had")
        again = await client.chat("hello", "t-2", agent="echo")
        check_run(await client.until_ended(again))
        assert node.pids("ringside-worker") == [worker], "it should have gone on by itself"
        assert sum(map(is_terminal, client.stream.of_run(run_id))) == 1
        assert client.stream.of_run(run_id) == events, "something came behind the end"
        assert fenced(node) == 1


async def test_a_request_it_had_not_begun_is_run_by_another_worker(make_node, stop):
    node = make_node(workers=1, environment=SHORT_LEASE).start()
    async with Client(node, "alice") as client:
        worker = node.pids("ringside-worker")[0]
        stop(worker)
        run_id = await client.chat("hello", agent="echo")
        until(lambda: fenced(node) == 1, "the worker to be given up")
        os.kill(worker, signal.SIGCONT)
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["type"] == "agent_completed"
        assert [event["type"] for event in events].count("agent_started") == 1


async def test_a_broker_that_was_restarted_knows_whom_it_had_given_up(make_node, stop):
    node = make_node(workers=1, environment=SHORT_LEASE).start()
    async with Client(node, "alice") as client:
        run_id = await client.chat(ENDLESS, agent="slow")
        await client.until_event("partial_result", run_id, count=3)
        worker = node.pids("ringside-worker")[0]
        stop(worker)
        events = await client.until_ended(run_id)
        stream = client.stream
    broker = node.kill("ringside-broker")
    node.until_restarted("ringside-broker", broker)
    os.kill(worker, signal.SIGCONT)
    node.stderr.wait_for("the broker gave this process up")
    until(lambda: node.get("/health/ready")[0] == 200, "readiness")
    async with Client(node, "alice", stream=stream) as client:
        again = await client.chat("hello", "t-2", agent="echo")
        check_run(await client.until_ended(again))
        assert client.stream.of_run(run_id) == events
