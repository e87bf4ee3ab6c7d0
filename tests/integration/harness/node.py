# SPDX-License-Identifier: Apache-2.0
"""A whole node of real processes, in directories of its own, started as a person would."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

from . import tokens
from .deadline import PATIENCE, Missed, until

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("RINGSIDE_TEST_BUILD", ROOT / "build"))
PROGRAMS = {
    "ringside": BUILD / "cli/ringside",
    "ringside-broker": BUILD / "broker/ringside-broker",
    "ringside-gateway": BUILD / "gateway/ringside-gateway",
    "ringside-worker": BUILD / "agent-worker/ringside-worker",
}
EXAMPLE_AGENT = BUILD / "examples/example-agent"
CONFIG = ROOT / "tests/agents/ringside.yaml"
METRICS = re.compile(r"metrics on ([0-9.]+) port ([0-9]+)")
ADDRESS = re.compile(r"https?://([0-9.]+:[0-9]+)")
REPORTS = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer|Assertion .* failed")


class Output:
    """Lines of a stream as they come, kept for later."""

    def __init__(self, pipe):
        self.lines = []
        self._grown = threading.Condition()
        self._thread = threading.Thread(target=self._collect, args=(pipe,), daemon=True)
        self._thread.start()

    def _collect(self, pipe):
        for line in pipe:
            with self._grown:
                self.lines.append(line.rstrip("\n"))
                self._grown.notify_all()
        with self._grown:
            self._thread = None
            self._grown.notify_all()

    def wait_for(self, pattern, seconds=PATIENCE, start=0):
        """The match in the first line, from the `start`th on, that has one."""
        end = time.monotonic() + seconds
        with self._grown:
            while True:
                for line in self.lines[start:]:
                    match = re.search(pattern, line)
                    if match:
                        return match
                left = end - time.monotonic()
                if left <= 0 or self._thread is None:
                    raise Missed(f"no line like {pattern!r} in:\n" + "\n".join(self.lines[-40:]))
                self._grown.wait(left)

    def text(self):
        return "\n".join(self.lines)


class Node:
    """Everything `ringside up` starts; `workers`, `config` and `environment` as a person sets them."""

    def __init__(self, workers=2, config=CONFIG, environment=None, arguments=(), wrapper=()):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="rs-"))
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        self.run_dir = self.base / "run"
        self.data_dir = self.base / "data"
        self.workers = workers
        self.config = config
        self.arguments = list(arguments)
        self.wrapper = list(wrapper)
        self.extra = dict(environment or {})
        self.up = None
        self.address = None
        self.secure = ""          # "s": the gateway speaks TLS
        self.port = 0
        self.outputs = []
        self._tokens = {}

    @property
    def environment(self):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith("RINGSIDE_")}
        return kept | {
            "RINGSIDE_CONFIG": str(self.config),
            "RINGSIDE_RUN_DIR": str(self.run_dir),
            "RINGSIDE_DATA_DIR": str(self.data_dir),
            "RINGSIDE_NODE_NAME": self.name,
            "RINGSIDE_BROKER_METRICS_PORT": "0",
            "ASAN_OPTIONS": "abort_on_error=0",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        } | self.extra

    # ---- Starting and stopping ----

    def start(self):
        """Starts the node and waits until it says where it listens."""
        self.launch()
        self.address = self.stdout.wait_for(ADDRESS, 2 * PATIENCE).group(1)
        self.port = int(self.address.rpartition(":")[2])
        until(lambda: self.get("/health/ready")[0] == 200, "readiness")
        return self

    def launch(self):
        command = [*self.wrapper, str(PROGRAMS["ringside"]), "up", "--port", str(self.port),
                   "--workers", str(self.workers), *self.arguments]
        self.up = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
        self.stdout = Output(self.up.stdout)
        self.stderr = Output(self.up.stderr)
        self.outputs.append(self.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.remove()

    def stop(self, seconds=PATIENCE):
        """As Ctrl-C does; the exit status."""
        if self.up.poll() is None:
            self.up.send_signal(signal.SIGINT)
        try:
            return self.up.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise Missed("the node did not stop:\n" + self.stderr.text()[-4000:]) from None

    def kill_everything(self):
        """kill -9 of every process of the node at once, as a machine's crash would be."""
        pids = [self.up.pid, *self.descendants(self.up.pid)]
        for pid in pids:
            kill(pid)
        self.up.wait()
        until(lambda: not any(map(alive, pids)), "the end of the node's processes")

    def remove(self):
        """What is left of the node on this machine."""
        for pid in self.stray():
            kill(pid)
        shutil.rmtree(self.arena, ignore_errors=True)
        shutil.rmtree(self.base, ignore_errors=True)

    @property
    def arena(self):
        return pathlib.Path("/dev/shm") / f"ringside-{self.name}"

    def stray(self):
        """Processes that carry this node's name and have outlived it."""
        mark = f"RINGSIDE_NODE_NAME={self.name}".encode()
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0") and alive(int(entry.name)):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def reports(self):
        """What sanitizers and assertions said, in any of this node's lives."""
        found = []
        for output in self.outputs:
            for number, line in enumerate(output.lines):
                if REPORTS.search(line):
                    found.append("\n".join(output.lines[number:number + 60]))
        return found

    # ---- Its processes ----

    @staticmethod
    def descendants(pid):
        found = []
        for child in children(pid):
            found += [child, *Node.descendants(child)]
        return found

    def pids(self, program):
        """The processes `up` started of this program."""
        wanted = str(PROGRAMS[program].resolve())
        return [pid for pid in children(self.up.pid) if executable(pid) == wanted]

    def worker_of(self, agent):
        """The one worker that has a process of this agent (a file name) below it."""
        def find():
            owners = [worker for worker in self.pids("ringside-worker")
                      if any(agent in command_line(pid) for pid in self.descendants(worker))]
            return owners[0] if len(owners) == 1 else None
        return until(find, f"a worker that runs {agent}")

    def kill(self, program):
        """kill -9; the pid."""
        pid = until(lambda: self.pids(program), f"a process of {program}")[0]
        kill(pid)
        return pid

    def until_restarted(self, program, before):
        return until(lambda: [pid for pid in self.pids(program) if pid != before],
                     f"another {program}")[0]

    # ---- Talking to it ----

    def get(self, path, headers=None, timeout=10):
        """(status, body, headers); status 0 when there is no answer."""
        request = urllib.request.Request(f"http{self.secure}://{self.address}{path}", headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers
        except OSError as error:
            return 0, str(error), {}

    def metrics_address(self):
        """(host, port) of the broker's own HTTP; a broker that is started again has another one."""
        found = [match for line in self.stderr.lines if (match := METRICS.search(line))]
        return found[-1].group(1), int(found[-1].group(2))

    def secret(self):
        return tokens.read_secret(self.data_dir / "token.key")

    def token(self, user):
        if user not in self._tokens:
            self._tokens[user] = tokens.hs256(self.secret(), tokens.claims(user))
        return self._tokens[user]

    def run(self, *arguments, program="ringside", seconds=2 * PATIENCE, environment=None):
        """One of the node's commands, to its end."""
        done = subprocess.run(
            [str(PROGRAMS[program]), *arguments], env=self.environment | (environment or {}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
        assert not REPORTS.search(done.stderr), done.stderr
        return done

    def spawn(self, *arguments, program="ringside"):
        return subprocess.Popen(
            [str(PROGRAMS[program]), *arguments], env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def status(self):
        done = self.run("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def children(pid):
    try:
        return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()]
    except OSError:
        return []


def executable(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def alive(pid):
    """Whether the process runs: a zombie does not."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
