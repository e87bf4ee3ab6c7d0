# SPDX-License-Identifier: Apache-2.0
"""Several brokers behind one gateway: each user has one of them, and their ends are not the users'."""
import json
import signal

import pytest

from harness.client import Client, Refused
from harness.deadline import until
from harness.handshake import handshake
from harness.parts import Parts


class Pair:
    """Two nodes; the gateway is started on the first and has both brokers."""

    def __init__(self):
        self.one = Parts(workers=1, gateways=1)
        self.other = Parts(workers=1, gateways=0)
        self.one.extra["RINGSIDE_GATEWAY_BROKERS"] = (
            f"one=ipc://{self.one.run_dir}/broker.ipc,other=ipc://{self.other.run_dir}/broker.ipc")

    def start(self):
        for part in [self.other.broker, *self.other.workers]:
            assert part.start().until_ready(), part.said()
        self.one.start()
        until(lambda: self.linked() == 2, "both links")
        return self

    def linked(self):
        lines = self.one.get("/metrics")[1].splitlines()
        return next(int(line.split()[1]) for line in lines
                    if line.startswith("ringside_gateway_broker_link "))

    def stop(self):
        problems = []
        for node in (self.one, self.other):
            node.stop()
            problems += node.reports()
            node.remove()
        assert not problems, "\n\n".join(problems)


@pytest.fixture(scope="module")
def pair():
    pair = Pair()
    try:
        yield pair.start()
    finally:
        pair.stop()


def users_of(node):
    return {row["user_id"] for row in json.loads(node.run("users", "--json").stdout)["users"]}


async def owned(pair, prefix):
    """A user of each broker: (of the first, of the other)."""
    for number in range(64):
        async with Client(pair.one, f"{prefix}-{number}") as client:
            await client.until_ended(await client.chat("hello", message="m-first", agent="echo"))
        found = [sorted(user for user in users_of(node) if user.startswith(prefix + "-"))
                 for node in (pair.one, pair.other)]
        assert not set(found[0]) & set(found[1]), "a user on two brokers"
        if all(found):
            return found[0][0], found[1][0]
    raise AssertionError("all users have the same broker")


async def test_each_user_has_one_broker_whatever_connection_it_uses(pair):
    one, other = await owned(pair, "spread")
    for user, node in ((one, pair.one), (other, pair.other)):
        async with Client(pair.one, user, cursor="start") as client:
            await client.until_caught_up()
            run_id = await client.chat("again", agent="echo")
            await client.until_ended(run_id)
        assert node.run("run-info", run_id).returncode == 0


def test_every_broker_shows_the_gateway_and_what_it_is_linked_to(pair):
    for node in (pair.one, pair.other):
        gateways = until(lambda: [row for row in node.status()["gateways"] if row.get("report")],
                         "a report")
        assert len(gateways) == 1
        assert gateways[0]["report"]["brokers"] == [{"name": "one", "ready": True},
                                                    {"name": "other", "ready": True}]


async def test_a_broker_that_is_away_is_a_pause_for_its_users_and_nothing_for_others(pair):
    one, other = await owned(pair, "pause")
    async with Client(pair.one, one) as near, Client(pair.one, other) as far:
        pair.other.broker.signal(signal.SIGKILL)
        pair.other.broker.process.wait()
        until(lambda: pair.linked() == 1, "the lost link")

        await near.until_ended(await near.chat("meanwhile", agent="echo"))
        with pytest.raises(Refused) as refusal:
            await far.chat("meanwhile", agent="echo")
        assert refusal.value.code == "unavailable" and refusal.value.retryable
        refused = handshake(pair.one, pair.one.token(other))
        assert refused.status == 503 and refused.headers["Retry-After"]
        assert handshake(pair.one, pair.one.token(one)).status == 101
        status, body, _ = pair.one.get("/health/ready")
        assert status == 200 and "cannot be reached: other" in body
        bearer = {"Authorization": f"Bearer {pair.one.token(other)}"}
        assert pair.one.get("/health/websocket", bearer)[0] == 503

        pair.other.broker.start().until_ready()
        until(lambda: pair.linked() == 2, "the new link")
        await far.until_ended(await far.chat("later", agent="echo"))
        assert [frame["type"] for frame in far.control if frame["type"] != "caught_up"] == \
            ["welcome"]


async def test_events_that_pass_while_the_link_is_lost_are_read_from_each_clients_position(pair):
    _, user = await owned(pair, "resume")
    async with Client(pair.one, user) as client, Client(pair.one, user, threads=["t-2"]) as thread:
        run_id = await client.chat(json.dumps({"steps": 60, "pause_ms": 10}), agent="slow")
        other_run = await client.chat("x", thread="t-2", agent="echo")
        await client.until_event("partial_result", run_id)
        pair.other.broker.signal(signal.SIGKILL)
        pair.other.broker.process.wait()
        pair.other.broker.start().until_ready()
        await client.until_ended(run_id)
        await thread.until_ended(other_run)
        assert client.stream.repeats == 0 and thread.stream.repeats == 0


async def test_a_gateway_without_any_broker_is_not_ready(pair):
    for node in (pair.one, pair.other):
        node.broker.signal(signal.SIGKILL)
        node.broker.process.wait()
    until(lambda: pair.one.get("/health/ready")[0] == 503, "no readiness")
    assert pair.one.get("/health/live")[0] == 200
    for node in (pair.one, pair.other):
        node.broker.start().until_ready()
    until(lambda: pair.linked() == 2, "both links")
    assert pair.one.get("/health/ready")[:2] == (200, '{"status":"ready"}\n')


@pytest.mark.parametrize("value, why", [
    ("one=http://127.0.0.1:1", "must be ipc"),
    ("one=tcp://192.0.2.1:7400", "use tls"),
    ("ipc:///run/a", "NAME=ADDRESS"),
])
def test_a_list_that_is_none_stops_the_start(pair, value, why):
    done = pair.one.run("--gateway-port", "0", "--gateway-brokers", value,
                        program="ringside-gateway")
    assert done.returncode == 1 and why in done.stderr, done.stderr


def test_the_link_is_made_again_whenever_the_broker_comes_back(pair):
    """Brokers that are killed at any moment of their start, and the one after them."""
    for turn in range(20):
        pair.other.broker.start() if not pair.other.broker.running() else None
        if turn % 4:
            until(lambda: pair.linked() == 2, f"the link in turn {turn}")
        pair.other.broker.signal(signal.SIGKILL if turn % 3 else signal.SIGTERM)
        pair.other.broker.process.wait()
        until(lambda: pair.linked() == 1, "the lost link")
    pair.other.broker.start().until_ready()
    until(lambda: pair.linked() == 2, "the last link")
