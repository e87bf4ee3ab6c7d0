#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Serves one run after the other and says which process did. content: "", or how to misbehave:

    chatty   says something behind its end      exits    leaves behind its end
    grows    takes 64 MiB                       fails    fails the run
"""
import os
import sys
import time

import agent

STARTED = time.time_ns()
print("about to serve", file=sys.stderr)
taken = []
while True:
    how = agent.start()["input"]["content"]
    agent.say(f"{os.getpid()} {STARTED}")
    if how == "grows":
        taken.append(bytearray(os.urandom(1)) * (64 << 20))
    if how == "fails":
        agent.send(method="run/failed", params={"code": "no_luck"})
    else:
        agent.finish()
    if how == "chatty":
        agent.say("one more thing")
    if how == "exits":
        sys.exit(0)
