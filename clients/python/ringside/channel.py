# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC 2.0 with the worker, one message a line, over what were stdin and stdout.

The two descriptors are taken away from the rest of the process: what the agent or its libraries
print goes to stderr, the run's log, and what they read from stdin is empty.
"""
import json
import os
import sys
import threading


class Answer:
    """What will come back for one request of ours."""

    def __init__(self):
        self._come = threading.Event()
        self._message = None

    def give(self, message):
        self._message = message
        self._come.set()

    def wait(self):
        """The answer's message; None when the worker is gone."""
        self._come.wait()
        return self._message


class Channel:
    """Any thread may send. One thread calls `messages`, which also hands out answers."""

    def __init__(self):
        self._out = os.dup(1)
        self._in = os.fdopen(os.dup(0), "rb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        sys.stdout.reconfigure(line_buffering=True)
        self._lock = threading.Lock()
        self._answers = {}
        self._number = 0

    def send(self, **message):
        line = json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":"), allow_nan=False)
        data = memoryview(line.encode("ascii") + b"\n")
        with self._lock:
            while data:
                data = data[os.write(self._out, data):]

    def request(self, method, params):
        answer = Answer()
        with self._lock:
            self._number += 1
            number = self._number
            self._answers[number] = answer
        self.send(id=number, method=method, params=params)
        return answer

    def messages(self):
        """The worker's requests and notifications, until it closes the line."""
        for line in self._in:
            message = json.loads(line)
            if "method" in message:
                yield message
            else:
                self._take_answer(message)
        with self._lock:
            left = list(self._answers.values())
        for answer in left:
            answer.give(None)

    def _take_answer(self, message):
        with self._lock:
            answer = self._answers.pop(message.get("id"), None)
        if answer:
            answer.give(message)
