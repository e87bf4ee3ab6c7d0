# SPDX-License-Identifier: Apache-2.0
"""Trouble at the start: each stops it with a reason, or is cleared away when it is a leftover."""
import os
import shutil
import signal
import socket
import subprocess

import pytest

from harness.client import Client
from harness.deadline import PATIENCE, until
from harness.mounts import needs_mounts, with_tmpfs
from harness.node import PROGRAMS, alive, kill
from harness.stream import check_run


async def works(node):
    async with Client(node, "alice") as client:
        check_run(await client.until_ended(await client.chat("hello", agent="echo")))


def start_fails(node, seconds=2 * PATIENCE):
    """Starts what cannot start; what it said."""
    node.launch()
    status = node.up.wait(seconds)
    until(lambda: node.stderr._thread is None, "the end of stderr")
    said = node.stderr.text()
    assert status not in (0, -signal.SIGKILL), said
    assert not node.stray(), "processes of a node that did not start"
    return said


async def test_a_port_in_use_stops_the_start_and_is_named(make_node):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = make_node()
        node.port = taken.getsockname()[1]
        said = start_fails(node)
        assert str(node.port) in said and "in use" in said.lower()


def test_a_run_directory_that_is_a_file_stops_the_start_and_is_named(make_node):
    node = make_node()
    node.run_dir.write_text("in the way")
    said = start_fails(node)
    assert str(node.run_dir) in said


@needs_mounts
def test_a_run_directory_that_cannot_be_written_stops_the_start_and_is_named(make_node):
    node = make_node()
    node.run_dir.mkdir()
    node.wrapper = with_tmpfs(node.run_dir, "ro,mode=700")
    said = start_fails(node)
    assert str(node.run_dir) in said and "read-only" in said.lower()


def test_a_data_directory_that_is_a_file_stops_the_start_and_is_named(make_node):
    node = make_node()
    node.data_dir.write_text("in the way")
    said = start_fails(node)
    assert str(node.data_dir) in said


@pytest.mark.parametrize("line, named", [
    ("gateway:\n  prot: 8080\n", "prot"),
    ("gatewy:\n  port: 8080\n", "gatewy"),
    ("gateway:\n  port: many\n", "port"),
    ("gateway:\n  port: 70000\n", "port"),
    ("gateway: [\n", ""),
    ("history:\n  sync: sometimes\n", "sync"),
])
def test_a_mistake_in_the_configuration_stops_the_start_and_names_its_line(
        make_node, tmp_path, line, named):
    config = tmp_path / "ringside.yaml"
    config.write_text("# a comment\n" + line)
    said = start_fails(make_node(config=config))
    assert named in said
    assert "ringside.yaml:3" in said or "line 3" in said or \
        ("ringside.yaml:2" in said or "line 2" in said) and named in ("gatewy", "")


def test_an_unknown_variable_of_the_environment_stops_the_start(make_node):
    said = start_fails(make_node(environment={"RINGSIDE_GATEWAY_PROT": "8080"}))
    assert "RINGSIDE_GATEWAY_PROT" in said


def test_an_agent_whose_program_is_missing_is_said(make_node, tmp_path):
    config = tmp_path / "ringside.yaml"
    config.write_text("agents:\n  ghost:\n    command: [/no/such/program]\n")
    said = start_fails(make_node(config=config))
    assert "/no/such/program" in said


async def test_a_second_broker_on_the_same_node_is_refused_and_the_first_goes_on(node):
    done = subprocess.run([str(PROGRAMS["ringside-broker"])], env=node.environment,
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode not in (0, -signal.SIGKILL)
    assert "broker" in done.stderr and str(node.run_dir) in done.stderr
    await works(node)


async def test_a_second_broker_with_the_same_name_elsewhere_is_refused(node):
    """Another run directory, but the same arena."""
    environment = node.environment | {"RINGSIDE_RUN_DIR": str(node.base / "other-run"),
                                      "RINGSIDE_DATA_DIR": str(node.base / "other-data")}
    done = subprocess.run([str(PROGRAMS["ringside-broker"])], env=environment,
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode not in (0, -signal.SIGKILL)
    assert node.name in done.stderr
    await works(node)


async def test_what_a_dead_node_left_behind_is_cleared_away(node):
    async with Client(node, "alice") as client:
        run_id = await client.chat('{"steps": 100000, "pause_ms": 10}', agent="slow")
        await client.until_event("partial_result", run_id, count=5)
        stream = client.stream
        node.kill_everything()
    leftovers = [path.name for path in node.run_dir.iterdir()]
    assert "broker.ipc" in leftovers and node.arena.is_dir()
    node.port = 0
    node.start()
    async with Client(node, "alice", stream=stream) as client:
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["type"] == "error_event" and events[-1]["synthetic"] is True
        assert events[-1]["data"]["code"] == "worker_lost"
    await works(node)


async def test_an_arena_of_rubbish_is_replaced(make_node):
    node = make_node().start()
    await works(node)
    node.stop()
    node.arena.mkdir(exist_ok=True)
    for path in node.arena.iterdir():
        if path.is_file():
            path.write_bytes(os.urandom(4096))
    (node.run_dir / "broker.ipc").unlink(missing_ok=True)
    (node.run_dir / "broker.ipc").write_text("not a socket")
    node.port = 0
    node.start()
    await works(node)


async def test_an_arena_that_is_gone_costs_nothing_that_was_kept(make_node):
    node = make_node().start()
    async with Client(node, "alice") as client:
        await client.until_ended(await client.chat("hello", agent="echo"))
        raw = client.stream.raw
    node.stop()
    shutil.rmtree(node.arena, ignore_errors=True)
    node.port = 0
    node.start()
    async with Client(node, "alice", cursor="start") as client:
        await client.until_caught_up()
        assert client.stream.raw == raw
    await works(node)


async def test_ctrl_c_stops_everything_and_says_goodbye(make_node):
    node = make_node().start()
    client = await Client(node, "alice").connect()
    run_id = await client.chat('{"steps": 20, "pause_ms": 10}', agent="slow")
    await client.until_event("agent_started", run_id)
    node.up.send_signal(signal.SIGINT)
    assert await client.until_closed() in (4001, 1001)
    going = [frame for frame in client.control if frame["type"] == "going_away"]
    assert going and going[0]["reconnect_after_ms"] >= 0 and going[0]["reason"]
    assert node.up.wait(PATIENCE) == 0
    assert not node.stray()


def test_the_run_directory_belongs_to_its_user_alone(shared_node):
    assert shared_node.run_dir.stat().st_mode & 0o077 == 0
    assert (shared_node.data_dir / "token.key").stat().st_mode & 0o777 == 0o600
    assert shared_node.arena.stat().st_mode & 0o077 == 0


async def test_the_supervisors_death_takes_the_node_with_it(make_node):
    node = make_node().start()
    pids = node.descendants(node.up.pid)
    assert len(pids) >= 4
    kill(node.up.pid)
    node.up.wait()
    until(lambda: not any(map(alive, pids)), "the end of what it supervised")
