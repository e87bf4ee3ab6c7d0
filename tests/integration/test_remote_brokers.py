# SPDX-License-Identifier: Apache-2.0
"""A broker of another machine, as far as one machine can tell: over TCP, with TLS on both sides."""
import contextlib
import pathlib
import signal
import socket
import ssl
import struct

import pytest

from harness.certificates import Authority
from harness.client import Client
from harness.counted import assert_counted
from harness.deadline import PATIENCE, until
from harness.parts import Parts, free_ports

PORTS = 260  # the door's and those behind it


class Far:
    """A node whose broker is reached over the network, and one with the gateway."""

    def __init__(self, address, broker=None, gateway=None):
        self.address = address
        self.far = Parts(workers=1, gateways=0, environment={
            "RINGSIDE_BROKER_GATEWAY_ADDRESS": address} | (broker or {}))
        self.near = Parts(workers=0, gateways=1, environment={
            "RINGSIDE_GATEWAY_BROKERS": f"far={address}"} | (gateway or {}))

    def start(self):
        for part in [self.far.broker, *self.far.workers]:
            assert part.start().until_ready(), part.said()
        self.near.gateways[0].start()
        return self

    def linked(self):
        return self.near.get("/health/ready")[0] == 200

    def stop(self):
        problems = []
        for node in (self.near, self.far):
            node.stop()
            problems += node.reports()
            node.remove()
        assert not problems, "\n\n".join(problems)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("links"))


@pytest.fixture(params=["tcp", "tls+tcp"], scope="module")
def far(request, authority):
    broker = authority.files("BROKER_GATEWAY", *authority.issue("broker"))
    gateway = authority.files("GATEWAY_BROKERS", *authority.issue("gateway"))
    secure = request.param == "tls+tcp"
    far = Far(f"{request.param}://localhost:{free_ports(PORTS)}", broker if secure else None,
              gateway if secure else None)
    try:
        far.start()
        until(far.linked, "the link")
        yield far
    finally:
        far.stop()


async def test_events_and_requests_go_over_the_link(far):
    async with Client(far.near, "alice") as client:
        run_id = await client.chat("z" * 200_000, agent="echo")
        await client.until_ended(run_id)
    assert far.far.run("run-info", run_id).returncode == 0
    async with Client(far.near, "alice", cursor="start") as client:
        await client.until_caught_up()
        assert client.stream.ended(run_id)


async def test_the_link_is_made_again_after_each_end_of_the_broker(far):
    """Every time at another port, or at one that the last broker has just left."""
    async with Client(far.near, "bob") as client:
        for turn in range(3):
            far.far.broker.signal(signal.SIGKILL if turn % 2 else signal.SIGTERM)
            far.far.broker.process.wait()
            until(lambda: not far.linked(), "the lost link")
            far.far.broker.start().until_ready()
            until(far.linked, "the next link")
            await client.until_ended(await client.chat("again", agent="echo"))
        assert [frame["type"] for frame in client.control if frame["type"] != "caught_up"] == \
            ["welcome"]


def test_who_stands_still_on_another_machine_is_given_up_and_found_again():
    """Nothing but silence tells of it. One pair's broker stands still, the other one's gateway."""
    first = Far(f"tcp://localhost:{free_ports(PORTS)}")
    second = Far(f"tcp://127.0.0.1:{free_ports(PORTS)}")
    try:
        for far in (first, second):
            far.start()
            until(far.linked, "the link")
        broker, gateway = first.far.broker, second.near.gateways[0]
        broker.signal(signal.SIGSTOP)
        gateway.signal(signal.SIGSTOP)
        until(lambda: not first.linked(), "the broker to be given up")
        assert "far does not answer" in first.near.gateways[0].said()
        until(lambda: not second.far.status()["gateways"], "the gateway to be given up")
        assert "says nothing" in second.far.broker.said()
        broker.signal(signal.SIGCONT)
        gateway.signal(signal.SIGCONT)
        for far in (first, second):
            until(far.linked, "the next link")
            until(lambda: far.far.status()["gateways"], "the gateway at the broker")
    finally:
        for far in (first, second):
            far.stop()


def test_connections_that_are_broken_off_do_not_stop_the_door(far):
    port = int(far.address.rpartition(":")[2])
    for _ in range(200):
        socket.create_connection(("localhost", port)).close()
    far.near.gateways[0].signal(signal.SIGKILL)
    far.near.gateways[0].process.wait()
    far.near.gateways[0].start()
    until(far.linked, "the next gateway's link")


def refused_link(far):
    """The gateway of `far` does not get a link, however often it tries."""
    far.start()
    gateway = far.near.gateways[0]
    until(lambda: far.near.get("/health/live")[0] == 200, "the gateway")
    with contextlib.suppress(AssertionError):
        until(far.linked, "a link", seconds=0.8)
        raise RuntimeError("a link without the right certificate")
    assert not far.far.status()["gateways"]
    return gateway.said()


@pytest.mark.parametrize("wrong", ["gateway", "broker"])
def test_a_certificate_of_another_authority_is_not_let_in(authority, tmp_path, wrong):
    other = Authority(tmp_path, "other")
    made = {side: (other if side == wrong else authority).issue(f"wrong-{side}")
            for side in ("gateway", "broker")}
    far = Far(f"tls+tcp://localhost:{free_ports(PORTS)}",
              authority.files("BROKER_GATEWAY", *made["broker"]),
              authority.files("GATEWAY_BROKERS", *made["gateway"]))
    try:
        refused_link(far)
    finally:
        far.stop()


def test_the_door_speaks_to_nobody_without_a_certificate(authority):
    broker = authority.files("BROKER_GATEWAY", *authority.issue("broker"))
    port = free_ports(PORTS)
    far = Far(f"tls+tcp://localhost:{port}", broker)
    try:
        assert far.far.broker.start().until_ready(), far.far.broker.said()
        context = ssl.create_default_context(cafile=str(authority.path))
        with pytest.raises((ssl.SSLError, ConnectionError, TimeoutError)):
            with socket.create_connection(("localhost", port), timeout=PATIENCE) as plain, \
                    context.wrap_socket(plain, server_hostname="localhost") as line:
                line.sendall(b"\0SP\0\0\x30\0\0")
                assert line.recv(8), "the broker hung up"
                raise AssertionError("the broker spoke to somebody without a certificate")
    except AssertionError as problem:
        assert "hung up" in str(problem)
    finally:
        far.stop()


def ask(port, request, context=None, seconds=PATIENCE):
    """What the door answers to the encoded message, in nng's own words for request and reply."""
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(socket.create_connection(("localhost", port), timeout=seconds))
        if context:
            line = stack.enter_context(context.wrap_socket(line, server_hostname="localhost"))
        line.sendall(b"\0SP\0\0\x30\0\0" + struct.pack(">QI", len(request) + 4, 0x80000001) + request)
        got = b""
        while len(got) < 16 or len(got) < 16 + struct.unpack(">Q", got[8:16])[0]:
            if not (more := line.recv(4096)):
                raise ConnectionError("the door hung up")
            got += more
        return got[20:]


def hears(port, context):
    try:
        return b"permission_denied" in ask(port, b"\x93\x04\xa6status\xa0", context, seconds=1)
    except OSError:
        return False


def break_off_between_the_greetings(port, context):
    """Says its last word of TLS and is gone: the door's listener cannot send what it has to say."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    visitor = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("localhost", port), timeout=PATIENCE) as line:
        for _ in range(2):
            while not outgoing.pending:
                with contextlib.suppress(ssl.SSLWantReadError):
                    visitor.do_handshake()
                if not outgoing.pending:
                    incoming.write(line.recv(65536))
            line.sendall(outgoing.read())
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_door_that_was_made_deaf_hears_again(authority):
    port = free_ports(PORTS)
    context = visitor(authority, *authority.issue("visitor"))
    broker = authority.files("BROKER_GATEWAY", *authority.issue("broker"))
    far = Far(f"tls+tcp://localhost:{port}", broker)
    try:
        assert far.far.broker.start().until_ready(), far.far.broker.said()
        assert hears(port, context)
        for _ in range(100):
            break_off_between_the_greetings(port, context)
            if not hears(port, context):
                break
        else:
            raise AssertionError("it could not be made deaf: is the watch of use any more?")
        until(lambda: hears(port, context), "it to hear again")
    finally:
        far.stop()


def test_the_door_answers_gateways_only_and_counts_whom_it_refuses():
    port = free_ports(PORTS)
    far = Far(f"tcp://localhost:{port}")
    try:
        assert far.far.broker.start().until_ready(), far.far.broker.said()
        assert b"permission_denied" in ask(port, b"\x93\x04\xa6status\xa0")
        assert_counted(far.far, "door_refused", 1)
        worker = b"\x95\x01\x02\xa6worker\xa1w\x01"
        assert b"permission_denied" in ask(port, worker)
        old = b"\x95\x01\x01\xa7gateway\xa1g\x01"
        assert b"version_mismatch" in ask(port, old)
        assert b"malformed" in ask(port, b"\xc1")
        assert_counted(far.far, "door_refused", 4)
    finally:
        far.stop()


def visitor(authority, *certificate):
    context = ssl.create_default_context(cafile=str(authority.path))
    context.load_cert_chain(*certificate)
    return context


def replace(files, others):
    for kind, path in files.items():
        pathlib.Path(path).write_bytes(pathlib.Path(others[kind]).read_bytes())


async def test_certificates_of_links_are_renewed_without_a_restart(tmp_path):
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    port, sides = free_ports(PORTS), ("BROKER_GATEWAY", "GATEWAY_BROKERS")
    old = {side: first.files(side, *first.issue(f"old-{side}")) for side in sides}
    new = {side: second.files(side, *second.issue(f"new-{side}")) for side in sides}
    visitors = [visitor(authority, *authority.issue("visitor")) for authority in (first, second)]
    used = {side: {kind: str(tmp_path / kind) for kind in old[side]} for side in sides}
    for side in sides:
        replace(used[side], old[side])
        pathlib.Path(used[side][f"RINGSIDE_{side}_KEY_FILE"]).chmod(0o600)
    far = Far(f"tls+tcp://localhost:{port}", used["BROKER_GATEWAY"], used["GATEWAY_BROKERS"])
    broker, gateway = far.far.broker, far.near.gateways[0]
    try:
        far.start()
        until(far.linked, "the link")
        async with Client(far.near, "alice") as client:
            for side in sides:
                replace(used[side], new[side])
            broker.signal(signal.SIGHUP)
            until(lambda: "were read again" in broker.said(), "the broker to have read them")
            gateway.signal(signal.SIGHUP)
            until(lambda: "were read again" in gateway.said(), "the gateway to have read them")
            assert [hears(port, context) for context in visitors] == [False, True]
            await client.until_ended(await client.chat("the link is there", agent="echo"))
            assert "link_lost 0" in far.near.get("/metrics")[1].replace("_total", "")
            # A broker that was started with the new ones is reached with the new ones.
            broker.signal(signal.SIGKILL)
            broker.process.wait()
            until(lambda: not far.linked(), "the lost link")
            broker.start().until_ready()
            until(far.linked, "the next link")
            await client.until_ended(await client.chat("the next one, too", agent="echo"))
    finally:
        far.stop()


def test_renewed_files_that_cannot_be_used_change_nothing(tmp_path):
    authority, port = Authority(tmp_path), free_ports(PORTS)
    broker = authority.files("BROKER_GATEWAY", *authority.issue("broker"))
    gateway = authority.files("GATEWAY_BROKERS", *authority.issue("gateway"))
    far = Far(f"tls+tcp://localhost:{port}", broker, gateway)
    parts = (far.far.broker, far.near.gateways[0])
    context = visitor(authority, *authority.issue("visitor"))
    try:
        far.start()
        until(far.linked, "the link")
        for files in (broker, gateway):
            for kind, path in files.items():
                if kind.endswith("CERTIFICATE_FILE"):
                    pathlib.Path(path).write_text("no certificate")
        for part in parts:
            part.signal(signal.SIGHUP)
        for part in parts:
            until(lambda part=part: "read again cannot be used" in part.said(), "the refusal")
        assert hears(port, context) and far.linked()
    finally:
        far.stop()


def test_a_broker_without_a_door_outlives_a_hang_up():
    node = Parts(workers=0, gateways=0)
    try:
        assert node.broker.start().until_ready(), node.broker.said()
        node.broker.signal(signal.SIGHUP)
        until(lambda: "nothing to read again" in node.broker.said(), "it to say so")
        assert node.status()["gateways"] == []
    finally:
        node.stop()
        node.remove()


@pytest.mark.parametrize("address, why", [
    ("tcp://192.0.2.1:7400", "use tls+tcp"), ("ipc:///tmp/x", "need no address"),
    ("tls+tcp://localhost", "it must be"), ("tls+tcp://localhost:7400", "needs certificate"),
])
def test_a_door_that_cannot_be_opened_stops_the_broker(address, why):
    node = Parts(workers=0, gateways=0, environment={"RINGSIDE_BROKER_GATEWAY_ADDRESS": address})
    try:
        node.broker.start()
        assert not node.broker.until_ready()
        assert why in node.broker.said(), node.broker.said()
    finally:
        node.stop()
        node.remove()
