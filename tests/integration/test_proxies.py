# SPDX-License-Identifier: Apache-2.0
"""Through the proxies of deploy/proxies/: nginx, HAProxy and Caddy themselves, with TLS outside."""
import http.client
import json

import pytest
import websockets

from conftest import finish_parts
from harness import tokens
from harness.deadline import PATIENCE, until
from harness.gate import Gate
from harness.proxies import PROXIES

OUTSIDE = "127.0.0.2"  # where clients are, in the proxy's eyes


@pytest.fixture(scope="module")
def gate():
    gate = Gate(trusted_proxies="127.0.0.1", unlimited_addresses="", max_connections_per_address=2,
                connection_rate_per_address=0)
    try:
        gate.start()
        yield gate
    finally:
        finish_parts(gate)


@pytest.fixture(scope="module", params=PROXIES, ids=lambda proxy: proxy.name)
def proxy(request, gate, tmp_path_factory):
    if not request.param.installed():
        pytest.skip(f"{request.param.name} is not installed")
    with request.param(gate, tmp_path_factory.mktemp(request.param.name)) as proxy:
        until(lambda: get(proxy, "/health/ready")[0] == 200, "the proxy to have found the gateway")
        yield proxy


def get(proxy, path, headers=None):
    connection = http.client.HTTPSConnection(proxy.address, timeout=PATIENCE, context=proxy.tls,
                                             source_address=(OUTSIDE, 0))
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def connect(proxy, token=None, *, protocols=("ringside.v1",), source=OUTSIDE, **headers):
    wanted = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        wanted["Authorization"] = f"Bearer {token}"
    return websockets.connect(
        f"wss://{proxy.address}/v1/ws?cursor=start", ssl=proxy.tls, subprotocols=list(protocols),
        extra_headers=wanted, compression=None, ping_interval=None, open_timeout=PATIENCE,
        local_addr=(source, 0))


async def status_of(proxy, *arguments, **options):
    try:
        async with connect(proxy, *arguments, **options):
            return 101
    except websockets.InvalidStatusCode as refusal:
        return refusal.status_code


async def welcomed(socket):
    """What a client says and hears first, in both directions."""
    welcome = json.loads(await socket.recv())
    await socket.send('{"id":1,"method":"ping"}')
    frames = [json.loads(await socket.recv()) for _ in range(2)]
    assert {"id": 1, "result": {}} in frames
    return welcome


async def test_a_websocket_goes_through_with_its_token_in_a_header(proxy, gate):
    async with connect(proxy, gate.token("alice")) as socket:
        assert (await welcomed(socket))["user_id"] == "alice"
        assert socket.subprotocol == "ringside.v1"


async def test_a_browsers_token_goes_through_as_a_subprotocol(proxy, gate):
    protocols = ("ringside.v1", f"bearer.{gate.token('bob')}")
    async with connect(proxy, protocols=protocols, Origin=f"https://{proxy.address}") as socket:
        assert (await welcomed(socket))["user_id"] == "bob"
        assert socket.subprotocol == "ringside.v1"


async def test_a_long_token_goes_through(proxy, gate):
    token = tokens.hs256(gate.secret(), tokens.claims("alice", groups="g" * 5500))
    assert 7000 < len(token) < 8192
    async with connect(proxy, token) as socket:
        assert (await welcomed(socket))["user_id"] == "alice"


def test_server_sent_events_come_through_at_once(proxy, gate):
    connection = http.client.HTTPSConnection(proxy.address, timeout=PATIENCE, context=proxy.tls,
                                             source_address=(OUTSIDE, 0))
    try:
        connection.request("GET", "/v1/events?cursor=start",
                           headers={"Authorization": f"Bearer {gate.token('alice')}"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        received = b""
        while b"caught_up" not in received:  # and the answer goes on
            received += answer.read1(65536)
        assert received.startswith(b"event: welcome\n")
    finally:
        connection.close()


async def test_refusals_come_through_as_they_are(proxy, gate):
    assert await status_of(proxy) == 401
    assert await status_of(proxy, gate.token("alice"), Origin="https://evil.example") == 403
    status, body, headers = get(proxy, "/health/websocket")
    assert status == 401 and json.loads(body)["error"]["code"] == "unauthenticated"
    assert headers["WWW-Authenticate"] == "Bearer"


async def test_limits_see_the_client_whatever_it_says_of_itself(proxy, gate):
    token = gate.token("carol")
    before = gate.counters()
    lies = {"X_Forwarded_For": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
    source = f"127.0.{PROXIES.index(type(proxy)) + 1}.9"
    async with connect(proxy, token, source=source), connect(proxy, token, source=source, **lies):
        assert await status_of(proxy, token, source=source, **lies) == 429
        assert await status_of(proxy, token, source="127.0.9.9") == 101
    gate.assert_counted("refused_address_connections", 1, before)


def test_what_is_for_the_inside_stays_inside(proxy):
    for path in ("/metrics", "/admin", "/admin/x"):
        assert get(proxy, path)[0] == 404, path
    assert get(proxy, "/")[0] == 200
