# SPDX-License-Identifier: Apache-2.0
"""A client of ringside.v1 on the `websockets` package, written from the protocol's page alone."""
import asyncio
import itertools
import json
import urllib.parse
import uuid

import msgpack
import websockets

from .deadline import PATIENCE, Missed, until_changed
from .stream import Stream, parse

SUBPROTOCOL = "ringside.v1"
PACKED = "ringside.v1.msgpack"
RETRY = 0.05  # seconds between a follower's attempts to connect


class Refused(Exception):
    """The reply to a request was an error."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]
        self.message = error["message"]
        self.retryable = error["retryable"]


class Client:
    """One connection. With the `stream` of an earlier one it goes on where that one stopped."""

    def __init__(self, node, user="alice", *, cursor=None, threads=(), token=None, stream=None,
                 origin=None, max_size=None, snapshots=False, packed=False):
        self.node = node
        self.user = user
        self.token = token if token is not None else node.token(user)
        self.stream = stream or Stream()
        self.cursor = cursor if cursor or not stream or stream.epoch is None else stream.cursor
        self.threads = threads
        self.snapshots = snapshots
        self.origin = origin
        self.packed = packed    # speaks MessagePack
        self.max_size = max_size
        self.welcome = None
        self.control = []       # control frames, in order
        self.problem = None     # what broke the protocol, or the connection
        self.socket = None
        self.replies = []       # as they came
        self._views = {}        # of subscribes that wait: cursor, threads
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()
        self._reader = None

    @property
    def url(self):
        query = [("cursor", self.cursor)] if self.cursor else []
        query += [("thread", thread) for thread in self.threads]
        query += [("snapshot", "1")] if self.snapshots else []
        return f"ws{self.node.secure}://{self.node.address}/v1/ws" + (
            "?" + urllib.parse.urlencode(query) if query else "")

    async def connect(self):
        self.stream.record.connection(filtered=bool(self.threads))
        self.stream.filtered = bool(self.threads)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self.socket = await websockets.connect(
            self.url, subprotocols=[PACKED if self.packed else SUBPROTOCOL], extra_headers=headers, origin=self.origin,
            max_size=self.max_size, compression=None, ping_interval=None, open_timeout=PATIENCE,
            close_timeout=5)
        self._reader = asyncio.create_task(self._read())
        try:
            await self.until(lambda: self.welcome, "welcome")
        except BaseException:
            await self.drop()
            raise
        return self

    async def __aenter__(self):
        return await self.connect()

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        if self.socket:
            await self.socket.close()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def drop(self):
        """As a train into a tunnel: the socket goes without a farewell."""
        self.socket.transport.abort()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self):
        try:
            async for text in self.socket:
                self._take(text)
                self._wake()
        except websockets.ConnectionClosed:
            pass
        except Exception as problem:  # shown by whoever waits
            self.problem = problem
        finally:
            self.problem = self.problem or ConnectionError(
                f"closed with {self.socket.close_code} {self.socket.close_reason}")
            self._wake()

    def _wake(self):
        self._changed.set()

    def _take(self, message):
        text = message
        if self.packed:
            assert isinstance(message, bytes), "a text frame where MessagePack was agreed on"
            text = json.dumps(msgpack.unpackb(message), separators=(",", ":"), ensure_ascii=False)
        self.stream.record.lines.append(text)
        frame = parse(text)
        if "type" not in frame:
            self._take_reply(frame)
        elif "seq" in frame and "prev" in frame:
            self.stream.take(text, frame)
        else:
            self._take_control(frame)

    def _take_reply(self, frame):
        self.replies.append(frame)
        view = self._views.pop(frame.get("id"), None)
        if view and "result" in frame:
            self._begin_view(frame["result"], *view)

    def _begin_view(self, begun, cursor, threads):
        """What comes from here on is a stream of its own, as on a connection of its own."""
        self.stream = Stream()
        self.stream.filtered = bool(threads)
        self.stream.record.connection(filtered=bool(threads))
        self.stream.record.lines.append(json.dumps(self.welcome | begun))
        self.stream.welcomed(begun, cursor)
        self.control.clear()

    def _take_control(self, frame):
        if frame["type"] == "welcome":
            assert self.welcome is None, "welcome twice"
            self.welcome = frame
        self.stream.take_control(frame, self.cursor)
        self.control.append(frame)

    async def until(self, condition, what, seconds=PATIENCE):
        """The first true value of condition(); looked at again whenever a frame has come."""
        try:
            return await until_changed(
                lambda: self._changed, condition, lambda: self.problem, seconds)
        except asyncio.TimeoutError:
            kinds = [event["type"] for event in self.stream.events[-20:]]
            raise Missed(f"{what}: not within {seconds:g} s; the last events: {kinds}") from None

    def share_wake_ups(self, changed):
        """Who waits for `changed` wakes up with each frame of this client."""
        self._changed = changed
        changed.set()

    async def gone(self):
        """The connection has ended, for whatever reason."""
        await asyncio.gather(self._reader, return_exceptions=True)
        await self.socket.close()

    async def until_closed(self, seconds=PATIENCE):
        """The close code."""
        await asyncio.wait_for(self._reader, seconds)
        return self.socket.close_code

    async def send(self, data):
        if not isinstance(data, (str, bytes)):
            data = msgpack.packb(data) if self.packed else json.dumps(data)
        await self.socket.send(data)

    async def notify(self, method, **params):
        await self.send({"method": method, "params": params})

    async def begin(self, method, **params):
        """Sends a request; its id."""
        request = f"c-{next(self._ids)}"
        await self.send({"id": request, "method": method, "params": params})
        return request

    def replied(self, request):
        return next((frame for frame in self.replies if frame.get("id") == request), None)

    async def reply(self, request, seconds=PATIENCE):
        frame = await self.until(lambda: self.replied(request), f"reply to {request}", seconds)
        if "error" in frame:
            raise Refused(frame["error"])
        return frame["result"]

    async def request(self, method, **params):
        return await self.reply(await self.begin(method, **params))

    async def subscribe(self, cursor=None, threads=(), **more):
        """Another view; `stream` and `control` are its, from the reply on."""
        request = f"c-{next(self._ids)}"
        self._views[request] = (cursor, threads)
        params = {"threads": list(threads)} | ({"cursor": cursor} if cursor else {}) | more
        await self.send({"id": request, "method": "subscribe", "params": params})
        return await self.reply(request)

    async def chat(self, content, thread="t-1", message=None, **more):
        """Starts a run; its identifier."""
        message = message or f"m-{uuid.uuid4().hex}"
        result = await self.request("chat.send", thread_id=thread, message_id=message,
                                    content=content, **more)
        return result["run_id"]

    async def until_event(self, kind, run_id=None, count=1, seconds=PATIENCE):
        """The `count`th event of this type, of this run when given."""
        def found():
            events = [event for event in self.stream.events if event["type"] == kind
                      and run_id in (None, event.get("run_id"))]
            return events[count - 1] if len(events) >= count else None
        return await self.until(found, f"{kind} of {run_id or 'any run'}", seconds)

    async def until_ended(self, run_id, seconds=2 * PATIENCE):
        """All events of the run, once it has ended."""
        await self.until(lambda: self.stream.ended(run_id), f"the end of {run_id}", seconds)
        return self.stream.of_run(run_id)

    async def until_caught_up(self):
        return await self.until(
            lambda: next((frame for frame in self.control if frame["type"] == "caught_up"), None),
            "caught_up")


class Follower:
    """A client that comes back with its cursor, whatever happens, until it is told to stop."""

    def __init__(self, node, user):
        self.node = node
        self.user = user
        self.stream = Stream()
        self.client = None
        self.connections = 0
        self.failure = None
        self._stopped = asyncio.Event()
        self._changed = asyncio.Event()
        self._task = None

    async def __aenter__(self):
        self._task = asyncio.create_task(self._follow())
        await self.until(lambda: self.connections, "the first connection")
        return self

    async def __aexit__(self, *_):
        self._stopped.set()
        if self.client:
            await self.client.close()
        await asyncio.wait_for(self._task, PATIENCE)

    async def _follow(self):
        try:
            while not self._stopped.is_set():
                await self._one_connection()
        except Exception as failure:
            self.failure = failure
        self._changed.set()

    async def _one_connection(self):
        cursor = "start" if self.stream.epoch is None else None
        client = Client(self.node, self.user, stream=self.stream, cursor=cursor)
        try:
            await client.connect()
        except (OSError, EOFError, asyncio.TimeoutError, websockets.WebSocketException):
            await asyncio.wait({asyncio.ensure_future(self._stopped.wait())}, timeout=RETRY)
            return
        self.client = client
        self.connections += 1
        client.share_wake_ups(self._changed)
        await client.gone()
        self.client = None
        if isinstance(client.problem, AssertionError):
            raise client.problem

    async def until(self, condition, what, seconds=4 * PATIENCE):
        async def watch():
            while True:
                self._changed.clear()
                value = condition()
                if value:
                    return value
                if self.failure:
                    raise self.failure
                await self._changed.wait()
        try:
            return await asyncio.wait_for(watch(), seconds)
        except asyncio.TimeoutError:
            raise Missed(f"{self.user}: {what}: not within {seconds:g} s") from None

    async def chat(self, content, thread, message, **more):
        """Asks again with the same message_id until an answer comes: that is what it is for."""
        while True:
            try:
                client = await self.until(lambda: self.client, "a connection")
                return await client.chat(content, thread, message, **more)
            except (OSError, websockets.WebSocketException):
                continue
            except Refused as refusal:
                if not refusal.retryable:
                    raise
