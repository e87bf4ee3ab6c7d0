# SPDX-License-Identifier: Apache-2.0
"""Broker and gateway that look for events for a while before they sleep."""
import json

from harness.client import Client
from harness.stream import check_run


async def test_spinning_loops_deliver_all_and_leave_when_told(make_node):
    """As close as its events come, both loops look on; between the runs they sleep."""
    node = make_node(environment={
        "RINGSIDE_RING_SPIN_MAX_US": "1000", "RINGSIDE_GATEWAY_SPIN_MAX_US": "1000"})
    node.start()
    async with Client(node, "ann") as client:
        for pause_ms in (0, 20):
            run = await client.chat(json.dumps({"steps": 50, "pause_ms": pause_ms}), agent="slow")
            check_run(await client.until_ended(run))
    assert node.stop() == 0
