# SPDX-License-Identifier: Apache-2.0
"""Cases, and what a case is given: the server's address, users that nobody else has, and tokens."""
import collections
import itertools
import json
import shlex
import subprocess
import urllib.parse

from .session import JSON, Session
from .wire import (Failed, Wire, accept_of, check, new_key, upgrade_headers)

Case = collections.namedtuple("Case", "id title clause run")
CASES = []


class Skipped(Exception):
    """The case needs something that this server does not have, or the kit was not told of."""


def case(name, title, clause):
    def note(run):
        assert all(known.id != name for known in CASES), name
        CASES.append(Case(name, title, clause, run))
        return run
    return note


class Target:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.tls = parts.scheme in ("wss", "https")
        self.host = parts.hostname
        self.port = parts.port or (443 if self.tls else 80)
        self.netloc = parts.netloc
        self.path = parts.path or "/v1/ws"
        self.origin = f"{'https' if self.tls else 'http'}://{parts.netloc}"


class Context:
    """What one case has. Everything it opened is closed behind it."""

    _numbers = itertools.count(1)

    def __init__(self, options, mark):
        self.options = options
        self.target = Target(options.url)
        self.user = f"conformance-{mark}-{next(self._numbers)}"
        self._opened = []
        self._tokens = {}
        self._messages = itertools.count(1)

    def close(self):
        for wire in self._opened:
            wire.close()

    # ---- Tokens

    def token(self, user=None, ttl="1h"):
        user = user or self.user
        if (user, ttl) not in self._tokens:
            words = [word.replace("{user}", user).replace("{ttl}", ttl)
                     for word in shlex.split(self.options.token_cmd)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode or not done.stdout.strip():
                raise RuntimeError(f"{words} gave no token: {done.stderr.strip()}")
            self._tokens[user, ttl] = done.stdout.strip().splitlines()[-1].split()[-1]
        return self._tokens[user, ttl]

    def another_user(self):
        return self.user + "-other"

    # ---- Connections

    def wire(self):
        wire = Wire(self.target)
        self._opened.append(wire)
        return wire

    def path(self, query=()):
        return self.target.path + ("?" + urllib.parse.urlencode(query) if query else "")

    def handshake(self, query=(), token=None, subprotocols=JSON, more=(), without=(), method="GET",
                  path=None, slowly=False, behind=b""):
        """(wire, key, answer) of an attempt to connect; `token=False`: none is sent."""
        wire, key = self.wire(), new_key()
        token = None if token is False else token or self.token()
        wire.ask(method, path or self.path(query), upgrade_headers(
            self.target, key, subprotocols, token, more, without), slowly, behind)
        return wire, key, wire.read_answer()

    def refused(self, status, *codes, **options):
        """The handshake is refused so, with the body that the protocol gives it."""
        wire, _, answer = self.handshake(**options)
        check(answer.status == status, f"{answer.status} {answer.body[:200]!r}, not {status}")
        self.check_error_body(answer, codes)
        wire.close()
        return answer

    @staticmethod
    def check_error_body(answer, codes):
        try:
            error = json.loads(answer.body)["error"]
        except (ValueError, TypeError, KeyError):
            raise Failed(f"{answer.status} without an error in JSON: {answer.body[:200]!r}") from None
        check(isinstance(error.get("message"), str) and isinstance(error.get("retryable"), bool),
              f"an error without its members: {error}")
        check(not codes or error.get("code") in codes, f"the error is {error}, not of {codes}")

    def connect(self, query=(), user=None, subprotocol=JSON, welcome=True, **options):
        user = user or self.user
        wire, key, answer = self.handshake(query, options.pop("token", None) or self.token(user),
                                           subprotocols=subprotocol, **options)
        check(answer.status == 101, f"{answer.status} {answer.body[:200]!r}, not 101")
        check(answer.headers.get("sec-websocket-accept") == accept_of(key),
              "Sec-WebSocket-Accept is not that of the key")
        session = Session(wire, answer, user, answer.headers.get("sec-websocket-protocol"))
        if welcome:
            session.welcome = session.read()
            check(session.welcome.get("type") == "welcome", f"not a welcome: {session.welcome}")
            cursor = dict(query).get("cursor", "")
            if session.welcome["resume"] == "replay" and cursor != "start":
                session.position = int(cursor.rpartition(".")[2])
        return session

    # ---- Runs

    def chat(self, session, content="one two three", thread="t-1", agent=None, **more):
        """A new run; (run_id, the message's identifier)."""
        message = f"m-{next(self._messages)}"
        agent = agent or self.options.agent
        named = {"agent": agent} if agent else {}
        result = session.request("chat.send", thread_id=thread, message_id=message, content=content,
                                 **named, **more)
        check(isinstance(result.get("run_id"), str) and isinstance(result.get("status"), str),
              f"chat.send's result: {result}")
        return result["run_id"], message

    def finished_run(self, session, **options):
        run_id, _ = self.chat(session, **options)
        session.until_ended(run_id)
        return run_id

    def open_run(self, session, thread="t-1", **more):
        """A run that has begun and goes on until it is cancelled."""
        if not self.options.slow_agent:
            raise Skipped("needs --slow-agent")
        run_id, _ = self.chat(session, self.options.slow_content, thread, self.options.slow_agent,
                              **more)
        session.until_event("partial_result", run_id)
        return run_id
