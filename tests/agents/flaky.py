#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails with `retryable` as often as its content says, counted in a file: "PATH TIMES"."""
import pathlib

import agent

path, times = agent.start()["input"]["content"].split()
tries = pathlib.Path(path)
count = tries.stat().st_size if tries.exists() else 0
with tries.open("ab") as file:
    file.write(b".")
if count < int(times):
    agent.send(method="run/failed", params={"code": "not_yet", "message": "later", "retryable": True})
else:
    agent.say("at last")
    agent.finish(result={"tries": count + 1})
