# SPDX-License-Identifier: Apache-2.0
"""What clients must not send: each gets a clear error, and everyone else is undisturbed."""
import json

import pytest
import websockets

from harness.client import Client, Refused
from harness.stream import check_run

SLOW = json.dumps({"steps": 10000, "pause_ms": 10})


@pytest.fixture
def bystander(shared_node, user):
    """A neighbour in the middle of a run: `await bystander(work)` does the work meanwhile."""
    async def undisturbed(work):
        async with Client(shared_node, f"{user}-bystander") as client:
            run_id = await client.chat(SLOW, agent="slow")
            await client.until_event("partial_result", run_id)
            result = await work
            before = len(client.stream.events)
            await client.until(lambda: len(client.stream.events) >= before + 5, "live events")
            await client.request("run.cancel", run_id=run_id)
            check_run(await client.until_ended(run_id))
        return result
    return undisturbed


async def refusal_of(client, method, **params):
    with pytest.raises(Refused) as refusal:
        await client.request(method, **params)
    return refusal.value


async def closing_code_after(node, user, data):
    client = await Client(node, user).connect()
    try:
        await client.send(data)
    except websockets.ConnectionClosed:
        pass
    return await client.until_closed()


@pytest.mark.parametrize("text", ["", "{", "nul", "[1,2", '{"id":"c-1","method":}', "\x00", "{}x",
                                  '"text"', "[]", "7", "null"])
async def test_malformed_json_closes_with_4400(shared_node, user, bystander, text):
    assert await bystander(closing_code_after(shared_node, user, text)) == 4400


async def test_binary_where_text_is_due_closes_with_4400(shared_node, user, bystander):
    frame = b'{"id":"c-1","method":"ping"}'
    assert await bystander(closing_code_after(shared_node, user, frame)) == 4400


async def test_json_nested_without_end_closes_with_4400(shared_node, user, bystander):
    text = '{"id":"c-1","method":"ping","params":' + "[" * 50000 + "]" * 50000 + "}"
    assert await bystander(closing_code_after(shared_node, user, text)) == 4400


async def test_a_huge_frame_closes_with_1009(shared_node, user, bystander):
    text = json.dumps({"id": "c-1", "method": "ping", "params": {"x": "a" * (3 << 20)}})
    assert await bystander(closing_code_after(shared_node, user, text)) == 1009


async def test_an_endless_fragmented_message_closes_with_1009(shared_node, user, bystander):
    async def flood():
        client = await Client(shared_node, user).connect()
        try:
            await client.socket.send(["a" * 65536] * 64)
        except websockets.ConnectionClosed:
            pass
        return await client.until_closed()
    assert await bystander(flood()) == 1009


async def test_an_unknown_method_is_said_and_the_connection_lives(shared_node, user):
    async with Client(shared_node, user) as client:
        for method in ("no.such", "", "chat", "chat.send.x", "PING"):
            assert (await refusal_of(client, method)).code == "unknown_method"
        assert await client.request("ping") == {}


@pytest.mark.parametrize("frame", [
    {"id": {}, "method": "ping"},
    {"id": "c-1"},
    {"id": "c-1", "method": 7},
    {"id": "c-1", "method": "ping", "params": []},
    {"id": "x" * 1000, "method": "ping"},
])
async def test_a_frame_that_is_no_request_is_refused(shared_node, user, frame):
    """By an error in reply, or as a violation of the protocol: never by silence or a crash."""
    client = await Client(shared_node, user).connect()
    await client.send(frame)
    answer = await client.until(lambda: client.problem or client.replied(frame.get("id")),
                                "an answer or the end")
    if client.problem:
        assert await client.until_closed() == 4400
    else:
        assert answer["error"]["code"] == "invalid_argument"
        await client.close()


async def test_10000_tiny_frames_disturb_nobody(shared_node, user, bystander):
    async def flood():
        client = await Client(shared_node, user).connect()
        try:
            for number in range(10000):
                await client.send(f'{{"id":"f-{number}","method":"ping"}}')
            await client.until_closed()
        except websockets.ConnectionClosed:
            await client.until_closed()
        return client
    client = await bystander(flood())
    assert client.socket.close_code == 4429
    codes = {frame["error"]["code"] for frame in client.replies if "error" in frame}
    assert codes == {"rate_limited"}


GOOD = {"thread_id": "t-1", "message_id": "m-1", "content": "hello", "agent": "echo"}


@pytest.mark.parametrize("change", [
    {"thread_id": None}, {"thread_id": ""}, {"thread_id": 7}, {"thread_id": "a b"},
    {"thread_id": "x" * 128}, {"thread_id": 'a"b'}, {"thread_id": "é"},
    {"message_id": None}, {"message_id": ""}, {"message_id": "x" * 128}, {"message_id": {}},
    {"content": None}, {"content": ""}, {"content": 7}, {"content": {}}, {"content": []},
    {"agent": 7}, {"agent": "a b"},
    {"on_busy": "panic"}, {"on_busy": 1}, {"on_disconnect": "explode"},
], ids=json.dumps)
async def test_a_bad_parameter_of_chat_send_is_an_invalid_argument(shared_node, user, change):
    params = {name: value for name, value in (GOOD | change).items() if value is not None}
    async with Client(shared_node, user) as client:
        refusal = await refusal_of(client, "chat.send", **params)
        assert refusal.code == "invalid_argument" and not refusal.retryable
        assert client.stream.events == []
        await client.until_ended((await client.request("chat.send", **GOOD))["run_id"])


async def test_an_unknown_agent_is_said(shared_node, user):
    async with Client(shared_node, user) as client:
        refusal = await refusal_of(client, "chat.send", **GOOD | {"agent": "nobody"})
        assert refusal.code == "agent_not_found"
        await client.until_ended(await client.chat("hello", agent="echo"))


async def test_content_of_1_mib_is_too_large_and_the_connection_lives(
        shared_node, user, bystander):
    async with Client(shared_node, user) as client:
        work = refusal_of(client, "chat.send", **GOOD | {"content": "a" * (1 << 20)})
        assert (await bystander(work)).code == "payload_too_large"
        await client.until_ended(await client.chat("hello", agent="echo"))


async def test_large_content_below_the_limit_arrives_whole(shared_node, user):
    content = "".join(chr(0x20 + number % 0x5f) for number in range(40000))
    async with Client(shared_node, user) as client:
        run_id = await client.chat(content, agent="echo")
        await client.until_ended(run_id)
        said = next(event for event in client.stream.of_run(run_id)
                    if event["type"] == "chat_message")
        assert said["data"]["content"] == content


async def test_content_in_any_script_arrives_as_it_was_sent(shared_node, user):
    content = 'grüße \U0001f44b "quoted" \\ \u2028 \x7f \t\n'
    async with Client(shared_node, user) as client:
        run_id = await client.chat(content, agent="echo")
        await client.until_ended(run_id)
        said = next(event for event in client.stream.of_run(run_id)
                    if event["type"] == "chat_message")
        assert said["data"]["content"] == content


async def test_an_unknown_run_cannot_be_cancelled(shared_node, user):
    async with Client(shared_node, user) as client:
        assert (await refusal_of(client, "run.cancel", run_id="r-none")).code == "run_not_found"
        assert (await refusal_of(client, "run.cancel", thread_id="t-none")).code == \
            "thread_not_found"
        assert (await refusal_of(client, "run.cancel")).code == "invalid_argument"


@pytest.mark.parametrize("frame", [
    {"method": "ack", "params": {"seq": -1}},
    {"method": "ack", "params": {"seq": "1"}},
    {"method": "ack", "params": {"seq": 10 ** 18}},
    {"method": "ack"},
    {"method": "no.such"},
])
async def test_a_bad_notification_gets_no_reply_and_breaks_nothing(shared_node, user, frame):
    async with Client(shared_node, user) as client:
        await client.send(frame)
        assert await client.request("ping") == {}


async def test_a_request_for_what_is_not_there_is_404(shared_node):
    for path in ("/nothing", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/nothing"):
        assert shared_node.get(path)[0] in (400, 404), path
    assert shared_node.get("/health/live")[0] == 200
    assert shared_node.get("/health/ready")[0] == 200
    assert shared_node.get("/")[0] == 200
