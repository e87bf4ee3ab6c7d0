#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The smallest complete agent: says back what it is told, word by word.

An agent is a program that reads JSON-RPC 2.0 from stdin and writes it to stdout, one message a
line. One process serves one run. What it prints on stderr goes to the worker's log.
"""
import json
import queue
import sys
import threading

inbox = queue.Queue()


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def read_stdin():  # in a thread of its own, so that a cancel is seen while the agent is at work
    for line in sys.stdin:
        inbox.put(json.loads(line))
    inbox.put({"method": "shutdown"})  # the worker has closed our stdin


def run(params):
    content = params["input"]["content"]
    if not isinstance(content, str):  # a message may also be a list of parts
        content = " ".join(part.get("text", "") for part in content)
    for number, word in enumerate(content.split(" ")):
        if not inbox.empty() and inbox.get()["method"] in ("run/cancel", "shutdown"):
            return send(method="run/finished", params={"outcome": "cancelled"})
        delta = " " + word if number else word
        send(method="event", params={"type": "partial_result", "data": {"delta": delta}})
    send(method="run/finished", params={"result": {"words": len(content.split())}})


threading.Thread(target=read_stdin, daemon=True).start()
while True:
    message = inbox.get()
    if message["method"] == "initialize":  # who are you?
        send(id=message["id"], result={"name": "echo", "version": "1"})
    elif message["method"] == "run/start":  # first say yes, then do it
        send(id=message["id"], result={})
        run(message["params"])
    elif message["method"] == "shutdown":  # nothing more will come
        break
