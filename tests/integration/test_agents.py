# SPDX-License-Identifier: Apache-2.0
"""Agents and tools that misbehave: each ends in the right terminal event on its user's screen."""
import json

import pytest

from harness.client import Client
from harness.deadline import until
from harness.stream import check_run


@pytest.fixture(scope="module")
def strict_node():
    """Who was told to stop is not waited for, and a line is soon too long. How long an agent may be
    silent is left as it is: none of these agents is, but a busy machine is slow to start them."""
    from conftest import finish
    from harness.node import Node
    node = Node(environment={"RINGSIDE_WORKER_CANCEL_GRACE": "200ms",
                             "RINGSIDE_WORKER_MAX_LINE": "100000"})
    try:
        yield node.start()
    finally:
        finish(node)


async def end_of(node, user, agent, content="hello"):
    """All events of one run; and the node is as good as before."""
    async with Client(node, user) as client:
        events = await client.until_ended(await client.chat(content, agent=agent))
        check_run(events)
        check_run(await client.until_ended(await client.chat("still here?", agent="echo")))
        return events


@pytest.mark.parametrize("agent, code", [
    ("crash", "agent_crashed"),
    ("exits", "agent_crashed"),
    ("garbage", "agent_protocol_error"),
    ("longline", "agent_protocol_error"),
    ("exits-at-start", "agent_start_failed"),
])
async def test_an_agent_that_goes_wrong_ends_its_run_with_one_fatal_error(
        strict_node, user, agent, code):
    events = await end_of(strict_node, user, agent)
    end = events[-1]
    assert end["type"] == "error_event" and end["data"]["fatal"] is True
    assert end["data"]["code"] == code and end["data"]["message"]


async def test_a_crash_closes_the_tool_it_was_in(strict_node, user):
    events = await end_of(strict_node, user, "crash")
    completed = [event for event in events if event["type"] == "tool_completed"]
    assert len(completed) == 1 and completed[0]["data"]["status"] in ("cancelled", "lost")


async def test_an_agent_that_will_not_stop_is_stopped(strict_node, user):
    async with Client(strict_node, user) as client:
        run_id = await client.chat("hello", agent="stubborn")
        await client.until_event("partial_result", run_id)
        worker = strict_node.worker_of("stubborn.py")
        await client.request("run.cancel", run_id=run_id)
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["type"] == "agent_completed"
        assert events[-1]["data"]["outcome"] == "cancelled"
        until(lambda: not strict_node.descendants(worker), "the end of the agent")


async def test_an_agent_that_lingers_after_its_end_is_put_away(strict_node, user):
    events = await end_of(strict_node, user, "lingering")
    assert events[-1]["data"]["outcome"] == "success"
    until(lambda: not any(strict_node.descendants(worker)
                          for worker in strict_node.pids("ringside-worker")), "the end of the agent")


async def test_tools_that_go_wrong_are_paired_and_say_why(strict_node, user):
    events = await end_of(strict_node, user, "badtools")
    completed = {event["data"]["tool_name"]: event["data"] for event in events
                 if event["type"] == "tool_completed"}
    assert {name: data["error"]["code"] for name, data in completed.items()} == {
        "missing": "tool_not_found", "huge": "tool_output_too_large",
        "garbled": "tool_bad_output", "fails": "tool_failed", "says_why": "no_such_file",
        "lingers": "tool_timeout"}
    assert all(data["status"] == "error" for data in completed.values())
    assert events[-1]["data"]["outcome"] == "success"


async def test_a_result_too_large_for_an_event_ends_properly(strict_node, user):
    events = await end_of(strict_node, user, "bigtool")
    assert [event["type"] for event in events].count("tool_completed") == 1


async def test_a_flood_of_events_arrives_whole_and_in_order(strict_node, user):
    content = json.dumps({"events": 20000, "bytes": 50})
    async with Client(strict_node, user) as client:
        run_id = await client.chat(content, agent="flood")
        check_run(await client.until_ended(run_id, 120))
        numbers = [int(word.rstrip(".")) for word in client.stream.text_of(run_id).split()]
        assert numbers == list(range(1, 20001))


async def test_a_failure_the_agent_reports_is_passed_on(strict_node, user):
    content = json.dumps({"steps": 2, "pause_ms": 1, "fail": "no_such_book", "usage": {"pages": 3}})
    events = await end_of(strict_node, user, "slow", content)
    assert events[-1]["data"]["code"] == "no_such_book"
    assert events[-1]["data"]["retryable"] is False
    assert events[-1]["data"]["usage"] == {"pages": 3}
