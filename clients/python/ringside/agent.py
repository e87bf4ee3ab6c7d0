# SPDX-License-Identifier: Apache-2.0
"""An agent: a function of one run, and the process around it."""
import queue
import threading
import traceback

from .channel import Channel
from .context import AgentFailure, Cancelled, Context
from .interruption import Interruption

MESSAGE_MAX = 1000


class Agent:
    """Called, it is still the function; `serve` makes the process an agent of a worker's."""

    def __init__(self, function, name=None, version=None):
        self._function = function
        self.name = name or function.__name__
        self.version = version
        self.__doc__ = function.__doc__

    def __call__(self, ctx):
        return self._function(ctx)

    def serve(self):
        """Serves this process's runs, one after the other, then returns. Main thread only."""
        Session(self).run()


def agent(function=None, *, name=None, version=None):
    """Makes an agent of a function that takes the run's Context and returns its result (any JSON,
    or None). Cancelled and AgentFailure end the run as they say, other exceptions as failed."""
    if function is None:
        return lambda decorated: Agent(decorated, name, version)
    return Agent(function, name, version)


class Session:
    """The worker's side of the conversation in a thread, the agent's in the main one."""

    def __init__(self, served):
        self._agent = served
        self._channel = Channel()
        self._interruption = Interruption(Cancelled)
        self._starts = queue.Queue()
        self._introduction = {}

    def run(self):
        threading.Thread(target=self._listen, name="ringside", daemon=True).start()
        for params in iter(self._starts.get, None):
            self._finish(*self._result_of(params))

    # ---- in the main thread

    def _result_of(self, params):
        """The notification that ends the run: method and params."""
        ctx = Context(self._channel, self._interruption, self._introduction, params)
        try:
            with self._interruption.armed():
                result = self._agent(ctx)
            return "run/finished", {} if result is None else {"result": result}
        except Cancelled:
            return "run/finished", {"outcome": "cancelled"}
        except AgentFailure as failure:
            return "run/failed", {"code": failure.code, "message": failure.message,
                                  "retryable": failure.retryable}
        except Exception as error:  # whatever it is, the user is told
            traceback.print_exc()
            return "run/failed", {"code": "agent_failed",
                                  "message": f"{type(error).__name__}: {error}"[:MESSAGE_MAX]}

    def _finish(self, method, params):
        try:
            self._channel.send(method=method, params=params)
        except (TypeError, ValueError) as error:
            self._channel.send(method="run/failed", params={
                "code": "bad_result", "message": f"the result is no JSON: {error}"[:MESSAGE_MAX]})

    # ---- in the thread

    def _listen(self):
        try:
            for message in self._channel.messages():
                self._take(message)
        finally:
            self._leave()

    def _take(self, message):
        method, params = message["method"], message.get("params", {})
        if method == "initialize":
            self._introduction = params
            who = {"name": self._agent.name}
            if self._agent.version:
                who["version"] = self._agent.version
            self._channel.send(id=message["id"], result=who)
        elif method == "run/start":
            self._channel.send(id=message["id"], result={})
            self._interruption.forget()
            self._starts.put(params)
        elif method == "run/cancel":
            self._interruption.raise_in_main(params.get("reason", ""))
        elif method == "shutdown":
            self._leave()
        elif "id" in message:
            self._channel.send(id=message["id"], error={"code": -32601, "message": "no such method"})

    def _leave(self):
        """Also when a run is going on: then nobody listens to it any more."""
        self._starts.put(None)
        self._interruption.raise_in_main("the worker has closed the line")
