# SPDX-License-Identifier: Apache-2.0
"""What an agent can do in its one run."""
import time

from . import llm


class Cancelled(BaseException):
    """The run is to stop. Not an Exception, so that a broad `except` does not swallow it."""

    def __init__(self, reason=""):
        super().__init__(reason)
        self.reason = reason


class AgentFailure(Exception):
    """Ends the run as failed with a code of the agent's own (an identifier)."""

    def __init__(self, code, message="", retryable=False):
        super().__init__(message or code)
        self.code, self.message, self.retryable = code, message, retryable


class ToolError(Exception):
    """A tool call that did not succeed. `code` as docs/agents.md has it, or the tool's own."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class AskError(Exception):
    """A question that nobody was asked: too many are open, or there is nobody, as in a batch."""


class Reply:
    """What came of a question. True when somebody said yes.

    status    "resolved", "cancelled" (they said no), or "expired"
    payload   what they said with it, or None
    """

    def __init__(self, result):
        self.interrupt_id = result["interrupt_id"]
        self.status = result["status"]
        self.payload = result.get("payload")

    def __bool__(self):
        return self.status == "resolved"


class PendingTool:
    """A tool call that is going on."""

    def __init__(self, answer):
        self._answer = answer

    def result(self):
        """Waits for it. What the tool gave; ToolError, or Cancelled when the run is being so."""
        message = _come(self._answer)
        if "error" in message:
            raise ToolError("not_begun", message["error"].get("message", ""))
        result = message["result"]
        if result["status"] == "ok":
            return result.get("result")
        if result["status"] == "cancelled":
            raise Cancelled("the run is being cancelled")
        error = result.get("error", {})
        raise ToolError(error.get("code", "tool_failed"), error.get("message", ""))


def _come(answer):
    message = answer.wait()
    if message is None:
        raise Cancelled("the worker is gone")
    return message


class Context:
    """One run: who asked for what, and the ways to show it.

    agent                             its name in the configuration
    tools                             what it may call: {name: {"name", "description"?, "input_schema"?}}
    run_id, thread_id, user_id, request_id, message_id      whose run it is; message_id may be None
    deadline                          milliseconds since the Unix epoch, or None
    content                           what the user sent: a string, or a list of parts
    settings                          what the configuration has for the agent
    """

    def __init__(self, channel, interruption, introduction, params):
        self._channel = channel
        self._interruption = interruption
        self.agent = introduction["agent"]
        self.settings = introduction.get("settings", {})
        self.tools = {tool["name"]: tool for tool in introduction.get("tools", ())}
        self.run_id = params["run_id"]
        self.thread_id = params["thread_id"]
        self.user_id = params["user_id"]
        self.request_id = params.get("request_id")
        self.message_id = params.get("message_id")
        self.deadline = params.get("deadline")
        self.content = params["input"]["content"]

    @property
    def input(self):
        """The content as text: of a list, the parts that have any, one below the other."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part["text"] for part in self.content if "text" in part)

    def thinking(self, status):
        """What the agent is doing now; replaces what it said before."""
        self._event("agent_thinking", {"status": status})

    def reasoning(self, delta, message_id=None):
        """More of the agent's reasoning."""
        self._event("agent_thinking", {"delta": delta}, message_id=message_id)

    def text(self, delta, message_id=None, final=False):
        """More of the answer: of the current message, or of the one named."""
        data = {"delta": delta, "final": True} if final else {"delta": delta}
        self._event("partial_result", data, message_id=message_id)

    def error(self, code, message, retryable=False):
        """Something went wrong, and the run goes on."""
        self._event("error_event", {"code": code, "message": message, "retryable": retryable})

    def tool(self, name, **args):
        """Runs a tool and waits for it: what it gave, or ToolError."""
        return self.start_tool(name, **args).result()

    def start_tool(self, name, **args):
        """Begins a tool call; others may go on beside it."""
        with self._interruption.shielded():
            answer = self._channel.request("tool/call", {"name": name, "args": args})
        return PendingTool(answer)

    def ask(self, reason, payload=None, seconds=None):
        """Asks the user, and waits for an answer, for so many seconds if they are given: a Reply.
        `payload` is what the page needs to show the question."""
        params = {"reason": reason}
        if payload is not None:
            params["payload"] = payload
        if seconds is not None:
            params["expires_at"] = int((time.time() + seconds) * 1000)
        with self._interruption.shielded():
            answer = self._channel.request("interrupt/request", params)
        message = _come(answer)
        if "error" in message:
            raise AskError(message["error"].get("message", ""))
        return Reply(message["result"])

    def approve(self, reason, payload=None, seconds=None):
        """Whether somebody said yes, in time."""
        return bool(self.ask(reason, payload, seconds))

    def llm(self, messages=None, *, show=True, message_id=None, **options):
        """Asks a language model; the default is what the user sent. Iterate over the answer's pieces,
        or take all of it with .text(): each piece is shown as it comes, unless `show` is False. The
        options are those of llm.open_stream (base_url, model, …), and by default what
        the agent's settings have under `llm`."""
        chosen = {**self.settings.get("llm", {}), **options}
        if "base_url" not in chosen or "model" not in chosen:
            raise TypeError("ctx.llm needs a base_url and a model, here or in the settings, under llm")
        if messages is None:
            messages = [{"role": "user", "content": self.content}]
        take = (lambda piece: self.text(piece, message_id)) if show else (lambda piece: None)
        return llm.open_stream(messages, take=take, **chosen)

    def _event(self, kind, data, **about):
        params = {"type": kind, "data": data}
        params.update((name, value) for name, value in about.items() if value is not None)
        with self._interruption.shielded():
            self._channel.send(method="event", params=params)
