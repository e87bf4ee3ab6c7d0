#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does not stop when asked, nor on SIGTERM. With the argument "finished", finishes its run first."""
import signal
import sys

import agent

signal.signal(signal.SIGTERM, signal.SIG_IGN)
agent.start()
agent.say("I will not stop")
if len(sys.argv) > 1:
    agent.finish()
while True:
    signal.pause()
