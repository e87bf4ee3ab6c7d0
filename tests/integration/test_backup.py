# SPDX-License-Identifier: Apache-2.0
"""A copy of the history, made while the node serves, is a history of its own."""
import asyncio
import json
import shutil

from harness.counted import assert_counted
from harness.client import Client
from harness.stream import check_all_runs

COUNTING = json.dumps({"steps": 100000, "pause_ms": 1})


async def test_a_backup_made_under_load_can_be_restored(make_node):
    node = make_node().start()
    copy = node.base / "monday"
    async with Client(node, "alice", cursor="start") as client:
        await client.until_ended(await client.chat("hello", agent="echo"))
        busy = await client.chat(COUNTING, "t-2", agent="slow")
        await client.until_event("partial_result", busy, 200)
        before = client.stream.position
        done = await asyncio.to_thread(node.run, "backup", "--json", str(copy))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["state"] == "done"
        await client.until(lambda: client.stream.position > before + 50, "events after the copy")
        epoch, seen = client.stream.epoch, dict(client.stream.raw)
    assert_counted(node, "backups_made", 1)
    node.stop()

    shutil.rmtree(node.data_dir / "history")
    copy.rename(node.data_dir / "history")
    node.start()
    async with Client(node, "alice", cursor="start") as client:
        await client.until_ended(busy)
        assert client.welcome["epoch"] != epoch
        check_all_runs(client.stream)
        assert client.stream.position > before
        kept = [seq for seq in client.stream.raw if seq in seen
                and client.stream.raw[seq] == seen[seq]]
        assert kept[:before] == list(range(1, before + 1))


def test_a_backup_into_a_place_that_is_taken_says_so(shared_node):
    taken = shared_node.base / "taken"
    taken.mkdir()
    (taken / "precious").write_text("text")
    failed = shared_node.status()["counters"]["backups_failed"]
    done = shared_node.run("backup", str(taken))
    assert done.returncode == 1
    assert "taken" in done.stderr and "not free" in done.stderr
    assert_counted(shared_node, "backups_failed", 1, before=failed)
    assert (taken / "precious").read_text() == "text"


def test_a_backup_without_a_node_or_a_directory_says_so(make_node):
    node = make_node()
    assert node.run("backup", "x").returncode == 3
    assert node.run("backup").returncode == 2
    assert node.run("--copy-history", "x", program="ringside-broker").returncode == 2
