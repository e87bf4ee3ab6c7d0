# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, driven over the DevTools protocol."""
import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request

import websockets

from .deadline import PATIENCE, Missed
from .node import Output

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1280,900", "--remote-debugging-port=0",
]


class Browser:
    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="rs-chromium-")
        self.process = subprocess.Popen(
            ["chromium", *FLAGS, f"--user-data-dir={self.profile}", "about:blank"],
            env=os.environ | {"TMPDIR": self.profile}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            start_new_session=True)
        self.output = Output(self.process.stderr)
        self.port = self.output.wait_for(r"DevTools listening on ws://[^:]+:(\d+)/").group(1)
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    async def open(self, url):
        """A new tab."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request) as answer:
            target = json.load(answer)
        return await Tab().attach(target["webSocketDebuggerUrl"], url)

    async def tabs(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json/list") as answer:
            return [target for target in json.load(answer) if target["type"] == "page"]


class Tab:
    def __init__(self):
        self.errors = []
        self._replies = {}
        self._ids = itertools.count(1)
        self._loaded = asyncio.Event()

    async def attach(self, debugger, url=None):
        self._socket = await websockets.connect(debugger, max_size=None, ping_interval=None)
        self._reader = asyncio.create_task(self._read())
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        if url:
            await self.navigate(url)
        return self

    async def _read(self):
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._replies.pop(message["id"]).set_result(message)
            elif message["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif message["method"] == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]["exceptionDetails"]))

    async def call(self, method, **params):
        number = next(self._ids)
        self._replies[number] = reply = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        message = await asyncio.wait_for(reply, 4 * PATIENCE)
        assert "error" not in message, message
        return message["result"]

    async def navigate(self, url):
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), PATIENCE)

    async def reload(self):
        self._loaded.clear()
        await self.call("Page.reload", ignoreCache=True)
        await asyncio.wait_for(self._loaded.wait(), PATIENCE)

    async def evaluate(self, expression):
        result = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                                 returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, expression, what, seconds=PATIENCE):
        """Waits in the page for a true value of the expression, and returns it."""
        value = await self.evaluate(f"""new Promise((resolve) => {{
            const end = Date.now() + {int(seconds * 1000)};
            const look = () => {{
                let value;
                try {{ value = ({expression}); }} catch {{ value = false; }}
                if (value instanceof Node) value = true;
                if (value || Date.now() > end) {{ clearInterval(timer); resolve(value); }}
            }};
            const timer = setInterval(look, 10);
            look();
        }})""")
        if not value:
            text = await self.evaluate("document.body.innerText")
            raise Missed(f"{what}: not within {seconds:g} s; the page shows:\n{text}")
        return value

    async def text(self, selector):
        return await self.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")

    async def click(self, selector):
        """As a finger does: some things a page may do for a real click only."""
        box = await self.evaluate(
            f"(() => {{ const r = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1],
                            button="left", clickCount=1)

    async def write(self, selector, text):
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        await self.call("Input.insertText", text=text)

    async def close(self):
        self._reader.cancel()
        await self._socket.close()
