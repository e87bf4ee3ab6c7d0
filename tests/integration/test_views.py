# SPDX-License-Identifier: Apache-2.0
"""What a connection is shown: of some threads, of another place, of the runs there are."""
import json
import pathlib
import subprocess

import pytest

from harness.client import Client, Refused
from harness.stream import check_run

HERE = pathlib.Path(__file__).parent


async def two_threads(client, runs=2):
    """So many short runs in each of two threads; their identifiers by thread."""
    found = {"t-a": [], "t-b": []}
    for _ in range(runs):
        for thread, ids in found.items():
            ids.append(await client.chat("hello there", thread=thread, agent="echo"))
            await client.until_ended(ids[-1])
    return found


def threads_of(client):
    return {event["thread_id"] for event in client.stream.events}


async def test_filtered_views_are_chained_live_and_in_replay(shared_node, user):
    async with Client(shared_node, user) as all_of_it, \
            Client(shared_node, user, threads=["t-a"]) as one, \
            Client(shared_node, user, threads=["t-a", "t-b", "t-c"]) as several:
        runs = await two_threads(all_of_it)
        await one.until_ended(runs["t-a"][-1])
        await several.until_ended(runs["t-b"][-1])
        assert threads_of(one) == {"t-a"}  # the chain was checked with each event
        assert several.stream.raw == all_of_it.stream.raw
        async with Client(shared_node, user, cursor="start", threads=["t-a"]) as again:
            await again.until_caught_up()
            assert [event["seq"] for event in again.stream.events] == \
                [event["seq"] for event in one.stream.events]
        for run in runs["t-a"]:
            check_run(one.stream.of_run(run))


async def test_filtered_view_resumes_at_the_position_it_was_told(shared_node, user):
    async with Client(shared_node, user) as client:
        await two_threads(client)
        async with Client(shared_node, user, cursor="start", threads=["t-a"]) as one:
            await one.until_caught_up()
            position = one.stream.told
            assert position == client.stream.position > one.stream.events[-1]["seq"]
            assert one.stream.cursor == client.stream.cursor
        run = await client.chat("more", thread="t-a", agent="echo")
        await client.until_ended(run)
        cursor = f"{client.stream.epoch}.{position}"
        async with Client(shared_node, user, cursor=cursor, threads=["t-a"]) as resumed:
            await resumed.until_ended(run)
            assert resumed.stream.events[0]["prev"] == position


async def test_subscribe_shows_another_view_on_the_same_connection(shared_node, user):
    async with Client(shared_node, user) as client:
        runs = await two_threads(client)
        whole, head = client.stream.raw, client.stream.position
        begun = await client.subscribe(cursor="start")
        assert begun["resume"] == "replay" and begun["head"] == head and begun["runs"] == []
        await client.until_caught_up()
        assert client.stream.raw == whole
        await client.subscribe(cursor="start", threads=["t-b"])
        await client.until_caught_up()
        assert threads_of(client) == {"t-b"} and client.stream.ended(runs["t-b"][0])
        await client.subscribe()  # everything, from now on
        assert (await client.until_caught_up())["seq"] == head
        run = await client.chat("live", thread="t-a", agent="echo")
        check_run(await client.until_ended(run))
        assert client.stream.events[0]["prev"] == head


async def test_subscribe_during_a_replay_and_while_events_come(shared_node, user):
    async with Client(shared_node, user) as client:
        run = await client.chat(json.dumps({"steps": 150, "pause_ms": 5}), agent="slow")
        views = 0
        while not client.stream.ended(run) and views < 8:
            await client.until_event("partial_result", run, count=10)
            await client.subscribe(cursor="start")
            views += 1
        events = await client.until_ended(run)
        check_run(events)
        assert views >= 2 and events[0]["type"] == "chat_message"
        assert client.socket.open


def test_our_javascript_client_changes_its_view_without_another_connection(shared_node, user):
    done = subprocess.run(
        ["node", str(HERE / "views.mjs"), f"ws://{shared_node.address}/v1/ws",
         shared_node.token(user), json.dumps({"steps": 100, "pause_ms": 5}), "5"],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["sockets"] == 1, "it connected again"
    assert said["counters"]["gaps"] == said["counters"]["reconnects"] == 0
    for before, view in zip([None, *said["seen"]], said["seen"]):
        numbers = [event["seq"] for event in view]
        assert all(event["prev"] == number for event, number in zip(view[1:], numbers)), "unbroken"
        assert numbers[0] in (1, before[-1]["seq"] + 1 if before else 1)
    assert {event["run_id"] for view in said["seen"] for event in view} == \
        {said["seen"][0][0]["run_id"]}


async def test_subscribe_refuses_what_is_no_cursor_and_the_view_goes_on(shared_node, user):
    async with Client(shared_node, user) as client:
        await two_threads(client, runs=1)
        epoch, head = client.stream.epoch, client.stream.position
        for cursor, code in [("nonsense", "invalid_argument"), ("e.-1", "invalid_argument"),
                             (f"x{epoch}.3", "cursor_expired")]:
            with pytest.raises(Refused) as refused:
                await client.subscribe(cursor=cursor)
            assert refused.value.code == code and not refused.value.retryable
        run = await client.chat("still here", agent="echo")
        check_run(await client.until_ended(run))
        assert client.stream.of_run(run)[0]["prev"] == head


async def test_runs_are_listed_and_shown_to_their_user_alone(shared_node, user):
    async with Client(shared_node, user) as client, Client(shared_node, f"{user}x") as other:
        ended = await two_threads(client, runs=1)
        run = await client.chat(json.dumps({"steps": 100000, "pause_ms": 20}), thread="t-c",
                                agent="slow")
        await client.until_event("agent_started", run)
        record = await client.request("run.get", run_id=run)
        assert record["state"] == "running" and not record["ended"]
        assert record["thread_id"] == "t-c" and record["agent"] == "slow"
        assert client.stream.of_run(run)[0]["seq"] == record["first_seq"]
        listed = (await client.request("runs.list"))["runs"]
        assert listed[0] == record
        assert {each["run_id"] for each in listed} == {run, *ended["t-a"], *ended["t-b"]}
        assert [each["run_id"] for each in (await client.request(
            "runs.list", state="completed", thread_id="t-a"))["runs"]] == ended["t-a"]
        pages, after = [], {}
        while after is not None:
            page = await client.request("runs.list", limit=1, **after)
            pages += page["runs"]
            after = {"after": page["next"]} if "next" in page else None
        assert pages == listed
        assert (await other.request("runs.list"))["runs"] == []
        for run_id in (run, ended["t-a"][0], "r-none"):
            with pytest.raises(Refused, match="run_not_found"):
                await other.request("run.get", run_id=run_id)
        with pytest.raises(Refused, match="invalid_argument"):
            await client.request("runs.list", state="asleep")
        await client.request("run.cancel", run_id=run)
        await client.until_ended(run)
        assert (await client.request("run.get", run_id=run))["state"] == "cancelled"
