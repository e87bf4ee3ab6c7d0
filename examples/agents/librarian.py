#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Answers a question from a folder of text files, without a model.

It lists the folder, searches it for the question, reads around the best places, all with tools
that the worker runs (library_tool.py), and quotes what it found, word by word.

    LIBRARIAN_FOLDER   the folder; default: the `docs` of the project this file belongs to
    LIBRARIAN_PACE_MS  pause after each word of the answer; default 15
"""
import itertools
import json
import os
import queue
import re
import sys
import threading

PACE_MS = float(os.environ.get("LIBRARIAN_PACE_MS") or 15)
PASSAGES = 3
QUOTE_WORDS = 60
LINES_AROUND = 12


class Cancelled(Exception):
    pass


class ToolFailed(Exception):
    def __init__(self, error):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code") or "tool_failed"


class Worker:
    """The other side of stdin and stdout. Messages are read by a thread of their own; answers go
    to whoever waits for them, a cancel is noted, everything else is put into `inbox`."""

    def __init__(self):
        self.inbox = queue.Queue()
        self.cancelled = threading.Event()
        self._ids = itertools.count(1)
        self._answers = {}
        self._write_lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in sys.stdin:
            message = json.loads(line)
            if "method" not in message:
                self._answers.pop(message["id"]).put(message)
            elif message["method"] == "run/cancel":
                self.cancelled.set()
            else:
                self.inbox.put(message)
        self.cancelled.set()
        self.inbox.put({"method": "shutdown"})

    def send(self, **message):
        with self._write_lock:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            sys.stdout.flush()

    def event(self, kind, **data):
        if self.cancelled.is_set():
            raise Cancelled
        self.send(method="event", params={"type": kind, "data": data})

    def start_tool(self, name, **args):
        """Begins a call and returns at once; finish_tool waits for its result."""
        if self.cancelled.is_set():
            raise Cancelled
        call = f"t-{next(self._ids)}"
        answer = self._answers[call] = queue.Queue()
        self.send(id=call, method="tool/call", params={"name": name, "args": args})
        return answer

    def finish_tool(self, answer):
        message = answer.get()
        if "error" in message:
            raise ToolFailed(message["error"])
        outcome = message["result"]
        if outcome["status"] == "cancelled":
            raise Cancelled
        if outcome["status"] != "ok":
            raise ToolFailed(outcome["error"])
        return outcome["result"]

    def tool(self, name, **args):
        return self.finish_tool(self.start_tool(name, **args))

    def say(self, text):
        """Streams text in pieces of a word, at a pace that can be read along."""
        for piece in re.findall(r"\s*\S+\s*$|\s*\S+", text) or [text]:
            self.event("partial_result", delta=piece)
            if self.cancelled.wait(PACE_MS / 1000):
                raise Cancelled


def question_of(params):
    content = params["input"]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content if isinstance(part, dict))


def quote_of(passage, hit):
    """The paragraph that was found, or the row of a table, as it stands in the file; cut when it
    is long."""
    lines = [line.strip() for line in passage["text"].splitlines()[hit["line"] - passage["line"]:]]
    if lines and lines[0].startswith("|"):
        words = " – ".join(filter(None, map(str.strip, lines[0].strip("|").split("|")))).split()
    else:
        paragraph = itertools.takewhile(
            lambda line: line and not line.startswith(("|", "#", "```")), lines)
        words = " ".join(paragraph).split()
    return " ".join(words[:QUOTE_WORDS]) + (" …" if len(words) > QUOTE_WORDS else "")


def read_around(worker, hits):
    """The places of all hits, read at the same time."""
    calls = [worker.start_tool("read", file=hit["file"], line=hit["line"], lines=LINES_AROUND)
             for hit in hits]
    return [worker.finish_tool(call) for call in calls]


def say_passages(worker, hits, passages):
    places = "one place" if len(hits) == 1 else f"{len(hits)} places"
    worker.say(f"I found {places} that speak to this.\n\n")
    for hit, passage in zip(hits, passages):
        under = f", under “{hit['heading']}”" if hit["heading"] else ""
        worker.say(f"{hit['file']}, line {hit['line']}{under}:\n")
        worker.say(f"“{quote_of(passage, hit)}”\n\n")


def answer(worker, question):
    worker.event("agent_thinking", status="Looking at what is in the folder")
    shelf = worker.tool("list")
    worker.event("agent_thinking", status=f"Searching {shelf['count']} files")
    found = worker.tool("search", query=question, limit=PASSAGES) if question.strip() else {
        "paragraphs": 0, "hits": []}
    hits = found["hits"]
    if not hits:
        worker.say(f"None of the {shelf['count']} files says anything about this.")
        return {"passages": []}
    worker.event("agent_thinking", status=f"Reading {len(hits)} of {found['paragraphs']} paragraphs")
    say_passages(worker, hits, read_around(worker, hits))
    return {"passages": [{key: hit[key] for key in ("file", "line", "score")} for hit in hits]}


def run(worker, params):
    try:
        result = answer(worker, question_of(params))
        worker.send(method="run/finished", params={"result": result})
    except Cancelled:
        worker.send(method="run/finished", params={"outcome": "cancelled"})
    except ToolFailed as failure:
        worker.send(method="run/failed", params={
            "code": failure.code if isinstance(failure.code, str) else "tool_failed",
            "message": f"a tool failed: {failure}", "retryable": True})


def main():
    worker = Worker()
    while True:
        message = worker.inbox.get()
        if message["method"] == "initialize":
            worker.send(id=message["id"], result={"name": "librarian", "version": "1"})
        elif message["method"] == "run/start":
            worker.send(id=message["id"], result={})
            run(worker, message["params"])
        elif message["method"] == "shutdown":
            break


if __name__ == "__main__":
    main()
