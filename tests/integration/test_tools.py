# SPDX-License-Identifier: Apache-2.0
"""Tools that people and their applications decide, on a whole node."""
import asyncio
import json

from harness.client import Client, Refused
from harness.stream import check_run


def call(name, **args):
    return json.dumps([{"name": name, "args": args}])


async def ask(client, name, **args):
    run = await client.chat(call(name, **args), agent="caller")
    return run, await client.until_event("interrupt_requested", run)


def respond(client, asked, **more):
    return client.request("interrupt.respond", interrupt_id=asked["data"]["interrupt_id"], **more)


def allow(client, asked, approved=True):
    return respond(client, asked, status="resolved", payload={"approved": approved})


async def result_of(client, run):
    events = await client.until_ended(run)
    check_run(events)
    return events[-1]["data"]["result"][0]


async def test_first_tab_that_allows_or_denies_a_tool_decides(shared_node, user):
    async with Client(shared_node, user) as one, Client(shared_node, user) as two:
        run, asked = await ask(one, "guarded", ms=1)
        assert asked["data"]["payload"]["args"] == {"ms": 1}
        await two.until_event("interrupt_requested", run)
        answers = await asyncio.gather(
            allow(one, asked), allow(two, asked, approved=False), return_exceptions=True)
        assert [a.code for a in answers if isinstance(a, Refused)] == ["already_resolved"]
        result = await result_of(one, run)
        assert result["status"] == ("ok" if answers[0] == {"ok": True} else "denied")


async def test_question_for_a_tool_is_still_there_after_a_reload(shared_node, user):
    async with Client(shared_node, user) as client:
        run, _ = await ask(client, "guarded", ms=1)
    async with Client(shared_node, user, snapshots=True) as client:
        shown = await client.until(lambda: next(
            (frame for frame in client.control if frame["type"] == "snapshot"), None), "a snapshot")
        assert [tool["tool_name"] for tool in shown["tools"]] == ["guarded"]
        asked = {"data": shown["interrupts"][0]}
        assert asked["data"]["payload"]["tool_name"] == "guarded"
        assert await allow(client, asked) == {"ok": True}
        await client.until_ended(run)


async def test_cancel_while_a_tool_waits_for_consent(shared_node, user):
    async with Client(shared_node, user) as client:
        run, asked = await ask(client, "guarded")
        await client.request("run.cancel", run_id=run)
        events = await client.until_ended(run)
        check_run(events)
        assert events[-1]["data"] == {"outcome": "cancelled"}
        completed = [event for event in events if event["type"] == "tool_completed"]
        assert [event["data"]["status"] for event in completed] == ["cancelled"]


async def test_application_of_the_user_does_a_tool(shared_node, user):
    async with Client(shared_node, user) as client:
        run, asked = await ask(client, "page", url="/rings")
        assert asked["data"]["payload"] | {"tool_call_id": ""} == {
            "kind": "tool", "tool_call_id": "", "tool_name": "page", "args": {"url": "/rings"}}
        await respond(client, asked, status="resolved", payload={"opened": True})
        assert await result_of(client, run) == {"status": "ok", "result": {"opened": True}}
