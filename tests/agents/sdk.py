#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An agent on the Python package; its content names the function below that it runs."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients/python"))

import ringside  # noqa: E402


def shows(ctx):
    ctx.thinking("counting")
    print("this goes to the log")
    ctx.reasoning("one and one")
    ctx.text("two", message_id="m-1")
    ctx.text(" ☃", message_id="m-1", final=True)
    ctx.error("slow_network", "it took two tries")
    assert sys.stdin.read() == ""
    return {"agent": ctx.agent, "tools": [ctx.tools[name] for name in sorted(ctx.tools)], "run_id": ctx.run_id}


def calls(ctx):
    pending = [ctx.start_tool("wait", ms=ms) for ms in (30, 10)]
    results = [tool.result()["waited_ms"] for tool in pending]
    for name in ("says_why", "nothing"):
        try:
            ctx.tool(name)
        except ringside.ToolError as error:
            results.append(error.code)
    return results


def asks(ctx):
    first = ctx.ask("Which colour?", {"colours": ["red", "blue"]})
    sure = ctx.approve("Sure?")
    return [first.status, first.payload, sure, ctx.ask("Still there?", seconds=0.1).status]


def asks_a_model(ctx):
    answer = ctx.llm()
    pieces = list(answer)
    unseen = ctx.llm("Once more?", show=False).text()
    assert "".join(pieces) == answer.text_so_far
    return {"finish_reason": answer.finish_reason, "tokens": answer.usage["total_tokens"],
            "unseen": unseen}


def is_refused_by_a_model(ctx):
    return ctx.llm("a question without an answer").text()


def sleeps(ctx):
    ctx.text("good night")
    try:
        time.sleep(600)
    finally:
        ctx.text(", cleaned up")


def floods(ctx):
    while True:
        ctx.text("x" * 30000)


def swallows(ctx):
    ctx.text("try to stop me")
    while True:
        try:
            ctx.tool("wait", ms=600000)
        except Exception:  # a cancel is none
            pass


def breaks(_ctx):
    return {}["missing"]


def refuses(_ctx):
    raise ringside.AgentFailure("no_quota", "come back tomorrow", retryable=True)


def returns_nonsense(_ctx):
    return object()


FUNCTIONS = {function.__name__: function for function in (
    shows, calls, asks, asks_a_model, is_refused_by_a_model, sleeps, floods, swallows, breaks, refuses, returns_nonsense)}


@ringside.agent(version="2")
def sdk(ctx):
    return FUNCTIONS[ctx.input](ctx)


sdk.serve()
