# SPDX-License-Identifier: Apache-2.0
"""Each limit has its answer, its counter, and leaves the others alone."""
import pytest

from conftest import finish_parts
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


def refused(gate, user, why, counter, **headers):
    before = gate.counters()
    answer = handshake(gate, gate.token(user), **headers)
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
        wait = refused(gate, "c", "this address has too many connections",
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
        refused(gate, "a", "this address has too many connections",
                "refused_address_connections", X_Forwarded_For="2001:db8:0:1:abcd::9")
        assert held.open(gate, "a", X_Forwarded_For="2001:db8:0:2::1") == 101


def test_new_connections_of_an_address_are_limited_and_refused_ones_not_counted(gate):
    assert gate.configure(max_connections_per_address=3, connection_rate_per_address=1)
    address = {"X_Forwarded_For": "203.0.113.3"}
    for number in range(3):
        with Held() as held:
            assert held.open(gate, f"hasty-{number}", **address) == 101
    waits = {refused(gate, "a", "this address connects too often", "refused_address_rate",
                     **address) for _ in range(20)}
    assert waits == {1}, "to try again too soon makes nothing worse"


def test_connections_of_one_user_are_limited(gate):
    assert gate.configure(max_connections_per_user=2)
    with Held() as held:
        for _ in range(2):
            assert held.open(gate, "crowd") == 101
        refused(gate, "crowd", "this user has too many connections", "refused_user_connections")
        assert held.open(gate, "other") == 101


def test_new_connections_of_a_user_are_limited(gate):
    assert gate.configure(max_connections_per_user=2, connection_rate_per_user=1)
    for _ in range(2):
        with Held() as held:
            assert held.open(gate, "hasty") == 101
    assert refused(gate, "hasty", "this user connects too often", "refused_user_rate") == 1
    with Held() as held:
        assert held.open(gate, "patient") == 101


def test_connections_are_limited_altogether(gate):
    with Held() as held:
        assert held.open(gate, "first") == 101
        assert gate.configure(max_connections=1)
        refused(gate, "second", "this gateway is full", "refused_full")


def test_what_a_client_says_of_its_address_is_not_believed(gate):
    assert gate.configure(trusted_proxies="10.0.0.0/8", unlimited_addresses="",
                          max_connections_per_address=1)
    with Held() as held:
        assert held.open(gate, "a", X_Forwarded_For="203.0.113.4") == 101
        refused(gate, "a", "this address has too many connections",
                "refused_address_connections", X_Forwarded_For="203.0.113.5")


def test_the_other_header_is_read_where_it_is_configured(gate):
    assert gate.configure(proxy_header="forwarded", max_connections_per_address=1)
    with Held() as held:
        assert held.open(gate, "a", Forwarded='for="[2001:db8:0:9::1]:1";proto=https') == 101
        refused(gate, "a", "this address has too many connections", "refused_address_connections",
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
