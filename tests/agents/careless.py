#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does all that is asked of an agent but one thing, which its settings name: {"careless_of": …}."""
import os
import subprocess
import sys
import time

import agent

PIECES = 300


def piece(number):
    line = f'{{"jsonrpc":"2.0","method":"event","params":{{"type":"partial_result",' \
           f'"data":{{"delta":"{number} and so on, "}}}}}}\n'
    return line.encode()


def write_and_drop():
    """What does not fit at once is lost."""
    os.set_blocking(1, False)
    for number in range(PIECES):
        try:
            os.write(1, piece(number))
        except BlockingIOError:
            pass
    os.set_blocking(1, True)


def start():
    """The settings of one run; None when there will be no other."""
    settings = {}
    while True:
        message = agent.receive()
        if message["method"] == "initialize":
            settings = message["params"]["settings"]
            agent.send(id=message["id"], result={"name": "careless"})
        elif message["method"] == "run/start":
            agent.send(id=message["id"], result={})
            return settings
        elif message["method"] == "shutdown":
            return None


def work(careless_of):
    helper = None
    if careless_of == "crash":  # in a group of its own: who kills the agent's misses it
        helper = subprocess.Popen(["sleep", "600.125"], start_new_session=True)
    if careless_of == "back-pressure":
        write_and_drop()
    for _ in range(5):
        agent.say("and on ")
        time.sleep(0.02)
    if careless_of == "cancel":
        time.sleep(1.8)
    if helper:
        helper.kill()
        helper.wait()


runs = 0
while settings := start():
    runs += 1
    careless_of = settings["careless_of"]
    work(careless_of)
    if careless_of == "state" and runs > 1:
        agent.send(method="run/failed", params={"code": "already_done"})
        continue
    agent.finish()
    if careless_of == "stdout":
        print("done!", flush=True)
    if careless_of == "reuse":
        sys.exit(0)
    if careless_of == "shutdown":
        time.sleep(600)
