# SPDX-License-Identifier: Apache-2.0
"""Asks what was said before, with what its content says: {"limit"?, "twice"?, "after"?: a file that must be there first}."""
import json
import os
import time

import agent

start = agent.start()
try:
    wanted = json.loads(start["input"]["content"])
except ValueError:
    wanted = {}
agent.say("here ")
while "after" in wanted and not os.path.exists(wanted["after"]):
    time.sleep(0.01)
params = {"limit": wanted["limit"]} if "limit" in wanted else {}
ids = [1, 2] if wanted.get("twice") else [1]
agent.send_together(*({"id": number, "method": "thread/messages", "params": params} for number in ids))
answers = {}
while len(answers) < len(ids):
    message = agent.receive()
    if "method" not in message:
        answers[message["id"]] = message
agent.finish(result=[answers[number].get("result") or answers[number]["error"] for number in ids])
agent.until_shutdown()
