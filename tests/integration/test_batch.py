# SPDX-License-Identifier: Apache-2.0
"""`ringside batch`: every request of a file runs without a node, and has exactly one result."""
import collections
import json
import os
import pathlib
import random
import signal
import subprocess

import pytest

from harness.deadline import PATIENCE, until
from harness.mounts import needs_mounts, with_tmpfs
from harness.node import CONFIG, EXAMPLE_AGENT, PROGRAMS, REPORTS, children

DONE, FAILED, USAGE = 0, 1, 2
SHM = pathlib.Path("/dev/shm")


class Batch:
    """A folder with a file of requests, and the command that works on it."""

    def __init__(self, folder):
        self.folder = folder
        self.requests = folder / "requests.jsonl"
        self.results = folder / "results.jsonl"
        self.config = CONFIG

    def ask(self, *requests):
        lines = (line if isinstance(line, str) else json.dumps(line) for line in requests)
        self.requests.write_text("".join(line + "\n" for line in lines))
        return self

    def command(self, *arguments, out=True):
        command = [str(PROGRAMS["ringside"]), "batch", str(self.requests), *arguments]
        return command + (["--out", str(self.results)] if out else [])

    def environment(self):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith("RINGSIDE_")}
        return kept | {"RINGSIDE_CONFIG": str(self.config)}

    def spawn(self, *arguments, wrapper=(), **options):
        return subprocess.Popen([*wrapper, *self.command(*arguments, **options)],
                                env=self.environment(), text=True, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *arguments, given=None, **options):
        process = self.spawn(*arguments, **options)
        out, said = process.communicate(given, 4 * PATIENCE)
        assert not REPORTS.search(said), said
        return process.returncode, out, said

    def lines(self):
        return [json.loads(line) for line in self.results.read_text().splitlines()]

    def by_id(self):
        """Results by request; that there is one each is checked here."""
        results = [line for line in self.lines() if line["type"] == "result"]
        counts = collections.Counter(result["request_id"] for result in results)
        assert not [name for name, count in counts.items() if count > 1]
        return {result["request_id"]: result for result in results}


@pytest.fixture
def batch(tmp_path):
    made = Batch(tmp_path)
    yield made
    assert not list(SHM.glob("ringside-batch-*")), "shared memory was left behind"


def echoes(count):
    return [{"content": f"number {n}", "agent": "echo"} for n in range(count)]


@pytest.fixture
def quick(batch):
    """With an agent that is a small program, so that many runs take little time."""
    batch.config = batch.folder / "quick.yaml"
    program = EXAMPLE_AGENT.resolve()
    batch.config.write_text(f"agents: {{echo: {{command: [{program}]}}}}\n")
    return batch


def test_each_request_has_one_result_and_the_summary_counts_them(batch):
    status, out, said = batch.ask(*echoes(6)).run("--jobs", "3")
    assert (status, out) == (DONE, "")
    assert list(sorted(batch.by_id())) == ["1", "2", "3", "4", "5", "6"]
    result = batch.by_id()["2"]
    assert result["status"] == "completed" and result["text"] == "number 1"
    assert result["result"] == {"words": 2} and result["duration_ms"] >= 0
    assert "6 requests: 6 completed, 0 failed, 0 cancelled" in said and "p99" in said


def test_results_go_to_standard_output_and_requests_come_from_standard_input(batch):
    given = '{"request_id": "a", "content": "one"}\n{"request_id": 7, "content": "two"}'
    batch.requests = "-"
    status, out, _ = batch.run("--agent", "echo", "--quiet", "--ordered", given=given, out=False)
    assert status == DONE
    assert [json.loads(line)["request_id"] for line in out.splitlines()] == ["a", "7"]


def test_lines_that_are_no_requests_are_told_by_number_and_stop_nothing(batch):
    status, _, said = batch.ask(
        '{"content": "good", "request_id": "good"}', "", "not json", '["a list"]',
        '{"request_id": "x"}', '{"content": ""}', '{"content": []}', '{"content": "x", "agent": "nobody"}',
        '{"content": "x", "request_id": "with space"}', '{"content": "x", "request_id": "good"}',
        '{"content": "x", "user_id": {}}', '{"content": "last"} trailing',
    ).run("--agent", "echo")
    assert status == FAILED
    assert list(batch.by_id()) == ["good"]
    for line, reason in [(3, "not one JSON object"), (4, "not one JSON object"),
                         (5, '"content" is missing'), (6, "neither a text nor a list"),
                         (7, "neither a text nor a list"), (8, 'no agent "nobody"'),
                         (9, '"request_id" is no identifier'),
                         (10, 'line 1 has the request_id "good" already'),
                         (11, '"user_id" is no identifier'), (12, "not one JSON object")]:
        assert any(f"line {line}: " in told and reason in told for told in said.splitlines()), line
    assert "10 lines are no requests" in said


def test_a_run_that_fails_says_why_and_the_rest_goes_on(batch):
    status, _, said = batch.ask(
        {"content": "x", "agent": "crash"}, {"content": "x", "agent": "exits-at-start"},
        {"content": "x", "agent": "echo"}).run()
    assert status == FAILED
    results = batch.by_id()
    assert results["1"]["status"] == "failed"
    assert results["1"]["error"]["code"] == "agent_crashed" and results["1"]["error"]["retryable"]
    assert results["2"]["error"]["code"] == "agent_start_failed"
    assert results["3"]["status"] == "completed"
    assert "1 × agent_crashed" in said and "1 × agent_start_failed" in said


def test_an_agent_that_asks_is_told_that_nobody_is_there(batch):
    plan = json.dumps({"ask": [{"reason": "May I?"}]})
    assert batch.ask({"agent": "asker", "content": plan}).run("--events")[0] == DONE
    assert "nobody to ask" in batch.results.read_text()


def test_events_stand_before_their_result_and_verify_finds_them_sound(batch):
    status, _, _ = batch.ask(*[{"content": "What is a ring?", "agent": "librarian"}] * 3).run(
        "--events", "--jobs", "3")
    assert status == DONE
    verified = subprocess.run([PROGRAMS["ringside"], "verify", "--complete", batch.results],
                              capture_output=True, text=True, check=False)
    assert verified.returncode == DONE, verified.stdout + verified.stderr
    open_run = None
    for line in batch.lines():
        if line["type"] == "result":
            assert line["run_id"] == open_run
            open_run = None
        else:
            assert open_run in (None, line["run_id"])
            open_run = line["run_id"]
            assert line["request_id"] in "123" and line["agent"] == "librarian"


def test_ordered_results_wait_for_those_before_them(batch):
    slow = {"content": '{"steps": 5, "pause_ms": 40}', "agent": "slow"}
    status, _, _ = batch.ask(slow, *echoes(5)).run("--ordered", "--jobs", "6")
    assert status == DONE
    assert [line["request_id"] for line in batch.lines()] == ["1", "2", "3", "4", "5", "6"]


def test_killed_at_random_and_given_again_it_repeats_and_loses_nothing(quick):
    quick.ask(*[{"request_id": f"q-{n}", "content": f"say {n}"} for n in range(300)])
    chance = random.Random(7)
    for _ in range(5):
        wanted = count_results(quick) + chance.randrange(1, 40)
        process = quick.spawn("--agent", "echo", "--jobs", "8", "--events")
        until(lambda: count_results(quick) >= wanted, "some results")
        process.kill()
        process.communicate()
    seen = {line["request_id"]: line["run_id"] for line in whole_lines(quick.results)
            if line["type"] == "result"}
    status, _, said = quick.run("--agent", "echo", "--jobs", "8", "--events")
    assert status == DONE, said
    results = quick.by_id()
    assert results.keys() == {f"q-{n}" for n in range(300)}
    assert all(results[name]["run_id"] == run for name, run in seen.items())
    assert "were done before" in said
    events = [line for line in quick.lines() if line["type"] != "result"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def count_results(batch):
    return batch.results.read_bytes().count(b'{"type":"result"') if batch.results.exists() else 0


def whole_lines(path):
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def test_half_a_line_and_events_without_a_result_are_cut_off(batch):
    assert batch.ask(*echoes(2)).run("--events")[0] == DONE
    text = batch.results.read_text()
    second = text.index("\n", text.index('{"type":"result"')) + 1
    batch.results.write_text(text[:-30])
    assert batch.run("--events")[0] == DONE
    assert set(batch.by_id()) == {"1", "2"}
    assert batch.results.read_text()[:second] == text[:second]
    events = [line for line in batch.lines() if line["type"] != "result"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("content", ["my diary\n", "my diary", '{"type":"shopping","milk":1}\n'])
def test_a_file_that_is_no_file_of_results_is_left_alone(batch, content):
    batch.results.write_text(content)
    status, _, said = batch.ask(*echoes(1)).run()
    assert status == USAGE and "is it a file of results?" in said
    assert batch.results.read_text() == content


def test_a_file_with_results_of_other_requests_is_left_alone(batch):
    assert batch.ask({"content": "x", "request_id": "other"}).run("--agent", "echo")[0] == DONE
    text = batch.results.read_text()
    status, _, said = batch.ask(*echoes(1)).run()
    assert status == USAGE and "all of other requests" in said
    assert batch.results.read_text() == text


def test_two_batches_do_not_write_one_file(batch):
    batch.ask({"content": '{"steps": 100000, "pause_ms": 10}', "agent": "slow"})
    first = batch.spawn()
    until(lambda: children(first.pid), "the first batch's agent")
    status, _, said = batch.run()
    assert status == USAGE and "another batch writes it" in said
    first.kill()
    first.communicate()


def test_what_may_work_later_is_tried_again(batch, tmp_path):
    status, _, said = batch.ask(
        {"content": f"{tmp_path}/one 2", "agent": "flaky"},
        {"content": f"{tmp_path}/two 9", "agent": "flaky"}).run("--retries", "3")
    assert status == FAILED
    results = batch.by_id()
    assert results["1"]["status"] == "completed" and results["1"]["attempts"] == 3
    assert results["2"]["status"] == "failed" and results["2"]["attempts"] == 4
    assert results["2"]["error"]["code"] == "not_yet"
    assert "5 attempts were tried again" in said


def test_what_failed_is_taken_out_and_run_again_when_asked(batch, tmp_path):
    batch.ask({"content": "before", "agent": "echo"},
              {"content": f"{tmp_path}/one 1", "agent": "flaky"},
              {"content": "behind", "agent": "echo"})
    assert batch.run("--events", "--ordered")[0] == FAILED
    runs = {name: result["run_id"] for name, result in batch.by_id().items()}
    assert batch.run("--events")[0] == FAILED  # it stays failed until it is asked for
    status, _, said = batch.run("--events", "--retry-failed")
    assert status == DONE, said
    results = batch.by_id()
    assert results["2"]["status"] == "completed"
    assert results["1"]["run_id"] == runs["1"] and results["3"]["run_id"] == runs["3"]
    verified = subprocess.run([PROGRAMS["ringside"], "verify", "--complete", batch.results],
                              capture_output=True, text=True, check=False)
    assert verified.returncode == DONE, verified.stdout


def test_an_interrupted_batch_lets_runs_end_and_goes_on_later(batch):
    batch.ask(*[{"content": '{"steps": 20, "pause_ms": 20}', "agent": "slow"}] * 3)
    process = batch.spawn("--jobs", "1")
    until(lambda: children(process.pid), "the first agent")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == FAILED and "requests are left" in said
    done = batch.results.read_text()
    assert batch.run("--jobs", "3")[0] == DONE
    assert batch.results.read_text().startswith(done) and len(batch.by_id()) == 3


def test_a_second_signal_cancels_and_what_was_cancelled_is_not_done(batch):
    batch.ask({"content": '{"steps": 100000, "pause_ms": 10}', "agent": "slow"})
    process = batch.spawn("--events")
    until(lambda: children(process.pid), "the agent")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == FAILED
    assert batch.results.read_text() == ""


@needs_mounts
def test_a_full_disk_stops_it_and_with_room_it_goes_on(quick):
    disk = quick.folder / "disk"
    disk.mkdir()
    quick.results = disk / "results.jsonl"
    quick.ask(*[{"content": "x" * 3000} for _ in range(20)])
    again = " ".join(quick.command("--agent", "echo", "--quiet"))
    script = f"{again}; echo $?; mount -o remount,size=1m {disk}; {again}; echo $?; " \
             f"grep -c result {disk}/results.jsonl"
    done = subprocess.run([*with_tmpfs(disk, "size=32k"), "sh", "-c", script], text=True,
                          env=quick.environment(), capture_output=True, timeout=4 * PATIENCE,
                          check=False)
    assert done.stdout.split() == [str(FAILED), str(DONE), "20"], done.stderr
    assert "No space left" in done.stderr


@pytest.mark.parametrize("arguments, reason", [
    (["--jobs", "0"], "--jobs"), (["--jobs", "many"], "--jobs"), (["--retries", "-1"], "--retries"),
    (["second.jsonl"], "takes one file"), (["--nonsense"], "--nonsense")])
def test_a_wrong_command_line_is_refused_with_its_reason(batch, arguments, reason):
    status, _, said = batch.ask(*echoes(1)).run(*arguments)
    assert status == USAGE and reason in said
    assert not batch.results.exists()


def test_a_missing_file_and_an_agent_that_cannot_run_are_named(batch):
    batch.requests = batch.folder / "nowhere.jsonl"
    status, _, said = batch.run()
    assert status == USAGE and "nowhere.jsonl: No such file" in said
    batch.config = batch.folder / "broken.yaml"
    batch.config.write_text("agents: {ghost: {description: None, command: [/no/such/program]}}\n")
    batch.requests = batch.folder / "requests.jsonl"
    status, _, said = batch.ask(*echoes(1)).run()
    assert status == USAGE and "ghost" in said


def test_where_nobody_can_be_asked_a_tool_that_needs_consent_is_denied(tmp_path):
    calls = [{"name": "guarded"}, {"name": "page"}, {"name": "wait"}]
    batch = Batch(tmp_path).ask({"agent": "caller", "content": json.dumps(calls)})
    assert batch.run()[0] == DONE
    line, = batch.by_id().values()
    assert [result.get("error", {}).get("code") for result in line["result"]] == [
        "tool_denied", "tool_unavailable", None]
