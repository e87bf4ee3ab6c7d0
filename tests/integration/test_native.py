# SPDX-License-Identifier: Apache-2.0
"""Agents that are shared objects, each in a process of its own."""
import json
import subprocess

import pytest

from harness.client import Client
from harness.deadline import PATIENCE, until
from harness.node import BUILD, CONFIG, PROGRAMS, Node
from harness.stream import check_run

LIBRARY = BUILD.resolve() / "tests/agents/native.so"
TOOLS = CONFIG.parent / "tool.py"


def write_config(path, library=LIBRARY, settings=None):
    tools = {name: {"command": ["python3", str(TOOLS), name], "timeout": "15m"}
             for name in ("wait", "says_why")}
    agents = {"native": {"kind": "native", "library": str(library), "settings": settings or {},
                         "tools": tools},
              "echo": {"command": ["python3", str(CONFIG.parents[2] / "examples/agents/echo.py")]}}
    path.write_text(json.dumps({"agents": agents}))  # JSON is YAML
    return path


@pytest.fixture(scope="module")
def native_node(tmp_path_factory):
    from conftest import finish
    config = write_config(tmp_path_factory.mktemp("native") / "ringside.yaml",
                          settings={"deep": [1, {"er": "x"}]})
    node = Node(config=config, workers=1)
    try:
        yield node.start()
    finally:
        finish(node)


async def run_of(node, user, what):
    async with Client(node, user) as client:
        events = await client.until_ended(await client.chat(what, agent="native"))
        check_run(events)
        return client.stream.text_of(events[0]["run_id"]), events


async def test_it_shows_what_it_does_and_knows_its_settings(native_node, user):
    text, events = await run_of(native_node, user, "shows")
    assert text == 'two ☃ "quoted"\n'
    thinking = [event["data"] for event in events if event["type"] == "agent_thinking"]
    assert thinking == [{"status": "counting"}, {"delta": "one and one"}]
    assert events[-1]["data"]["result"] == {
        "agent": "native", "user": user, "settings": {"deep": [1, {"er": "x"}]}}
    native_node.stderr.wait_for("this goes to the log")


async def test_its_tools_go_on_side_by_side_and_each_is_answered_once(native_node, user):
    _, events = await run_of(native_node, user, "calls")
    waited, waited_less, says_why, nothing = events[-1]["data"]["result"]
    assert (waited, waited_less) == ({"waited_ms": 30}, {"waited_ms": 10})
    assert says_why["code"] == "no_such_file" and nothing["code"] == "tool_not_found"


async def test_it_asks_before_it_acts(native_node, user):
    async with Client(native_node, user) as client:
        run_id = await client.chat("asks", agent="native")
        for count, answer in enumerate([{"status": "resolved", "payload": "blue"},
                                        {"status": "cancelled"}], 1):
            asked = (await client.until_event("interrupt_requested", run_id, count))["data"]
            await client.request("interrupt.respond", interrupt_id=asked["interrupt_id"], **answer)
        yes, reply, no, late, invalid = (await client.until_ended(run_id))[-1]["data"]["result"]
        assert (yes, reply["payload"], no, late, invalid) == (1, "blue", 0, 0, -3)


async def test_nonsense_is_refused_call_by_call(native_node, user):
    _, events = await run_of(native_node, user, "refuses_nonsense")
    assert events[-1]["data"]["result"] == [-3] * 5


@pytest.mark.parametrize("what, code, retryable", [
    ("returns", "agent_failed", False), ("fails", "no_quota", True), ("crashes", "agent_crashed", True)])
async def test_what_goes_wrong_is_its_own_runs_alone(native_node, user, what, code, retryable):
    async with Client(native_node, user) as client:
        beside = await client.chat("sleeps", agent="native", thread="t-2")
        await client.until_event("partial_result", beside)
        events = await client.until_ended(await client.chat(what, agent="native"))
        check_run(events)
        data = events[-1]["data"]
        assert (data["code"], data["retryable"]) == (code, retryable)
        assert not client.stream.ended(beside)
        await client.request("run.cancel", run_id=beside)
        assert (await client.until_ended(beside))[-1]["data"] == {"outcome": "cancelled"}


@pytest.mark.parametrize("what", ["sleeps", "waits"])
async def test_a_cancel_ends_what_it_waits_for(native_node, user, what):
    async with Client(native_node, user) as client:
        run_id = await client.chat(what, agent="native")
        await client.until_event("tool_executing" if what == "waits" else "partial_result", run_id)
        await client.request("run.cancel", run_id=run_id)
        assert (await client.until_ended(run_id))[-1]["data"] == {"outcome": "cancelled"}


@pytest.mark.parametrize("library, settings, reason", [
    (LIBRARY, {"bad": True}, "its settings: bad must not be true"),
    (LIBRARY, {"crash": True}, "it broke while it was checked"),
    ("/no/such/library.so", {}, "cannot open shared object file"),
    (BUILD.resolve() / "common/emitter/libringside.so", {}, "ra_agent_v1"),
])
def test_one_that_cannot_run_stops_the_worker_at_start_with_its_reason(
        tmp_path, library, settings, reason):
    config = write_config(tmp_path / "ringside.yaml", library, settings)
    done = subprocess.run([PROGRAMS["ringside-worker"], "--config", config,
                           "--node-name", "no-such-node"], capture_output=True, text=True,
                          timeout=2 * PATIENCE, check=False)
    assert done.returncode != 0
    assert "agent native: " in done.stderr and reason in done.stderr


async def test_its_process_is_gone_after_its_run(native_node, user):
    await run_of(native_node, user, "shows")
    worker, = native_node.pids("ringside-worker")
    until(lambda: not native_node.descendants(worker), "the end of the agent's process")
