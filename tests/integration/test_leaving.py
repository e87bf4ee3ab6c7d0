# SPDX-License-Identifier: Apache-2.0
"""A worker that is told to leave hands back what it has not begun, and ends the rest properly."""
import json
import os
import signal

from harness.client import Client
from harness.deadline import until
from harness.stream import check_run

RUNS = 24


def handed_back(node):
    return node.status()["counters"]["runs_handed_back"]


async def test_a_run_that_has_not_begun_goes_to_the_other_worker_at_once(make_node):
    node = make_node(workers=2).start()
    async with Client(node, "alice") as client:
        run_id = await client.chat("hello", agent="silent-at-start")
        leaving = node.worker_of("silent.py")
        os.kill(leaving, signal.SIGTERM)
        until(lambda: handed_back(node) == 1, "the run to be handed back")
        until(lambda: node.worker_of("silent.py") != leaving, "the other worker to have it")
        await client.request("run.cancel", run_id=run_id)
        events = await client.until_ended(run_id)
        assert [event["type"] for event in events][:2] == ["chat_message", "run_queued"]
        assert events[-1]["data"]["outcome"] == "cancelled"


async def test_a_worker_that_leaves_under_load_loses_no_run_and_repeats_none(make_node):
    """Runs of several users are going on and waiting on both workers."""
    node = make_node(workers=2).start()
    content = json.dumps({"steps": 10, "pause_ms": 10})
    clients = [Client(node, user) for user in ("alice", "bob", "carol")]
    for client in clients:
        await client.connect()
    runs = {}
    for number in range(RUNS):
        client = clients[number % len(clients)]
        runs[await client.chat(content, f"t-{number}", agent="slow")] = client
    first, client = next(iter(runs.items()))
    await client.until_event("agent_started", first)
    os.kill(node.pids("ringside-worker")[0], signal.SIGTERM)
    for run_id, client in runs.items():
        events = await client.until_ended(run_id)
        check_run(events)
        assert [event["type"] for event in events].count("agent_started") <= 1
        assert events[-1]["type"] == "agent_completed", events[-1]
    assert node.status()["counters"]["runs_orphaned"] == 0
    for client in clients:
        await client.close()
