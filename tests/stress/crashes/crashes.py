#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills a node's processes at random while it works, and looks at what its clients were shown.

    crashes.py [--kills N] [--events N] [--users N] [--clients N] [--seed N]

A real node: a broker, two gateways on one port, two workers, and programs that emit with libringside
and note each event whose emit succeeded in a ledger that outlives them. Each user has several
clients, which write down every frame and come back with their cursor on whichever gateway answers,
and asks agents for runs, with the same message_id until an answer is there and again afterwards.
One after the other, each some events after the one before, the processes are killed (KILL), stopped
for a while (STOP, CONT) or told to leave (TERM), and started again; or a new broker takes over. In a
build with failpoints some of the broker's deaths are at a named step of its turn, where random moments
hardly ever fall, and some of those before a commit while all users ask at once. At the end everything
comes to rest, and then must hold: every frame followed the one before it; all clients of a user, and one
that reads it all anew, saw the same bytes; every emit that succeeded is there once, in order; every
request that was answered has one run; every run has ended, once.

The folder with frames, ledgers, deeds and what the processes said is removed unless something failed.
"""
import argparse
import asyncio
import collections
import json
import os
import pathlib
import random
import resource
import signal
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/integration"))

from harness.account import Account, check_ledger  # noqa: E402
from harness.deadline import Missed  # noqa: E402
from harness.failpoints import STEPS, Failpoints, compiled_in  # noqa: E402
from harness.parts import Part, Parts  # noqa: E402
from harness.recorder import Recorder  # noqa: E402
from harness.stream import Broken  # noqa: E402

EMITTERS = 4
EVENTS_EACH = 60        # a second, of one emitter
ASK_PAUSE = (2.0, 12.0)  # seconds between one user's requests
AGAIN = 0.3             # of the requests are sent once more after their answer
STOPPED = (0.05, 1.0)   # seconds
PROGRESS_SECONDS = 10
SETTLE_SECONDS = 180

# The broker dies at one of so many next passes of a step. A third of it is where a batch is nowhere but in
# memory, while requests come in: what clients were shown of it would be something else after the death.
STEP_PASSES = {"turn": 60, "request": 4, "urged": 1}
URGED_STEP = "commit_begun"
URGED_SECONDS = 2       # for the first of these requests to come to the broker
STEP_SECONDS = 10       # ... or, when it does not come there, by then

# What is done to whom: weights.
DEEDS = {
    ("kill", "broker"): 30, ("kill", "gateway"): 20, ("kill", "worker"): 20, ("kill", "emitter"): 20,
    ("stop", "broker"): 3, ("stop", "gateway"): 3, ("stop", "worker"): 3, ("stop", "emitter"): 3,
    ("term", "broker"): 3, ("term", "gateway"): 2, ("term", "worker"): 3, ("term", "emitter"): 2,
    ("over", "broker"): 5,
}
if compiled_in():
    DEEDS["step", "broker"] = 40
KILLS = ("kill", "step")
STEPS_OF = {how: [step.name for step in STEPS if step.how == how] for how in STEP_PASSES}
STEPS_OF["urged"] = [URGED_STEP]


class User:
    def __init__(self, name, node, clients):
        self.name = name
        self.account = Account(name)
        self.recorders = [
            Recorder(node, name, node.base / f"frames.{name}.{number}",
                     self.account if number == 0 else None) for number in range(clients)]
        self.answered = {}  # message -> run
        self.unanswered = set()
        self.resent = 0

    def failure(self):
        return next((recorder.failure for recorder in self.recorders if recorder.failure), None)


class Stress:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.node = Parts(workers=2, gateways=2, environment={"RINGSIDE_WORKER_DRAIN_TIMEOUT": "2s"})
        self.failpoints = Failpoints(self.node.base / "failpoints")
        self.node.broker.extra |= self.failpoints.environment
        self.users = []
        self.done = collections.Counter()
        self.steps = collections.Counter()
        self.asking = True
        self.urged = 0
        self.began = time.monotonic()
        self.progressed = time.monotonic()
        self.longest_silence = 0.0
        self.seen = 0
        self.shown = 0.0
        self.noted = self.unasked = 0

    # ---- The traffic

    @property
    def events(self):
        return sum(user.account.events for user in self.users)

    def content(self, agent):
        if agent == "echo":
            return " ".join(["word"] * self.chance.randrange(1, 12))
        return json.dumps({"steps": self.chance.randrange(1, 40), "pause_ms": 20,
                           "tool_every": self.chance.randrange(3, 9), "tool_ms": 10})

    async def pause(self, low, high):
        end, urged = time.monotonic() + self.chance.uniform(low, high), self.urged
        while self.asking and time.monotonic() < end and self.urged == urged:
            await asyncio.sleep(0.05)

    async def ask_until_answered(self, user, message, content, agent):
        user.unanswered.add(message)
        while True:
            recorder = self.chance.choice(user.recorders)
            run_id = await recorder.try_chat(content, f"t-{len(user.answered) % 3}", message, agent)
            if run_id:
                user.unanswered.discard(message)
                return run_id
            if user.failure():
                raise user.failure()
            await asyncio.sleep(0.1)

    async def ask(self, user):
        """Requests of one user, one after the other, until told to stop."""
        number = 0
        await self.pause(0, ASK_PAUSE[1])
        while self.asking:
            message = f"m-{number}"
            agent = self.chance.choice(["echo", "slow"])
            content = self.content(agent)
            run_id = await self.ask_until_answered(user, message, content, agent)
            if run_id in user.answered.values():
                raise Broken(f"{user.name}: {message} was answered with {run_id}, another's run")
            user.answered[message] = run_id
            await self.pause(*ASK_PAUSE)
            if self.chance.random() < AGAIN:
                again = await self.ask_until_answered(user, message, content, agent)
                user.resent += 1
                if again != run_id:
                    raise Broken(f"{user.name}: {message} started a second run: {run_id}, {again}")
            number += 1

    # ---- What is done to the processes

    def victim(self, kind):
        return self.chance.choice({"broker": [self.node.broker], "gateway": self.node.gateways,
                                   "worker": self.node.workers,
                                   "emitter": self.node.emitters}[kind])

    async def until_ended(self, part):
        await asyncio.to_thread(part.until_ended, 60)

    async def take_over(self, former):
        """A new broker, beside the one that serves, asks it to hand over."""
        await asyncio.to_thread(former.until_ready)
        name = f"broker-{self.done['over', 'broker'] + 1}"
        command = [*former.command[:1], "--take-over"]
        self.node.broker = Part(self.node, name, command, former.extra).start()
        if not await asyncio.to_thread(self.node.broker.until_ready, 60):
            raise Broken(f"{name} did not take over:\n{self.node.broker.said()[-3000:]}")
        await self.until_ended(former)
        if former.process.returncode != 0:
            raise Broken(f"the broker handed over and ended with {former.process.returncode}:\n"
                         f"{former.said()[-3000:]}")

    def arm_behind_request(self, step):
        """Once the broker has the first of many requests. In a thread, since it is quick: others are
        to come before the step is passed again."""
        before = self.failpoints.passed("request_accepted")
        self.urged += 1
        end = time.monotonic() + URGED_SECONDS
        while self.failpoints.passed("request_accepted") == before and time.monotonic() < end:
            time.sleep(0.0002)
        self.failpoints.arm(step, STEP_PASSES["urged"])

    async def die_at_step(self, broker):
        """Where a turn has got to a certain point, and no further."""
        how = self.chance.choice(list(STEP_PASSES))
        step = self.chance.choice(STEPS_OF[how])
        if how == "urged":
            await asyncio.to_thread(self.arm_behind_request, step)
        else:
            self.failpoints.arm(step, self.chance.randint(1, STEP_PASSES[how]))
        end = time.monotonic() + STEP_SECONDS
        while broker.running() and time.monotonic() < end:
            await asyncio.sleep(0.01)
        self.failpoints.disarm(step)
        broker.signal(signal.SIGKILL)
        await self.until_ended(broker)
        if broker.process.returncode != -signal.SIGKILL:
            raise Broken(f"{broker.name} ended with {broker.process.returncode} at {step}:\n"
                         f"{broker.said()[-3000:]}")
        self.steps[step] += 1
        broker.start()

    async def do(self, deed, kind):
        part, began = self.victim(kind), time.monotonic()
        if not part.running():
            raise Broken(f"{part.name} ended by itself with {part.process.returncode}:\n"
                         f"{part.said()[-3000:]}")
        if deed == "over":
            await self.take_over(part)
        elif deed == "step":
            await self.die_at_step(part)
        elif deed == "stop":
            part.signal(signal.SIGSTOP)
            await asyncio.sleep(self.chance.uniform(*STOPPED))
            part.signal(signal.SIGCONT)
        else:
            if deed == "term" and kind != "emitter":
                await asyncio.to_thread(part.until_ready)  # before that, TERM just ends it
            part.signal(signal.SIGKILL if deed == "kill" else signal.SIGTERM)
            await self.until_ended(part)
            # An emitter that was just started may not have come to hear of TERM yet.
            unheard = -signal.SIGTERM if kind == "emitter" else 0
            if deed == "term" and part.process.returncode not in (0, unheard):
                raise Broken(f"{part.name} answered TERM with {part.process.returncode}:\n"
                             f"{part.said()[-3000:]}")
            await asyncio.sleep(self.chance.choice([0, 0, self.chance.uniform(0, 0.5)]))
            part.start()
        self.done[deed, kind] += 1
        with open(self.node.base / "deeds", "a", encoding="utf-8") as deeds:
            print(f"{began - self.began:9.3f} {time.monotonic() - self.began:9.3f} {deed} "
                  f"{part.name}", file=deeds)

    @property
    def kills(self):
        return sum(count for (deed, _), count in self.done.items() if deed in KILLS)

    async def torment(self):
        """Kill by kill, each when its share of the events has come: a slow machine takes longer."""
        share = self.options.events / self.options.kills
        deeds, weights = list(DEEDS), list(DEEDS.values())
        while self.kills < self.options.kills:
            wanted = (self.kills + self.chance.uniform(0.2, 1.0)) * share
            while self.events < wanted:
                await asyncio.sleep(0.05)
            await self.do(*self.chance.choices(deeds, weights)[0])
        while self.events < self.options.events:
            await asyncio.sleep(0.05)

    async def watch(self):
        while True:
            self.look_around()
            await asyncio.sleep(0.05)

    def look_around(self):
        now = time.monotonic()
        for user in self.users:
            if user.failure():
                raise user.failure()
        if self.events > self.seen:
            self.longest_silence = max(self.longest_silence, now - self.progressed)
            self.progressed, self.seen = now, self.events
        elif now - self.progressed > 60:
            raise Missed("no event has come for 60 s")
        if now - self.shown > PROGRESS_SECONDS:
            self.shown = now
            print(f"{now - self.began:7.0f} s  {self.kills} of {self.options.kills} kills, "
                  f"{self.events} of {self.options.events} events, "
                  f"{sum(len(user.answered) for user in self.users)} requests, "
                  f"{self.resumes} resumes, longest silence {self.longest_silence:.1f} s",
                  flush=True)

    @property
    def resumes(self):
        return sum(recorder.connections - 1 for user in self.users for recorder in user.recorders)

    # ---- The end

    async def settle(self, asking):
        """No more requests; emitters end their runs and leave; what is open comes to its end."""
        self.asking = False
        await asyncio.wait_for(asyncio.gather(*asking), SETTLE_SECONDS)
        for part in self.node.parts:
            if not part.running():
                part.start()
        for emitter in self.node.emitters:
            emitter.signal(signal.SIGTERM)
        for emitter in self.node.emitters:
            await self.until_ended(emitter)
            if emitter.process.returncode not in (0, -signal.SIGTERM):
                raise Broken(f"{emitter.name}: {emitter.said()}")
        for user in self.users:
            await self.settle_user(user)

    async def settle_user(self, user):
        first = user.recorders[0]
        await first.until(lambda: first.live and not user.account.open_runs() and
                          all(map(user.account.ended, user.answered.values())),
                          "the end of all runs", SETTLE_SECONDS)
        fresh = Recorder(self.node, user.name, self.node.base / f"frames.{user.name}.fresh",
                         Account(user.name))
        user.recorders.append(fresh)
        await fresh.until(lambda: fresh.live, "all of the past", SETTLE_SECONDS)
        for recorder in user.recorders:
            await recorder.until(lambda r=recorder: r.position >= fresh.position,
                                 "what the others have")

    def check_user(self, user):
        pictures = {(recorder.events, recorder.digest.hexdigest()) for recorder in user.recorders}
        if len(pictures) != 1:
            raise Broken(f"{user.name}: its clients saw different streams: "
                         f"{sorted(count for count, _ in pictures)} events")
        if user.account.open_runs():
            raise Broken(f"{user.name}: runs without an end: {user.account.open_runs()}")
        asked = {run_id for run_id, run in user.account.runs.items() if run.asked}
        if asked != set(user.answered.values()):
            raise Broken(f"{user.name}: requests and runs differ: {asked ^ set(user.answered.values())}")

    def check(self):
        accounts = {user.name: user.account for user in self.users}
        for user in self.users:
            self.check_user(user)
        for path in self.node.ledgers:
            noted, unasked = check_ledger(path, accounts)
            self.noted += noted
            self.unasked += unasked
        found = self.node.verify_records()
        if found:
            raise Broken("\n".join(found))

    # ---- All of it

    async def run(self):
        for number in range(EMITTERS):
            users = [f"user-{n}" for n in range(number, self.options.users, EMITTERS)]
            self.node.add_emitter(f"e-{number}", users, EVENTS_EACH,
                                  seed=self.options.seed * 1000 + number * 100)
        self.node.start()
        self.users = [User(f"user-{number}", self.node, self.options.clients)
                      for number in range(self.options.users)]
        asking = [asyncio.create_task(self.ask(user)) for user in self.users]
        try:
            tormenting = asyncio.create_task(self.torment())
            watching = asyncio.create_task(self.watch())
            done, _ = await asyncio.wait([tormenting, watching, *asking],
                                         return_when=asyncio.FIRST_COMPLETED)
            watching.cancel()
            for task in done:
                task.result()
            await self.settle(asking)
            for user in self.users:
                for recorder in user.recorders:
                    await recorder.close()
                    if recorder.failure:
                        raise recorder.failure
        finally:
            for task in [tormenting, watching, *asking]:
                task.cancel()
        self.check()

    def show(self, verdict):
        kinds = ["broker", "gateway", "worker", "emitter"]
        print(f"{'':10}" + "".join(f"{kind:>9}" for kind in kinds))
        for deed, words in (("kill", "killed"), ("step", "at a step"), ("stop", "stopped"),
                            ("term", "told to go"), ("over", "replaced")):
            print(f"{words:10}" + "".join(f"{self.done[deed, kind]:9}" for kind in kinds))
        runs = sum(len(user.account.runs) for user in self.users)
        away = max(recorder.longest_away for user in self.users for recorder in user.recorders)
        print(f"kills {self.kills}, events {self.events}, noted in ledgers {self.noted}, "
              f"delivered without a note {self.unasked}\n"
              f"users {len(self.users)}, clients {len(self.users) * self.options.clients}, "
              f"resumes {self.resumes}, longest away {away:.2f} s, "
              f"longest silence {self.longest_silence:.2f} s\n"
              f"runs {runs}, requests {sum(len(user.answered) for user in self.users)}, "
              f"sent again after their answer {sum(user.resent for user in self.users)}, "
              f"took {time.monotonic() - self.began:.0f} s")
        print(verdict, flush=True)


def parse():
    parser = argparse.ArgumentParser(description="kills a node's processes while it works")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--events", type=int, default=20000)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--clients", type=int, default=3, help="of each user")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10 ** 6))
    return parser.parse_args()


def finish(stress, failed):
    """The exit status. What is left of a failure stays where it is."""
    node = stress.node
    if not failed:
        try:
            node.stop()
        except Missed as missed:
            failed = str(missed)
    node.kill_everything()
    reports = node.reports()
    if reports:
        failed = f"{failed or ''}\n" + "\n\n".join(reports)
    if failed:
        print(f"FAILED: {failed}\nseed {stress.options.seed}; frames, ledgers and logs are in "
              f"{node.base}, the rings in {node.arena}", flush=True)
        return 1
    node.remove()
    return 0


def main():
    options = parse()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"seed {options.seed}: {options.kills} kills over {options.events} events of "
          f"{options.users} users with {options.clients} clients each", flush=True)
    stress = Stress(options)
    failed = None
    try:
        asyncio.run(stress.run())
        stress.show("lost 0, repeated 0, out of order 0, runs without end 0, "
                    "requests without a run 0, run twice 0")
    except (Broken, Missed) as problem:
        failed = str(problem)
    except BaseException:
        failed = traceback.format_exc()
    if failed and stress.users:
        stress.show("not at rest: see below")
    return finish(stress, failed)


if __name__ == "__main__":
    sys.exit(main())
