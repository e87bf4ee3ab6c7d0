# SPDX-License-Identifier: Apache-2.0
"""`ringside rings`: the shared memory of nodes that live, that stand still, and that are dead."""
import json
import os
import re
import signal
import struct
import subprocess

import pytest

from harness.deadline import until
from harness.node import BUILD, alive

DONE, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
BUSY, COMMITTED = 1, 2
STATE_SHIFT = 55
RINGS_END = 64 << 20  # beyond the rings of a small node


def rings(node, *arguments):
    done = node.run("rings", "--json", *map(str, arguments))
    assert done.returncode == DONE, done.stderr
    return json.loads(done.stdout)


def ring_of(view, user):
    found = [ring for ring in view["rings"] if ring["user"] == user]
    assert len(found) == 1
    return found[0]


def emit(node, user):
    """A program of somebody else's, that counts files and says so. Nobody may be there to read."""
    return subprocess.run([str(BUILD / "examples/example-emitter"), "--user", user, "/etc"],
                          env=node.environment, capture_output=True, text=True, timeout=60)


def copy(source, path):
    subprocess.run(["cp", "-a", "--sparse=always", str(source), str(path)], check=True)
    return path


@pytest.fixture
def small_node(make_node):
    """A node whose shared memory is quickly copied."""
    return make_node(environment={"RINGSIDE_RING_COUNT": "64"}).start()


def test_a_live_node(shared_node, user):
    assert shared_node.run("run", "--user", user, "--agent", "echo", "hello").returncode == DONE
    view = until(lambda: next((v for v in [rings(shared_node)]
                               if ring_of(v, user)["held_bytes"] == 0), None), "an empty ring")
    ring = ring_of(view, user)
    assert ring["state"] == "open" and ring["note"] is None and ring["generation"] >= 1
    assert ring["tail"] == ring["consumed"] > 0 and ring["claims"] == []
    assert len(ring["user_tag"]) == 16 and ring["capacity_bytes"] >= 16384
    assert view["arena"]["broker_live"] is True
    assert view["arena"]["path"] == str(shared_node.arena)
    assert view["totals"]["processes_dead"] == 0
    assert view["totals"]["processes_live"] == len(view["processes"]) == 3
    pids = {process["pid"] for process in view["processes"]}
    assert pids == {*shared_node.pids("ringside-broker"), *shared_node.pids("ringside-worker")}
    assert {counter["name"] for counter in view["counters"]} >= {"sleeping", "marked_rings"}
    assert all(counter["meaning"] for counter in view["counters"])
    assert view["memory"][ring["class"]]["rings"] >= 1
    assert view["arena"]["allocated_bytes"] >= view["arena"]["table_bytes"]


def test_tables_for_people(shared_node, user):
    assert emit(shared_node, user).returncode == 0
    done = shared_node.run("rings", "--user", user)
    assert done.returncode == DONE and user in done.stdout
    assert re.search(r"^broker live +yes$|^  broker live +yes$", done.stdout, re.M)
    done = shared_node.run("rings", "--all")
    assert done.returncode == DONE and user in done.stdout
    done = shared_node.run("rings", "--user", "nobody-of-that-name")
    assert done.returncode == FAILED and "has no ring" in done.stderr


def test_a_broker_that_stands_still(node, user):
    [broker] = node.pids("ringside-broker")
    os.kill(broker, signal.SIGSTOP)
    try:
        assert "not come that far" in emit(node, user).stderr
        view = rings(node, "--user", user)
        ring = ring_of(view, user)
        assert view["arena"]["broker_live"] is True
        assert ring["records"] >= 5 and ring["held_bytes"] > 0 and ring["marked"] is True
        assert ring["consumed"] < ring["tail"] and 0 < ring["fill"] < 1
        assert node.run("rings").stdout.find(user) >= 0
    finally:
        os.kill(broker, signal.SIGCONT)
    until(lambda: ring_of(rings(node), user)["held_bytes"] == 0, "the broker to go on")


def test_a_killed_broker_and_a_copy(small_node, user, tmp_path):
    node = small_node
    # The supervisor stands still, so that nobody starts the broker again meanwhile.
    os.kill(node.up.pid, signal.SIGSTOP)
    try:
        broker = node.kill("ringside-broker")
        until(lambda: not alive(broker), "the broker's end")
        assert emit(node, user).returncode != 0
        view = rings(node)
        assert view["arena"]["broker_live"] is False
        ring = ring_of(view, user)
        assert ring["records"] >= 5 and ring["consumed"] == 0
        dead = [process["pid"] for process in view["processes"] if not process["live"]]
        assert dead == [broker]
        dead_arena = copy(node.arena, tmp_path / "dead")
    finally:
        os.kill(node.up.pid, signal.SIGCONT)
    until(lambda: ring_of(rings(node), user)["held_bytes"] == 0, "the next broker")
    assert rings(node)["arena"]["broker_live"] is True

    # The copy stays as it was, and in it nobody lives.
    view = rings(node, dead_arena)
    assert view["arena"]["broker_live"] is False and view["totals"]["processes_live"] == 0
    same = ("tail", "consumed", "records", "held_bytes", "generation", "user_tag", "state")
    assert [ring_of(view, user)[name] for name in same] == [ring[name] for name in same]

    # A file of another name has no locks beside it.
    copy(dead_arena / "arena", tmp_path / "kept")
    view = rings(node, tmp_path / "kept")
    assert view["arena"]["broker_live"] is None
    assert ring_of(view, user)["records"] == ring["records"]
    assert "unknown" in node.run("rings", str(tmp_path / "kept")).stdout
    claim_in_flight(node, tmp_path / "kept", user)


def claim_in_flight(node, path, user):
    """Makes a committed record of the copy one whose writer was not done."""
    with open(path, "r+b") as file:
        text = file.read(RINGS_END)
        # An event's head is 24 bytes before its run's identifier, and the record's as many before.
        found = re.search(rb'r-[!-z]+m-[!-z]+\{"delta":"There are', text)
        at = found.start() - 48
        control, = struct.unpack_from("<Q", text, at)
        assert control >> STATE_SHIFT == COMMITTED
        control -= (COMMITTED - BUSY) << STATE_SHIFT
        file.seek(at)
        file.write(struct.pack("<Q", control))
    ring = ring_of(rings(node, path), user)
    [claim] = ring["claims"]
    assert claim["control"] == "busy" and claim["owner"] >= 1 and claim["age_ms"] is None
    assert ring["consumed"] < claim["position"] < ring["tail"]
    table = node.run("rings", "--user", user, str(path)).stdout
    assert "claims in flight" in table and "unknown" in table


def test_where_there_is_no_arena(shared_node, tmp_path):
    for arguments in (["--node", "no-such-node"], [tmp_path], [tmp_path / "nothing"]):
        done = shared_node.run("rings", *map(str, arguments))
        assert done.returncode == UNREACHABLE
        assert "there is no arena at" in done.stderr and len(done.stderr.splitlines()) == 1
    assert shared_node.run("rings", "--node", "a b").returncode == USAGE
    assert shared_node.run("rings", "--node", "a/b").returncode == USAGE
    assert shared_node.run("rings", "a", "b").returncode == USAGE


def test_another_layout_is_refused_by_name(small_node, tmp_path):
    other = copy(small_node.arena / "arena", tmp_path / "other")
    with open(other, "r+b") as file:
        file.seek(8)
        file.write(struct.pack("<I", 99))
    done = small_node.run("rings", str(other))
    assert done.returncode == FAILED and "layout version 99" in done.stderr
    other.write_bytes(b"RSARENA")
    done = small_node.run("rings", str(other))
    assert done.returncode == FAILED and "not an arena" in done.stderr
