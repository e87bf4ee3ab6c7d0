# SPDX-License-Identifier: Apache-2.0
"""Lists, details and actions of the `ringside` command, on a node that works."""
import json

import pytest

from harness.client import Client
from harness.deadline import PATIENCE, until
from harness.stream import check_run

DONE, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
ENDLESS = '{"steps": 100000, "pause_ms": 20}'


def ask(node, *arguments):
    done = node.run(*arguments, "--json")
    assert done.returncode == DONE, done.stderr
    return json.loads(done.stdout)


def one_line(text):
    return len(text.strip().splitlines()) == 1


async def begin(client, **more):
    run_id = await client.chat(ENDLESS, agent="slow", **more)
    await client.until_event("agent_started", run_id)
    return run_id


async def test_an_open_run_is_listed_shown_and_cancelled(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await begin(client)
        row = next(row for row in ask(shared_node, "runs")["runs"] if row["run_id"] == run_id)
        assert row["user_id"] == user and row["agent"] == "slow" and row["state"] == "running"
        workers = [worker["name"] for worker in ask(shared_node, "workers")["workers"]]
        assert row["worker"] in workers
        assert [row["run_id"] for row in ask(shared_node, "runs", "--user", user)["runs"]] == [run_id]
        assert ask(shared_node, "runs", "--user", user, "--state", "queued")["runs"] == []
        assert ask(shared_node, "runs", "--user", user, "--agent", "echo")["runs"] == []

        info = ask(shared_node, "run-info", run_id)
        assert info["state"] == "running" and info["ended"] is False and info["trimmed"] is False
        assert info["events"]["by_type"]["agent_started"] == 1

        done = ask(shared_node, "cancel", "--wait", "--reason", "enough", run_id)
        assert done == {"run_id": run_id, "status": "cancelled"}
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["data"]["outcome"] == "cancelled"

        info = ask(shared_node, "run-info", run_id)
        assert info["state"] == "cancelled" and info["ended"] is True
        assert info["events"]["count"] == len(events)
        assert info["events"]["last_seq"] == events[-1]["seq"]
        assert ask(shared_node, "cancel", run_id)["status"] == "cancelled"
        assert ask(shared_node, "runs", "--user", user)["runs"] == []


async def test_a_run_that_failed_is_shown_with_its_agents_last_words(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat("hello", agent="crash")
        end = (await client.until_ended(run_id))[-1]
        failure = ask(shared_node, "run-info", run_id)["failure"]
        assert failure == end["data"] and failure["code"] == "agent_crashed"
        assert "something is very wrong" in failure["message"]
        assert "something is very wrong" in shared_node.run("run-info", run_id).stdout


async def test_a_user_is_listed_and_shown_with_connections_and_runs(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await begin(client)
        row = next(row for row in ask(shared_node, "users")["users"] if row["user_id"] == user)
        assert row["gateways"] == 1 and row["runs"] == 1 and row["head"] >= 3
        shown = ask(shared_node, "user", user)
        assert shown["epoch"] == client.welcome["epoch"] and shown["oldest"] == 1
        assert [run["run_id"] for run in shown["open_runs"]] == [run_id]
        assert shown["connected"][0]["role"] == "gateway"
        ask(shared_node, "cancel", "--wait", run_id)


def test_agents_and_gateways_are_listed(shared_node):
    agents = {row["agent"]: row for row in ask(shared_node, "agents")["agents"]}
    assert agents["echo"]["workers"] == 2 and agents["echo"]["room"] > 0
    gateways = ask(shared_node, "gateways")["gateways"]
    assert [row["pid"] for row in gateways if row["role"] == "gateway"] == \
        shared_node.pids("ringside-gateway")


async def test_history_shows_the_frames_a_client_saw(shared_node, user):
    async with Client(shared_node, user) as client:
        await client.until_ended(await client.chat("hello there", agent="echo"))
        frames = list(client.stream.raw.values())
    whole = shared_node.run("history", user, "--json")
    assert whole.returncode == DONE and whole.stdout.splitlines() == frames
    part = shared_node.run("history", user, "--from", "2", "--to", "3", "--json")
    assert part.stdout.splitlines() == frames[1:3]
    beyond = shared_node.run("history", user, "--from", "1000000", "--json")
    assert beyond.returncode == DONE and beyond.stdout == ""
    assert ask(shared_node, "user", user)["epoch"] == client.welcome["epoch"]
    people = shared_node.run("history", user)
    assert people.returncode == DONE and "hello" in people.stdout


@pytest.mark.parametrize("verb", [
    ("runs",), ("users",), ("workers",), ("gateways",), ("agents",)])
def test_lists_are_tables_for_people(shared_node, verb):
    done = shared_node.run(*verb)
    assert done.returncode == DONE and done.stdout.startswith(verb[0]), done.stderr


async def test_a_long_list_comes_whole_and_can_be_cut(shared_node, user):
    names = [f"{user}-{number}" for number in range(300)]  # more than a page
    async with Client(shared_node, names[0]):
        for name in names[1:]:
            async with Client(shared_node, name):
                pass
    rows = [row["user_id"] for row in ask(shared_node, "users", "--limit", "0")["users"]]
    assert len(rows) == len(set(rows)) and set(names) <= set(rows) and rows == sorted(rows)
    cut = ask(shared_node, "users", "--limit", "7")
    assert len(cut["users"]) == 7 and cut["more"] is True
    assert "--limit 0" in shared_node.run("users", "--limit", "7").stderr


@pytest.mark.parametrize("arguments", [
    ("run-info", "r-none"), ("user", "nobody-ever"), ("history", "nobody-ever"),
    ("cancel", "r-none"), ("kick", "nobody-ever"), ("drain", "no-such-part")])
def test_what_is_not_there_is_status_1_in_one_line(shared_node, arguments):
    done = shared_node.run(*arguments)
    assert done.returncode == FAILED and one_line(done.stderr), done.stderr
    assert done.stdout == ""


def test_a_state_that_runs_do_not_have_is_misuse(shared_node):
    done = shared_node.run("runs", "--state", "flying")
    assert done.returncode == USAGE and one_line(done.stderr)


async def test_a_kicked_user_is_disconnected_everywhere_and_may_come_back(shared_node, user):
    async with Client(shared_node, user) as first, Client(shared_node, user) as second, \
            Client(shared_node, user + "-other") as other:
        run_id = await begin(first)
        assert ask(shared_node, "kick", user)["told"] == 1
        assert await first.until_closed() == 4403 and await second.until_closed() == 4403
        assert "administrator" in first.socket.close_reason
        async with Client(shared_node, user, stream=first.stream) as again:
            await again.until_event("partial_result", run_id)  # the run goes on
            ask(shared_node, "cancel", run_id)
            await again.until_ended(run_id)
        assert await other.request("ping") == {}


async def test_a_shell_that_follows_a_kicked_user_is_told(shared_node, user):
    async with Client(shared_node, user):
        tail = shared_node.spawn("tail", "--user", user, "--json")
        try:
            until(lambda: len(ask(shared_node, "user", user)["connected"]) == 2, "the shell's link")
            assert ask(shared_node, "kick", user)["told"] == 2
            assert tail.wait(60) == FAILED
            assert "by an administrator" in tail.stderr.read()
        finally:
            tail.kill()


async def test_a_flooded_users_rate_is_shown(shared_node, user):
    async with Client(shared_node, user) as client:
        run_id = await client.chat('{"steps": 100000, "pause_ms": 1}', agent="slow")
        await client.until_event("partial_result", run_id, count=50)
        shown = ask(shared_node, "user", user)
        assert shown["events_taken"] > 0 and shown["taken_bytes"] > 0
        assert shown["history_bytes"] > 0 and shown["slowed"] == 0
        worker = next(row for row in ask(shared_node, "workers")["workers"]
                      if row["name"] == ask(shared_node, "run-info", run_id)["worker"])
        assert worker["events_taken"] > 0
        ask(shared_node, "cancel", "--wait", run_id)


async def test_paused_requests_wait_and_go_on_with_resume(node, user):
    async with Client(node, user) as client:
        assert ask(node, "pause") == {"paused": True, "queued": 0}
        run_id = await client.chat("hello", agent="echo")
        assert ask(node, "runs", "--state", "queued")["runs"][0]["run_id"] == run_id
        assert node.status()["paused"] is True
        assert ask(node, "resume")["paused"] is False
        check_run(await client.until_ended(run_id))


async def test_a_drained_worker_finishes_its_run_and_stays_away(node, user, tmp_path):
    async with Client(node, user) as client:
        run_id = await client.chat(json.dumps({"after": str(tmp_path / "go")}), agent="recalls")
        await client.until_event("partial_result", run_id)
        worker = ask(node, "runs")["runs"][0]["worker"]
        drain = node.spawn("drain", "--json", worker)
        until(lambda: any(row["state"] == "draining" for row in ask(node, "workers")["workers"]), "the drain")
        (tmp_path / "go").touch()
        gone = json.loads(drain.communicate(timeout=PATIENCE)[0])
        events = await client.until_ended(run_id)
        check_run(events)
        assert events[-1]["data"]["outcome"] == "success"
        assert gone["part"] == worker and gone["pid"] not in node.pids("ringside-worker")
        node.stderr.wait_for("was drained and stays away")
        assert len(node.pids("ringside-worker")) == 1
        check_run(await client.until_ended(await client.chat("still here?", agent="echo")))


async def test_a_drained_gateway_sends_its_clients_away_and_is_replaced_if_wanted(node, user):
    async with Client(node, user) as client:
        gateway = ask(node, "gateways")["gateways"][0]
        drain = node.spawn("drain", "--restart", gateway["name"])
        assert await client.until_closed() == 4001
        assert drain.wait(60) == DONE
        node.until_restarted("ringside-gateway", gateway["pid"])


async def test_a_drained_broker_keeps_everything_and_its_successor_goes_on(node, user):
    async with Client(node, user) as client:
        run_id = await begin(client)
        before = node.pids("ringside-broker")[0]
        assert ask(node, "drain", "--restart", "broker") == {"part": "broker", "pid": before}
        node.until_restarted("ringside-broker", before)
        count = len(client.stream.of_run(run_id))
        await client.until_event("partial_result", run_id, count=count + 5)
        until(lambda: node.run("cancel", run_id).returncode == DONE, "the cancel")
        check_run(await client.until_ended(run_id))
