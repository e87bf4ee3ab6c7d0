# SPDX-License-Identifier: Apache-2.0
"""TLS on the gateway's own port: who gets in, how connections end, and new certificates for old."""
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from harness.certificates import Authority
from harness.client import Client
from harness.deadline import PATIENCE, until
from harness.events import EventStream
from harness.gate import Gate

REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    os.environ["SSL_CERT_FILE"] = str(authority.path)
    yield authority
    del os.environ["SSL_CERT_FILE"]


@pytest.fixture(scope="module")
def gate(authority):
    certificate, key = authority.issue("first")
    for path, name in ((certificate, "used.pem"), (key, "used.key")):
        shutil.copy(path, authority.folder / name)
    gate = Gate(tls_certificate_file=str(authority.folder / "used.pem"),
                tls_key_file=str(authority.folder / "used.key"), handshake_timeout="2s")
    try:
        yield gate.start()
    finally:
        gate.stop()
        problems = gate.reports()
        gate.remove()
    assert not problems, "\n\n".join(problems)


def use(gate, authority, name):
    """Puts the files of another certificate in the place of those in use; whether they were taken."""
    for suffix in ("pem", "key"):
        shutil.copy(authority.folder / f"{name}.{suffix}", authority.folder / f"used.{suffix}")
    return gate.reload()


def secure(gate, **options):
    context = ssl.create_default_context()
    for name, value in options.items():
        setattr(context, name, value)
    return context


@contextlib.contextmanager
def connected(gate, context=None):
    with socket.create_connection(("127.0.0.1", gate.port), timeout=PATIENCE) as plain:
        with (context or secure(gate)).wrap_socket(
                plain, server_hostname="localhost", suppress_ragged_eofs=False) as line:
            yield line


class Line:
    """TLS by hand: what is encrypted goes out when the test says so."""

    def __init__(self, gate, plain):
        self.plain = plain
        self._inbound, self.outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = secure(gate).wrap_bio(self._inbound, self.outbound, server_hostname="localhost")

    def flush(self, bytewise=False):
        for part in [bytes([byte]) for byte in self.outbound.read()] if bytewise else \
                [self.outbound.read()]:
            self.plain.sendall(part)

    def receive(self):
        """False at the end of the stream."""
        part = self.plain.recv(65536)
        self._inbound.write(part)
        return bool(part)

    def shake_hands(self, bytewise=False):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush(bytewise)
                self.receive()
        self.flush(bytewise)

    def read_until(self, text):
        answer = b""
        while text not in answer:
            assert self.receive(), answer
            with contextlib.suppress(ssl.SSLWantReadError):
                answer += self.tls.read()
        return answer


def read_all(line):
    """What came until the server's close_notify; anything else that ends it is an error."""
    got = b""
    while True:
        part = line.recv(65536)
        if not part:
            return got
        got += part


def whose(gate):
    with connected(gate) as line:
        return dict(item[0] for item in line.getpeercert()["subject"])["commonName"]


@contextlib.contextmanager
def assert_counted(gate, name):
    """What happens within makes the counter rise by one."""
    before = gate.counters()
    yield
    until(lambda: gate.counters()[name] > before[name], name)
    gate.assert_counted(name, 1, before)


# ---- What is served

def test_page_health_and_metrics_are_served(gate):
    bearer = {"Authorization": f"Bearer {gate.token('alice')}"}
    for path, headers in (("/", {}), ("/health/live", {}), ("/health/ready", {}), ("/metrics", {}),
                          ("/health/websocket", bearer)):
        assert gate.get(path, headers)[0] == 200, path


def test_an_answer_ends_with_close_notify(gate):
    with connected(gate) as line:
        line.sendall(REQUEST)
        assert read_all(line).startswith(b"HTTP/1.1 200")


async def test_events_and_requests_pass_as_without_tls(gate):
    async with Client(gate, "alice") as client:
        await client.chat("x" * 100_000, agent="echo")
        event = await client.until_event("chat_message")
        assert len(event["data"]["content"]) == 100_000
        await client.until_event("run_queued")
        await client.request("ping")
    assert client.socket.close_code == 1000


async def test_an_event_stream_passes_as_without_tls(gate):
    """And resumes by its last id."""
    async with Client(gate, "reader") as client, EventStream(gate, "reader") as events:
        await events.until_told("welcome")
        await client.chat("x" * 100_000, agent="echo")
        await client.until_event("run_queued")
        await events.until(lambda: len(events.stream.raw) == len(client.stream.raw), "all events")
        assert events.stream.raw == client.stream.raw
        last = events.last_event_id
        await client.chat("more", agent="echo")
        await client.until_event("run_queued", count=2)
        async with EventStream(gate, "reader", last_event_id=last) as again:
            await again.until_told("caught_up")
            assert again.stream.raw and not again.stream.raw.keys() - client.stream.raw.keys()
            assert min(again.stream.raw) == int(last.rpartition(".")[2]) + 1


async def test_a_long_replay_reaches_a_client_that_reads_slowly(gate):
    async with Client(gate, "slow") as client:
        for number in range(40):
            await client.chat("y" * 100_000, thread=f"t-{number}", agent="echo")
    before = gate.counters()["bytes_sent"]
    late = await Client(gate, "slow", cursor="start").connect()
    late.socket.transport.pause_reading()
    until(lambda: gate.counters()["bytes_sent"] > before, "some of it to be sent")
    late.socket.transport.resume_reading()
    await late.until_caught_up()
    assert sum(event["type"] == "chat_message" for event in late.stream.events) == 40
    await late.close()


def test_each_handshake_is_counted(gate):
    before = gate.counters()
    gate.get("/health/live")
    gate.assert_counted("tls_handshakes", 2, before)  # the second one asks for the counters


def test_curl_and_openssl_are_served(gate, authority):
    done = subprocess.run(
        ["curl", "-sS", "--cacert", authority.path, f"https://localhost:{gate.port}/health/ready",
         "--resolve", f"localhost:{gate.port}:127.0.0.1", "-w", "%{http_version} %{ssl_verify_result}"],
        capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0 and done.stdout.endswith("1.1 0"), done
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{gate.port}", "-CAfile", authority.path,
         "-alpn", "http/1.1", "-ign_eof", "-verify_return_error"], input=REQUEST,
        capture_output=True, timeout=PATIENCE)
    assert b"ALPN protocol: http/1.1" in done.stdout and b"HTTP/1.1 200" in done.stdout
    assert b"Verify return code: 0" in done.stdout


# ---- Who is not

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(gate, version):
    with assert_counted(gate, "tls_nothing_in_common"), pytest.raises(ssl.SSLError, match="alert|VERSION"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        with connected(gate, context):
            pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_versions_agree_on_forward_secrecy(gate, version):
    with connected(gate, secure(gate, minimum_version=version, maximum_version=version)) as line:
        name = line.cipher()[0]
        assert name.startswith("ECDHE-" if version == ssl.TLSVersion.TLSv1_2 else "TLS_")


def test_a_client_without_a_common_cipher_is_refused(gate):
    context = secure(gate, maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AES128-SHA")
    with assert_counted(gate, "tls_nothing_in_common"), pytest.raises(ssl.SSLError, match="HANDSHAKE"):
        with connected(gate, context):
            pass


def test_a_client_of_another_protocol_is_refused(gate):
    context = secure(gate)
    context.set_alpn_protocols(["h2"])
    with assert_counted(gate, "tls_nothing_in_common"), pytest.raises(ssl.SSLError, match="(?i)protocol"):
        with connected(gate, context):
            pass


def test_bytes_that_are_no_tls_are_refused(gate):
    with assert_counted(gate, "tls_failed"), socket.create_connection(("127.0.0.1", gate.port)) as line:
        line.settimeout(PATIENCE)
        line.sendall(b"\x16\x03\x01\x00\x05hello")
        while line.recv(4096):
            pass


def test_plain_http_is_told_that_the_port_speaks_tls(gate):
    with assert_counted(gate, "tls_plain"), socket.create_connection(("127.0.0.1", gate.port)) as line:
        line.settimeout(PATIENCE)
        line.sendall(REQUEST)
        answer = b""
        while part := line.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 400") and b"this port speaks TLS" in answer


def test_a_handshake_that_takes_too_long_is_cut_off(gate):
    with assert_counted(gate, "tls_late"), socket.create_connection(("127.0.0.1", gate.port)) as line:
        line.settimeout(PATIENCE)
        line.sendall(b"\x16\x03\x01")
        assert line.recv(1) == b""


def test_the_oldest_of_too_many_handshakes_goes(gate):
    assert gate.configure(max_unread_requests=16)
    before = gate.counters()
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection(("127.0.0.1", gate.port)))
                 for _ in range(17)]
        lines[0].settimeout(PATIENCE)
        assert lines[0].recv(1) == b""
    gate.configure(max_unread_requests=None)
    gate.assert_counted("tls_displaced", 1, before)


def test_a_handshake_that_comes_byte_by_byte_is_done(gate):
    with socket.create_connection(("127.0.0.1", gate.port), timeout=PATIENCE) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = Line(gate, plain)
        line.shake_hands(bytewise=True)
        line.tls.write(REQUEST)
        line.flush(bytewise=True)
        line.read_until(b"HTTP/1.1 200")


# ---- Ends

def test_a_client_that_has_said_its_last_word_still_gets_its_answer(gate):
    with socket.create_connection(("127.0.0.1", gate.port), timeout=PATIENCE) as plain:
        line = Line(gate, plain)
        line.shake_hands()
        line.tls.write(REQUEST)
        with contextlib.suppress(ssl.SSLWantReadError):
            line.tls.unwrap()  # our close_notify goes out with the request
        line.flush()
        plain.shutdown(socket.SHUT_WR)
        assert line.read_until(b"live").startswith(b"HTTP/1.1 200")


async def test_who_is_sent_away_hears_it_to_the_end(authority):
    certificate, key = authority.issue("leaving")
    gate = Gate(tls_certificate_file=str(certificate), tls_key_file=str(key), drain_window="200ms")
    try:
        gate.start()
        async with Client(gate, "alice") as one, Client(gate, "bob") as other:
            gate.gateway.signal(signal.SIGTERM)
            for client in (one, other):
                assert await client.until_closed() == 4001
                assert client.control[-1]["type"] == "going_away"
        assert gate.gateway.until_ended() == 0
    finally:
        gate.stop()
        gate.remove()


async def test_a_connection_that_is_reset_is_gone(gate):
    client = await Client(gate, "reset").connect()
    line = client.socket.transport.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    before = gate.counters()["connections"]
    await client.drop()
    until(lambda: gate.counters()["connections"] == before - 1, "the end of the connection")


def test_nothing_is_left_of_connections_that_have_ended(gate):
    folder = f"/proc/{gate.gateway.pid}/fd"
    gate.get("/health/live")
    before = len(os.listdir(folder))
    for _ in range(50):
        with connected(gate) as line:
            line.sendall(REQUEST)
    until(lambda: len(os.listdir(folder)) <= before, "the descriptors to be given back")


# ---- New certificates

async def test_a_new_certificate_is_for_new_connections_and_old_ones_stay(gate, authority):
    authority.issue("second")
    async with Client(gate, "alice") as client:
        assert whose(gate) == "first"
        assert use(gate, authority, "second")
        assert whose(gate) == "second"
        await client.request("ping")
    assert use(gate, authority, "first")


def test_a_bad_certificate_or_key_leaves_the_old_one(gate, authority):
    used = authority.folder / "used.key"
    authority.issue("other")
    shutil.copy(authority.folder / "other.key", used)
    assert not gate.reload() and "key values mismatch" in gate.gateway.said()
    shutil.copy(authority.folder / "first.key", used)
    used.chmod(0o644)
    assert not gate.reload() and "make it 0600" in gate.gateway.said()
    used.chmod(0o600)
    (authority.folder / "used.pem").write_text("no certificate")
    assert not gate.reload()
    assert whose(gate) == "first"
    assert use(gate, authority, "first")


def test_tls_cannot_be_turned_off_by_a_reload(gate):
    kept = gate.options["tls_certificate_file"], gate.options["tls_key_file"]
    assert not gate.configure(tls_certificate_file=None, tls_key_file=None)
    assert gate.configure(tls_certificate_file=kept[0], tls_key_file=kept[1])


async def test_certificates_change_under_load_and_nobody_notices(gate, authority):
    authority.issue("second")
    stopped = threading.Event()
    failures, served = [], []

    def load():
        while not stopped.is_set():
            status, body, _ = gate.get("/health/live")
            (served if status == 200 else failures).append(body)

    async with Client(gate, "alice") as client:
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(10):
                loop = asyncio.get_running_loop()
                assert await loop.run_in_executor(
                    None, use, gate, authority, "second" if turn % 2 == 0 else "first")
                await client.request("ping")
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
    assert served and not failures, failures


@pytest.mark.parametrize("missing", ["tls_certificate_file", "tls_key_file"])
def test_one_of_the_two_files_alone_stops_the_start(gate, missing):
    given = {"tls_certificate_file", "tls_key_file"} - {missing}
    flags = [word for key in given
             for word in (f"--gateway-{key.replace('_', '-')}", gate.options[key])]
    done = gate.run("--gateway-port", "0", *flags, program="ringside-gateway",
                    environment={"RINGSIDE_CONFIG": os.devnull})
    assert done.returncode == 1 and "needs both" in done.stderr, done.stderr
