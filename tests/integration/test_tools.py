# SPDX-License-Identifier: Apache-2.0
"""Tools that people and their applications decide, on a whole node."""
import asyncio
import itertools
import json
import os
import subprocess

from harness.client import Client, Refused
from harness.deadline import PATIENCE, until
from harness.node import PROGRAMS, ROOT
from harness.reread import hang_up, write_agents
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


# ---- MCP servers

SERVER = str(ROOT / "tests/agents/mcp_server.py")


def guest(*ways, **more):
    return {"command": ["python3", str(ROOT / "tests/agents/caller.py")],
            "mcp": {"test": {"command": ["python3", SERVER, *ways], **more}}}


async def test_server_of_tools_is_shared_by_runs_and_changed_as_a_whole(make_node, tmp_path, user):
    node = make_node(config=tmp_path / "ringside.yaml", workers=1)
    write_agents(node, guest=guest())
    node.start()
    async with Client(node, user) as client:
        async def state():
            run = await client.chat(call("test__state"), agent="guest", thread=f"t-{next(numbers)}")
            return (await result_of(client, run))["result"]["pid"]
        numbers = itertools.count()
        first = await state()
        assert await state() == first
        write_agents(node, guest=guest("exits"))
        hang_up(node, "the agents in use stay")
        assert "server test: it exited with status 1: no database here" in "\n".join(node.stderr.lines)
        assert await state() == first
        write_agents(node, guest=guest(approval="ask"))
        hang_up(node, "has other agents now")
        run = await client.chat(call("test__state"), agent="guest")
        asked = await client.until_event("interrupt_requested", run)
        await allow(client, asked)
        assert (await result_of(client, run))["result"]["pid"] != first
        until(lambda: not os.path.exists(f"/proc/{first}"), "the end of the first server")


def test_worker_whose_server_cannot_be_used_does_not_start(tmp_path):
    config = tmp_path / "ringside.yaml"
    config.write_text(json.dumps({"agents": {"guest": guest("garbage")}}))
    done = subprocess.run([PROGRAMS["ringside-worker"], "--config", config, "--node-name", "none"],
                          capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert done.returncode != 0
    assert "agent guest, server test: it wrote a line that is not a message" in done.stderr
