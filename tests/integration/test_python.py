# SPDX-License-Identifier: Apache-2.0
"""The Python package: agents that a worker runs, and programs that emit by themselves."""
import array
import fcntl
import json
import subprocess
import termios
import textwrap

import pytest

from harness.client import Client
from harness.deadline import PATIENCE, until
from harness.node import BUILD, ROOT
from harness.stream import check_run

LIBRARY = BUILD.resolve() / "common/emitter/libringside.so"


async def run_of(node, user, what):
    async with Client(node, user) as client:
        events = await client.until_ended(await client.chat(what, agent="sdk"))
        check_run(events)
        return events


def of_type(events, kind):
    return [event for event in events if event["type"] == kind]


async def test_an_agent_shows_what_it_does_and_its_prints_go_to_the_log(shared_node, user):
    events = await run_of(shared_node, user, "shows")
    thinking = of_type(events, "agent_thinking")
    assert [event["data"] for event in thinking] == [{"status": "counting"}, {"delta": "one and one"}]
    text = of_type(events, "partial_result")
    assert "".join(event["data"].get("delta", "") for event in text) == "two ☃"
    assert {event["message_id"] for event in text} == {"m-1"}
    assert of_type(events, "error_event")[0]["data"]["code"] == "slow_network"
    assert events[-1]["data"]["result"] == {
        "agent": "sdk", "tools": [{"name": "says_why"}, {
            "name": "wait", "description": "Waits as long as it is told",
            "input_schema": {"type": "object", "properties": {"ms": {"type": "integer"}}}}],
        "run_id": events[-1]["run_id"]}
    shared_node.stderr.wait_for("this goes to the log")


async def test_tools_go_on_side_by_side_and_their_errors_are_exceptions(shared_node, user):
    events = await run_of(shared_node, user, "calls")
    assert events[-1]["data"]["result"] == [30, 10, "no_such_file", "tool_not_found"]
    begun = [event["type"] for event in events if event["type"].startswith("tool_")][:2]
    assert begun == ["tool_executing", "tool_executing"]


async def test_an_agent_asks_before_it_acts(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat("asks", agent="sdk")
        for count, answer in enumerate([{"status": "resolved", "payload": "blue"},
                                        {"status": "cancelled"}], 1):
            asked = (await client.until_event("interrupt_requested", run_id, count))["data"]
            await client.request("interrupt.respond", interrupt_id=asked["interrupt_id"], **answer)
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["data"]["result"] == ["resolved", "blue", False, "expired"]


@pytest.mark.parametrize("what, code, message, retryable", [
    ("breaks", "agent_failed", "KeyError: 'missing'", False),
    ("refuses", "no_quota", "come back tomorrow", True),
    ("returns_nonsense", "bad_result", "the result is no JSON", False),
])
async def test_what_is_raised_ends_the_run_as_failed(
        shared_node, user, what, code, message, retryable):
    data = (await run_of(shared_node, user, what))[-1]["data"]
    assert (data["code"], data["retryable"]) == (code, retryable) and message in data["message"]


@pytest.mark.parametrize("what", ["sleeps", "swallows", "floods"])
async def test_a_cancel_is_an_exception_wherever_the_agent_is(shared_node, user, what):
    async with Client(shared_node, user) as client:
        run_id = await client.chat(what, agent="sdk")
        await client.until_event("partial_result", run_id)
        await client.request("run.cancel", run_id=run_id)
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["data"] == {"outcome": "cancelled"}
        if what == "sleeps":
            assert client.stream.text_of(run_id) == "good night, cleaned up"


def test_a_cancel_does_not_tear_the_message_that_is_being_written():
    """The worker is played here: one that does not read, so that the agent stands in a write."""
    with subprocess.Popen(["/usr/bin/python3", ROOT / "tests/agents/sdk.py"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        def say(**message):
            agent.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            agent.stdin.flush()

        say(id=1, method="initialize", params={"agent": "sdk", "tools": []})
        say(id=2, method="run/start", params={"run_id": "r", "thread_id": "t", "user_id": "u",
                                              "input": {"content": "floods"}})
        until(lambda: waiting_in(agent.stdout) > 2 * 30000, "an agent that cannot write on")
        say(method="run/cancel", params={"run_id": "r", "reason": "user"})
        lines = []
        for line in agent.stdout:
            lines.append(json.loads(line))
            if lines[-1].get("method") == "run/finished":
                break
        say(method="shutdown")
    assert lines[-1]["params"] == {"outcome": "cancelled"} and agent.returncode == 0


def waiting_in(pipe):
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


# ---- programs of one's own

def preload():
    """A library that was built with AddressSanitizer wants it to be there first."""
    if b"__asan_init" not in LIBRARY.read_bytes():
        return {}
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True,
                             check=True).stdout.strip()
    return {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}


def emit(node, program, **environment):
    variables = node.environment | preload() | {
        "PYTHONPATH": str(ROOT / "clients/python"), "RINGSIDE_LIBRARY": str(LIBRARY)} | environment
    return subprocess.run(["/usr/bin/python3", "-c", textwrap.dedent(program)], env=variables,
                          capture_output=True, text=True, timeout=2 * PATIENCE, check=False)


async def test_a_program_shows_its_run_with_context_managers(shared_node, user):
    async with Client(shared_node, user) as client:
        done = emit(shared_node, f"""
            import ringside
            with ringside.Emitter() as emitter:
                with emitter.run({user!r}, "t-1", "counter", run_id="r-{user}", input="count") as run:
                    run.thinking("counting")
                    with run.tool("count_files", folder="/tmp") as tool:
                        tool.progress({{"seen": 3}})
                        tool.result = {{"files": 7}}
                    try:
                        with run.tool("delete_files") as tool:
                            raise OSError("read-only")
                    except OSError:
                        run.error("not_deleted", "it is read-only")
                    run.text("Seven ☃")
                    run.text(".")
                    run.flush("sequenced")
                    assert not run.ended
                assert run.ended
        """)
        assert done.returncode == 0, done.stderr
        events = await client.until_ended(f"r-{user}")
        check_run(events)
        tools = of_type(events, "tool_completed")
        assert [tool["data"]["status"] for tool in tools] == ["ok", "error"]
        assert tools[0]["data"]["result"] == {"files": 7}
        assert tools[1]["data"]["error"]["message"] == "OSError: read-only"
        assert client.stream.text_of(f"r-{user}") == "Seven ☃."
        assert events[-1]["data"]["outcome"] == "success"


async def test_what_a_program_raises_fails_its_run(shared_node, user):
    async with Client(shared_node, user) as client:
        done = emit(shared_node, f"""
            import ringside
            with ringside.Emitter() as emitter, emitter.run({user!r}, "t-1", "c", run_id="r-{user}") as run:
                run.text("so far")
                run.tool("open_for_ever")
                raise RuntimeError("out of luck")
        """)
        assert done.returncode == 1 and "out of luck" in done.stderr
        events = await client.until_ended(f"r-{user}")
        check_run(events)
        assert events[-1]["data"]["message"] == "RuntimeError: out of luck"


def test_mistakes_are_named(shared_node, user):
    done = emit(shared_node, f"""
        import ringside
        def name(call):
            try:
                call()
            except (ringside.EmitError, ValueError, TypeError) as error:
                return getattr(error, "name", type(error).__name__)
        emitter = ringside.Emitter()
        run = emitter.run({user!r}, "t-1", "c")
        print(name(lambda: run.text("too early")), name(lambda: emitter.run("", "t", "c")),
              name(lambda: emitter.run("a", "t", "c", colour="red")),
              name(lambda: ringside.Emitter(node="no-such-node")))
        run.start()
        run.complete()
        print(name(lambda: run.text("too late")))
        run.close()
        print(name(lambda: run.text("much too late")))
        emitter.close()
        print(name(lambda: emitter.run("a", "t", "c")))
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "ORDER", "INVALID", "TypeError", "NO_NODE", "ENDED", "ValueError", "ValueError"]
