# SPDX-License-Identifier: Apache-2.0
"""Agents that ask, and people who answer: from whichever tab, once."""
import asyncio
import json

import pytest

from harness.client import Client, Refused
from harness.deadline import until
from harness.stream import check_run


async def ask(client, agent="clerk", content="a book about rings"):
    """A run that asks; its identifier and its interrupt_requested."""
    run = await client.chat(content, agent=agent)
    return run, await client.until_event("interrupt_requested", run)


def respond(client, asked, status="resolved", **more):
    return client.request(
        "interrupt.respond", interrupt_id=asked["data"]["interrupt_id"], status=status, **more)


async def test_first_tab_wins_and_every_tab_sees_the_answer(shared_node, user):
    async with Client(shared_node, user) as one, Client(shared_node, user) as two:
        run, asked = await ask(one)
        assert asked["data"]["payload"] == {"item": "a book about rings"}
        assert (await one.request("run.get", run_id=run))["state"] == "waiting"
        await two.until_event("interrupt_requested", run)
        answers = await asyncio.gather(
            respond(one, asked, payload={"text": "in blue"}, run_id=run),
            respond(two, asked, status="cancelled"), return_exceptions=True)
        won = [answer for answer in answers if answer == {"ok": True}]
        lost = [answer for answer in answers if isinstance(answer, Refused)]
        assert len(won) == 1 and [refused.code for refused in lost] == ["already_resolved"]
        events = await one.until_ended(run)
        check_run(events)
        status = next(e for e in events if e["type"] == "interrupt_resolved")["data"]["reason"]
        assert status == ("resolved" if answers[0] == {"ok": True} else "cancelled")
        assert events[-1]["data"]["result"] == {"ordered": status == "resolved"}
        assert (await two.until_ended(run)) == events
        with pytest.raises(Refused, match="already_resolved"):
            await respond(two, asked)


async def test_answer_reaches_the_agent_with_its_payload(shared_node, user):
    async with Client(shared_node, user) as client:
        run, asked = await ask(client)
        assert await respond(client, asked, payload={"text": "in blue"}) == {"ok": True}
        events = await client.until_ended(run)
        assert "You said: in blue" in client.stream.text_of(run)
        resolved = next(e for e in events if e["type"] == "interrupt_resolved")
        assert resolved["data"] == {"interrupt_id": asked["data"]["interrupt_id"],
                                    "reason": "resolved", "payload": {"text": "in blue"}}


async def test_question_expires_and_is_answered_too_late(shared_node, user):
    async with Client(shared_node, user) as client:
        plan = {"ask": [{"reason": "Now?", "interrupt_id": "i-1", "expires_at": 1}]}
        run, asked = await ask(client, "asker", json.dumps(plan))
        events = await client.until_ended(run)
        resolved = next(e for e in events if e["type"] == "interrupt_resolved")
        assert resolved["data"]["reason"] == "expired"
        with pytest.raises(Refused, match="already_resolved"):
            await respond(client, asked, run_id=run)


async def test_nobody_answers_for_another_user(shared_node, user):
    async with Client(shared_node, user) as client, Client(shared_node, f"{user}x") as other:
        run, asked = await ask(client)
        for more in ({}, {"run_id": run}):
            with pytest.raises(Refused, match="run_not_found"):
                await respond(other, asked, **more)
        await client.request("run.cancel", run_id=run)
        await client.until_ended(run)
        with pytest.raises(Refused, match="already_finished"):
            await respond(client, asked)


async def respond_in_time(client, asked, **more):
    """Until the worker that asks is connected again; meanwhile others do some work."""
    while True:
        try:
            return await respond(client, asked, **more)
        except Refused as refused:
            assert refused.code == "unavailable" and refused.retryable
            await client.until_ended(await client.chat("hello", thread="t-2", agent="echo"))


async def test_question_outlives_the_broker(node, user):
    async with Client(node, user) as client:
        run, asked = await ask(client)
        killed = await asyncio.to_thread(node.kill, "ringside-broker")
        await asyncio.to_thread(node.until_restarted, "ringside-broker", killed)
        await asyncio.to_thread(until, lambda: node.get("/health/ready")[0] == 200, "readiness")
        assert await respond_in_time(client, asked, run_id=run) == {"ok": True}
        check_run(await client.until_ended(run))
