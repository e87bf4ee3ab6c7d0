# SPDX-License-Identifier: Apache-2.0
"""The agents of examples/, on real input: through a client's connection, at the shell, in a batch."""
import json
import random
import subprocess

import pytest

from harness.client import Client
from harness.deadline import PATIENCE
from harness.node import BUILD, EXAMPLE_AGENT, PROGRAMS, ROOT, Node
from harness.stream import check_run

EXAMPLES = ROOT / "examples/agents"
FILES = 2000
QUESTION = "Who keeps the lighthouse of Skerryvore?"
ANSWER = "The lighthouse of Skerryvore is kept by Ailsa Munro."
WHERE = "shelf-13/note-1313.md"
WORDS = "amber basalt cedar dune ember fjord granite harbour ivory juniper kelp lichen moss".split()


def write_library(folder):
    """Two thousand notes of words that mean nothing, and in one of them the answer."""
    chance = random.Random(20)
    for number in range(FILES):
        file = folder / f"shelf-{number // 100}" / f"note-{number}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        nothing = " ".join(chance.choices(WORDS, k=12))
        more = f"\n{ANSWER}\n" if str(file.relative_to(folder)) == WHERE else ""
        file.write_text(f"# Note {number}\n\n{nothing}.\n{more}")
    return folder


def configuration():
    def tool(name):
        return {"command": ["python3", str(EXAMPLES / "library_tool.py"), name], "timeout": "60s"}
    return {"agents": {
        "librarian": {"command": ["python3", str(EXAMPLES / "librarian.py")],
                      "tools": {name: tool(name) for name in ("list", "search", "read")}},
        "echo-python": {"command": ["python3", str(EXAMPLES / "echo.py")]},
        "echo-node": {"command": ["node", str(EXAMPLES / "echo.mjs")]},
        "echo-c": {"command": [str(EXAMPLE_AGENT.resolve())]},
        "countdown": {"kind": "native", "settings": {"pause_ms": 1},
                      "library": str(BUILD.resolve() / "examples/example-native.so")}}}


@pytest.fixture(scope="module")
def example_node(tmp_path_factory):
    from conftest import finish
    folder = tmp_path_factory.mktemp("examples")
    config = folder / "ringside.yaml"
    config.write_text(json.dumps(configuration()))  # JSON is YAML
    node = Node(config=config, workers=1, environment={
        "LIBRARIAN_FOLDER": str(write_library(folder / "library")), "LIBRARIAN_PACE_MS": "0"})
    try:
        yield node.start()
    finally:
        finish(node)


async def through_a_client(node, user, agent, content):
    async with Client(node, user) as client:
        run_id = await client.chat(content, agent=agent)
        events = await client.until_ended(run_id)
        check_run(events)
        return client.stream.text_of(run_id), events[-1]["data"].get("result")


def at_the_shell(node, user, agent, content):
    done = node.run("run", "--user", user, "--agent", agent, "--json", content)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    text = "".join(event["data"].get("delta", "") for event in events
                   if event["type"] == "partial_result" and "tool_call_id" not in event)
    return text, events[-1]["data"].get("result")


def in_a_batch(node, agent, content):
    given = json.dumps({"agent": agent, "content": content})
    done = subprocess.run([PROGRAMS["ringside"], "batch", "-", "--quiet"], input=given, text=True,
                          env=node.environment, capture_output=True, timeout=4 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    return result["text"], result.get("result")


async def by(way, node, user, agent, content):
    if way == "client":
        return await through_a_client(node, user, agent, content)
    return at_the_shell(node, user, agent, content) if way == "shell" else \
        in_a_batch(node, agent, content)


WAYS = ["client", "shell", "batch"]


@pytest.mark.parametrize("way", WAYS)
async def test_the_librarian_finds_the_one_note_of_two_thousand(example_node, user, way):
    text, result = await by(way, example_node, user, "librarian", QUESTION)
    first = result["passages"][0]
    assert (first["file"], first["line"]) == (WHERE, 5)
    assert f"{WHERE}, line 5" in text and f"“{ANSWER}”" in text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("agent", ["echo-python", "echo-node", "echo-c"])
async def test_an_echo_says_every_word(example_node, user, agent, way):
    assert await by(way, example_node, user, agent, "one two ☃") == ("one two ☃", {"words": 3})


@pytest.mark.parametrize("way", WAYS)
async def test_the_native_agent_counts_down(example_node, user, way):
    assert await by(way, example_node, user, "countdown", "3") == ("3\n2\n1\n", {"done": True})


async def test_node_s_echo_stops_when_it_is_cancelled(example_node, user):
    async with Client(example_node, user) as client:
        run_id = await client.chat("word " * 20000, agent="echo-node")
        await client.until_event("partial_result", run_id)
        await client.request("run.cancel", run_id=run_id)
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["data"]["outcome"] == "cancelled"
        assert len(client.stream.text_of(run_id).split()) < 20000
