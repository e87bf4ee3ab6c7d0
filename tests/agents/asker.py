#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks the user and says what came of it. content: {"ask": [params of interrupt/request]}, or a reason."""
import json

import agent

content = agent.start()["input"]["content"]
plan = json.loads(content) if content.startswith("{") else {"ask": [{"reason": content}]}
ids = {}
for number, params in enumerate(plan["ask"], 100):
    ids[number] = params
    agent.send(id=number, method="interrupt/request", params=params)
outcome = "success"
while ids:
    message = agent.receive()
    if message.get("id") in ids and "method" not in message:
        ids.pop(message["id"])
        agent.say(json.dumps(message.get("result", message.get("error")), separators=(",", ":")))
    elif message.get("method") == "run/cancel":
        outcome = "cancelled"
    elif message.get("method") == "shutdown":
        break
agent.finish(outcome=outcome)
agent.until_shutdown()
