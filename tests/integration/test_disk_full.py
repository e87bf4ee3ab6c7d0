# SPDX-License-Identifier: Apache-2.0
"""The disk under the history is full: a clear error, no lies, and recovery once there is room."""
import asyncio
import json
import pathlib
import subprocess

import pytest

from harness import tokens
from harness.client import Client, Refused
from harness.deadline import until
from harness.mounts import needs_mounts, with_tmpfs
from harness.stream import check_all_runs, check_run

pytestmark = needs_mounts
SIZE = "24m"


@pytest.fixture
def small_node(make_node):
    """A node whose data lie on a small file system, in a mount namespace of the node's own."""
    return launch(make_node())


@pytest.fixture
def live_node(make_node):
    """The same; it is told to show events from memory."""
    return launch(make_node(environment={"RINGSIDE_HISTORY_WHEN_FULL": "live",
                                  "RINGSIDE_HISTORY_SYNC_INTERVAL": "100ms"}))


def launch(node):
    node.data_dir.mkdir()
    node.wrapper = with_tmpfs(node.data_dir, f"size={SIZE},mode=700")
    node.launch()
    namespace = until(lambda: mounted(node), "the mount")
    node.secret = lambda: _secret(namespace, node)
    node.stdout.wait_for("http", 60)
    node.address = node.stdout.wait_for(r"https?://([0-9.]+:[0-9]+)").group(1)
    until(lambda: node.get("/health/ready")[0] == 200, "readiness")
    return node, namespace


def mounted(node):
    """The process to look through, once the mount is there."""
    mounts = pathlib.Path(f"/proc/{node.up.pid}/mounts").read_text()
    return node.up.pid if f" {node.data_dir} tmpfs" in mounts else None


def seen(namespace, path):
    """A path of the node's mount namespace, as seen from here."""
    return pathlib.Path(f"/proc/{namespace}/root{path}")


def _secret(namespace, node):
    return tokens.read_secret(seen(namespace, node.data_dir / "token.key"))


def fill(path):
    """Writes until nothing more fits."""
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=4096"], capture_output=True)


async def test_a_full_disk_is_said_and_over_when_there_is_room_again(small_node):
    node, namespace = small_node
    ballast = seen(namespace, node.data_dir / "ballast")
    async with Client(node, "alice") as client:
        first = await client.chat("before", agent="echo")
        check_run(await client.until_ended(first))
        fill(ballast)
        refused = []
        for number in range(200):
            try:
                await client.chat("x" * 20000, f"t-{number}", f"m-{number}", agent="echo")
            except Refused as refusal:
                assert refusal.code == "unavailable" and refusal.retryable
                refused.append(number)
                if len(refused) == 3:
                    break
        assert len(refused) == 3, "the disk was never full"
        assert await client.request("ping") == {}
        ballast.unlink()
        for number in refused:
            check_run(await client.until_ended(await retry(client, number)))
        for run_id in client.stream.run_ids():
            await client.until_ended(run_id)
        check_all_runs(client.stream)
        assert len(client.stream.run_ids()) == 1 + refused[-1] + 1, "a message without its one run"
        live = client.stream
    async with Client(node, "alice", cursor="start") as fresh:
        await fresh.until_caught_up()
        assert fresh.stream.raw == live.raw


async def test_a_run_in_progress_survives_a_disk_that_is_full_for_a_while(small_node):
    node, namespace = small_node
    ballast = seen(namespace, node.data_dir / "ballast")
    async with Client(node, "alice") as client:
        run_id = await client.chat(json.dumps({"steps": 2000, "pause_ms": 1}), agent="slow")
        await client.until_event("partial_result", run_id)
        fill(ballast)
        start = len(node.stderr.lines)
        await asyncio_wait_for_line(node, r"(?i)history.*(full|space|ENOSPC|cannot|fail)", start)
        ballast.unlink()
        events = await client.until_ended(run_id)
        check_run(events)
        numbers = [int(word) for word in client.stream.text_of(run_id).split()]
        assert numbers == list(range(1, 2001))


async def asyncio_wait_for_line(node, pattern, start):
    await asyncio.to_thread(node.stderr.wait_for, pattern, 30, start)


async def retry(client, number):
    """Sends again until it is accepted, as a client does that is told `retryable`."""
    for _ in range(1000):
        try:
            return await client.chat("x" * 20000, f"t-{number}", f"m-{number}", agent="echo")
        except Refused as refusal:
            assert refusal.retryable
    raise AssertionError("never accepted again")


# ---- history.when_full: live ----

LIVE = "history_unwritable_live"
STEPS = 3000
COUNTING = json.dumps({"steps": STEPS, "pause_ms": 2})


async def until_state(node, wanted):
    """Waits until the broker says that it is in this state; its whole status."""
    def look():
        done = node.run("status", "--json")
        status = json.loads(done.stdout) if done.returncode == 0 else {}
        return status if status.get("broker", {}).get("state") == wanted else None
    return await asyncio.to_thread(until, look, wanted, 60)


async def until_ready(node):
    """Waits until the gateway has found the broker again."""
    await asyncio.to_thread(until, lambda: node.get("/health/ready")[0] == 200, "readiness", 60)


async def until_full_for_good(node):
    """A sync may yet free pages of the store: waits until commits have failed behind several."""
    failures = []

    def look():
        status = node.status()
        if status["broker"]["state"] != LIVE:
            failures.clear()
            return False
        failures.append(status["counters"]["commit_failures"])
        return failures[-1] > failures[0] + 10  # each 0.1 s behind the one before, or more
    await asyncio.to_thread(until, look, "a disk that stays full", 60)


async def count_into_a_full_disk(node, namespace, client):
    """A run that goes on while the disk is full; its identifier, and the ballast."""
    ballast = seen(namespace, node.data_dir / "ballast")
    run_id = await client.chat(COUNTING, agent="slow")
    await client.until_event("partial_result", run_id)
    fill(ballast)
    await until_full_for_good(node)
    shown = len(client.stream.events)
    await client.until(lambda: len(client.stream.events) > shown + 50, "events that are not kept")
    return run_id, ballast


def check_counted(client, run_id):
    check_run(client.stream.of_run(run_id))
    numbers = [int(word) for word in client.stream.text_of(run_id).split()]
    assert numbers == list(range(1, STEPS + 1))


async def test_live_events_are_shown_while_the_disk_is_full(live_node):
    node, namespace = live_node
    async with Client(node, "alice") as client:
        run_id, ballast = await count_into_a_full_disk(node, namespace, client)
        async with Client(node, "alice", cursor=client.stream.cursor) as resumed:
            assert resumed.welcome["resume"] == "replay"
            await resumed.until_event("partial_result", run_id, 10)
        async with Client(node, "alice", cursor="start") as fresh:
            await fresh.until_caught_up()
            await fresh.until_event("partial_result", run_id, 100)
            with pytest.raises(Refused, match="unavailable"):
                await fresh.chat("now?", "t-2", "m-refused", agent="echo")
        ballast.unlink()
        await client.until_ended(run_id)
        check_counted(client, run_id)
        status = await until_state(node, "serving")
        assert status["counters"]["events_shown_early"] > 50
        assert status["counters"]["cursors_reset"] == 0
        for seq, text in fresh.stream.raw.items():
            assert client.stream.raw.get(seq, text) == text
        live = client.stream
    async with Client(node, "alice", cursor="start") as fresh:
        await fresh.until_caught_up()
        assert fresh.welcome["epoch"] == live.epoch
        assert fresh.stream.raw == live.raw


async def test_a_broker_killed_while_the_disk_is_full_loses_nothing(live_node):
    node, namespace = live_node
    async with Client(node, "alice") as client:
        run_id, ballast = await count_into_a_full_disk(node, namespace, client)
        killed = await asyncio.to_thread(node.kill, "ringside-broker")
        epoch, cursor = client.stream.epoch, client.stream.cursor
    await asyncio.to_thread(node.until_restarted, "ringside-broker", killed)
    ballast.unlink()
    await until_state(node, "serving")
    await until_ready(node)
    async with Client(node, "alice", cursor="start") as fresh:
        await fresh.until_ended(run_id)
        check_counted(fresh, run_id)
        assert fresh.welcome["epoch"] != epoch
    async with Client(node, "alice", cursor=cursor) as late:
        assert late.welcome["resume"] == "reset"
        await late.until_caught_up()
        assert late.stream.raw == fresh.stream.raw
