# SPDX-License-Identifier: Apache-2.0
"""A client that writes down every frame it is sent, and comes back with its cursor for ever."""
import asyncio
import hashlib
import json
import random
import time
import urllib.parse

import websockets

from .client import RETRY, SUBPROTOCOL, Refused
from .deadline import PATIENCE, Missed
from .stream import Broken

REPLY_SECONDS = 10.0  # then the outcome is unknown, and the same message is sent again


class Recorder:
    """Several of a user's may share an `account`; who feeds it is `keeper`."""

    def __init__(self, node, user, path, account=None):
        self.node = node
        self.user = user
        self.account = account
        self.file = open(path, "w", encoding="utf-8")
        self.epoch = None
        self.position = 0
        self.events = 0
        self.connections = 0
        self.longest_away = 0.0
        self.failure = None
        self.digest = hashlib.sha256()
        self.changed = asyncio.Event()
        self.live = False
        self._away_since = None
        self._socket = None
        self._replies = {}
        self._number = 0
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    # ---- Connections

    async def _follow(self):
        try:
            while not self._closing.is_set():
                await self._one_connection()
        except Exception as failure:  # shown by whoever waits
            self.failure = failure
        self.changed.set()

    @property
    def _url(self):
        cursor = "start" if self.epoch is None else f"{self.epoch}.{self.position}"
        return f"ws://{self.node.address}/v1/ws?" + urllib.parse.urlencode({"cursor": cursor})

    async def _one_connection(self):
        headers = {"Authorization": f"Bearer {self.node.token(self.user)}"}
        try:
            socket = await websockets.connect(
                self._url, subprotocols=[SUBPROTOCOL], extra_headers=headers, max_size=None,
                compression=None, ping_interval=None, open_timeout=PATIENCE, close_timeout=5)
        except (OSError, EOFError, asyncio.TimeoutError, websockets.WebSocketException):
            await asyncio.wait({asyncio.ensure_future(self._closing.wait())},
                               timeout=RETRY * (1 + random.random()))
            return
        self.connections += 1
        self._socket = socket
        try:
            async for text in socket:
                self._take(text)
        except (OSError, websockets.ConnectionClosed):
            pass
        finally:
            self._lost()

    def _lost(self):
        self._socket = None
        self.live = False
        self._away_since = self._away_since or time.monotonic()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_result(None)
        self._replies = {}

    async def close(self):
        self._closing.set()
        if self._socket:
            await self._socket.close()
        await asyncio.wait_for(self._task, PATIENCE)
        self.file.close()

    # ---- Frames

    def _take(self, text):
        frame = json.loads(text)
        self.file.write(text + "\n")
        if "type" not in frame:
            reply = self._replies.pop(frame.get("id"), None)
            if reply and not reply.done():
                reply.set_result(frame)
        elif "seq" in frame and "prev" in frame:
            self._take_event(text, frame)
        elif frame["type"] == "welcome":
            if self.epoch not in (None, frame["epoch"]):
                raise Broken(f"{self.user}: epoch {self.epoch} became {frame['epoch']}")
            self.epoch = frame["epoch"]
        elif frame["type"] == "gap":
            raise Broken(f"{self.user}: lost: {text}")
        elif frame["type"] == "caught_up":
            self._came_back(frame)

    def _came_back(self, frame):
        if frame["seq"] != self.position:
            raise Broken(f"{self.user}: caught up at {frame['seq']}, but had {self.position}")
        self.live = True
        if self._away_since:
            self.longest_away = max(self.longest_away, time.monotonic() - self._away_since)
            self._away_since = None
        self.changed.set()

    def _take_event(self, text, frame):
        seq = frame["seq"]
        if seq != self.position + 1 or frame["prev"] != self.position:
            kind = "repeated or out of order" if seq <= self.position else "lost"
            raise Broken(f"{self.user}: {kind}: seq {seq} (prev {frame['prev']}) came after "
                         f"{self.position}")
        self.position = seq
        self.events += 1
        self.digest.update(text.encode())
        if self.account:
            self.account.take(frame)
        self.changed.set()

    async def until(self, condition, what, seconds=4 * PATIENCE):
        async def watch():
            while True:
                self.changed.clear()
                value = condition()
                if value:
                    return value
                if self.failure:
                    raise self.failure
                await self.changed.wait()
        try:
            return await asyncio.wait_for(watch(), seconds)
        except asyncio.TimeoutError:
            raise Missed(f"{self.user}: {what}: not within {seconds:g} s") from None

    # ---- Requests

    async def _request(self, method, params):
        """The reply; ConnectionError or TimeoutError when its outcome is unknown."""
        socket = self._socket
        if not socket or not self.live:
            raise ConnectionError("not connected")
        self._number += 1
        name = f"c-{self._number}"
        self._replies[name] = reply = asyncio.get_running_loop().create_future()
        try:
            await socket.send(json.dumps({"id": name, "method": method, "params": params}))
            frame = await asyncio.wait_for(reply, REPLY_SECONDS)
        finally:
            self._replies.pop(name, None)
        if frame is None:
            raise ConnectionError("the connection ended")
        if "error" in frame:
            raise Refused(frame["error"])
        return frame["result"]

    async def try_chat(self, content, thread, message, agent):
        """The run's identifier, or None: refused for now, or nobody knows."""
        try:
            result = await self._request("chat.send", {
                "thread_id": thread, "message_id": message, "content": content, "agent": agent})
            return result["run_id"]
        except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
            return None
        except Refused as refusal:
            if not refusal.retryable:
                raise
            return None
