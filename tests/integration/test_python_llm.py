# SPDX-License-Identifier: Apache-2.0
"""`ctx.llm` of the Python package, against a server that answers and fails as it is told to."""
import json
import sys

import pytest

from harness import llm_server
from harness.llm_server import KEY, answer, delta, event, page, problem
from harness.node import CONFIG, ROOT
from test_batch import Batch

sys.path.insert(0, str(ROOT / "clients/python"))

import ringside  # noqa: E402
from ringside.context import Context  # noqa: E402
from ringside.llm import open_stream  # noqa: E402


def ask(server, question, **options):
    return open_stream(question, **{"base_url": server.url + "/v1", "model": "test-1",
                                    "api_key": KEY, "timeout": 10} | options)


def refused(server, question, **options):
    with pytest.raises(ringside.LLMError) as caught:
        ask(server, question, **options).text()
    return caught.value


def test_pieces_come_one_by_one_and_the_end_says_why(server):
    taken = []
    server.on("pieces", answer("Hello, ", "☃ world", "."))
    stream = ask(server, "pieces", take=taken.append, temperature=0.5)
    assert list(stream) == taken == ["Hello, ", "☃ world", "."]
    assert (stream.text_so_far, stream.finish_reason) == ("Hello, ☃ world.", "stop")
    assert stream.usage["total_tokens"] == 15
    sent, = server.asked("pieces")
    assert sent["body"]["temperature"] == 0.5 and sent["path"] == "/v1"
    assert sent["body"]["messages"] == [{"role": "user", "content": "pieces"}]


@pytest.mark.parametrize("cut", [1, 7, "joined"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_it_does_not_matter_in_which_pieces_an_answer_comes(server, cut, newline):
    question = f"cut {cut} {newline!r}"
    whole = answer("Grüße, ", "☃ \U0001f980", newline=newline)
    whole.pieces = [b": keep-alive" + newline.encode() * 2, *whole.pieces]
    server.on(question, whole.joined() if cut == "joined" else whole.pieced(cut))
    assert ask(server, question).text() == "Grüße, ☃ \U0001f980"


@pytest.mark.parametrize("reply, status, message, retryable", [
    (problem(429, "slow down"), 429, "slow down", True),
    (problem(400, "no such model"), 400, "no such model", False),
    (page(502), 502, "Bad Gateway", True),
    (problem(302, "over there", headers={"Location": "http://127.0.0.1:1/"}), 302, "over there", False),
    (llm_server.Reply([event(delta(content="half"))], end="cut"), None, "broke off", True),
    (llm_server.Reply([event(delta(content="half"))]), None, "ended before it was complete", True),
    (llm_server.Reply([event("{not json")]), None, "no chunk of an answer", True),
    (llm_server.Reply([event([1])]), None, "no chunk of an answer", True),
    (llm_server.Reply([event({"error": {"message": "out of cards"}})]), None, "out of cards", True),
    (llm_server.Reply([b"data: " + b"x" * (3 << 20)]), None, "a line without an end", True),
])
def test_what_goes_wrong_is_raised_with_what_the_server_says(server, reply, status, message, retryable):
    server.on("wrong", reply)
    error = refused(server, "wrong")
    assert (error.status, error.retryable) == (status, retryable) and message in error.message


def test_a_server_that_is_silent_or_not_there_is_told(server):
    server.on("silent", answer("so far").ending("hang"))
    assert ask(server, "silent").text() == "so far"  # [DONE] had come
    server.on("silent", llm_server.Reply([event(delta(content="half"))], end="hang"))
    assert "broke off" in refused(server, "silent", timeout=0.2).message
    assert "no answer from" in refused(server, "x", base_url="http://127.0.0.1:1/v1").message


def test_the_key_comes_from_a_file_or_the_environment(server, tmp_path, monkeypatch):
    (tmp_path / "key").write_text(KEY + "\n")
    monkeypatch.setenv("MODEL_KEY", KEY)
    for where in ({"api_key_file": tmp_path / "key"}, {"api_key_env": "MODEL_KEY"}):
        server.on("key", answer("yes"))
        assert ask(server, "key", api_key=None, **where).text() == "yes"
    assert refused(server, "key", api_key="wrong").status == 401
    assert "has no NO_KEY" in refused(server, "key", api_key_env="NO_KEY").message


def test_a_stream_that_is_left_early_is_closed(server):
    dropped = server.drops
    server.on("left", llm_server.Reply([event(delta(content="one"))], end="hang"))
    with ask(server, "left") as stream:
        assert next(iter(stream)) == "one"
    with server._changed:
        assert server._changed.wait_for(lambda: server.drops > dropped, 30)


def test_without_a_server_it_is_said_what_is_missing():
    context = Context(None, None, {"agent": "a"}, {"run_id": "r", "thread_id": "t", "user_id": "u",
                                                   "input": {"content": "x"}})
    with pytest.raises(TypeError, match="base_url"):
        context.llm()


def test_an_agent_shows_what_the_model_says_and_the_settings_say_which(server, tmp_path):
    batch = Batch(tmp_path)
    (tmp_path / "key").write_text(KEY)
    model = {"base_url": server.url + "/v1", "model": "test-1", "api_key_file": str(tmp_path / "key")}
    batch.config = tmp_path / "ringside.yaml"
    batch.config.write_text(json.dumps({"agents": {"sdk": {
        "command": ["python3", str(CONFIG.parent / "sdk.py")], "settings": {"llm": model}}}}))
    server.on("asks_a_model", answer("Hel", "lo."))
    server.on("Once more?", answer("not shown"))
    batch.ask({"content": "asks_a_model"}, {"content": "is_refused_by_a_model"})
    batch.run("--agent", "sdk", "--events")
    results = batch.by_id()
    assert results["1"].get("text") == "Hello.", results
    assert results["1"]["result"] == {"finish_reason": "stop", "tokens": 15, "unseen": "not shown"}
    assert results["2"]["error"]["code"] == "agent_failed"
    assert "LLMError: 404: nothing is scripted for this" in results["2"]["error"]["message"]
