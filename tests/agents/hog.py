#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes what its content says: {"memory_mib": N}, by itself or with "in_child"; {"cpu": true}."""
import json
import os
import sys

import agent

wanted = json.loads(agent.start()["input"]["content"])
agent.say("taking")
if wanted.get("in_child") and os.fork():
    os.wait()
    sys.exit("the child is gone")
taken = []
for _ in range(wanted.get("memory_mib", 0)):
    taken.append(bytearray(os.urandom(1)) * (1 << 20))
while wanted.get("cpu"):
    taken.append(1)
    taken.pop()
if wanted.get("memory_mib"):
    agent.until_shutdown()
agent.finish()
