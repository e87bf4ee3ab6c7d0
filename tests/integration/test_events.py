# SPDX-License-Identifier: Apache-2.0
"""Server-Sent Events: the same stream over plain HTTP."""
import asyncio
import json
import socket

import pytest

from harness.client import Client
from harness.deadline import PATIENCE, until
from harness.events import EventStream
from harness.stream import check_run


def metric(node, name):
    return next(int(line.split()[1]) for line in node.get("/metrics")[1].splitlines()
                if line.startswith(f"ringside_gateway_{name} "))


async def test_events_are_those_of_the_websocket_to_the_byte(shared_node, user):
    accepted = metric(shared_node, "event_streams_accepted_total")
    async with Client(shared_node, user) as client, EventStream(shared_node, user) as events:
        assert events.answer["content-type"] == "text/event-stream"
        welcome = await events.until_told("welcome")
        assert welcome["resume"] == "live" and welcome["user_id"] == user
        run = await client.chat("hello there", agent="echo")
        await client.until_ended(run)
        check_run(await events.until_ended(run))
        assert events.stream.raw == client.stream.raw
        async with EventStream(shared_node, user, cursor="start") as again:
            caught_up = await again.until_told("caught_up")
            assert again.stream.raw == client.stream.raw
            assert caught_up["seq"] == client.stream.position
    assert metric(shared_node, "event_streams_accepted_total") == accepted + 2


async def test_stream_resumes_by_last_event_id_and_misses_nothing(shared_node, user):
    """Before the cursor of the address, which is still that of the first connection."""
    async with Client(shared_node, user) as client:
        run = await client.chat(json.dumps({"steps": 60, "pause_ms": 5}), agent="slow")
        last, seen = None, {}
        ended = False
        while not ended:
            async with EventStream(shared_node, user, cursor="start", last_event_id=last) as part:
                await part.until_told("welcome")
                await part.until(
                    lambda: len(part.stream.raw) >= 20 or part.stream.ended(run), "20 events")
                ended = part.stream.ended(run)
                assert not seen.keys() & part.stream.raw.keys()
                seen |= part.stream.raw
                last = part.last_event_id
        await client.until_ended(run)
        assert seen == client.stream.raw


async def test_stream_cut_off_before_its_first_event_resumes_there(shared_node, user):
    async with Client(shared_node, user) as client:
        await client.until_ended(await client.chat("before", agent="echo"))
        async with EventStream(shared_node, user) as events:
            head = (await events.until_told("welcome"))["head"]
            last = await events.until(lambda: events.last_event_id, "the place it begins at")
        assert last == f"{client.stream.epoch}.{head}"
        run = await client.chat("meanwhile", agent="echo")
        await client.until_ended(run)
        async with EventStream(shared_node, user, last_event_id=last) as resumed:
            check_run(await resumed.until_ended(run))


async def test_filter_of_a_stream_keeps_the_chain(shared_node, user):
    async with Client(shared_node, user) as client:
        async with EventStream(shared_node, user, threads=["t-b"]) as events:
            await events.until_told("welcome")
            for thread in ("t-a", "t-b", "t-a", "t-b"):
                run = await client.chat("hello", thread=thread, agent="echo")
                await client.until_ended(run)
            await events.until_ended(run)
            assert {event["thread_id"] for event in events.stream.events} == {"t-b"}


async def test_a_gap_and_snapshots_come_as_events(make_node, user):
    node = make_node(environment={"RINGSIDE_HISTORY_MAX_AGE": "1s"}).start()
    async with Client(node, user) as client:
        await client.until_ended(await client.chat("old", agent="echo"))
        epoch, head = client.stream.epoch, client.stream.position

        def oldest():
            return json.loads(node.run("user", user, "--json").stdout)["oldest"]

        await asyncio.to_thread(until, lambda: oldest() > head, "the old to be trimmed")
        run = await client.chat(json.dumps({"steps": 100000, "pause_ms": 20}), agent="slow")
        await client.until_event("partial_result", run)
        async with EventStream(node, user, last_event_id=f"{epoch}.1") as events:
            assert (await events.until_told("gap"))["reason"] == "trimmed"
            assert (await events.until_told("snapshot"))["run_id"] == run
            await events.until_told("caught_up")
        await client.request("run.cancel", run_id=run)
        await client.until_ended(run)


@pytest.mark.parametrize("options, status, code", [
    ({"token": ""}, 401, "unauthenticated"),
    ({"cursor": "nonsense"}, 400, "invalid_argument"),
    ({"last_event_id": "start"}, 400, "invalid_argument"),
    ({"headers": ["Last-Event-ID: a.1", "Last-Event-ID: a.2"]}, 400, "invalid_argument"),
    ({"headers": ["Origin: http://elsewhere.example"]}, 403, "permission_denied"),
    ({"threads": [f"t-{n}" for n in range(40)]}, 400, "invalid_argument"),
])
async def test_what_is_refused_says_why(shared_node, user, options, status, code):
    async with EventStream(shared_node, user, **options) as events:
        assert events.status == status and events.error["code"] == code


async def test_streams_are_sent_away_when_the_gateway_leaves(make_node, user):
    node = make_node(environment={"RINGSIDE_GATEWAY_DRAIN_WINDOW": "100ms"}).start()
    async with Client(node, user) as client, EventStream(node, user) as events:
        run = await client.chat("last words", agent="echo")
        await client.until_ended(run)
        await events.until_ended(run)
        gateway = node.pids("ringside-gateway")[0]
        await asyncio.to_thread(node.run, "drain", f"gateway-{gateway}")
        closed = await events.until_closed()
        away = events.told("going_away")
        assert closed["code"] == 4001 and events.control[-1] == closed
        assert away["cursor"] == events.last_event_id == client.stream.cursor
        assert events.retry == away["reconnect_after_ms"]
        assert await client.until_closed() == 4001


def connect_deaf(node, user):
    """A client that asks for the stream and never reads it."""
    host, _, port = node.address.rpartition(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect((host, int(port)))
    deaf.sendall(f"GET /v1/events HTTP/1.1\r\nHost: {node.address}\r\n"
                 f"Authorization: Bearer {node.token(user)}\r\n\r\n".encode())
    return deaf


async def test_stream_that_is_not_read_is_closed_and_resumes(make_node, user):
    node = make_node(environment={"RINGSIDE_GATEWAY_MAX_OUTBOX": "262144"}).start()
    with connect_deaf(node, user):
        until(lambda: metric(node, "connections") == 1, "the stream")
        async with Client(node, user, threads=["t-other"]) as client:
            # More than the kernel keeps for a socket: some megabytes.
            run = await client.chat(json.dumps({"events": 5000, "bytes": 2000}), agent="flood")
            await asyncio.to_thread(
                until, lambda: metric(node, "closed_too_slow_total") == 1, "its end")
            seen, last, ended = {}, None, False
            while not ended:  # closed again and again, if this client is not fast enough
                async with EventStream(node, user, cursor="start", last_event_id=last) as part:
                    await part.until(lambda: part.ended or part.stream.ended(run), "the run")
                    ended = part.stream.ended(run)
                    seen |= part.stream.raw
                    last = part.last_event_id
            check_run([json.loads(text) for text in seen.values()])


async def test_curl_shows_the_stream(shared_node, user):
    async with Client(shared_node, user) as client:
        run = await client.chat("for curl", agent="echo")
        await client.until_ended(run)
        curl = await asyncio.create_subprocess_exec(
            "curl", "--silent", "--show-error", "--no-buffer", "--max-time", "60", "-H",
            f"Authorization: Bearer {client.token}",
            f"http://{shared_node.address}/v1/events?cursor=start",
            stdout=asyncio.subprocess.PIPE)
        lines = []
        while not any(line == "event: caught_up" for line in lines):
            line = await asyncio.wait_for(curl.stdout.readline(), PATIENCE)
            assert line, lines[-5:]
            lines.append(line.decode().rstrip("\n"))
        curl.terminate()
        await curl.wait()
        assert lines[0] == "event: welcome"
        data = [line[6:] for line in lines if line.startswith("data: ")]
        assert [text for text in data if '"prev":' in text] == list(client.stream.raw.values())
