# SPDX-License-Identifier: Apache-2.0
"""A worker dies in the middle of a run: the run ends properly on its user's screen, at once."""
import asyncio
import json

from harness.client import Client
from harness.deadline import PATIENCE, until
from harness.node import alive, kill
from harness.stream import check_run

ENDLESS = json.dumps({"steps": 100000, "pause_ms": 10})
IN_A_TOOL = json.dumps({"steps": 3, "pause_ms": 1, "tool_ms": 600000})


def check_lost(events):
    """The run was ended by the broker: open tools first, then one fatal error, all synthetic."""
    check_run(events)
    end = events[-1]
    assert end["type"] == "error_event" and end["data"]["code"] == "worker_lost"
    assert end["data"]["fatal"] is True and end["data"]["retryable"] is True
    assert end["synthetic"] is True
    lost = [event for event in events if event["type"] == "tool_completed"
            and event["data"]["status"] == "lost"]
    assert all(event["synthetic"] for event in lost)
    return lost


async def test_a_killed_workers_run_ends_as_lost_and_the_other_takes_new_runs(make_node):
    """At its death, not when its lease is over: here that is longer than the test waits."""
    node = make_node(environment={"RINGSIDE_BROKER_WORKER_LEASE": "5m"}).start()
    for number in range(2):
        async with Client(node, f"user-{number}") as client:
            run_id = await client.chat(ENDLESS, agent="slow")
            await client.until_event("partial_result", run_id, count=3)
            worker = node.worker_of("slow.py")
            kill(worker)
            assert check_lost(await client.until_ended(run_id)) == []
            again = await client.chat("hello", "t-2", agent="echo")
            check_run(await client.until_ended(again))
            node.until_restarted("ringside-worker", worker)
            until(lambda: len(node.pids("ringside-worker")) == 2, "two workers again")


async def test_a_killed_workers_open_tool_is_closed_as_lost_first(node):
    async with Client(node, "alice") as client:
        run_id = await client.chat(IN_A_TOOL, agent="slow")
        await client.until_event("tool_executing", run_id)
        kill(node.worker_of("slow.py"))
        lost = check_lost(await client.until_ended(run_id))
        assert len(lost) == 1
        types = [event["type"] for event in client.stream.of_run(run_id)[-3:]]
        assert types == ["tool_completed", "partial_result", "error_event"]


async def test_a_killed_worker_leaves_no_agent_behind(node):
    async with Client(node, "alice") as client:
        run_id = await client.chat(ENDLESS, agent="slow")
        await client.until_event("partial_result", run_id)
        worker = node.worker_of("slow.py")
        agents = node.descendants(worker)
        assert agents
        kill(worker)
        await client.until_ended(run_id)
        until(lambda: not any(map(alive, agents)), "the end of the agent")


async def test_the_runs_of_the_other_worker_go_on(node):
    clients = [await Client(node, f"user-{number}").connect() for number in range(6)]
    runs = {client: await client.chat(ENDLESS, agent="slow") for client in clients}
    for client, run_id in runs.items():
        await client.until_event("partial_result", run_id)
    node.kill("ringside-worker")
    until_one_ends = [asyncio.create_task(client.until_ended(run_id))
                      for client, run_id in runs.items()]
    await asyncio.wait(until_one_ends, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    going = 0
    for client, run_id in runs.items():
        seen = len(client.stream.of_run(run_id))
        await client.until(lambda: client.stream.ended(run_id)
                           or len(client.stream.of_run(run_id)) >= seen + 10, "the run to go on")
        if client.stream.ended(run_id):
            check_lost(client.stream.of_run(run_id))
            continue
        going += 1
        await client.request("run.cancel", run_id=run_id)
        check_run(await client.until_ended(run_id))
    assert 0 < going < len(runs), "both workers should have had runs"
    await asyncio.gather(*until_one_ends, *(client.close() for client in clients))


async def test_a_run_whose_worker_died_before_it_began_is_given_to_another(make_node):
    """All workers are gone; requests wait, and are run when there is a worker again."""
    node = make_node(workers=1).start()
    async with Client(node, "alice") as client:
        worker = node.kill("ringside-worker")
        runs = [await client.chat(f"hello {number}", f"t-{number}", agent="echo")
                for number in range(5)]
        node.until_restarted("ringside-worker", worker)
        for run_id in runs:
            events = await client.until_ended(run_id)
            check_run(events)
            assert events[-1]["type"] == "agent_completed"
