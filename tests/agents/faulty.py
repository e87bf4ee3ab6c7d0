#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goes wrong in the way and at the moment its settings say: {"fault": …, "phase": …}.

phase   initialize, initialized, started, running, tool, interrupt, finished, shutdown
fault   kill (by a signal), hang (reads and writes nothing more), flood (events for ever), tick (the
        same, at leisure), garble (what is no message), allocate (memory without end)
"""
import os
import signal
import sys
import time

import agent

GARBAGE = "\x1b[31mSegmentation fault\x1b[0m (core dumped)\n"


def hang():
    while True:
        signal.pause()


def flood():
    while True:
        agent.event("agent_thinking", delta="and so on " * 10)


def tick():
    while True:
        agent.event("agent_thinking", status="not yet")
        time.sleep(0.2)


def garble():
    sys.stdout.write(GARBAGE)
    sys.stdout.flush()
    hang()


def allocate():
    taken = []
    try:
        while True:
            taken.append(bytearray(os.urandom(1)) * (1 << 20))
    except MemoryError:
        hang()


FAULTS = {"kill": lambda: os.kill(os.getpid(), signal.SIGKILL), "hang": hang, "flood": flood,
          "tick": tick, "garble": garble, "allocate": allocate}


class Agent:
    def __init__(self):
        self.settings = {}

    def reach(self, phase):
        """The moment has a name; when it is the one, this does not come back."""
        if self.settings["phase"] == phase:
            print(f"about to {self.settings['fault']}", file=sys.stderr, flush=True)
            FAULTS[self.settings["fault"]]()

    def until(self, method):
        message = agent.receive()
        while message["method"] != method:
            message = agent.receive()
        return message

    def run(self):
        message = self.until("initialize")
        self.settings = message["params"]["settings"]
        self.reach("initialize")
        agent.send(id=message["id"], result={"name": "faulty"})
        self.reach("initialized")
        message = self.until("run/start")
        self.reach("started")
        agent.send(id=message["id"], result={})
        agent.say("so far so good")
        self.reach("running")
        agent.send(id=1, method="tool/call", params={"name": "wait", "args": {"ms": 200}})
        self.reach("tool")
        agent.send(id=2, method="interrupt/request",
                   params={"reason": "May I?", "expires_at": 1})
        self.reach("interrupt")
        agent.finish()
        self.reach("finished")
        self.until("shutdown")
        self.reach("shutdown")


Agent().run()
