#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An MCP server for tests, on stdio. Faithful without arguments; each argument is one way to be bad:
garbage, longline, silent, exits, old, no_tools, endless (lists without end), deaf (reads nothing once it
has listed its tools), chatter (bad ids, unknown
requests and notes before each answer), wide (tools that cannot be offered), list_silent."""
import json
import os
import sys
import threading
import time

ways = set(sys.argv[1:])
lock = threading.Lock()
cancelled = set()
extra = []
asked_back = {}


def send(**message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def tool(name, description=None, **schema):
    return {"name": name, "inputSchema": {"type": "object", **schema},
            **({"description": description} if description else {})}


TOOLS = [
    tool("echo", "Says it back", properties={"text": {"type": "string"}}, required=["text"]),
    tool("structured"), tool("parts"), tool("fails"), tool("refuses"), tool("nonsense"),
    tool("slow"), tool("progress"), tool("dies"), tool("huge"), tool("grow"), tool("state"),
    tool("garbles"), tool("flood"),
]
WIDE = [tool("a.dot"), tool("x" * 62), tool("x" * 80), {"name": "no_schema"}, tool("echo"), 7,
        {"name": "bad_schema", "inputSchema": {"type": "objekt"}}]


def text(*lines, **more):
    return {"content": [{"type": "text", "text": line} for line in lines], **more}


def run(number, params):
    name, args = params["name"], params.get("arguments", {})
    token = params["_meta"]["progressToken"]
    if name == "echo":
        return text(args["text"])
    if name == "structured":
        return text("{}", structuredContent={"sum": 3})
    if name == "parts":
        return {"content": [{"type": "text", "text": "a"},
                            {"type": "image", "data": "AA==", "mimeType": "image/png"}]}
    if name == "fails":
        return text("there is no", "such file", isError=True)
    if name == "nonsense":
        return {"contents": 1}
    if name == "slow":
        until = time.monotonic() + args.get("seconds", 600)
        while time.monotonic() < until and number not in cancelled:
            time.sleep(0.005)
        return text("late")
    if name == "progress":
        send(method="notifications/progress",
             params={"progressToken": token, "progress": 1, "total": 4, "message": "a quarter"})
        send(method="notifications/progress", params={"progressToken": 999, "progress": 1})
        send(method="notifications/progress", params={"progressToken": token})
        return text("done")
    if name == "flood":
        for count in range(2000):
            send(method="notifications/progress", params={"progressToken": token, "progress": count})
            send(method="notifications/tools/list_changed")
        return text("dry")
    if name == "dies":
        os._exit(3)
    if name == "garbles":
        with lock:
            sys.stdout.write("this is no message\n")
            sys.stdout.flush()
        return None
    if name == "huge":
        return text("h" * 300_000)
    if name == "grow":
        extra.append(tool("grown"))
        send(method="notifications/tools/list_changed")
        return text("grown")
    if name == "state":
        return {"content": [], "structuredContent": {
            "pid": os.getpid(), "cancelled": len(cancelled), "pong": asked_back.get("p-1")}}
    return text(f"{name} is new")


def call(number, params):
    if "chatter" in ways:
        send(id=number + 1000, result={})
        send(id="x", result={})
        send(id=7777, error={"code": 1, "message": "?"})
        send(id="r-1", method="roots/list")
        send(id="p-1", method="ping")
        send(method="notifications/message", params={"level": "info", "data": "hello"})
    if params["name"] == "refuses":
        send(id=number, error={"code": -32602, "message": "not today"})
        return
    result = run(number, params)
    if result is not None:
        send(id=number, result=result)


def page(params):
    every = TOOLS + (WIDE if "wide" in ways else []) + extra
    begin = int(params.get("cursor", 0))
    more = {"nextCursor": str(begin + 5)} if begin + 5 < len(every) or "endless" in ways else {}
    return {"tools": every[begin:begin + 5], **more}


def handle(message):
    method, number, params = message.get("method"), message.get("id"), message.get("params", {})
    if method is None:
        asked_back[number] = "error" if "error" in message else "result"
    elif method == "initialize":
        assert params["clientInfo"]["name"] == "ringside", params
        send(id=number, result={
            "protocolVersion": "1999-01-01" if "old" in ways else params["protocolVersion"],
            "capabilities": {} if "no_tools" in ways else {"tools": {"listChanged": True}},
            "serverInfo": {"name": "test", "version": "1"}})
    elif method == "tools/list" and "list_silent" not in ways:
        send(id=number, result=page(params))
    elif method == "tools/call":
        threading.Thread(target=call, args=(number, params), daemon=True).start()
    elif method == "notifications/cancelled":
        cancelled.add(params["requestId"])


if "exits" in ways:
    sys.exit("no database here")
if "garbage" in ways:
    print("Listening on stdio…", flush=True)
if "longline" in ways:
    while True:
        sys.stdout.write("x" * 65536)
for line in sys.stdin:
    if "deaf" in ways and "tools/call" in line:
        time.sleep(600)
    if "silent" not in ways:
        handle(json.loads(line))
