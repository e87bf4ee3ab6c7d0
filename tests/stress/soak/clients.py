# SPDX-License-Identifier: Apache-2.0
"""Clients of every kind, each of which goes on until it is told to stop: what people's clients do, and
what nobody's should."""
import asyncio
import base64
import json
import os
import re
import socket
import struct
import time
import urllib.parse

import websockets

from harness.client import SUBPROTOCOL
from harness.deadline import Missed
from harness.record import Broken

HANG_UP_SECONDS = 60   # a server that still has such a client by then has not noticed
SMALL_BUFFER = 4096    # a slow client's, in the kernel
TORRENT = "torrent"    # the user who has far more events than others


class Kind:
    """One client, with a random number generator of its own."""

    def __init__(self, soak, user, chance):
        self.soak, self.node = soak, soak.node
        self.user, self.chance = user, chance
        self.turns = 0

    async def run(self):
        while not self.soak.stopping:
            await self.turn()
            self.turns += 1

    async def rest(self, low, high):
        end = time.monotonic() + self.chance.uniform(low, high)
        while not self.soak.stopping and time.monotonic() < end:
            await asyncio.sleep(min(0.1, max(0.0, end - time.monotonic())))


# ---- those that keep to the protocol

class Follower(Kind):
    """Reads all there is, writes it down for `ringside verify`, and comes back with its cursor."""

    stays = (1e9, 1e9)     # seconds on one connection
    away = (0.0, 0.0)

    def __init__(self, soak, user, chance):
        super().__init__(soak, user, chance)
        self.path = soak.node.base / f"frames.{user}.{type(self).__name__}.{chance.random():.9f}"
        self.file = open(self.path, "w", encoding="utf-8")
        self.cursor = None
        self.epoch = None

    def take(self, text):
        self.file.write(text + "\n")
        frame = json.loads(text)
        if "seq" in frame and "prev" in frame:
            self.cursor = f"{self.epoch}.{frame['seq']}"
        elif frame.get("type") == "welcome":
            self.epoch = frame["epoch"]

    def url(self):
        query = f"?{urllib.parse.urlencode({'cursor': self.cursor})}" if self.cursor else ""
        return f"ws://{self.node.address}/v1/ws{query}"

    def make_socket(self):
        return None

    async def connect(self):
        return await websockets.connect(
            self.url(), subprotocols=[SUBPROTOCOL], max_size=None, compression=None,
            ping_interval=None, open_timeout=HANG_UP_SECONDS, close_timeout=5,
            sock=self.make_socket(),
            extra_headers={"Authorization": f"Bearer {self.node.token(self.user)}"})

    async def read(self, connection):
        """Until it has stayed for long enough, or the server hangs up."""
        end = time.monotonic() + self.chance.uniform(*self.stays)
        while not self.soak.stopping and time.monotonic() < end:
            try:
                self.take(await asyncio.wait_for(connection.recv(), 1))
            except asyncio.TimeoutError:
                continue

    async def turn(self):
        connection = await self.connect()
        try:
            await self.read(connection)
        except websockets.ConnectionClosed as closed:
            self.soak.closed_with(closed.rcvd.code if closed.rcvd else None)
        finally:
            await self.leave(connection)
        await self.rest(*self.away)

    async def leave(self, connection):
        await connection.close()


def cut(connection):
    """Without a farewell, and without what the library would still hand over."""
    connection.transport.abort()
    connection.fail_connection(1006)


class Steady(Follower):
    pass


class Resuming(Follower):
    """On a train: in and out of tunnels, now and then with a farewell."""

    stays = (0.2, 4.0)
    away = (0.0, 2.0)

    async def leave(self, connection):
        if self.chance.random() < 0.7:
            cut(connection)
        else:
            await connection.close()


class Slow(Follower):
    """Stops reading for long, with little room in its socket; what it sends shows that it lives."""

    stays = (10.0, 60.0)
    away = (0.0, 1.0)

    def make_socket(self):
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        host, port = self.node.address.split(":")
        made.connect((host, int(port)))
        made.setblocking(False)
        return made

    async def read(self, connection):
        end = time.monotonic() + self.chance.uniform(*self.stays)
        while not self.soak.stopping and time.monotonic() < end:
            connection.transport.pause_reading()
            await self.stand_still(connection, self.chance.uniform(2, 30))
            if not connection.transport.is_closing():
                connection.transport.resume_reading()
            await self.catch_up(connection)

    async def stand_still(self, connection, seconds):
        end = time.monotonic() + seconds
        while not self.soak.stopping and time.monotonic() < end and connection.open:
            if self.cursor:
                await connection.send(json.dumps({
                    "method": "ack", "params": {"seq": int(self.cursor.rpartition(".")[2])}}))
            await self.rest(1, 1)

    async def catch_up(self, connection):
        """What is there, until nothing comes for a second, or for a while."""
        until = time.monotonic() + 5
        while not self.soak.stopping and time.monotonic() < until:
            try:
                self.take(await asyncio.wait_for(connection.recv(), 1))
            except asyncio.TimeoutError:
                return


class Asking(Follower):
    """Talks to an agent, stops some of its answers, acknowledges what it read."""

    stays = (3.0, 10.0)

    async def read(self, connection):
        end, number = time.monotonic() + self.chance.uniform(*self.stays), 0
        while not self.soak.stopping and time.monotonic() < end:
            number += 1
            await connection.send(json.dumps({
                "id": f"c-{number}", "method": "chat.send",
                "params": {"thread_id": f"t-{self.chance.randrange(3)}", "agent": "echo",
                           "message_id": f"m-{self.turns}-{number}-{self.chance.random()}",
                           "content": "word " * self.chance.randrange(1, 9)}}))
            await self.hear(connection, self.chance.uniform(0.5, 2.0))
            if self.chance.random() < 0.2:
                await connection.send(json.dumps({
                    "id": f"x-{number}", "method": "run.cancel",
                    "params": {"thread_id": f"t-{self.chance.randrange(3)}"}}))
            if self.cursor:
                await connection.send(json.dumps({
                    "method": "ack", "params": {"seq": int(self.cursor.rpartition(".")[2])}}))

    async def hear(self, connection, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.take(await asyncio.wait_for(connection.recv(), end - time.monotonic()))
            except asyncio.TimeoutError:
                return


class Streaming(Kind):
    """Server-Sent Events, resumed with the last id."""

    def __init__(self, soak, user, chance):
        super().__init__(soak, user, chance)
        self.last = None

    async def turn(self):
        raw = await Raw.open(self.node)
        resume = f"Last-Event-ID: {self.last}\r\n" if self.last else ""
        await raw.send(f"GET /v1/events HTTP/1.1\r\nHost: {self.node.address}\r\n{resume}"
                       f"Authorization: Bearer {self.node.token(self.user)}\r\n\r\n".encode())
        end = time.monotonic() + self.chance.uniform(1, 6)
        while not self.soak.stopping and time.monotonic() < end:
            line = await raw.line(1)
            if line is None:
                break
            if line.startswith(b"id:"):
                self.note(line[3:].strip().decode())
        raw.abort()
        await self.rest(0, 1)

    def note(self, this):
        if self.last:
            epoch, _, seq = self.last.rpartition(".")
            if this.rpartition(".")[0] == epoch and int(this.rpartition(".")[2]) <= int(seq):
                raise Broken(f"{self.user}: event stream went from {self.last} to {this}")
        self.last = this


# ---- those that do not

class Raw:
    """A connection of bytes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, node):
        host, port = node.address.split(":")
        return cls(*await asyncio.open_connection(host, int(port), limit=1 << 24))

    @classmethod
    async def upgraded(cls, node, user):
        """A WebSocket; None when it was refused."""
        raw = await cls.open(node)
        await raw.send((
            f"GET /v1/ws HTTP/1.1\r\nHost: {node.address}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            f"{base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}"
            f"\r\nAuthorization: Bearer {node.token(user)}\r\n\r\n").encode())
        try:
            head = await asyncio.wait_for(raw.reader.readuntil(b"\r\n\r\n"), HANG_UP_SECONDS)
        except (asyncio.IncompleteReadError, ConnectionError):
            head = b""
        if b" 101 " in head[:16]:
            return raw
        raw.abort()
        return None

    async def send(self, data):
        try:
            self.writer.write(data)
            await asyncio.wait_for(self.writer.drain(), HANG_UP_SECONDS)
        except ConnectionError:
            pass

    async def line(self, seconds):
        """b"" when none came in time, None at the end."""
        try:
            return await asyncio.wait_for(self.reader.readline(), seconds) or None
        except asyncio.TimeoutError:
            return b""
        except ConnectionError:
            return None

    async def some(self, seconds):
        """What is there; b"" when nothing came in time, None at the end."""
        try:
            return await asyncio.wait_for(self.reader.read(1 << 16), seconds) or None
        except asyncio.TimeoutError:
            return b""
        except ConnectionError:
            return None

    async def until_hung_up(self, what):
        """Reads on until the server has closed."""
        try:
            async with asyncio.timeout(HANG_UP_SECONDS):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            pass
        except TimeoutError:
            raise Missed(f"the server still has a client after {HANG_UP_SECONDS} s: {what}") from None
        finally:
            self.abort()

    def abort(self):
        self.writer.transport.abort()


def frame(opcode, payload, first=0x80, mask=True):
    head = bytes([first | opcode])
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 65536:
        head += bytes([flag | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", len(payload))
    return head + (b"\0\0\0\0" if mask else b"") + payload


class Measuring(Kind):
    """
    Tells how old events are, as soon as their bytes are there: with all that a client does with an event it
    would be told how fast this program is. What stands across two reads is left out.
    """

    async def turn(self):
        raw = await Raw.upgraded(self.node, self.user)
        alive, until = frame(10, b"!"), 0.0
        while raw and not self.soak.stopping:
            if time.monotonic() >= until:
                await raw.send(alive)
                until = time.monotonic() + 1
            data = await raw.some(1)
            if data is None:
                break
            now = time.time()
            for stamp in re.findall(rb'"timestamp":(\d{13}),', data):
                self.soak.aged(now - int(stamp) / 1000)
        if raw:
            raw.abort()
        await self.rest(0.0, 0.2)


class Flooding(Kind):
    """Requests without end, and no eye for the answers until it is cut off."""

    async def turn(self):
        raw = await Raw.upgraded(self.node, self.user)
        if raw:
            text = json.dumps({"id": "c", "method": self.chance.choice(["ping", "runs.list", "nonsense"]),
                               "params": {}}).encode()
            for _ in range(40):
                await raw.send(frame(1, text) * 250)
            await raw.until_hung_up("10,000 requests at once")
        await self.rest(0.5, 3)


class Malformed(Kind):
    """Breaks one rule at a time."""

    def frames(self):
        noise = self.chance.randbytes(self.chance.randrange(1, 400))
        return [
            ("noise", b"\xff" + noise),
            ("a reserved opcode", frame(3, b"x")),
            ("a reserved bit", frame(1, b"x", first=0xc0)),
            ("a fragmented ping", frame(9, b"x", first=0)),
            ("a long ping", frame(9, b"x" * 126)),
            ("a continuation of nothing", frame(0, b"x")),
            ("no UTF-8", frame(1, b"\xc3\x28" + noise)),
            ("no JSON", frame(1, b"{" + noise.hex().encode())),
            ("no object", frame(1, b"[1,2,3]")),
            ("binary", frame(2, noise)),
            ("too large", frame(1, b"x" * (3 << 20))),
            ("a length without end", bytes([0x81, 0xff]) + struct.pack("!Q", 1 << 62) + noise),
            ("a close without a code", frame(8, b"x")),
        ]

    def requests(self):
        token = self.node.token(self.user)
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        return [
            ("no HTTP", self.chance.randbytes(200) + b"\r\n\r\n"),
            ("a head without end", b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 40000),
            ("no host", b"GET /v1/ws HTTP/1.1\r\n\r\n"),
            ("two requests", b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n" * 2),
            ("a body", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
            ("no key", f"GET /v1/ws HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n".encode()),
            ("a bad cursor", (f"GET /v1/ws?cursor=x HTTP/1.1\r\nHost: a\r\n{upgrade}Sec-WebSocket-Key: "
                              f"AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
                              f"Authorization: Bearer {token}\r\n\r\n").encode()),
            ("a bad token", (f"GET /v1/ws HTTP/1.1\r\nHost: a\r\n{upgrade}Sec-WebSocket-Key: "
                             f"AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
                             f"Authorization: Bearer {token[:-3]}xyz\r\n\r\n").encode()),
        ]

    async def turn(self):
        if self.chance.random() < 0.6:
            raw = await Raw.upgraded(self.node, self.user)
            what, data = self.chance.choice(self.frames())
        else:
            raw = await Raw.open(self.node)
            what, data = self.chance.choice(self.requests())
        if raw:
            await raw.send(data)
            await raw.until_hung_up(what)
        await self.rest(0.0, 0.3)


class HalfOpen(Kind):
    """Goes silent without a farewell, somewhere on the way."""

    async def turn(self):
        where = self.chance.choice(["at once", "within its request", "behind its handshake"])
        if where == "behind its handshake":
            raw = await Raw.upgraded(self.node, self.user)
        else:
            raw = await Raw.open(self.node)
            if where == "within its request":
                await raw.send(b"GET /v1/ws HTTP/1.1\r\nHost: ")
        if raw:
            await raw.until_hung_up(f"silent {where}")
        await self.rest(0.0, 1.0)
