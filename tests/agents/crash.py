#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is killed by a signal while a tool of its own is going on and a sentence is half said."""
import os
import signal
import sys

import agent

agent.start()
agent.say("I was about to ")
print("something is very wrong", file=sys.stderr, flush=True)
agent.send(id=1, method="tool/call",
           params={"tool_call_id": "c-1", "name": "wait", "args": {"ms": 600000}})
os.kill(os.getpid(), signal.SIGSEGV)
