# SPDX-License-Identifier: Apache-2.0
"""A client of the event stream, written from the protocol's page: plain HTTP, read line by line."""
import asyncio
import json
import ssl
import urllib.parse

from .deadline import PATIENCE, Missed, until_changed
from .stream import Broken, Stream, parse


class EventStream:
    """One request. With `last_event_id` it goes on where another one stopped, as EventSource does."""

    def __init__(self, node, user="alice", *, cursor=None, threads=(), token=None,
                 last_event_id=None, headers=(), method="GET"):
        self.node = node
        self.user = user
        self.token = token if token is not None else node.token(user)
        self.cursor = cursor
        self.threads = threads
        self.last_event_id = last_event_id
        self.headers = list(headers)
        self.method = method
        self.stream = Stream()
        self.control = []
        self.comments = 0
        self.retry = None
        self.status = None
        self.answer = {}
        self.body = b""         # of an answer that is no stream
        self.ended = False
        self._changed = asyncio.Event()

    def _request(self):
        query = [("cursor", self.cursor)] if self.cursor else []
        query += [("thread", thread) for thread in self.threads]
        lines = [f"{self.method} /v1/events?{urllib.parse.urlencode(query)} HTTP/1.1",
                 f"Host: {self.node.address}", "Accept: text/event-stream", *self.headers]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if self.last_event_id:
            lines.append(f"Last-Event-ID: {self.last_event_id}")
        return "\r\n".join(lines + ["", ""]).encode()

    async def __aenter__(self):
        host, _, port = self.node.address.rpartition(":")
        self._reader, self._writer = await asyncio.open_connection(
            host, int(port), limit=1 << 22,
            ssl=ssl.create_default_context() if self.node.secure else None)
        self._writer.write(self._request())
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE)
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.answer = {name.lower(): value.strip() for name, _, value in
                       (line.partition(":") for line in lines if line)}
        if self.status == 200:
            self.stream.filtered = bool(self.threads)
            self.stream.record.connection(filtered=bool(self.threads))
            self._task = asyncio.create_task(self._read())
        else:
            self.body = await asyncio.wait_for(self._reader.read(), PATIENCE)
            self._task = None
        return self

    async def __aexit__(self, *_):
        self._writer.close()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self):
        fields = {}
        try:
            while line := await self._reader.readline():
                text = line.decode().rstrip("\n")
                if text.startswith(":"):
                    self.comments += 1
                elif text:
                    name, _, value = text.partition(": ")
                    if name in fields:
                        raise Broken(f"{name} twice in one event")
                    fields[name] = value
                else:
                    self._take(fields)
                    fields = {}
                self._changed.set()
        except ConnectionError:
            pass
        except Exception as problem:  # shown by whoever waits
            self.problem = problem
        self.ended = True
        self._changed.set()

    problem = None

    def _take(self, fields):
        if "retry" in fields:
            self.retry = int(fields["retry"])
        self.last_event_id = fields.get("id", self.last_event_id)
        if "data" not in fields:
            return
        frame = parse(fields["data"])
        self.stream.record.lines.append(fields["data"])
        if fields["event"] != frame["type"]:
            raise Broken(f"event {fields['event']} has data of type {frame['type']}")
        if "prev" in frame:
            if fields["id"] != f"{self.stream.epoch}.{frame['seq']}":
                raise Broken(f"seq {frame['seq']} has the id {fields['id']}")
            self.stream.take(fields["data"], frame)
            return
        if "id" in fields:
            raise Broken(f"a control frame with an id: {fields}")
        self.stream.take_control(frame, self.last_event_id or self.cursor)
        self.control.append(frame)

    async def until(self, condition, what, seconds=PATIENCE):
        assert self.status == 200, (self.status, self.body)
        try:
            return await until_changed(
                lambda: self._changed, condition, self._what_ended_it, seconds)
        except asyncio.TimeoutError:
            raise Missed(f"{what}: not within {seconds:g} s") from None

    def _what_ended_it(self):
        ended = ConnectionError(f"ended: {self.control[-1:]}") if self.ended else None
        return self.problem or ended

    def told(self, kind):
        return next((frame for frame in self.control if frame["type"] == kind), None)

    async def until_told(self, kind):
        return await self.until(lambda: self.told(kind), kind)

    async def until_ended(self, run_id):
        await self.until(lambda: self.stream.ended(run_id), f"the end of {run_id}")
        return self.stream.of_run(run_id)

    async def until_closed(self):
        """What the event `close` said, once the answer has ended."""
        await self.until(lambda: self.ended, "the end of the stream")
        return self.told("close")

    @property
    def error(self):
        return json.loads(self.body)["error"]
