# SPDX-License-Identifier: Apache-2.0
"""A damaged history is reported, what is lost is told exactly, and the rest is served."""
import json

from harness.counted import assert_counted
from harness.client import Client

COUNTING = json.dumps({"steps": 40, "pause_ms": 20})


async def make_history(node):
    """A run of alice's in many batches, one a sync; what she has seen of it."""
    async with Client(node, "alice", cursor="start") as client:
        await client.until_ended(await client.chat(COUNTING, agent="slow"))
        return client.stream


def seq_of(stream, text):
    return next(event["seq"] for event in stream.events
                if event["type"] == "partial_result" and event["data"].get("delta") == text)


def damage(node, change):
    """What `change` makes of the data file's bytes."""
    path = node.data_dir / "history" / "data.mdb"
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def gaps(client):
    return [(frame["from"], frame["to"], frame["reason"])
            for frame in client.control if frame["type"] == "gap"]


async def test_a_damaged_event_is_told_as_a_gap(make_node):
    node = make_node(environment={"RINGSIDE_HISTORY_SYNC_INTERVAL": "20ms"}).start()
    before = await make_history(node)
    seq = seq_of(before, "17 ")
    node.stop()

    def change(data):
        at = data.find(b'"delta": "17 "')
        while at >= 0:
            data[at + 10] ^= 1
            at = data.find(b'"delta": "17 "', at)
    damage(node, change)
    checked = node.run("--check-history", str(node.data_dir / "history"),
                       program="ringside-broker")
    assert checked.returncode == 1
    assert f"events {seq} to {seq} of alice are damaged" in checked.stdout
    node.start()
    async with Client(node, "alice", cursor="start") as client:
        await client.until_caught_up()
        assert gaps(client) == [(seq, seq, "damaged")]
        assert client.stream.epoch == before.epoch
        kept = {key: text for key, text in before.raw.items() if key != seq}
        assert client.stream.raw.keys() == kept.keys()
    assert_counted(node, "reads_damaged", 1)


async def test_a_damaged_batch_is_set_aside(make_node):
    node = make_node(environment={"RINGSIDE_HISTORY_SYNC_INTERVAL": "20ms"}).start()
    before = await make_history(node)
    seq = seq_of(before, "17 ")
    node.stop()

    def change(data):
        at = data.find(b'"delta": "17 "')
        while at >= 0:
            data[data.rfind(b"RSHB", 0, at) + 8] ^= 1
            at = data.find(b'"delta": "17 "', at + 1)
    damage(node, change)
    node.start()
    status = node.status()
    assert status["history"]["damaged"] == 1
    async with Client(node, "alice", cursor="start") as client:
        await client.until_caught_up()
        (first, last, reason), = gaps(client)
        assert reason == "damaged" and first <= seq <= last
        lost = set(range(first, last + 1))
        assert status["history"]["lost"] == len(lost)
        assert client.stream.raw.keys() == before.raw.keys() - lost
        run_id = await client.chat("still here", "t-2", agent="echo")
        await client.until_ended(run_id)
