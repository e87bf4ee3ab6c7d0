# SPDX-License-Identifier: Apache-2.0
"""The `ringside` command, and the programs behind it, as scripts use them."""
import json
import signal
import subprocess

import pytest

from harness.client import Client
from harness.deadline import until
from harness.node import PROGRAMS, Output
from harness.stream import check_run

DONE, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3


def one_line(text):
    return len(text.strip().splitlines()) == 1


async def test_token_prints_one_that_lets_its_user_in(shared_node, user):
    done = shared_node.run("token", "--user", user, "--ttl", "5m")
    assert done.returncode == DONE and one_line(done.stdout)
    async with Client(shared_node, user, token=done.stdout.strip()) as client:
        assert client.welcome["user_id"] == user


def test_run_shows_a_line_an_event_and_succeeds(shared_node, user):
    done = shared_node.run("run", "--user", user, "--agent", "echo", "hello there")
    assert done.returncode == DONE, done.stderr
    assert "hello" in done.stdout


def test_run_with_json_prints_events_and_nothing_else(shared_node, user):
    done = shared_node.run("run", "--user", user, "--agent", "librarian", "--json",
                           "What is a ring?")
    assert done.returncode == DONE, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    events = [event for event in events if "seq" in event]
    check_run(events)
    assert events[-1]["data"]["outcome"] == "success"
    assert [event["prev"] for event in events[1:]] == [event["seq"] for event in events[:-1]]


def test_run_of_an_unknown_agent_fails_with_one_line(shared_node, user):
    done = shared_node.run("run", "--user", user, "--agent", "nobody", "hello")
    assert done.returncode == FAILED and one_line(done.stderr)
    assert "nobody" in done.stderr or "agent" in done.stderr
    assert "`ringside agents` lists" in done.stderr


def test_run_whose_agent_fails_fails(shared_node, user):
    done = shared_node.run("run", "--user", user, "--agent", "crash", "hello")
    assert done.returncode == FAILED


async def test_tail_follows_what_a_client_sees(shared_node, user):
    async with Client(shared_node, user) as client:
        first = await client.chat("before", agent="echo")
        await client.until_ended(first)
        tail = shared_node.spawn("tail", "--user", user, "--cursor", "start", "--json")
        output = Output(tail.stdout)
        try:
            output.wait_for(first)
            second = await client.chat("after", agent="echo")
            await client.until_ended(second)
            last = client.stream.events[-1]["seq"]
            output.wait_for(rf'"seq":{last},')
        finally:
            tail.send_signal(signal.SIGINT)
            tail.wait(20)
        seen = [line for line in output.lines if '"prev":' in line]
        assert seen == list(client.stream.raw.values())


async def test_status_shows_the_node_at_a_glance(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat('{"steps": 100000, "pause_ms": 20}', agent="slow")
        await client.until_event("agent_started", run_id)
        status = shared_node.status()
        assert isinstance(status, dict) and status
        text = json.dumps(status)
        for pid in shared_node.pids("ringside-worker") + shared_node.pids("ringside-gateway"):
            assert str(pid) in text, f"process {pid} is not in {text}"
        done = shared_node.run("status")
        assert done.returncode == DONE and done.stdout.strip()
        await client.request("run.cancel", run_id=run_id)
        await client.until_ended(run_id)


def test_doctor_finds_nothing_wrong_with_a_node_that_runs(shared_node):
    done = shared_node.run("doctor")
    assert done.returncode == DONE, done.stdout + done.stderr


def test_doctor_says_that_no_node_runs(make_node):
    node = make_node()
    node.up = None
    done = node.run("doctor")
    assert done.returncode in (DONE, FAILED, UNREACHABLE)
    assert "ringside up" in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [
    ("status",), ("run", "hello"), ("tail",), ("status", "--json")])
def test_commands_without_a_node_say_so_with_status_3(make_node, arguments):
    node = make_node()
    done = node.run(*arguments)
    assert done.returncode == UNREACHABLE
    assert one_line(done.stderr), done.stderr
    assert "ringside up" in done.stderr


@pytest.mark.parametrize("arguments", [
    (), ("no-such-verb",), ("token",), ("token", "--user"), ("token", "--user", "two words"),
    ("token", "--user", "a", "--ttl", "soon"), ("run",), ("status", "--no-such-flag"),
    ("up", "--workers", "many"), ("up", "--port", "70000"), ("tail", "--cursor", "x"),
])
def test_misuse_is_said_with_status_2(shared_node, arguments):
    done = shared_node.run(*arguments)
    assert done.returncode == USAGE, done.stderr
    assert done.stderr.strip() and not done.stdout.strip()


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_help_and_version_are_answered(shared_node, program):
    helped = shared_node.run("--help", program=program)
    assert helped.returncode == DONE and program in helped.stdout
    version = shared_node.run("--version", program=program)
    assert version.returncode == DONE and one_line(version.stdout)
    assert any(character.isdigit() for character in version.stdout)


@pytest.mark.parametrize("program", [name for name in sorted(PROGRAMS) if name != "ringside"])
def test_check_config_checks_and_does_not_start(shared_node, tmp_path, program):
    assert shared_node.run("--check-config", program=program).returncode == DONE
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("gateway:\n  prot: 1\n")
    done = shared_node.run("--check-config", "--config", str(wrong), program=program)
    assert done.returncode == USAGE and "prot" in done.stderr


@pytest.mark.parametrize("program", ["ringside-broker", "ringside-gateway", "ringside-worker"])
def test_a_program_drains_and_leaves_on_term_and_is_started_again(node, program):
    before = node.pids(program)[0]
    import os
    os.kill(before, signal.SIGTERM)
    node.until_restarted(program, before)
    until(lambda: node.get("/health/ready")[0] == 200, "readiness")
    done = node.run("run", "--agent", "echo", "still here")
    assert done.returncode == DONE, done.stderr
