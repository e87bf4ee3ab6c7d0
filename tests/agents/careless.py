#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does all that is asked of an agent but one thing, which its settings name: {"careless_of": …}."""
import os
import queue
import subprocess
import sys
import threading
import time

import agent

PIECES = 300
inbox = queue.Queue()


def read_stdin():
    while True:
        message = agent.receive()
        inbox.put(message)
        if message["method"] == "shutdown":
            return


def start():
    """The settings of one run; None when there will be no other."""
    settings = {}
    while True:
        message = inbox.get()
        if message["method"] == "initialize":
            settings = message["params"]["settings"]
            agent.send(id=message["id"], result={"name": "careless"})
        elif message["method"] == "run/start":
            agent.send(id=message["id"], result={})
            return settings
        elif message["method"] == "shutdown":
            return None


def write_and_drop():
    """What does not fit at once is lost."""
    os.set_blocking(1, False)
    for number in range(PIECES):
        line = f'{{"jsonrpc":"2.0","method":"event","params":{{"type":"partial_result",' \
               f'"data":{{"delta":"{number} and so on, "}}}}}}\n'
        try:
            os.write(1, line.encode())
        except BlockingIOError:
            pass
    os.set_blocking(1, True)


def work(careless_of):
    """Whether it came to its end: not when it was cancelled."""
    if careless_of == "back-pressure":
        write_and_drop()
    for _ in range(10):
        agent.say("and on ")
        time.sleep(0.02)
        if inbox.empty():
            continue
        inbox.get()
        if careless_of == "cancel":
            time.sleep(600)
        return False
    return True


def serve(careless_of, runs):
    helper = None
    if careless_of == "crash":  # in a group of its own: who kills the agent's misses it
        helper = subprocess.Popen(["sleep", "600.125"], start_new_session=True)
    whole = work(careless_of)
    if helper:
        helper.kill()
        helper.wait()
    if careless_of == "state" and runs > 1:
        agent.send(method="run/failed", params={"code": "already_done"})
        return
    agent.finish(outcome="success" if whole else "cancelled")
    if careless_of == "stdout":
        print("done!", flush=True)
    if careless_of == "shutdown" and whole:
        time.sleep(600)


threading.Thread(target=read_stdin, daemon=True).start()
runs = 0
while settings := start():
    runs += 1
    serve(settings["careless_of"], runs)
    if settings["careless_of"] == "reuse":
        sys.exit(0)
