# SPDX-License-Identifier: Apache-2.0
"""The broker is killed at each of its named steps (broker/failpoints/steps.def): the first time it
comes there in its life, and again at a later pass. Around it programs emit and die, agents work, and
clients ask, follow and read the past. After each death every event whose emit has succeeded must
come, once, in order, on every client, and at the end every run must have ended, once."""
import asyncio
import os
import random
import signal
import threading

import pytest

from harness.account import Account, check_ledger, read_ledger
from harness.deadline import PATIENCE, Missed, until
from harness.failpoints import STEPS, Failpoints, compiled_in
from harness.parts import Parts
from harness.recorder import Recorder

USERS = ["ann", "bob"]
LATER = {"turn": 80, "start": 2, "stop": 2}  # the later pass is at most this one; else:
LATER_RARE = 4
PASS_SECONDS = 5  # for the broker to come by a step that a death brings about
TIMES = {"request": 3}  # how often it is killed at a later pass; else once

pytestmark = pytest.mark.skipif(
    not compiled_in(), reason="this build has no failpoints: meson setup -Dfailpoints=true")


class Matrix:
    """A node that is never at rest, and a loop of its own for its clients."""

    def __init__(self, folder, chance):
        self.chance = chance
        self.failpoints = Failpoints(folder / "failpoints")
        self.node = Parts(workers=2, gateways=1, environment=self.failpoints.environment | {
            "RINGSIDE_HISTORY_SYNC_INTERVAL": "20ms", "RINGSIDE_RING_COUNT": "64"})
        for number in range(2):
            self.node.add_emitter(f"e-{number}", USERS, 150, seed=chance.randrange(10 ** 6))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.accounts = {user: Account(user) for user in USERS}
        self.recorders = []
        self.answered = {}
        self.reading = self.asking = None

    def call(self, coroutine, seconds=8 * PATIENCE):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    # ---- The traffic

    async def begin(self):
        for user in USERS:
            for number in range(2):
                path = self.node.base / f"frames.{user}.{number}"
                self.recorders.append(Recorder(self.node, user, path,
                                               self.accounts[user] if number == 0 else None))
        self.resting = asyncio.Event()
        self.traffic = [asyncio.create_task(self.ask(self.recorders[0])),
                        asyncio.create_task(self.ask(self.recorders[-1])),
                        asyncio.create_task(self.read_again())]

    async def ask(self, recorder):
        number = 0
        while not self.resting.is_set():
            message = f"m-{number}"
            run_id = await recorder.try_chat("a word", f"t-{number % 3}", message, "echo")
            if run_id:
                known = self.answered.setdefault((recorder.user, message), run_id)
                assert known == run_id, f"{message} has two runs: {known}, {run_id}"
                again = run_id if self.chance.random() < 0.7 else await recorder.try_chat(
                    "a word", f"t-{number % 3}", message, "echo")
                assert again in (run_id, None), f"{message} has two runs: {run_id}, {again}"
                number += 1
            await asyncio.wait({asyncio.ensure_future(self.resting.wait())}, timeout=0.1)

    async def read_again(self):
        """Somebody new, all the time, who wants the past from its beginning."""
        number = 0
        while not self.resting.is_set():
            fresh = Recorder(self.node, self.chance.choice(USERS), os.devnull)
            try:
                await fresh.until(lambda: fresh.live, "the past")
            finally:
                await fresh.close()
            number += 1

    def check_alive(self):
        for recorder in self.recorders:
            if recorder.failure:
                raise recorder.failure
        for task in self.traffic:
            if task.done() and task.exception():
                raise task.exception()

    # ---- A death

    def replace_emitter(self):
        emitter = self.chance.choice(self.node.emitters)
        emitter.signal(signal.SIGKILL)
        emitter.until_ended()
        emitter.start()

    def bring_about(self, how):
        """What makes the broker come by such a step, where the traffic does not."""
        if how == "death":
            self.replace_emitter()
        elif how == "start":
            self.node.broker.signal(signal.SIGKILL)
        elif how == "stop":
            self.node.broker.signal(signal.SIGTERM)

    def fell(self, step, kill_at):
        """Whether the broker has died of this step; one that ended otherwise is started again."""
        broker = self.node.broker
        if broker.running():
            return False
        if self.failpoints.passed(step.name) >= kill_at:
            assert broker.process.returncode == -signal.SIGKILL, broker.said()
            return True
        broker.start().until_ready()
        return False

    def until_fallen(self, step, kill_at):
        def look():
            if self.fell(step, kill_at):
                return True
            if step.how in ("death", "start", "stop") and self.node.broker.running():
                passed = self.failpoints.passed(step.name)
                self.bring_about(step.how)
                try:
                    until(lambda: not self.node.broker.running() or
                          self.failpoints.passed(step.name) > passed, f"a pass of {step.name}",
                          PASS_SECONDS)
                except Missed:
                    pass  # an emitter that died between two of its runs leaves none to be ended
            self.check_alive()
            return None
        until(look, f"the broker's death at {step.name}", 4 * PATIENCE)

    def kill_at_first_pass(self, step):
        """In the whole life of a broker: armed while the one before it stands still."""
        broker = self.node.broker
        if step.how == "stop":
            self.until_fallen(step, self.failpoints.arm(step.name, 1))
            return
        broker.signal(signal.SIGSTOP)
        kill_at = self.failpoints.arm(step.name, 1)
        broker.signal(signal.SIGKILL)
        broker.until_ended()
        broker.start().until_ready()
        self.until_fallen(step, kill_at)

    def kill_at_later_pass(self, step):
        self.until_fallen(step, self.failpoints.arm(
            step.name, self.chance.randint(2, LATER.get(step.how, LATER_RARE))))

    # ---- What must hold

    def recover(self):
        """The next broker serves, and everything that was emitted until then has come."""
        assert self.node.broker.start().until_ready(2 * PATIENCE), self.node.broker.said()
        wanted = {}
        for path in self.node.ledgers:
            for user, name, _, _, number in read_ledger(path):
                wanted[user, name] = number

        def missing():
            return [f"{number + 1 - len(self.accounts[user].numbers[name])} of {name} for {user}"
                    for (user, name), number in wanted.items()
                    if len(self.accounts[user].numbers[name]) <= number]

        def whole():
            self.check_alive()
            return not missing()
        try:
            until(whole, "what was emitted with success", PATIENCE)
        except Missed as missed:
            raise Missed(f"{missed}: {missing()} in {self.node.base}") from None

    def repeated(self):
        """Events that this life of the broker drained again and recognised."""
        return until(lambda: self.node.run("status", "--json").returncode == 0 and
                     self.node.status(), "the broker's status")["counters"]["events_repeated"]

    async def rest(self):
        self.resting.set()
        await asyncio.gather(*self.traffic)
        for emitter in self.node.emitters:
            emitter.signal(signal.SIGTERM)
            await asyncio.to_thread(emitter.until_ended)
            assert emitter.process.returncode == 0, emitter.said()
        for user in USERS:
            own = [recorder for recorder in self.recorders if recorder.user == user]
            await own[0].until(lambda: own[0].live and not self.accounts[user].open_runs(),
                               "the end of all runs")
            fresh = Recorder(self.node, user, os.devnull)
            await fresh.until(lambda: fresh.live, "the past")
            for recorder in own:
                await recorder.until(lambda r=recorder: r.position >= fresh.position, "the rest")
                assert recorder.digest.hexdigest() == fresh.digest.hexdigest()
            await fresh.close()

    async def end(self):
        self.resting.set()
        await asyncio.gather(*self.traffic, return_exceptions=True)
        await asyncio.gather(*(recorder.close() for recorder in self.recorders),
                             return_exceptions=True)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    seed = int(os.environ.get("RINGSIDE_TEST_SEED", random.SystemRandom().randrange(10 ** 6)))
    print(f"\ncrash matrix with RINGSIDE_TEST_SEED={seed}")
    matrix = Matrix(tmp_path_factory.mktemp("matrix"), random.Random(seed))
    try:
        matrix.node.start()
        matrix.call(matrix.begin())
        yield matrix
        matrix.call(matrix.end())
        matrix.node.stop()
        assert not matrix.node.reports(), "\n\n".join(matrix.node.reports())
    finally:
        matrix.loop.call_soon_threadsafe(matrix.loop.stop)
        matrix.node.kill_everything()
        matrix.node.remove()


@pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])
def test_a_broker_killed_at(matrix, step):
    before = matrix.failpoints.passed(step.name)
    matrix.kill_at_first_pass(step)
    matrix.recover()
    if step.name == "ring_releasing":
        assert matrix.repeated() > 0, "committed records were not met again and recognised"
    for _ in range(TIMES.get(step.how, 1)):
        matrix.kill_at_later_pass(step)
        matrix.recover()
    assert matrix.failpoints.passed(step.name) >= before + 2


def test_after_all_these_deaths_every_run_has_ended_once_and_all_saw_the_same(matrix):
    matrix.call(matrix.rest())
    for path in matrix.node.ledgers:
        check_ledger(path, matrix.accounts)
    for (user, message), run_id in matrix.answered.items():
        assert matrix.accounts[user].ended(run_id), (user, message, run_id)
    asked = [run for account in matrix.accounts.values() for run in account.runs.values()
             if run.asked]
    assert len({run.run_id for run in asked}) >= len(matrix.answered)
    for recorder in matrix.recorders:
        recorder.file.flush()
    assert matrix.node.verify_records() == []
    unreached = [step.name for step in STEPS if matrix.failpoints.passed(step.name) == 0]
    assert not unreached
