# SPDX-License-Identifier: Apache-2.0
"""What the agents for tests share: reading and writing lines, as plainly as can be."""
import json
import sys


def send(**message):
    send_together(message)


def send_together(*messages):
    """In one write, so that the worker has read the last when it looks at the first."""
    sys.stdout.write("".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages))
    sys.stdout.flush()


def event(kind, **data):
    send(method="event", params={"type": kind, "data": data})


def say(delta):
    event("partial_result", delta=delta)


def receive():
    line = sys.stdin.readline()
    return json.loads(line) if line else {"method": "shutdown"}


def call(name, args, call_id=1):
    """Sends a tool/call and returns its answer; whatever else comes before is dropped."""
    send(id=call_id, method="tool/call", params={"name": name, "args": args})
    while True:
        message = receive()
        if message.get("id") == call_id and "method" not in message:
            return message
        if message.get("method") == "shutdown":
            sys.exit(0)


def start():
    """Answers initialize and run/start; returns the params of run/start."""
    while True:
        message = receive()
        if message["method"] == "initialize":
            send(id=message["id"], result={"name": "test"})
        elif message["method"] == "run/start":
            send(id=message["id"], result={})
            return message["params"]
        elif message["method"] == "shutdown":
            sys.exit(0)


def finish(**params):
    send(method="run/finished", params=params)


def until_shutdown():
    while receive()["method"] != "shutdown":
        pass
