# SPDX-License-Identifier: Apache-2.0
"""What the project is for: a question, every step of the work seen live, by clients not ours."""
import json
import pathlib
import subprocess

import pytest

from harness.client import Client, Refused
from harness.stream import Stream, check_run, parse

HERE = pathlib.Path(__file__).parent
QUESTION = "How do rings keep the order of events?"


def check_librarian(events):
    """The whole journey of a question, step by step."""
    check_run(events)
    types = [event["type"] for event in events]
    assert types.index("run_queued") < types.index("agent_started")
    assert types.index("agent_started") < types.index("agent_thinking")
    assert types.count("tool_executing") == types.count("tool_completed") > 0
    assert types.index("tool_executing") < types.index("partial_result")
    assert types[-1] == "agent_completed"
    asked = next(event for event in events if event["type"] == "chat_message")
    assert asked["data"]["role"] == "user" and asked["data"]["content"] == QUESTION
    assert events[-1]["data"]["outcome"] == "success"
    for event in events:
        assert event["thread_id"] == "t-1" and event["timestamp"] > 1_500_000_000_000
        assert not event.get("synthetic") or event["type"] in ("run_queued", "chat_message")
    for event in events:
        if event["type"] == "tool_completed":
            assert event["data"]["status"] == "ok" and event["data"]["duration_ms"] >= 0


async def test_a_question_to_the_librarian_shows_every_step_in_order(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat(QUESTION, agent="librarian")
        events = await client.until_ended(run_id)
        check_librarian(events)
        assert client.stream.text_of(run_id).strip()


async def test_welcome_says_where_the_view_begins(shared_node, user):
    async with Client(shared_node, user) as client:
        welcome = client.welcome
        assert client.control[0]["type"] == "welcome"
        assert welcome["protocol"] == "ringside.v1" and welcome["user_id"] == user
        assert welcome["head"] == 0 and welcome["runs"] == [] and welcome["resume"] == "live"
        assert welcome["connection_id"] and welcome["epoch"] and welcome["heartbeat_ms"] > 0
        assert isinstance(welcome["limits"], dict)


@pytest.fixture(scope="module")
def npm_ws():
    folder = HERE / "node_modules/ws"
    assert folder.is_dir(), "npm install has not been run in tests/integration: ./dev test does it"
    return folder


def test_the_same_journey_through_the_ws_package_of_npm(shared_node, user, npm_ws):
    done = subprocess.run(
        ["node", str(HERE / "golden-path.mjs"), f"ws://{shared_node.address}/v1/ws",
         shared_node.token(user), QUESTION],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    frames = done.stdout.splitlines()
    stream = Stream()
    stream.welcomed(json.loads(frames[0]), None)
    for text in frames[1:]:
        frame = parse(text)
        if "seq" in frame and "prev" in frame:
            stream.take(text, frame)
    check_librarian(stream.of_run(stream.run_ids()[0]))


async def test_two_tabs_and_a_late_one_see_identical_bytes(shared_node, user):
    async with Client(shared_node, user) as one, Client(shared_node, user) as two:
        run_id = await one.chat(QUESTION, agent="librarian")
        await one.until_ended(run_id)
        await two.until_ended(run_id)
        async with Client(shared_node, user, cursor="start") as late:
            await late.until_ended(run_id)
            await late.until_caught_up()
            assert one.stream.raw == two.stream.raw == late.stream.raw
            assert late.welcome["resume"] == "replay" and late.welcome["oldest"] == 1


async def test_the_same_message_id_starts_one_run(shared_node, user):
    async with Client(shared_node, user) as client:
        first = await client.request("chat.send", thread_id="t-1", message_id="m-1",
                                     content="hello", agent="echo")
        again = await client.request("chat.send", thread_id="t-1", message_id="m-1",
                                     content="hello", agent="echo")
        assert first["run_id"] == again["run_id"]
        await client.until_ended(first["run_id"])
        late = await client.request("chat.send", thread_id="t-1", message_id="m-1",
                                    content="hello", agent="echo")
        assert late["run_id"] == first["run_id"]
        after = await client.chat("and now another", agent="echo")
        await client.until_ended(after)
        assert client.stream.run_ids() == [first["run_id"], after]


async def test_one_run_at_a_time_in_a_thread_the_next_is_queued(shared_node, user):
    async with Client(shared_node, user) as client:
        content = json.dumps({"steps": 20, "pause_ms": 10})
        first = await client.chat(content, agent="slow")
        second = await client.chat(content, agent="slow")
        await client.until_ended(second)
        seqs = {run: [event["seq"] for event in client.stream.of_run(run)
                      if event["type"] not in ("run_queued", "chat_message")]
                for run in (first, second)}
        assert max(seqs[first]) < min(seqs[second])


async def test_a_cancelled_run_ends_as_cancelled_and_says_so_again(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat(json.dumps({"steps": 10000, "pause_ms": 20}), agent="slow")
        await client.until_event("partial_result", run_id)
        await client.request("run.cancel", run_id=run_id, reason="enough")
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["type"] == "agent_completed"
        assert events[-1]["data"]["outcome"] == "cancelled"
        assert (await client.request("run.cancel", run_id=run_id))["status"] == "cancelled"


async def test_a_run_is_cancelled_by_its_thread(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat(json.dumps({"steps": 10000, "pause_ms": 20}), "t-5",
                                   agent="slow")
        await client.until_event("partial_result", run_id)
        await client.request("run.cancel", thread_id="t-5")
        events = await client.until_ended(run_id)
        assert events[-1]["data"]["outcome"] == "cancelled"


async def test_a_finished_run_answers_a_cancel_with_its_status(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat("hello", agent="echo")
        await client.until_ended(run_id)
        assert (await client.request("run.cancel", run_id=run_id))["status"] == "completed"


async def test_ping_is_answered_and_ack_is_not(shared_node, user):
    async with Client(shared_node, user) as client:
        assert await client.request("ping") == {}
        run_id = await client.chat("hello", agent="echo")
        events = await client.until_ended(run_id)
        await client.notify("ack", seq=events[-1]["seq"])
        assert await client.request("ping") == {}


async def test_a_filtered_view_has_its_own_unbroken_chain(shared_node, user):
    async with Client(shared_node, user) as whole, \
            Client(shared_node, user, threads=["t-2"]) as part:
        for number in range(3):
            await whole.until_ended(await whole.chat(f"one {number}", "t-1", agent="echo"))
            second = await whole.chat(f"two {number}", "t-2", agent="echo")
            await whole.until_ended(second)
            await part.until_ended(second)
        assert {event["thread_id"] for event in part.stream.events} == {"t-2"}
        expected = [event["seq"] for event in whole.stream.events if event["thread_id"] == "t-2"]
        assert [event["seq"] for event in part.stream.events] == expected


async def test_a_browser_gives_its_token_as_a_subprotocol(shared_node, user):
    import websockets
    token = shared_node.token(user)
    url = f"ws://{shared_node.address}/v1/ws"
    async with websockets.connect(url, subprotocols=["ringside.v1", f"bearer.{token}"]) as socket:
        assert socket.subprotocol == "ringside.v1"
        assert json.loads(await socket.recv())["user_id"] == user


async def test_a_run_goes_on_without_its_client(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat(json.dumps({"steps": 30, "pause_ms": 10}), agent="slow")
        await client.until_event("agent_started", run_id)
        stream = client.stream
    async with Client(shared_node, user, stream=stream) as client:
        check_run(await client.until_ended(run_id))


async def test_busy_thread_is_said_when_asked_to_reject(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat(json.dumps({"steps": 10000, "pause_ms": 20}), agent="slow")
        await client.until_event("agent_started", run_id)
        with pytest.raises(Refused) as refusal:
            await client.chat("me too", agent="echo", on_busy="reject")
        assert refusal.value.code == "run_active"
        await client.request("run.cancel", run_id=run_id)
        await client.until_ended(run_id)
