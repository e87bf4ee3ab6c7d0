# SPDX-License-Identifier: Apache-2.0
"""The broker's metrics and health over HTTP, and the bounds of that."""
import re
import select
import socket
import urllib.error
import urllib.request

import pytest

from harness.client import Client
from harness.deadline import PATIENCE, until

CONNECTIONS = 16  # METRICS_CONNECTIONS
SAMPLE = re.compile(r'^(ringside_broker_\w+)(?:\{(\w+)="([^"]*)"\})? (\d+)$')


def fetch(node, path, method="GET"):
    host, port = node.metrics_address()
    request = urllib.request.Request(f"http://{host}:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def samples(node):
    status, text, headers = fetch(node, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found, described = {}, set()
    for line in text.splitlines():
        if line.startswith("# "):
            described.add(line.split()[2])
            continue
        match = SAMPLE.match(line)
        assert match, f"no sample: {line}"
        name, _, label, value = match.groups()
        assert name in described, f"{name} has no HELP and TYPE before it"
        assert (name, label) not in found, f"{name} {label} twice"
        found[name, label] = int(value)
    return found


def connect(node):
    return socket.create_connection(node.metrics_address(), timeout=PATIENCE)


async def test_every_counter_of_status_is_a_metric_and_rises_with_it(shared_node, user):
    async with Client(shared_node, user) as client:
        before = samples(shared_node)
        await client.until_ended(await client.chat("hello", agent="echo"))
        after = samples(shared_node)
        status = shared_node.status()
        for name in status["counters"]:
            assert (f"ringside_broker_{name}_total", None) in after, name
        for reason in status["events_refused"]:
            assert ("ringside_broker_events_refused_total", reason) in after
        name = ("ringside_broker_requests_accepted_total", None)
        assert after[name] == before[name] + 1
        ended = ("ringside_broker_runs_ended_total", "completed")
        assert after[ended] == before[ended] + 1
        gateway = shared_node.status()["gateways"][0]["name"]
        assert after["ringside_broker_gateway_credit_bytes", gateway] > 0
        assert after["ringside_broker_gateway_users", gateway] >= 1
        assert after["ringside_broker_state", "serving"] == 1


async def test_open_runs_are_shown_by_state(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat('{"steps": 100000, "pause_ms": 20}', agent="slow")
        await client.until_event("agent_started", run_id)
        assert samples(shared_node)["ringside_broker_runs", "running"] == 1
        await client.request("run.cancel", run_id=run_id)
        await client.until_ended(run_id)
        assert samples(shared_node)["ringside_broker_runs", "running"] == 0


def test_health_says_that_the_broker_lives_and_is_ready(shared_node):
    assert fetch(shared_node, "/health/live")[:2] == (200, "live\n")
    assert fetch(shared_node, "/health/ready")[:2] == (200, "ready\n")


def test_nothing_else_is_served(shared_node):
    assert fetch(shared_node, "/")[0] == 404
    assert fetch(shared_node, "/metrics/..")[0] == 404
    status, _, headers = fetch(shared_node, "/metrics", method="POST")
    assert status == 405 and headers["Allow"] == "GET"


def test_garbage_is_answered_or_closed_and_costs_nothing(shared_node):
    for bytes_ in (b"\0" * 4096, b"GET\r\n\r\n", b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 9000):
        with connect(shared_node) as broken:
            try:
                broken.sendall(bytes_)
                broken.shutdown(socket.SHUT_WR)
                broken.recv(65536)
            except OSError:  # it may have hung up before we did
                pass
    assert fetch(shared_node, "/health/live")[0] == 200


def test_a_connection_over_the_limit_waits_until_silent_ones_are_closed(shared_node):
    silent = [connect(shared_node) for _ in range(CONNECTIONS)]
    one_more = connect(shared_node)
    try:
        one_more.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        first, _, _ = select.select([one_more, *silent], [], [], PATIENCE)
        assert any(one in first for one in silent), "answered before a place was free"
        for one in silent:  # METRICS_SECONDS, counted by the library
            assert one.recv(100) == b""
        assert one_more.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        for one in [one_more, *silent]:
            one.close()


def test_up_says_where_the_metrics_are(shared_node):
    host, port = shared_node.metrics_address()
    shared_node.stdout.wait_for(rf"metrics: http://{host}:{port}/metrics")


def test_a_port_that_is_taken_stops_the_start_and_is_named(make_node, shared_node):
    port = str(shared_node.metrics_address()[1])
    node = make_node(environment={"RINGSIDE_BROKER_METRICS_PORT": port})
    node.launch()
    assert node.up.wait(2 * PATIENCE) == 1
    node.stderr.wait_for(rf"port {port}: Address already in use; set broker.metrics_port")


def test_what_is_no_address_stops_the_start_and_off_needs_none(make_node):
    wrong = make_node(environment={"RINGSIDE_BROKER_METRICS_HOST": "localhost"})
    wrong.launch()
    assert wrong.up.wait(2 * PATIENCE) == 1
    wrong.stderr.wait_for("that is no address")
    off = make_node(environment={"RINGSIDE_BROKER_METRICS_HOST": "off"}).start()
    assert "metrics" not in off.stdout.text()
