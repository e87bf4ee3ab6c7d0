# SPDX-License-Identifier: Apache-2.0
"""A WebSocket to the byte: what a library would not let its user send, and nothing done for him."""
import base64
import collections
import hashlib
import os
import socket
import ssl
import struct

SECONDS = 20.0  # a server that takes longer has not answered
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Failed(AssertionError):
    """The server did something else than the clause says."""


class Ended(Failed):
    """The connection ended where an answer was due."""


def check(true, what):
    if not true:
        raise Failed(what)


Frame = collections.namedtuple("Frame", "fin reserved opcode payload")
Answer = collections.namedtuple("Answer", "status headers body")


def frame(opcode, payload=b"", fin=True, reserved=0, mask=b"\x12\x34\x56\x78", length=None):
    """The bytes of one frame; `length` says another length than that of the payload."""
    size = len(payload) if length is None else length
    head = bytes([(fin << 7) | (reserved << 4) | opcode])
    masked = 0 if mask is None else 0x80
    if size < 126:
        head += bytes([masked | size])
    elif size < 1 << 16:
        head += bytes([masked | 126]) + struct.pack(">H", size)
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", size)
    if mask is None:
        return head + payload
    return head + mask + masked_with(mask, payload)


def masked_with(mask, payload):
    repeated = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(
        len(payload), "big")


def close_frame(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


class Wire:
    """A TCP connection, with TLS where the address says so, that reads with a deadline."""

    def __init__(self, target):
        self.socket = socket.create_connection((target.host, target.port), SECONDS)
        if target.tls:
            self.socket = ssl.create_default_context().wrap_socket(
                self.socket, server_hostname=target.host)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_slowly(self, data):
        for at in range(len(data)):
            self.socket.sendall(data[at:at + 1])

    def _more(self, seconds):
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            raise Failed(f"nothing came for {seconds:g} s") from None
        except ConnectionError:
            data = b""
        if not data:
            raise Ended("the connection ended")
        self.pending += data

    def read(self, count, seconds=SECONDS):
        while len(self.pending) < count:
            self._more(seconds)
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def read_until(self, mark, seconds=SECONDS):
        while mark not in self.pending:
            self._more(seconds)
        data, _, self.pending = self.pending.partition(mark)
        return data

    def at_end(self, seconds=SECONDS):
        """Whether the server ends the connection, having sent nothing more."""
        try:
            self.read(1, seconds)
        except Ended:
            return True
        return False

    # ---- HTTP

    def ask(self, method, path, headers, slowly=False, behind=b""):
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        data = "\r\n".join([*lines, "", ""]).encode()
        if slowly:
            self.send_slowly(data)
        else:
            self.send(data + behind)

    def read_head(self):
        head = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(head[0].split()[1]), headers

    def read_answer(self):
        status, headers = self.read_head()
        body = b""
        if status != 101 and "content-length" in headers:
            body = self.read(int(headers["content-length"]))
        elif status != 101:
            try:
                while True:
                    self._more(SECONDS)
            except Ended:
                body, self.pending = self.pending, b""
        return Answer(status, headers, body)

    # ---- Frames

    def read_frame(self, seconds=SECONDS):
        """The next frame. What no server may send is a failure of whatever case reads it."""
        first, second = self.read(2, seconds)
        size = second & 0x7f
        if size == 126:
            size = struct.unpack(">H", self.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.read(8))[0]
        check(not second & 0x80, "the server masked a frame (RFC 6455, 5.1)")
        got = Frame(bool(first & 0x80), (first >> 4) & 7, first & 15, self.read(size))
        check(got.reserved == 0, "the server set a reserved bit (RFC 6455, 5.2)")
        check(got.opcode < 8 or (got.fin and size <= 125),
              "a control frame of the server is long or fragmented (RFC 6455, 5.5)")
        return got


def upgrade_headers(target, key, subprotocols, token=None, more=(), without=()):
    headers = [("Host", target.netloc), ("Connection", "Upgrade"), ("Upgrade", "websocket"),
               ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)]
    if subprotocols:
        headers.append(("Sec-WebSocket-Protocol", subprotocols))
    if token is not None:
        headers.append(("Authorization", f"Bearer {token}"))
    replaced = {name.lower() for name, _ in more} | {name.lower() for name in without}
    return [(name, value) for name, value in headers if name.lower() not in replaced] + list(more)


def new_key():
    return base64.b64encode(os.urandom(16)).decode()


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
