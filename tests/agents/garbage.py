#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints on stdout as if it were a terminal."""
import agent

agent.start()
agent.say("so far so good")
print("Loading model... 100%", flush=True)
agent.until_shutdown()
