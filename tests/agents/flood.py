#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes numbered events as fast as it can: {"events": 20000, "bytes": 100}."""
import json

import agent

params = agent.start()
try:
    wanted = json.loads(params["input"]["content"])
except (TypeError, ValueError):
    wanted = {}
padding = "." * wanted.get("bytes", 100) if isinstance(wanted, dict) else "." * 100
for number in range(1, (wanted.get("events", 20000) if isinstance(wanted, dict) else 20000) + 1):
    agent.say(f"{number}{padding} ")
agent.finish()
agent.until_shutdown()
