# SPDX-License-Identifier: Apache-2.0
"""`ringside agents --check`: a sound agent passes, and each check has an agent that fails it and no other."""
import concurrent.futures
import json
import subprocess

import pytest

from harness import llm_server
from harness.node import BUILD, CONFIG, EXAMPLE_AGENT, PROGRAMS, ROOT
from test_batch import Batch

AGENTS, EXAMPLES = CONFIG.parent, ROOT / "examples/agents"
DONE, FAILED, USAGE = 0, 1, 2
# Who is careless does not do it at all, so this is only what the test waits for that.
IMPATIENT = ["--worker-cancel-grace", "3s", "--worker-kill-grace", "200ms"]
AT_ONCE = 6


def python(program, *arguments, **more):
    return {"command": ["python3", "-S", str(program), *arguments]} | more


def careless(of, uses=1):
    return python(AGENTS / "careless.py", settings={"careless_of": of}, pool={"max_uses": uses})


def tools(program, *names):
    return {name: python(program, name) for name in names}


GOOD = {
    "echo": python(EXAMPLES / "echo.py"),
    "echo-c": {"command": [str(EXAMPLE_AGENT.resolve())]},
    "librarian": python(EXAMPLES / "librarian.py",
                        tools=tools(EXAMPLES / "library_tool.py", "list", "search", "read")),
    "native": {"kind": "native", "library": str(BUILD.resolve() / "examples/example-native.so"),
               "settings": {"pause_ms": 20}},
    "reused": careless("nothing", uses=5),
}
BAD = {
    "start": python(AGENTS / "exits.py", "start"),
    "run": python(AGENTS / "exits.py"),
    "tools": python(AGENTS / "tools.py", "garbled", tools=tools(AGENTS / "tool.py", "garbled")),
    "stdout": careless("stdout"),
    "cancel": careless("cancel"),
    "crash": careless("crash"),
    "back-pressure": careless("back-pressure"),
    "reuse": careless("reuse", uses=3),
    "shutdown": careless("shutdown"),
}
REASONS = {
    "start": "no configuration", "run": "exited with status 3", "tools": "tool_bad_output",
    "stdout": "behind the message that ended its run", "cancel": "after run/cancel",
    "crash": "1 of its processes lived on", "back-pressure": "it lost some",
    "reuse": "its process left", "shutdown": "after shutdown"}


class Checks(Batch):
    """The command, on a configuration of its own."""

    def __init__(self, folder, **environment):
        super().__init__(folder)
        self.more = environment

    def environment(self):
        return super().environment() | self.more

    def declare(self, agents):
        self.config = self.folder / "ringside.yaml"
        self.config.write_text(json.dumps({"agents": agents}))  # JSON is YAML
        return self

    def command(self, *arguments, out=False):
        return [str(PROGRAMS["ringside"]), "agents", "--check", *arguments]

    def findings(self, *arguments):
        status, out, said = self.run("--json", *IMPATIENT, *arguments)
        return status, {row["agent"]: row for row in json.loads(out)["agents"]}, said


@pytest.fixture
def checks(tmp_path):
    return Checks(tmp_path)


def verdicts(row):
    return {name: check["verdict"] for name, check in row["checks"].items()}


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """What the checks say of each agent of both tables; a few commands at once, as they wait much."""
    shelf = tmp_path_factory.mktemp("shelf")
    (shelf / "rings.md").write_text("A ring is a queue of events in shared memory.\n")

    def check(name, agent):
        checks = Checks(tmp_path_factory.mktemp(name), LIBRARIAN_FOLDER=str(shelf),
                        LIBRARIAN_PACE_MS="5")
        content = "20" if name == "native" else "What is a ring?"
        return checks.declare({name: agent}).findings("--input", content)
    agents = GOOD | BAD | {"state": careless("state", uses=2)}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(agents, pool.map(check, agents, agents.values())))


@pytest.mark.parametrize("name", GOOD)
def test_a_sound_agent_passes_every_check_that_applies(findings, name):
    status, rows, said = findings[name]
    found = verdicts(rows[name])
    assert status == DONE and rows[name]["failed"] == 0, rows
    assert found.pop("tools") == ("ok" if "tools" in GOOD[name] else "not_applicable")
    assert found.pop("reuse") == ("ok" if "pool" in GOOD[name] else "not_applicable")
    assert set(found.values()) == {"ok"}, rows
    assert said == ""


@pytest.mark.parametrize("name", BAD)
def test_each_check_is_failed_by_the_agent_that_is_careless_of_it(findings, name):
    status, rows, _ = findings[name]
    checked = rows[name]["checks"]
    assert status == FAILED and rows[name]["failed"] == 1, checked
    assert checked[name]["verdict"] == "failed" and REASONS[name] in checked[name]["text"], checked
    assert checked[name]["advice"]


def test_an_agent_that_is_a_model_passes_as_well(checks, tmp_path):
    server = llm_server.LlmServer()
    (tmp_path / "model.key").write_text(llm_server.KEY)
    provider = {"base_url": server.url + "/v1", "model": "test-1", "api_key_file": "model.key"}
    server.on("Speak.", *[llm_server.answer("A ring is ", "a queue.") for _ in range(20)])
    status, rows, _ = checks.declare({"model": {
        "kind": "llm", "settings": {"providers": [provider]}, "pool": {"max_uses": 3}}}).findings(
        "--input", "Speak.")
    server.close()
    found = verdicts(rows["model"])
    assert status == DONE and found.pop("tools") == "not_applicable"
    assert set(found.values()) == {"ok"}, rows


def test_an_agent_that_is_not_itself_in_its_second_run_fails_the_reuse(findings):
    _, rows, _ = findings["state"]
    assert rows["state"]["failed"] == 1
    assert "run 2 of one process: already_done" in rows["state"]["checks"]["reuse"]["text"]


def test_a_helper_that_lived_on_is_ended_by_the_check(findings):
    assert findings["crash"]
    left = subprocess.run(["pgrep", "-f", "sleep 600.125"], capture_output=True, text=True, check=False)
    assert not left.stdout, "a process of the agent was left behind"


def test_garbage_is_told_of_the_run_and_of_stdout_and_the_rest_does_not_apply(checks):
    _, rows, _ = checks.declare({"garbage": python(AGENTS / "garbage.py")}).findings()
    found = verdicts(rows["garbage"])
    assert (found.pop("start"), found.pop("run"), found.pop("stdout")) == ("ok", "failed", "failed")
    assert set(found.values()) == {"not_applicable"}
    assert "Loading model" in rows["garbage"]["checks"]["run"]["text"]


def test_the_table_has_a_row_for_each_agent_and_says_what_to_do(checks):
    status, out, said = checks.declare(
        {"echo": GOOD["echo-c"], "broken": {"command": ["/no/such/program"]}}).run()
    lines = out.splitlines()
    assert status == FAILED and said == ""
    assert lines[0].split() == ["agent", "start", "run", "tools", "stdout", "cancel", "crash",
                                "back-pressure", "reuse", "shutdown"]
    assert lines[1].split() == ["echo", "ok", "ok", "-", "ok", "ok", "ok", "ok", "-", "ok"]
    assert lines[2].split() == ["broken", "FAILED"] + 8 * ["-"]
    assert "its program /no/such/program is not there" in lines[3] and lines[4].strip()
    assert lines[-1] == "2 agents checked, 1 failed"


def test_only_those_that_are_named_are_checked(checks):
    checks.declare({"echo": GOOD["echo-c"], "broken": {"command": ["/no/such/program"]}})
    status, rows, _ = checks.findings("echo")
    assert status == DONE and list(rows) == ["echo"]


@pytest.mark.parametrize("arguments, reason", [
    (["nobody"], "has no agent nobody"), (["--timeout", "soon"], "--timeout"),
    (["--nonsense"], "--nonsense")])
def test_a_wrong_command_line_is_refused_with_its_reason(checks, arguments, reason):
    status, out, said = checks.declare({"echo": GOOD["echo-c"]}).run(*arguments)
    assert status == USAGE and reason in said and not out


def test_without_agents_there_is_nothing_to_check(checks):
    status, _, said = checks.declare({}).run()
    assert status == USAGE and "has no agents" in said


def test_with_verbose_the_agents_stderr_is_shown(checks):
    checks.declare({"crash": python(AGENTS / "crash.py", tools=tools(AGENTS / "tool.py", "wait"))})
    status, _, said = checks.run("--verbose")
    assert status == FAILED and "something is very wrong" in said
