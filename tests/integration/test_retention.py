# SPDX-License-Identifier: Apache-2.0
"""A node with a small limit for each user: what is trimmed is said, and open runs are kept whole."""
import asyncio
import json

from harness.client import Client
from harness.deadline import PATIENCE
from harness.stream import check_run

LIMIT = 20


async def until_oldest(node, user, above, what):
    """The oldest retained number, once it is greater than `above`."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while True:
        async with Client(node, user) as probe:
            if probe.welcome["oldest"] > above:
                return probe.welcome["oldest"], probe.welcome["head"]
        assert asyncio.get_running_loop().time() < end, what


async def test_behind_the_floor_a_client_is_told_what_is_gone_and_an_open_run_is_whole(
        make_node, user):
    node = make_node(environment={"RINGSIDE_HISTORY_MAX_EVENTS_PER_USER": str(LIMIT),
                                  "RINGSIDE_GATEWAY_CONNECTION_RATE_PER_USER": "0"}).start()
    async with Client(node, user) as client:
        for number in range(3):
            await client.until_ended(await client.chat(f"word {number} of some", agent="echo"))
        before = client.stream.position
        # Many more events than the limit, of a run that is still open.
        run_id = await client.chat(
            json.dumps({"steps": 3000, "pause_ms": 20}), agent="slow", thread="t-2")
        await client.until(lambda: len(client.stream.of_run(run_id)) > 3 * LIMIT, "events of the run")
        first = client.stream.of_run(run_id)[0]["seq"]
        oldest, _ = await until_oldest(node, user, before - LIMIT, "nothing was trimmed")
        while oldest < first:  # all that is older goes, since the run alone is above the limit
            oldest, _ = await until_oldest(node, user, oldest, "the older runs were not trimmed")
        assert oldest == first, "an event of an open run was trimmed"

        cursor = f"{client.stream.epoch}.2"
        async with Client(node, user, cursor=cursor) as late:
            gap = await late.until(lambda: next(
                (frame for frame in late.control if frame["type"] == "gap"), None), "a gap frame")
            assert late.welcome["resume"] == "gap"
            assert (gap["from"], gap["to"], gap["reason"]) == (3, first - 1, "trimmed")
            await late.until_caught_up()
            check_run(late.stream.of_run(run_id), complete=False)
            seen = late.stream.position
            mine = [event["seq"] for event in client.stream.of_run(run_id) if event["seq"] <= seen]
            assert [event["seq"] for event in late.stream.of_run(run_id)][:len(mine)] == mine

        await client.request("run.cancel", run_id=run_id)
        check_run(await client.until_ended(run_id))
    oldest, head = await until_oldest(node, user, first, "the ended run was not trimmed")
    while head + 1 - oldest > LIMIT:
        oldest, head = await until_oldest(node, user, oldest, "the ended run was not trimmed")
    assert oldest == head + 1 - LIMIT
    state = node.run("run-info", run_id, "--json")
    assert state.returncode == 0, state.stderr
    assert json.loads(state.stdout)["state"] == "cancelled"


async def until_folded(node):
    """What `status` says of the history, once something was folded."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while True:
        history = node.status()["history"]
        if history["folded"]:
            return history
        assert asyncio.get_running_loop().time() < end, "nothing was folded"


async def test_a_cursor_within_a_folded_text_is_sent_exactly_what_it_does_not_have(
        make_node, user):
    node = make_node(environment={"RINGSIDE_HISTORY_FOLD_AFTER": "1s"}).start()
    async with Client(node, user) as client:
        run_id = await client.chat(json.dumps({"steps": 30, "pause_ms": 1}), agent="slow")
        await client.until_ended(run_id)
        whole, epoch = client.stream.text_of(run_id), client.stream.epoch
    live = {event["seq"]: event for event in client.stream.events}
    await until_folded(node)
    async with Client(node, user, cursor="start") as fresh:
        await fresh.until_caught_up()
    assert fresh.stream.text_of(run_id) == whole
    check_run(fresh.stream.of_run(run_id))
    folded = next(event for event in fresh.stream.events if "first_seq" in event)
    assert folded["type"] == "partial_result" and len(fresh.stream.events) < len(live)
    middle = (folded["first_seq"] + folded["seq"]) // 2
    async with Client(node, user, cursor=f"{epoch}.{middle}") as late:
        await late.until_caught_up()
    rest = late.stream.events[0]
    assert (rest["prev"], rest["seq"]) == (middle, folded["seq"])
    assert rest.get("first_seq", rest["seq"]) == middle + 1
    seen = "".join(live[seq]["data"]["delta"] for seq in range(folded["first_seq"], middle + 1))
    assert seen + rest["data"]["delta"] == folded["data"]["delta"]
