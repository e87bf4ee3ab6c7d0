# SPDX-License-Identifier: Apache-2.0
"""Whatever an agent does, and whenever: its run ends in the event and code that docs/agents.md names,
with the agent's last words where it failed, and the worker serves the next run."""
import asyncio
import json

import pytest

from harness.client import Client
from harness.node import CONFIG, EXAMPLE_AGENT
from harness.stream import check_run

AGENTS = CONFIG.parent
AT_ONCE = 16  # nine of them only wait

COMPLETED, CANCELLED = "success", "cancelled"
# By fault: how a run ends in which it happens at this moment.
TABLE = {
    "tick": {"running": "run_timeout"},
    "hang": {
        "initialize": "agent_start_failed", "initialized": "agent_stalled",
        "started": "agent_stalled", "running": "agent_stalled", "tool": "agent_stalled",
        "interrupt": "agent_stalled", "finished": COMPLETED, "shutdown": COMPLETED},
    "kill": {
        "initialize": "agent_start_failed", "initialized": "agent_crashed",
        "started": "agent_crashed", "running": "agent_crashed", "tool": "agent_crashed",
        "interrupt": "agent_crashed", "finished": COMPLETED, "shutdown": COMPLETED},
    "flood": {
        "initialize": "agent_protocol_error", "initialized": CANCELLED, "started": CANCELLED,
        "running": CANCELLED, "tool": CANCELLED, "interrupt": CANCELLED, "finished": COMPLETED,
        "shutdown": COMPLETED},
    "garble": {
        "initialize": "agent_protocol_error", "initialized": "agent_protocol_error",
        "started": "agent_protocol_error", "running": "agent_protocol_error",
        "tool": "agent_protocol_error", "interrupt": "agent_protocol_error",
        "finished": COMPLETED, "shutdown": COMPLETED},
    "allocate": {
        "initialize": "agent_out_of_memory", "initialized": "agent_out_of_memory",
        "started": "agent_out_of_memory", "running": "agent_out_of_memory",
        "tool": "agent_out_of_memory", "interrupt": "agent_out_of_memory",
        "finished": COMPLETED, "shutdown": COMPLETED},
}
# These end by a time limit; they have a node whose limits are short. All others take as long as a busy
# machine lets them.
WAITED_OUT = ("hang", "tick")
GRACE = {"RINGSIDE_WORKER_CANCEL_GRACE": "200ms", "RINGSIDE_WORKER_KILL_GRACE": "200ms"}
LIMITS = {"RINGSIDE_WORKER_START_TIMEOUT": "10s", "RINGSIDE_WORKER_IDLE_TIMEOUT": "3s",
          "RINGSIDE_BROKER_RUN_TIMEOUT": "15s"}
# Those that wait longest begin first.
CELLS = [(fault, phase) for fault, phases in TABLE.items() for phase in phases]


def configuration():
    tools = {"wait": {"command": ["python3", str(AGENTS / "tool.py"), "wait"]}}
    agents = {f"{fault}-{phase}": {
        "command": ["python3", "-S", str(AGENTS / "faulty.py")], "tools": tools,
        "limits": {"memory": "64M"}, "settings": {"fault": fault, "phase": phase}}
        for fault, phase in CELLS}
    agents["echo"] = {"command": [str(EXAMPLE_AGENT.resolve())]}
    return {"agents": agents}


async def end_of(node, fault, phase):
    """The last event of the run, and of one behind it on the same worker."""
    async with Client(node, f"{fault}-{phase}") as client:
        run_id = await client.chat("hello", agent=f"{fault}-{phase}")
        if TABLE[fault][phase] == CANCELLED:
            await client.until_event("agent_thinking", run_id)
            await client.request("run.cancel", run_id=run_id)
        events = await client.until_ended(run_id)
        check_run(events)
        after = await client.until_ended(await client.chat("still here?", agent="echo"))
        return events[-1], after[-1]


async def fill_in(impatient, patient):
    room = asyncio.Semaphore(AT_ONCE)

    async def cell(fault, phase):
        async with room:
            return await end_of(impatient if fault in WAITED_OUT else patient, fault, phase)
    return dict(zip(CELLS, await asyncio.gather(*(cell(*at) for at in CELLS))))


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Every cell of the table, run once, on nodes with one worker."""
    from conftest import Makers, finish
    config = tmp_path_factory.mktemp("faults") / "ringside.yaml"
    config.write_text(json.dumps(configuration()))  # JSON is YAML
    nodes = Makers()
    try:
        impatient = nodes(config=config, workers=1, environment=GRACE | LIMITS)
        patient = nodes(config=config, workers=1, environment=GRACE)
        for node in (impatient, patient):
            node.start()
        yield asyncio.run(fill_in(impatient, patient))
    finally:
        for node in nodes.made:
            finish(node)


@pytest.mark.parametrize("fault, phase", CELLS)
def test_a_run_ends_as_its_fault_says_and_the_worker_serves_the_next(ends, fault, phase):
    end, next_end = ends[fault, phase]
    wanted = TABLE[fault][phase]
    if wanted in (COMPLETED, CANCELLED):
        assert (end["type"], end["data"].get("outcome")) == ("agent_completed", wanted)
    else:
        assert (end["type"], end["data"].get("code")) == ("error_event", wanted)
        assert end["data"]["fatal"] is True
        assert end.get("synthetic", False) is (phase == "initialize")  # no agent_started: the broker's
        assert f"its last words: about to {fault}" in end["data"]["message"]
    assert next_end["data"].get("outcome") == "success"
