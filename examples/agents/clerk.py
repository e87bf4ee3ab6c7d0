#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An agent that asks before it acts: orders what it is told to, once somebody has allowed it.

`interrupt/request` is answered when a person has answered, in whichever tab, or when the question
has expired. Until then this process waits; the worker does not take it for stalled.
"""
import json
import sys
import time

MINUTES = 10


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def say(text):
    send(method="event", params={"type": "partial_result", "data": {"delta": text}})


def text_of(content):
    return content if isinstance(content, str) else " ".join(p.get("text", "") for p in content)


def ask(item):
    send(id="may-i", method="interrupt/request", params={
        "reason": f"Order {item}?", "payload": {"item": item},
        "expires_at": int((time.time() + 60 * MINUTES) * 1000)})


def act_upon(answer):
    said = {"resolved": "Ordered.", "cancelled": "Then I leave it.", "expired": "Nobody answered."}
    payload = answer.get("payload")
    text = payload.get("text") if isinstance(payload, dict) else None
    say(said[answer["status"]] + (f" You said: {text}" if text else ""))
    send(method="run/finished", params={"result": {"ordered": answer["status"] == "resolved"}})


for line in sys.stdin:
    message = json.loads(line)
    if message.get("id") == "may-i" and "result" in message:
        act_upon(message["result"])
    elif message.get("id") == "may-i":  # nobody was asked, as in a batch
        say("So I leave it.")
        send(method="run/finished", params={"result": {"ordered": False}})
    elif message.get("method") == "initialize":
        send(id=message["id"], result={"name": "clerk", "version": "1"})
    elif message.get("method") == "run/start":
        send(id=message["id"], result={})
        say("I ask first. ")
        ask(text_of(message["params"]["input"]["content"]))
    elif message.get("method") == "run/cancel":
        send(method="run/finished", params={"outcome": "cancelled"})
    elif message.get("method") == "shutdown":
        break
