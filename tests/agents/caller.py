#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the tool calls of its content, a JSON list of params of tool/call, all at once, says each
answer in a line and finishes with all of them in the calls' order. {"one_by_one": [...]}: one after
the other."""
import json

import agent


def until(answers, wanted):
    """Reads until these calls are answered; False when the run is to stop."""
    while not wanted <= answers.keys():
        message = agent.receive()
        if message.get("id") in wanted and "method" not in message:
            answer = answers[message["id"]] = message.get("result", message.get("error"))
            answer.pop("duration_ms", None)
            agent.say(json.dumps(answer, separators=(",", ":")) + "\n")
        elif message.get("method") == "run/cancel":
            agent.finish(outcome="cancelled")
            return False
        elif message.get("method") == "shutdown":
            return False
    return True


content = json.loads(agent.start()["input"]["content"])
sequence = content["one_by_one"] if isinstance(content, dict) else [content]
answers, number = {}, 100
for calls in sequence:
    calls = calls if isinstance(calls, list) else [calls]
    wanted = set(range(number, number + len(calls)))
    for params in calls:
        agent.send(id=number, method="tool/call", params=params)
        number += 1
    if not until(answers, wanted):
        break
else:
    agent.finish(result=[answers[key] for key in sorted(answers)])
agent.until_shutdown()
