# SPDX-License-Identifier: Apache-2.0
"""Agents that are a language model, against a server that answers and fails as it is told to."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from harness import llm_server
from harness.client import Client
from harness.deadline import PATIENCE, until
from harness.llm_server import answer, calls, delta, event, page, problem
from harness.node import CONFIG, PROGRAMS, Node
from harness.stream import check_run

EXAMPLES = CONFIG.parents[2] / "examples"
TOOL = CONFIG.parent / "tool.py"
QUICK = {"retry_wait": "1ms", "max_wait": "2s", "retries": 2}


def provider(server, path="/v1", **more):
    return {"base_url": server.url + path, "model": "test-1", "api_key_file": "model.key"} | more


def agents_of(server):
    """Each with the settings its tests are about."""
    tools = {name: {"command": ["python3", str(TOOL), name], "timeout": "15m"} for name in ("wait", "says_why")}
    tools["says_why"] |= {"description": "Says why not.", "input_schema": {"type": "object", "properties": {}}}
    tools["denied"] = {"command": ["python3", str(TOOL), "wait"], "approval": "deny"}
    settings = {
        "plain": {"system": "Be brief.", "parameters": {"temperature": 0.5, "seed": 7}, "coalesce": "1s"},
        "tooled": {"max_steps": 3, "budget": 1000},
        "forgetful": {"history": 2},
        "one-by-one": {"parallel_tools": 1},
        "two": {"providers": [provider(server), provider(server, "/second/v1", model="test-2")]},
        "headed": {"providers": [provider(server, headers={"X-Team": "a b"}, usage=False, parameters={"seed": 9})],
                   "parameters": {"seed": 1, "top_p": 1}},
        "keyless": {"providers": [provider(server, api_key_file="another.key")]},
        "far": {"providers": [provider(server, base_url="http://127.0.0.1:1/v1"), provider(server)], "retries": 1},
        "patient": {"request_timeout": "200ms", "retries": 0},
        "kept": {},
        "steady": {"idle_timeout": "1s", "retries": 0},
        "hasty": {"first_byte_timeout": "100ms", "idle_timeout": "100ms", "retries": 0},
    }
    pools = {"kept": {"max_uses": 10}}
    return {name: {"kind": "llm", "pool": pools.get(name, {}),
                   "tools": tools if name in ("tooled", "one-by-one") else {},
                   "settings": QUICK | {"providers": [provider(server)]} | own}
            for name, own in settings.items()}


def write_config(folder, agents):
    for name in ("model.key", "another.key"):
        (folder / name).write_text(llm_server.KEY + "\n")
    path = folder / "ringside.yaml"
    path.write_text(json.dumps({"agents": agents}))  # JSON is YAML
    return path


@pytest.fixture(scope="module")
def llm_node(tmp_path_factory, server):
    from conftest import finish
    node = Node(config=write_config(tmp_path_factory.mktemp("llm"), agents_of(server)), workers=1)
    try:
        yield node.start()
    finally:
        finish(node)


class Run:
    """One run to its end, as a page sees it."""

    def __init__(self, events):
        check_run(events)
        self.events = events
        self.data = events[-1]["data"]

    def of(self, kind, member):
        return [found["data"][member] for found in self.events if found["type"] == kind and member in found["data"]]

    @property
    def text(self):
        return "".join(self.of("partial_result", "delta"))

    @property
    def thoughts(self):
        return "".join(self.of("agent_thinking", "delta"))


async def ask(node, user, question, agent="plain"):
    async with Client(node, user) as client:
        return Run(await client.until_ended(await client.chat(question, agent=agent)))


# ---- Answers ----

async def test_an_answer_is_shown_and_its_tokens_are_counted(llm_node, server, user):
    server.on("plain", answer("Hello, ", "☃ world", ".", thinking=("hm, ", "well")))
    run = await ask(llm_node, user, "plain")
    assert (run.text, run.thoughts) == ("Hello, ☃ world.", "hm, well")
    assert run.data["result"] == {"model": "test-1", "finish_reason": "stop", "steps": 1}
    assert run.data["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "steps": 1}
    sent, = server.asked("plain")
    assert sent["body"]["messages"] == [{"role": "system", "content": "Be brief."},
                                        {"role": "user", "content": "plain"}]
    assert (sent["body"]["temperature"], sent["body"]["seed"]) == (0.5, 7)


@pytest.mark.parametrize("cut", [1, 7, "joined"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
async def test_it_does_not_matter_in_which_pieces_an_answer_comes(llm_node, server, user, cut, newline):
    question = f"pieces {cut} {newline!r}"
    whole = answer("Grüße, ", "☃ \U0001f980", newline=newline)
    end = newline.encode()
    whole.pieces = [b"\xef\xbb\xbf: hello" + end, b"event: x" + end, b": keep-alive" + end * 2, *whole.pieces]
    server.on(question, whole.joined() if cut == "joined" else whole.pieced(cut))
    assert (await ask(llm_node, user, question)).text == "Grüße, ☃ \U0001f980"


async def test_a_server_that_is_done_and_does_not_close_is_not_waited_for(llm_node, server, user):
    before = server.drops
    server.on("done", *[answer("Done.").ending("hang")] * 2)
    for _ in range(2):
        assert (await ask(llm_node, user, "done", "kept")).text == "Done."
    until(lambda: server.drops >= before + 2, "the end of both connections")


async def test_what_comes_close_together_is_one_event_and_the_first_comes_alone(llm_node, server, user):
    server.on("coalesce", answer("first ", *(["more "] * 200)).joined())
    run = await ask(llm_node, user, "coalesce")
    shown = run.of("partial_result", "delta")
    assert shown[0] == "first " and "".join(shown) == "first " + "more " * 200
    assert len(shown) <= 4, "the window is a second"


async def test_parts_go_to_the_server_as_they_are(llm_node, server, user):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    parts = [{"type": "text", "text": "look "}, image]
    server.on("look ", answer("A dot."))
    assert (await ask(llm_node, user, parts)).text == "A dot."
    assert server.asked("look ")[0]["body"]["messages"][-1]["content"] == parts


async def test_a_server_that_says_neither_done_nor_usage_is_understood(llm_node, server, user):
    bare = answer("Fine.", used=None)
    bare.pieces.pop()
    server.on("bare", bare)
    run = await ask(llm_node, user, "bare")
    assert run.text == "Fine." and run.data["usage"]["estimated"] is True and run.data["usage"]["total_tokens"] > 10


async def test_an_answer_of_megabytes_is_shown_to_its_last_byte(llm_node, server, user):
    pieces = [f"{number:07} " * 512 for number in range(250)]
    server.on("much", answer(*pieces))
    assert (await ask(llm_node, user, "much")).text == "".join(pieces)


async def test_an_answer_beyond_what_may_be_is_refused(llm_node, server, user):
    server.on("too much", answer(*["x" * 65536] * 65))
    run = await ask(llm_node, user, "too much")
    assert run.data["code"] == "llm_bad_response" and "larger than 4 MiB" in run.data["message"]


async def test_a_provider_has_headers_and_parameters_of_its_own(llm_node, server, user):
    server.on("headed", answer("Yes."))
    await ask(llm_node, user, "headed", "headed")
    sent, = server.asked("headed")
    assert sent["headers"]["X-Team"] == "a b" and "stream_options" not in sent["body"]
    assert (sent["body"]["seed"], sent["body"]["top_p"]) == (9, 1)


async def test_a_process_that_serves_several_runs_keeps_its_connection(llm_node, server, user):
    server.on("kept", *[answer("Yes.")] * 3)
    for _ in range(3):
        assert (await ask(llm_node, user, "kept", "kept")).text == "Yes."
    assert len({sent["sender"] for sent in server.asked("kept")}) == 1


# ---- Tools ----

async def test_tools_go_on_side_by_side_and_the_model_is_told_of_each(llm_node, server, user):
    server.on("tools", calls(("a", "wait", {"ms": 30}), ("b", "says_why", {}), ("c", "wait", {"ms": 1}),
                             text=("Let me ", "look.")), answer("Done."))
    run = await ask(llm_node, user, "tools", "tooled")
    assert run.text == "Let me look.Done."
    messages = {found["message_id"] for found in run.events if found["type"] == "partial_result"}
    assert len(messages) == 2, "what was said before the tools is a message of its own"
    assert len(run.of("tool_executing", "tool_name")) == 3
    second = server.asked("tools")[1]["body"]["messages"]
    assert second[1]["content"] == "Let me look."
    assert [call["id"] for call in second[1]["tool_calls"]] == ["a", "b", "c"]
    offered = {tool["function"]["name"]: tool["function"] for tool in server.asked("tools")[0]["body"]["tools"]}
    assert offered["says_why"] == {"name": "says_why", "description": "Says why not.",
                                   "parameters": {"type": "object", "properties": {}}}
    told = {message["tool_call_id"]: json.loads(message["content"]) for message in second[2:]}
    assert told["a"] == {"waited_ms": 30} and told["c"] == {"waited_ms": 1}
    assert told["b"]["error"]["code"] == "no_such_file"
    assert run.data["usage"] == {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42, "steps": 2}
    kinds = [found["type"] for found in run.events]
    assert kinds.index("tool_completed") > len(kinds) - 1 - kinds[::-1].index("tool_executing")


async def test_no_more_tools_go_on_at_once_than_may(llm_node, server, user):
    server.on("one by one", calls(*((str(n), "wait", {"ms": 1}) for n in range(3))), answer("Done."))
    run = await ask(llm_node, user, "one by one", "one-by-one")
    kinds = [found["type"] for found in run.events if found["type"].startswith("tool_")]
    assert kinds == ["tool_executing", "tool_completed"] * 3


async def test_calls_that_make_no_sense_are_told_to_the_model(llm_node, server, user):
    server.on("nonsense", calls(("a", "wait", '{"ms": '), ("a", "nothing", {}), ("", "wait", {"ms": 1})),
              answer("Sorry."))
    run = await ask(llm_node, user, "nonsense", "tooled")
    told = [json.loads(message["content"]) for message in server.asked("nonsense")[1]["body"]["messages"][2:]]
    assert [one.get("error", {}).get("code") for one in told] == ["tool_bad_arguments", "tool_not_found", None]
    assert run.text == "Sorry."


async def test_a_tool_that_is_denied_is_told_to_the_model(llm_node, server, user):
    server.on("denied", calls(("a", "denied", {})), answer("Then not."))
    run = await ask(llm_node, user, "denied", "tooled")
    told, = [message for message in server.asked("denied")[1]["body"]["messages"] if message["role"] == "tool"]
    assert json.loads(told["content"])["error"]["code"] == "tool_denied" and run.text == "Then not."


async def test_a_model_that_never_stops_is_stopped(llm_node, server, user):
    server.on("steps", *[calls(("a", "wait", {"ms": 1}))] * 3)
    run = await ask(llm_node, user, "steps", "tooled")
    assert (run.data["code"], run.data["retryable"]) == ("llm_max_steps", False)
    assert len(server.asked("steps")) == 3 and len(run.of("tool_executing", "tool_name")) == 2


async def test_a_budget_ends_a_run_between_steps(llm_node, server, user):
    server.on("budget", calls(("a", "wait", {"ms": 1}), used=(900, 100)), answer("too late"))
    run = await ask(llm_node, user, "budget", "tooled")
    assert (run.data["code"], run.data["retryable"]) == ("llm_budget_exceeded", False)
    assert run.data["usage"] == {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000, "steps": 1}
    assert len(server.asked("budget")) == 1


# ---- What was said before ----

async def test_the_model_is_told_what_was_said_in_the_thread_before(llm_node, server, user):
    for question in ("memory 1", "memory 2"):
        server.on(question, answer(f"Answer to {question}. ", "\"☃\""))
    server.on("memory fails", answer("Half", finish="length"))
    server.on("memory elsewhere", answer("Other."))
    server.on("memory 3", answer("Third."))
    server.on("memory 4", answer("Fourth."))
    async with Client(llm_node, user) as client:
        for question, thread in [("memory 1", "t-1"), ("memory elsewhere", "t-2"), ("memory fails", "t-1"),
                                 ("memory 2", "t-1"), ("memory 3", "t-1")]:
            await client.until_ended(await client.chat(question, thread=thread, agent="plain"))
        await client.until_ended(await client.chat("memory 4", thread="t-1", agent="forgetful"))
    told = server.asked("memory 3")[0]["body"]["messages"]
    assert [(message["role"], message["content"]) for message in told[1:]] == [
        ("user", "memory 1"), ("assistant", 'Answer to memory 1. "☃"'),
        ("user", "memory fails"), ("assistant", "Half"),
        ("user", "memory 2"), ("assistant", 'Answer to memory 2. "☃"'), ("user", "memory 3")]
    assert [message["content"] for message in server.asked("memory 4")[0]["body"]["messages"]] == [
        "memory 3", "Third.", "memory 4"]


# ---- Answers that are none ----

@pytest.mark.parametrize("reply, code, text", [
    (answer("I cannot ", "do that.", member="refusal"), "llm_refused", "I cannot do that."),
    (answer("Once upon a", finish="length"), "llm_length", "Once upon a"),
    (answer("Take the", finish="content_filter"), "llm_content_filter", "Take the"),
], ids=["refusal", "length", "content_filter"])
async def test_an_answer_that_is_not_whole_is_shown_and_told(llm_node, server, user, reply, code, text):
    server.on(code, reply)
    run = await ask(llm_node, user, code)
    assert (run.data["code"], run.data["retryable"], run.text) == (code, False, text)
    assert len(server.asked(code)) == 1
    assert run.data["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "steps": 1}


BROKEN = answer("What was ", "shown")


@pytest.mark.parametrize("reply, code, retryable", [
    (llm_server.Reply(BROKEN.pieces[:3], end="cut"), "llm_stream_broken", True),
    (llm_server.Reply(BROKEN.pieces[:3]), "llm_stream_broken", True),
    (llm_server.Reply([*BROKEN.pieces[:3], event({"error": {"message": "overloaded"}})]), "llm_stream_broken", True),
    (llm_server.Reply([*BROKEN.pieces[:3], b"data: {\"choices\": [\n\n"]), "llm_bad_response", False),
    (llm_server.Reply([*BROKEN.pieces[:3], b"data: [1]\n\n"]), "llm_bad_response", False),
    (llm_server.Reply([*BROKEN.pieces[:3], b"data: " + b"x" * (1 << 21)]), "llm_bad_response", False),
], ids=["cut", "ended", "error", "not JSON", "not a piece", "endless line"])
async def test_what_breaks_after_something_was_shown_is_not_asked_again(
        llm_node, server, user, reply, code, retryable, request):
    question = "broken " + request.node.callspec.id
    server.on(question, reply, answer("another beginning"))
    run = await ask(llm_node, user, question)
    assert (run.data["code"], run.data["retryable"], run.text) == (code, retryable, "What was shown"[:len(run.text)])
    assert run.text and len(server.asked(question)) == 1
    assert run.data["usage"]["estimated"] is True and run.data["usage"]["completion_tokens"] == len(run.text) // 4 + 1


# ---- Setbacks ----

@pytest.mark.parametrize("reply", [
    problem(500), problem(503), page(502), problem(429), problem(408),
    llm_server.Reply([event(delta(role="assistant", content=""))], end="cut"),
    llm_server.Reply([event({"error": {"message": "overloaded", "code": 529}})]),
    llm_server.Reply([]),
], ids=["500", "503", "502 page", "429", "408", "cut", "error", "empty"])
async def test_what_fails_before_anything_was_shown_is_asked_again(llm_node, server, user, reply, request):
    question = "again " + request.node.callspec.id
    server.on(question, reply, reply, answer("At last."))
    run = await ask(llm_node, user, question)
    assert run.text == "At last." and len(server.asked(question)) == 3
    assert any("asking again" in status for status in run.of("agent_thinking", "status"))


@pytest.mark.parametrize("reply, code, retryable", [
    (problem(500), "llm_unavailable", True), (problem(429), "llm_rate_limited", True),
    (problem(429, headers={"Retry-After": "3600"}), "llm_rate_limited", True),
    (problem(429, code="insufficient_quota"), "llm_no_quota", False), (problem(402), "llm_no_quota", False),
    (problem(403), "llm_unauthorized", False), (problem(400, "too long"), "llm_rejected", False),
    (llm_server.Reply([], 302, {"Location": "http://127.0.0.1:9/"}), "llm_rejected", False),
    (page(200), "llm_bad_response", False), (llm_server.Reply([b"data: x\n\n"]), "llm_bad_response", False),
], ids=["500", "429", "429 for long", "no quota", "402", "403", "400", "302", "200 page", "nonsense"])
async def test_each_failure_has_its_code(llm_node, server, user, reply, code, retryable, request):
    question = "code " + request.node.callspec.id
    server.on(question, *[reply] * 9)
    run = await ask(llm_node, user, question)
    assert (run.data["code"], run.data["retryable"]) == (code, retryable)
    several = code in ("llm_unavailable", "llm_rate_limited") and "long" not in question
    assert len(server.asked(question)) == (1 + QUICK["retries"] if several else 1)
    assert ("too long" in run.data["message"]) == (code == "llm_rejected" and "400" in question)
    assert "usage" not in run.data


async def test_what_a_server_says_of_an_error_is_cut(llm_node, server, user):
    server.on("long words", llm_server.Reply([event({"error": {"message": "☃" * 100000, "code": 400}})]))
    run = await ask(llm_node, user, "long words")
    assert run.data["code"] == "llm_rejected" and 100 < run.data["message"].count("☃") < 200


async def test_a_server_that_says_when_is_not_asked_earlier(llm_node, server, user):
    server.on("later", problem(429, headers={"Retry-After": "1"}), answer("Now."))
    run = await ask(llm_node, user, "later")
    assert run.text == "Now."
    assert any("asking again in 1000 ms" in status for status in run.of("agent_thinking", "status"))


@pytest.mark.parametrize("reply, times", [(problem(500), 3), (problem(401), 1), (page(200), 1),
                                          (problem(429, headers={"Retry-After": "3600"}), 1)],
                         ids=["500", "401", "page", "429 for long"])
async def test_the_next_provider_is_asked_where_one_fails(llm_node, server, user, reply, times, request):
    question = "next " + request.node.callspec.id
    server.on(question, *[reply] * 9)
    server.on(question, answer("From the second."), path="/second/v1")
    run = await ask(llm_node, user, question, "two")
    assert run.text == "From the second." and run.data["result"]["model"] == "test-2"
    assert len(server.asked(question, "/v1")) == times
    second, = server.asked(question, "/second/v1")
    assert second["body"]["model"] == "test-2"


@pytest.mark.parametrize("reply", [llm_server.Reply([], before="hang"), answer("Well").ending("hang")],
                         ids=["no answer", "in the middle"])
async def test_a_server_that_goes_silent_is_not_waited_for(llm_node, server, user, reply, request):
    question = "silent " + request.node.callspec.id
    reply.pieces = reply.pieces[:2]
    server.on(question, reply)
    run = await ask(llm_node, user, question, "hasty")
    assert (run.data["code"], run.data["retryable"]) == ("llm_timeout", True)


async def test_an_answer_that_takes_too_long_as_a_whole_is_given_up(llm_node, server, user):
    server.on("drip", llm_server.Reply([b": keep-alive\n\n"], end="drip"))
    run = await ask(llm_node, user, "drip", "patient")
    assert (run.data["code"], run.data["retryable"]) == ("llm_timeout", True)


async def test_a_connection_that_does_not_come_about_is_not_waited_for(tmp_path, user):
    """Nobody accepts connections there, and no more may wait for it: the next one hears nothing."""
    from conftest import finish
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))
        port = listener.getsockname()[1]
        for waiting in [held.enter_context(socket.socket()) for _ in range(4)]:
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        settings = {"providers": [{"base_url": f"http://127.0.0.1:{port}/v1", "model": "test-1"}],
                    "connect_timeout": "50ms", "first_byte_timeout": "8s", "retries": 0}
        node = Node(config=write_config(tmp_path, {"plain": {"kind": "llm", "settings": settings}}), workers=1)
        try:
            run = await ask(node.start(), user, "anybody?")
        finally:
            finish(node)
    assert (run.data["code"], run.data["retryable"]) == ("llm_timeout", True)
    assert "the answer did not begin" not in run.data["message"]


async def test_an_answer_is_read_no_faster_than_events_are_taken(tmp_path, server, user):
    """What waits in between is bounded, and a server that has to wait is not taken for a silent one."""
    from conftest import finish
    texts = [f"{number} ".ljust(1024, ".") for number in range(3072)]
    reply = answer(*texts)
    reply.gate = threading.Event()
    server.on("flood", reply)
    node = Node(config=write_config(tmp_path, {"steady": agents_of(server)["steady"]}), workers=1,
                environment={"RINGSIDE_RING_BYTES": "64K", "RINGSIDE_RING_SPILL_BYTES": "64K"})
    try:
        async with Client(node.start(), user) as client:
            run_id = await client.chat("flood", agent="steady")
            await client.until_event("agent_started", run_id)
            until(lambda: server.asked("flood"), "the request")
            broker, = node.pids("ringside-broker")
            os.kill(broker, signal.SIGSTOP)
            reply.gate.set()
            before = server.stuck
            until(lambda: server.stuck >= before + 3, "the end of reading")
            os.kill(broker, signal.SIGCONT)
            run = Run(await client.until_ended(run_id))
    finally:
        finish(node)
    assert run.data["outcome"] == "success" and run.text == "".join(texts)


async def test_a_server_that_is_not_there_is_passed_over(llm_node, server, user):
    server.on("far", answer("Here."))
    run = await ask(llm_node, user, "far", "far")
    assert run.text == "Here."
    assert [("again" in status, "another" in status) for status in run.of("agent_thinking", "status")] == [
        (True, False), (False, True)]


async def test_a_key_that_is_gone_fails_the_run(llm_node, server, user):
    server.on("keyless", answer("Yes."), answer("Yes."))
    assert (await ask(llm_node, user, "keyless", "keyless")).text == "Yes."
    (llm_node.config.parent / "another.key").unlink()
    assert (await ask(llm_node, user, "keyless", "keyless")).data["code"] == "llm_unauthorized"
    assert len(server.asked("keyless")) == 1


async def test_a_cancel_ends_an_answer_in_its_middle(llm_node, server, user):
    reply = answer("Well, ", "now").ending("hang")
    reply.pieces = reply.pieces[:2]
    server.on("cancel", reply)
    before = server.drops
    async with Client(llm_node, user) as client:
        run_id = await client.chat("cancel", agent="plain")
        await client.until_event("partial_result", run_id)
        await client.request("run.cancel", run_id=run_id)
        run = Run(await client.until_ended(run_id))
        assert run.data["outcome"] == "cancelled" and run.text == "Well, "
        assert run.data["usage"]["estimated"] is True and run.data["usage"]["completion_tokens"] == 2
    until(lambda: server.drops > before, "the end of the request")


# ---- Start ----

@pytest.mark.parametrize("settings, reason", [
    ({}, "providers needs a list of at least one"),
    ({"providers": [{"base_url": "ftp://x", "model": "m"}]}, 'providers[0].base_url "ftp://x" is no http'),
    ({"providers": [{"base_url": "http://x", "model": "m", "api_key_file": "no.key"}]}, '"no.key": No such file'),
    ({"providers": [{"base_url": "http://x", "model": "m", "api_key_env": "NO_SUCH_KEY"}]},
     '"NO_SUCH_KEY" is not in the environment'),
    ({"providers": [{"base_url": "http://x", "model": "m"}], "max_step": 3}, "max_step is no setting"),
], ids=["nothing", "URL", "key file", "key variable", "unknown"])
def test_a_mistake_stops_the_worker_at_its_start(tmp_path, settings, reason):
    config = write_config(tmp_path, {"model": {"kind": "llm", "settings": settings}})
    done = subprocess.run([PROGRAMS["ringside-worker"], "--config", config, "--node-name", "no-such-node"],
                          capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert done.returncode != 0 and "agent model: its settings: " in done.stderr and reason in done.stderr


# ---- Elsewhere ----

def test_the_command_line_shows_an_answer(llm_node, server):
    server.on("from a terminal", answer("Hello."))
    done = llm_node.run("run", "--agent", "plain", "from a terminal")
    assert done.returncode == 0 and "Hello." in done.stdout


def test_the_example_works_with_its_tools(tmp_path, server):
    text = (EXAMPLES / "llm.yaml").read_text(encoding="utf-8")
    assert "http://127.0.0.1:8000/v1" in text
    (tmp_path / "llm.yaml").write_text(text.replace("http://127.0.0.1:8000/v1", server.url + llm_server.OPEN))
    (tmp_path / "agents").symlink_to(EXAMPLES / "agents")
    (tmp_path / "in.jsonl").write_text('{"content":"What is a ring?"}\n')
    server.on("What is a ring?", calls(("a", "search", {"query": "ring"})), answer("A place to write."),
              path=llm_server.OPEN)
    done = subprocess.run([PROGRAMS["ringside"].resolve(), "batch", "in.jsonl", "--config", "llm.yaml"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert json.loads(done.stdout)["text"] == "A place to write.", done.stderr
    told = server.asked("What is a ring?")[1]["body"]["messages"][-1]
    assert json.loads(told["content"]).get("error") is None


def test_a_batch_has_its_answers_and_its_failures(tmp_path, server):
    server.on("one", answer("First."))
    server.on("two", problem(400, "no"))
    config = write_config(tmp_path, agents_of(server))
    (tmp_path / "in.jsonl").write_text('{"content":"one"}\n{"content":"two"}\n')
    command = [PROGRAMS["ringside"].resolve(), "batch", "in.jsonl", "--agent", "plain", "--config", config]
    done = subprocess.run([*command, "--ordered"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    one, two = map(json.loads, done.stdout.splitlines())
    assert (one["text"], two["error"]["code"]) == ("First.", "llm_rejected") and done.returncode == 1
