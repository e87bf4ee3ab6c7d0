#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts aloud, at the pace its content says: {"steps": 50, "pause_ms": 20}.

    tool_ms     after every `tool_every` steps, call the tool `wait` for so long
    tool_every  default 1 with tool_ms, else no tools are called
    fail        end with run/failed and this code
    usage       what that says of usage
"""
import json
import queue
import sys
import threading

import agent

inbox = queue.Queue()


def read():
    for line in sys.stdin:
        inbox.put(json.loads(line))
    inbox.put({"method": "shutdown"})


agent.receive = inbox.get


def pause(seconds):
    """True when the run was cancelled meanwhile."""
    try:
        return inbox.get(timeout=seconds)["method"] in ("run/cancel", "shutdown")
    except queue.Empty:
        return False


def wait_in_tool(number, milliseconds):
    """True when the run was cancelled meanwhile."""
    agent.send(id=number, method="tool/call",
               params={"tool_call_id": f"c-{number}", "name": "wait", "args": {"ms": milliseconds}})
    while True:
        message = inbox.get()
        if message.get("id") == number:
            return message.get("result", {}).get("status") == "cancelled"
        if message.get("method") in ("run/cancel", "shutdown"):
            return True


def count(wanted):
    every = wanted.get("tool_every", 1 if "tool_ms" in wanted else 0)
    for number in range(1, wanted.get("steps", 10) + 1):
        agent.say(f"{number} ")
        if every and number % every == 0 and wait_in_tool(number, wanted.get("tool_ms", 1)):
            return "cancelled"
        if pause(wanted.get("pause_ms", 10) / 1000):
            return "cancelled"
    return "success"


threading.Thread(target=read, daemon=True).start()
params = agent.start()
try:
    wanted = json.loads(params["input"]["content"])
except (TypeError, ValueError):
    wanted = {}
if not isinstance(wanted, dict):
    wanted = {}
agent.event("agent_thinking", status="counting")
outcome = count(wanted)
if outcome == "success" and "fail" in wanted:
    agent.send(method="run/failed",
               params={"code": wanted["fail"], "message": "as it was told", "retryable": False,
                       "usage": wanted.get("usage", {})})
else:
    agent.finish(outcome=outcome)
agent.until_shutdown()
