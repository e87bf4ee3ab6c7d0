# SPDX-License-Identifier: Apache-2.0
"""What an agent is told of its thread, folded from the user's events."""
import json
import os
import signal
import subprocess

from harness.client import Client, Follower
from harness.node import CONFIG, PROGRAMS
from harness.stream import is_terminal

WAIT = 60


def ends_of(follower):
    return [event for event in follower.stream.events if is_terminal(event)]


async def recall(client, thread="t-1", agent="recalls", **wanted):
    events = await client.until_ended(await client.chat(json.dumps(wanted), thread=thread, agent=agent))
    return events[-1]["data"]["result"]


async def echo(client, what, thread="t-1"):
    await client.until_ended(await client.chat(what, thread=thread, agent="echo"))


def texts(answer):
    return [(message["role"], message["content"]) for message in answer["messages"]]


async def test_questions_and_answers_come_in_their_order_and_only_the_threads(shared_node, user):
    async with Client(shared_node, user) as client:
        first, = await recall(client)
        assert first == {"messages": []}
        await echo(client, "one ☃")
        await echo(client, "not here", thread="t-2")
        await echo(client, [{"type": "text", "text": "two"}])
        told = texts((await recall(client))[0])
    assert told[0] == ("user", "{}") and told[1] == ("assistant", "here ")
    assert [role for role, _ in told[2:]] == ["user", "assistant"] * 2
    assert told[2] == ("user", "one ☃") and "one ☃" in told[3][1]
    assert told[4] == ("user", [{"type": "text", "text": "two"}])


async def test_no_more_are_told_than_were_wanted_the_newest(shared_node, user):
    async with Client(shared_node, user) as client:
        for number in range(5):
            await echo(client, str(number))
        told = texts((await recall(client, limit=3))[0])
        assert len(told) == 3 and told[1:][0] == ("user", "4") and told[0][0] == "assistant"


async def test_a_request_that_makes_no_sense_is_refused(shared_node, user):
    async with Client(shared_node, user) as client:
        for limit in (0, 1001, "3", -1):
            refusal, = await recall(client, limit=limit)
            assert refusal["code"] == -32602
        answer, refusal = await recall(client, twice=True)
        assert "messages" in answer and refusal["code"] == -32000


async def test_what_a_dead_broker_was_asked_the_next_one_answers(node, user, tmp_path):
    async with Follower(node, user) as follower:
        await follower.chat("before", "t-1", "m-1", agent="echo")
        await follower.until(lambda: len(ends_of(follower)) == 1, "the end of the first run")
        await follower.chat(json.dumps({"after": str(tmp_path / "go")}), "t-1", "m-2", agent="recalls")
        await follower.until(lambda: any(event["data"].get("delta") == "here "
                                         for event in follower.stream.events), "the agent")
        broker, = node.pids("ringside-broker")
        os.kill(broker, signal.SIGSTOP)
        (tmp_path / "go").touch()
        os.kill(broker, signal.SIGKILL)
        node.until_restarted("ringside-broker", broker)
        await follower.until(lambda: len(ends_of(follower)) == 2, "the end of the second run")
        assert ("user", "before") in texts(ends_of(follower)[1]["data"]["result"][0])


def test_a_batch_has_no_history(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"content":"{}"}\n')
    done = subprocess.run(
        [PROGRAMS["ringside"].resolve(), "batch", "in.jsonl", "--agent", "recalls", "--config", CONFIG],
        cwd=tmp_path, capture_output=True, text=True, timeout=WAIT, check=False)
    assert json.loads(done.stdout)["result"] == [{"messages": []}]
