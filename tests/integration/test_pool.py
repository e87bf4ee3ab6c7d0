# SPDX-License-Identifier: Apache-2.0
"""What an agent may take on a worker, and processes that are there before a run wants one."""
import asyncio
import json
import os
import signal

import pytest

from harness.client import Client
from harness.deadline import until
from harness.node import CONFIG, Node, command_line
from harness.reread import hang_up, write_agents
from harness.stream import check_run

AGENTS = CONFIG.parent


def agent(program, **more):
    return {"command": ["python3", str(AGENTS / program)]} | more


CONFIGURATION = {"agents": {
    "echo": agent("../../examples/agents/echo.py"),
    "warm": agent("reused.py", pool={"min_idle": 2}),
    "reused": agent("reused.py", pool={"max_uses": 3, "max_memory": "48M"}),
    "sdk": agent("sdk.py", pool={"max_uses": 10}),
    "one-by-one": agent("slow.py", limits={"runs": 1}),
    "hog": agent("hog.py", limits={"memory": "64M", "cpu_time": "1s"}),
}}


@pytest.fixture(scope="module")
def pool_node(tmp_path_factory):
    from conftest import finish
    config = tmp_path_factory.mktemp("pool") / "ringside.yaml"
    config.write_text(json.dumps(CONFIGURATION))  # JSON is YAML
    node = Node(config=config, workers=1)
    try:
        yield node.start()
    finally:
        finish(node)


async def run_of(client, agent_name, content="hello", **more):
    """What the run said, and its last event."""
    run_id = await client.chat(content, agent=agent_name, **more)
    events = await client.until_ended(run_id)
    check_run(events)
    return client.stream.text_of(run_id), events[-1]


def processes_of(node, program, count):
    worker, = node.pids("ringside-worker")
    found = [pid for pid in node.descendants(worker) if program in command_line(pid)]
    return found if len(found) == count else None


async def test_a_run_gets_a_process_that_was_started_ahead_and_another_takes_its_place(
        pool_node, user):
    ahead = set(until(lambda: processes_of(pool_node, "reused.py", 2), "two idle processes"))
    async with Client(pool_node, user) as client:
        seen = [int((await run_of(client, "warm"))[0].split()[0]) for _ in range(3)]
    assert set(seen[:1]) <= ahead and len(set(seen)) == 3
    until(lambda: processes_of(pool_node, "reused.py", 2), "two idle processes again")


async def test_an_idle_process_that_dies_is_replaced(pool_node):
    first, second = until(lambda: processes_of(pool_node, "reused.py", 2), "two idle processes")
    os.kill(first, signal.SIGKILL)
    until(lambda: first not in (processes_of(pool_node, "reused.py", 2) or [first]), "another")


async def test_a_process_serves_as_many_runs_as_it_may(pool_node, user):
    async with Client(pool_node, user) as client:
        seen = [(await run_of(client, "reused", "fails" if n == 1 else "hello"))[0] for n in range(6)]
    assert seen[0] == seen[1] == seen[2] != seen[3] == seen[4] == seen[5]


@pytest.mark.parametrize("how", ["chatty", "exits", "grows"])
async def test_a_process_that_is_no_good_any_more_is_not_used_again(pool_node, user, how):
    async with Client(pool_node, user) as client:
        first, end = await run_of(client, "reused", how)
        assert end["data"]["outcome"] == "success"
        second, end = await run_of(client, "reused")
        assert end["data"]["outcome"] == "success" and second.split()[1] != first.split()[1]


async def test_an_agent_on_the_python_package_serves_one_run_after_the_other(pool_node, user):
    async with Client(pool_node, user) as client:
        for what in ("shows", "refuses", "shows"):
            await run_of(client, "sdk", what)
            await client.until(lambda: processes_of(pool_node, "sdk.py", 1), "its one process")
        first = processes_of(pool_node, "sdk.py", 1)
        run_id = await client.chat("sleeps", agent="sdk")
        await client.until_event("partial_result", run_id)
        assert processes_of(pool_node, "sdk.py", 1) == first
        await client.request("run.cancel", run_id=run_id)
        await client.until_ended(run_id)
        assert (await run_of(client, "sdk", "shows"))[1]["data"]["outcome"] == "success"
        assert processes_of(pool_node, "sdk.py", 1) != first


async def test_runs_beyond_an_agents_limit_wait_for_their_turn(pool_node, user):
    content = json.dumps({"steps": 3, "pause_ms": 20})
    async with Client(pool_node, user) as client:
        runs = [await client.chat(content, agent="one-by-one", thread=f"t-{n}") for n in range(3)]
        for run in runs:
            check_run(await client.until_ended(run))
        changes = [event for event in client.stream.events
                   if event["type"] in ("agent_started", "agent_completed")]
        assert [event["type"] for event in changes] == ["agent_started", "agent_completed"] * 3
        assert [event["run_id"] for event in changes[::2]] == runs


async def test_a_run_that_waits_can_be_cancelled(pool_node, user):
    async with Client(pool_node, user) as client:
        first = await client.chat('{"steps": 100000}', agent="one-by-one", thread="t-1")
        await client.until_event("partial_result", first)
        second = await client.chat('{"steps": 1}', agent="one-by-one", thread="t-2")
        await asyncio.wait_for(client.request("run.cancel", run_id=second), 30)
        events = await client.until_ended(second)
        check_run(events)
        assert events[-1]["data"]["outcome"] == "cancelled" and not client.stream.ended(first)
        await client.request("run.cancel", run_id=first)
        await client.until_ended(first)


@pytest.mark.parametrize("content, code", [
    ({"memory_mib": 100}, "agent_out_of_memory"),
    ({"memory_mib": 100, "in_child": True}, "agent_out_of_memory"),
    ({"cpu": True}, "agent_out_of_cpu_time"),
])
async def test_an_agent_that_takes_too_much_is_ended_and_the_next_run_is_served(
        pool_node, user, content, code):
    async with Client(pool_node, user) as client:
        _, end = await run_of(client, "hog", json.dumps(content))
        assert end["data"]["code"] == code and end["data"]["fatal"]
        assert (await run_of(client, "hog", "{}"))[1]["data"]["outcome"] == "success"
    until(lambda: processes_of(pool_node, "hog.py", 0) == [], "the end of its processes")


# ---- the configuration is read again

@pytest.fixture
def changing_node(make_node, tmp_path):
    node = make_node(config=tmp_path / "ringside.yaml", workers=1)
    write_agents(node, echo=CONFIGURATION["agents"]["echo"], slow=agent("slow.py"))
    return node.start()


async def test_agents_come_and_go_and_runs_end_as_they_began(changing_node, user):
    async with Client(changing_node, user) as client:
        running = await client.chat('{"steps": 100000}', agent="slow")
        await client.until_event("partial_result", running)
        write_agents(changing_node, echo=CONFIGURATION["agents"]["echo"],
                     reused=agent("reused.py", pool={"min_idle": 1}))
        hang_up(changing_node, "has other agents now")
        assert (await run_of(client, "reused", thread="t-2"))[1]["data"]["outcome"] == "success"
        assert not client.stream.ended(running)
        await client.request("run.cancel", run_id=running)
        check_run(await client.until_ended(running))
        write_agents(changing_node, echo=CONFIGURATION["agents"]["echo"])
        hang_up(changing_node, "has other agents now")
        until(lambda: processes_of(changing_node, ".py", 0) == [], "the end of idle processes")
        assert (await run_of(client, "echo"))[1]["data"]["outcome"] == "success"


@pytest.mark.parametrize("broken, reason", [
    ({"slow": {"command": ["/no/such/program"]}}, "its program /no/such/program is not there"),
    ({"slow": {"comand": ["x"]}}, "unknown key"),
])
async def test_agents_that_cannot_run_change_nothing(changing_node, user, broken, reason):
    write_agents(changing_node, **broken)
    hang_up(changing_node, "the agents in use stay")
    assert reason in changing_node.stderr.text()
    async with Client(changing_node, user) as client:
        assert (await run_of(client, "slow", '{"steps": 1}'))[1]["data"]["outcome"] == "success"
