# SPDX-License-Identifier: Apache-2.0
"""Many users at once: each sees all of its own, and nothing of another's."""
import asyncio

import pytest

from harness.client import Client, Refused
from harness.stream import check_all_runs

USERS, RUNS = 50, 20


async def one_user(node, user):
    async with Client(node, user) as client:
        requests = [await client.begin(
            "chat.send", thread_id=f"t-{number}", message_id=f"m-{number}",
            content=f"from {user} number {number}", agent="echo") for number in range(RUNS)]
        runs = [(await client.reply(request, 240))["run_id"] for request in requests]
        for run_id in runs:
            await client.until_ended(run_id, 240)
        return runs, client.stream


async def test_50_users_with_20_runs_each_see_all_of_their_own_and_nothing_else(make_node):
    # A thousand processes of Python: on a busy machine one may need long to answer.
    node = make_node(environment={"RINGSIDE_WORKER_MAX_RUNS": "8",
                                  "RINGSIDE_WORKER_START_TIMEOUT": "2m"}).start()
    users = [f"user-{number}" for number in range(USERS)]
    results = await asyncio.gather(*(one_user(node, user) for user in users))
    everything = set()
    for user, (runs, stream) in zip(users, results):
        assert set(stream.run_ids()) == set(runs) and len(runs) == RUNS
        assert not everything & set(runs)
        everything |= set(runs)
        check_all_runs(stream)
        for number, run_id in enumerate(runs):
            events = stream.of_run(run_id)
            assert events[-1]["data"]["outcome"] == "success"
            said = next(event for event in events if event["type"] == "chat_message")
            assert said["data"]["content"] == f"from {user} number {number}"
            assert f"from {user} number {number}" in stream.text_of(run_id)
    assert len(everything) == USERS * RUNS


async def test_nothing_a_client_sends_can_name_another_user(shared_node):
    async with Client(shared_node, "victim") as victim, \
            Client(shared_node, "intruder") as intruder:
        result = await intruder.request(
            "chat.send", thread_id="t-1", message_id="m-1", content="mine", agent="echo",
            user="victim", user_id="victim")
        await intruder.until_ended(result["run_id"])
        assert await victim.request("ping") == {}
        assert victim.stream.events == []


async def test_another_users_run_cannot_be_cancelled(shared_node):
    async with Client(shared_node, "victim-2") as victim, \
            Client(shared_node, "intruder-2") as intruder:
        run_id = await victim.chat('{"steps": 10000, "pause_ms": 20}', agent="slow")
        await victim.until_event("agent_started", run_id)
        with pytest.raises(Refused) as refusal:
            await intruder.request("run.cancel", run_id=run_id)
        assert refusal.value.code == "run_not_found"
        before = len(victim.stream.events)
        await victim.until(lambda: len(victim.stream.events) > before + 5, "the run to go on")
        await victim.request("run.cancel", run_id=run_id)
        await victim.until_ended(run_id)


async def test_a_cursor_of_another_user_shows_nothing_of_theirs(shared_node):
    async with Client(shared_node, "victim-3") as victim:
        await victim.until_ended(await victim.chat("a secret", agent="echo"))
        cursor = f"{victim.stream.epoch}.0"
    async with Client(shared_node, "intruder-3", cursor=cursor) as intruder:
        assert await intruder.request("ping") == {}
        assert intruder.stream.events == []
