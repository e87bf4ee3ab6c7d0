# SPDX-License-Identifier: Apache-2.0
"""Each limit has its answer, its counter, and leaves the others alone."""
import contextlib
import signal
import socket
import zlib

import pytest

from conftest import finish_parts
from harness import tokens
from harness.client import Client, Refused
from harness.deadline import PATIENCE, until
from harness.gate import Gate
from harness.handshake import handshake
from harness.held import Held

DEFAULTS = {"trusted_proxies": "127.0.0.1", "unlimited_addresses": "127.0.0.1"}


@pytest.fixture(scope="module")
def one_gate():
    gate = Gate(**DEFAULTS)
    try:
        gate.start()
        yield gate
    finally:
        finish_parts(gate)


@pytest.fixture
def gate(one_gate):
    """The gate as the test has configured it; back to the defaults afterwards."""
    yield one_gate
    assert one_gate.configure(**{key: DEFAULTS.get(key) for key in one_gate.options})


def assert_refused(gate, user, why, counter, knocks=1, **headers):
    """By the last of so many attempts: a machine may be slow enough for a bucket to fill a little."""
    before = gate.counters()
    answer = handshake(gate, gate.token(user), **headers)
    while answer.status == 101 and knocks > 1:
        answer, knocks = handshake(gate, gate.token(user), **headers), knocks - 1
    assert answer.status == 429, answer.body
    assert answer.error["code"] == "rate_limited" and answer.error["retryable"] is True
    assert answer.error["message"] == why
    gate.assert_counted(counter, 1, before)
    gate.assert_counted("handshakes_refused", 1, before)
    return int(answer.headers["Retry-After"])


def test_connections_of_one_address_are_limited(gate):
    assert gate.configure(max_connections_per_address=2)
    before = gate.counters()
    with Held() as held:
        for user in ("a", "b"):
            assert held.open(gate, user, X_Forwarded_For="203.0.113.1") == 101
        wait = assert_refused(gate, "c", "this address has too many connections",
                       "refused_address_connections", X_Forwarded_For="6.6.6.6, 203.0.113.1")
        assert wait > 0
        assert held.open(gate, "c", X_Forwarded_For="203.0.113.2") == 101
        assert held.open(gate, "d") == 101, "the proxy itself is not limited"
    gate.assert_counted("refused_address_connections", 1, before)


def test_an_ipv6_network_of_64_bits_counts_as_one_address(gate):
    assert gate.configure(max_connections_per_address=2)
    with Held() as held:
        for host in ("1", "ffff:2"):
            assert held.open(gate, "a", X_Forwarded_For=f"2001:db8:0:1::{host}") == 101
        assert_refused(gate, "a", "this address has too many connections",
                "refused_address_connections", X_Forwarded_For="2001:db8:0:1:abcd::9")
        assert held.open(gate, "a", X_Forwarded_For="2001:db8:0:2::1") == 101


def test_new_connections_of_an_address_are_limited_and_refused_ones_not_counted(gate):
    assert gate.configure(max_connections_per_address=3, connection_rate_per_address=1)
    address = {"X_Forwarded_For": "203.0.113.3"}
    for number in range(3):
        with Held() as held:
            assert held.open(gate, f"hasty-{number}", **address) == 101
    wait = assert_refused(gate, "a", "this address connects too often", "refused_address_rate",
                          knocks=50, **address)
    assert wait == 1
    until(lambda: handshake(gate, gate.token("a"), **address).status == 101,
          "one who knocks without a pause to be let in")


def test_connections_of_one_user_are_limited(gate):
    assert gate.configure(max_connections_per_user=2)
    with Held() as held:
        for _ in range(2):
            assert held.open(gate, "crowd") == 101
        assert_refused(gate, "crowd", "this user has too many connections", "refused_user_connections")
        assert held.open(gate, "other") == 101


def test_an_event_stream_is_a_connection_like_any_other(gate):
    assert gate.configure(max_connections_per_user=2, max_filter_threads=1)
    with Held() as held:
        assert held.open(gate, "mixed", path="/v1/events") == 200
        assert held.open(gate, "mixed") == 101
        assert held.open(gate, "mixed", path="/v1/events") == 429
        assert held.open(gate, "mixed") == 429
        assert held.open(gate, "other", path="/v1/events?thread=a&thread=b") == 400


def test_new_connections_of_a_user_are_limited(gate):
    assert gate.configure(max_connections_per_user=2, connection_rate_per_user=1)
    for _ in range(2):
        with Held() as held:
            assert held.open(gate, "hasty") == 101
    assert assert_refused(gate, "hasty", "this user connects too often", "refused_user_rate",
                          knocks=50) == 1
    with Held() as held:
        assert held.open(gate, "patient") == 101


def test_connections_are_limited_altogether(gate):
    with Held() as held:
        assert held.open(gate, "first") == 101
        assert gate.configure(max_connections=1)
        assert_refused(gate, "second", "this gateway is full", "refused_full")


def test_what_a_client_says_of_its_address_is_not_believed(gate):
    assert gate.configure(trusted_proxies="10.0.0.0/8", unlimited_addresses="",
                          max_connections_per_address=1)
    with Held() as held:
        assert held.open(gate, "a", X_Forwarded_For="203.0.113.4") == 101
        assert_refused(gate, "a", "this address has too many connections",
                "refused_address_connections", X_Forwarded_For="203.0.113.5")


def test_the_other_header_is_read_where_it_is_configured(gate):
    assert gate.configure(proxy_header="forwarded", max_connections_per_address=1)
    with Held() as held:
        assert held.open(gate, "a", Forwarded='for="[2001:db8:0:9::1]:1";proto=https') == 101
        assert_refused(gate, "a", "this address has too many connections", "refused_address_connections",
                Forwarded="for=\"[2001:db8:0:9::2]\"", X_Forwarded_For="203.0.113.6")


def test_a_list_of_addresses_that_is_wrong_changes_nothing(gate):
    assert not gate.configure(trusted_proxies="127.0.0.1, localhost")
    assert 'gateway.trusted_proxies: "localhost"' in gate.gateway.said()
    assert gate.configure(trusted_proxies="127.0.0.1")
    assert not gate.configure(unlimited_addresses="127.0.0.0/33")


def test_refusals_for_other_reasons_are_counted(gate):
    before = gate.counters()
    assert handshake(gate, "x.y.z").status == 401
    gate.assert_counted("refused_token", 1, before)
    assert handshake(gate).status == 401
    gate.assert_counted("refused_token", 2, before)
    assert handshake(gate, gate.token("a"), Origin="https://evil.example").status == 403
    gate.assert_counted("refused_origin", 1, before)
    gate.assert_counted("handshakes_refused", 3, before)


def test_a_head_that_is_too_long_is_answered_431(gate):
    assert gate.configure(max_head="2K")
    before = gate.counters()
    assert handshake(gate, gate.token("a"), X_Long="x" * 2000).status == 431
    gate.assert_counted("requests_too_large", 1, before)
    assert handshake(gate, gate.token("a"), X_Long="x" * 200).status == 101


def test_a_head_that_does_not_come_is_answered_408(gate):
    assert gate.configure(handshake_timeout="100ms")
    before = gate.counters()
    with socket.create_connection(("127.0.0.1", gate.port), timeout=PATIENCE) as slow:
        slow.sendall(b"GET /v1/ws HTTP/1.1\r\nHost:")
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
    gate.assert_counted("requests_late", 1, before)


def test_who_holds_connections_without_a_request_gives_way_to_newcomers(gate):
    assert gate.configure(max_unread_requests=16)
    before = gate.counters()
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(
            socket.create_connection(("127.0.0.1", gate.port), timeout=PATIENCE))
            for _ in range(16)]
        assert gate.get("/health/live")[0] == 200
        assert silent[0].recv(1) == b"", "the oldest went"
        gate.assert_counted("requests_displaced", 1, before)
        with pytest.raises(BlockingIOError):
            silent[15].setblocking(False)
            silent[15].recv(1)


async def test_a_filter_of_too_many_threads_is_refused(gate):
    assert gate.configure(max_filter_threads=2)
    before = gate.counters()
    answer = handshake(gate, gate.token("a"), path="/v1/ws?thread=a&thread=b&thread=c")
    assert answer.status == 400 and answer.error["code"] == "invalid_argument"
    gate.assert_counted("refused_filter", 1, before)
    async with Client(gate, "a", threads=("a", "b")) as client:
        assert client.welcome["limits"]["max_filter_threads"] == 2
        with pytest.raises(Refused, match="too many threads"):
            await client.request("subscribe", threads=["a", "b", "c"])
        await client.request("subscribe", threads=["a", "c"])
    gate.assert_counted("refused_filter", 2, before)


async def test_a_message_that_is_too_large_closes_with_1009(gate):
    before = gate.counters()
    client = await Client(gate, "a").connect()
    await client.send("x" * (client.welcome["limits"]["max_frame"] + 1))
    assert await client.until_closed() == 1009
    gate.assert_counted("closed_too_large", 1, before)


async def test_a_message_that_never_ends_closes_with_4408(gate):
    assert gate.configure(message_timeout="100ms", max_frame="1K")
    before = gate.counters()
    client = await Client(gate, "a").connect()
    assert client.welcome["limits"]["max_frame"] == 1024
    client.socket.transport.write(b"\x01\x82\0\0\0\0{}")  # one part, and no more
    assert await client.until_closed() == 4408
    gate.assert_counted("closed_late", 1, before)
    other = await Client(gate, "b").connect()
    await other.send("x" * 1025)
    assert await other.until_closed() == 1009


async def test_messages_far_over_the_rate_close_with_4429(gate):
    assert gate.configure(max_messages_per_second=1)
    before = gate.counters()
    client = await Client(gate, "a").connect()
    for number in range(12):
        await client.send({"id": number, "method": "ping"})
    assert await client.until_closed() == 4429
    assert [frame["error"]["code"] for frame in client.replies if "error" in frame] == \
        ["rate_limited"] * 10
    gate.assert_counted("requests_rate_limited", 10, before)
    gate.assert_counted("closed_rate", 1, before)


async def test_compression_is_not_offered_so_that_nothing_can_inflate(gate):
    assert handshake(gate, gate.token("a"), Sec_WebSocket_Extensions="permessage-deflate"
                     ).headers["Sec-WebSocket-Extensions"] is None
    client = await Client(gate, "a").connect()
    bomb = zlib.compress(b"x" * 100000)[2:-4]
    mask = bytes(4)
    client.socket.transport.write(
        bytes([0xc1, 0x80 | 126]) + len(bomb).to_bytes(2, "big") + mask + bomb)
    assert await client.until_closed() in (1002, 1006), "a reserved bit is no frame of ours"


async def test_a_token_that_ends_is_warned_of_and_closed_unless_refreshed(gate):
    assert gate.configure(token_grace=0, token_skew=0, token_warning="1m")
    before = gate.counters()

    def expiring(client):
        return [frame for frame in client.control if frame["type"] == "token_expiring"]

    short = tokens.hs256(gate.secret(), tokens.claims("a", 3))
    async with Client(gate, "a", token=short) as kept:
        ended = await Client(gate, "a", token=short).connect()
        warned = await kept.until(lambda: expiring(kept), "token_expiring")
        assert warned[0]["closes_at"] == warned[0]["expires_at"]
        refreshed = await kept.request("auth.refresh", token=gate.token("a"))
        assert refreshed["expires_at"] > warned[0]["expires_at"]
        assert await ended.until_closed() == 4401
        assert await kept.request("ping") == {}
        assert len(expiring(kept)) == 1
    gate.assert_counted("tokens_expiring", 2, before)
    gate.assert_counted("closed_token", 1, before)


async def test_a_token_of_another_user_ends_the_connection(gate):
    before = gate.counters()
    client = await Client(gate, "a").connect()
    with pytest.raises(Refused, match="permission_denied"):
        await client.request("auth.refresh", token=gate.token("b"))
    assert await client.until_closed() == 4403
    gate.assert_counted("closed_forbidden", 1, before)


async def test_a_client_that_is_not_welcomed_in_time_is_told_to_come_back(gate):
    assert gate.configure(open_timeout="100ms")
    before = gate.counters()
    gate.broker.signal(signal.SIGSTOP)
    try:
        client = Client(gate, "late")
        with pytest.raises(ConnectionError):
            await client.connect()
        assert client.socket.close_code == 4408
        gate.assert_counted("closed_late", 1, before)
    finally:
        gate.broker.signal(signal.SIGCONT)
