# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the broker and of the gateway: clients notice a pause, and nothing else."""
import asyncio
import json
import os
import random

import pytest

from harness.client import Client, Follower
from harness.deadline import until
from harness.stream import check_all_runs, check_run

KILLS = 20
STEPS = 150


def numbered(steps, pause_ms=10):
    return json.dumps({"steps": steps, "pause_ms": pause_ms})


def check_numbers(stream, run_id, steps):
    """The agent counts aloud: every number once, in order."""
    deltas = [event["data"]["delta"] for event in stream.of_run(run_id)
              if event["type"] == "partial_result" and event["data"].get("delta")]
    numbers = [int(word) for word in "".join(deltas).split()]
    assert numbers == list(range(1, steps + 1)), (run_id, numbers)


async def check_history(node, stream, user):
    """What was seen live is what is kept, byte for byte."""
    await asyncio.to_thread(until, lambda: node.get("/health/ready")[0] == 200, "readiness")
    async with Client(node, user, cursor="start") as fresh:
        await fresh.until_caught_up()
        assert fresh.stream.raw == stream.raw


@pytest.mark.parametrize("program", ["ringside-broker", "ringside-gateway"])
async def test_a_run_goes_on_while_a_process_is_killed_and_restarted(node, program):
    async with Follower(node, "alice") as follower:
        run_id = await follower.chat(numbered(STEPS), "t-1", "m-1", agent="slow")
        await follower.until(lambda: len(follower.stream.of_run(run_id)) > 10, "ten events")
        before = node.kill(program)
        node.until_restarted(program, before)
        await follower.until(lambda: follower.stream.ended(run_id), "the end of the run")
        stream = follower.stream
        check_run(stream.of_run(run_id))
        check_numbers(stream, run_id, STEPS)
        again = await follower.chat("hello", "t-1", "m-2", agent="echo")
        await follower.until(lambda: stream.ended(again), "the end of a run after it")
        await check_history(node, stream, "alice")


async def test_a_request_answered_before_a_crash_is_run_after_it(node):
    async with Follower(node, "alice") as follower:
        runs = [await follower.chat(numbered(5), f"t-{number}", f"m-{number}", agent="slow")
                for number in range(20)]
        node.kill("ringside-broker")
        for run_id in runs:
            await follower.until(lambda: follower.stream.ended(run_id), f"the end of {run_id}")
            check_run(follower.stream.of_run(run_id))
        again = [await follower.chat(numbered(5), f"t-{number}", f"m-{number}", agent="slow")
                 for number in range(20)]
        assert again == runs, "a message_id started a second run after the crash"


async def keep_asking(follower, name, stopped):
    """Runs one after the other in one thread, until stopped; their identifiers."""
    runs = []
    while not stopped.is_set():
        runs.append(await follower.chat(numbered(STEPS), f"t-{name}", f"m-{name}-{len(runs)}",
                                        agent="slow"))
        await follower.until(lambda: follower.stream.ended(runs[-1]), f"the end of {runs[-1]}")
    return runs


async def kill_at_random(node, followers, chance):
    """Twenty kills, each some events after the one before, in whatever state that finds things."""
    for number in range(KILLS):
        program = chance.choice(["ringside-broker", "ringside-gateway"])
        seen = sum(len(follower.stream.events) for follower in followers)
        wanted = seen + chance.randrange(1, 200)
        await followers[number % len(followers)].until(
            lambda: sum(len(follower.stream.events) for follower in followers) >= wanted,
            f"events between kills {number} and {number + 1}")
        before = node.kill(program)
        await asyncio.to_thread(node.until_restarted, program, before)


async def test_20_kills_at_random_moments_lose_repeat_and_reorder_nothing(node, capsys):
    seed = int(os.environ.get("RINGSIDE_TEST_SEED", random.SystemRandom().randrange(10 ** 6)))
    chance = random.Random(seed)
    with capsys.disabled():
        print(f"\nrandom kills with RINGSIDE_TEST_SEED={seed}")
    users = [f"user-{number}" for number in range(4)]
    followers = [Follower(node, user) for user in users]
    stopped = asyncio.Event()
    for follower in followers:
        await follower.__aenter__()
    try:
        asking = [asyncio.create_task(keep_asking(follower, f"{user}-{lane}", stopped))
                  for user, follower in zip(users, followers) for lane in range(2)]
        await kill_at_random(node, followers, chance)
        stopped.set()
        runs = await asyncio.gather(*asking)
        for number, follower in enumerate(followers):
            mine = runs[2 * number] + runs[2 * number + 1]
            assert set(follower.stream.run_ids()) == set(mine)
            check_all_runs(follower.stream)
            for run_id in mine:
                check_numbers(follower.stream, run_id, STEPS)
            await check_history(node, follower.stream, follower.user)
    finally:
        for follower in followers:
            await follower.__aexit__(None, None, None)


async def test_without_a_broker_a_client_is_told_to_come_back(node):
    """The supervisor is stopped meanwhile, so that nobody restarts the broker."""
    import signal

    from harness.handshake import handshake
    os.kill(node.up.pid, signal.SIGSTOP)
    try:
        node.kill("ringside-broker")
        until(lambda: node.get("/health/ready")[0] == 503, "readiness to be gone")
        answer = handshake(node, node.token("alice"))
        assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
        assert answer.error["code"] == "unavailable" and answer.error["retryable"] is True
        assert node.get("/health/live")[0] == 200
    finally:
        os.kill(node.up.pid, signal.SIGCONT)
    until(lambda: node.get("/health/ready")[0] == 200, "readiness")
    async with Client(node, "alice") as client:
        check_run(await client.until_ended(await client.chat("hello", agent="echo")))


async def test_a_request_during_a_crash_is_answered_unavailable_or_done(node):
    """Never silence: each request gets a reply, or its connection ends."""
    from harness.client import Refused
    async with Client(node, "alice") as client:
        node.kill("ringside-broker")
        outcomes = []
        for number in range(10):
            try:
                outcomes.append(await client.chat("hi", f"t-{number}", agent="echo"))
            except Refused as refusal:
                assert refusal.code == "unavailable" and refusal.retryable
        for run_id in outcomes:
            check_run(await client.until_ended(run_id))
