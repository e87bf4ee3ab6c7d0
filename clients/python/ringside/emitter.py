# SPDX-License-Identifier: Apache-2.0
"""Show a Ringside user what a program of your own does: libringside with context managers.

    with ringside.Emitter() as emitter, emitter.run("ann", "files", "file-counter") as run:
        with run.tool("count_files", folder="/tmp") as tool:
            tool.result = {"files": 7}
        run.text("Seven files.")

An emitter may be used by all threads; a run by one at a time. A fork needs an emitter of its own.
"""
import ctypes
import json

from . import library

OUTCOMES = {"success": 0, "cancelled": 1, "interrupt": 2}
TOOL_STATUSES = {"ok": 0, "error": 1, "denied": 2, "cancelled": 3, "lost": 4}
POINTS = {"committed": 0, "sequenced": 1, "durable": 2, "delivered": 3}
ERRORS = ("OK", "INVALID", "ORDER", "ENDED", "TYPE", "TOO_BIG", "FULL", "TIMEOUT", "NO_NODE",
          "PERMISSION", "VERSION", "DAMAGED", "NO_ROOM", "NO_MEMORY", "FENCED", "FORKED", "SYSTEM",
          "TOO_MANY")


class EmitError(Exception):
    """A call that emitted nothing, unless `taken` says how many bytes of a text are out.

    name   "FULL", "ENDED", …: the RS_E_ codes of ringside.h
    """

    def __init__(self, code, text, taken=0):
        name = ERRORS[-code] if 0 <= -code < len(ERRORS) else str(code)
        super().__init__(f"{name}: {text}")
        self.code, self.name, self.taken = code, name, taken


def _bytes(text):
    return None if text is None else text.encode("utf-8")


def _json(value):
    return None if value is None else json.dumps(value, allow_nan=False).encode("ascii")


class Emitter:
    """This process's place at a node. `timeout`: seconds a call waits for room in a full ring."""

    def __init__(self, node=None, arena_dir=None, timeout=5.0, library_path=None):
        self._library = library.load(library_path)
        self._pointer = ctypes.c_void_p()
        options = library.AttachOptions(_bytes(node), _bytes(arena_dir), int(timeout * 1000))
        self.check(self._library.rs_attach(ctypes.byref(self._pointer), ctypes.byref(options)))

    def check(self, code, taken=0):
        """EmitError for what a call of the library answered, unless it went well."""
        if code < 0:
            raise EmitError(code, self._library.rs_strerror(code).decode(), taken)

    def run(self, user_id, thread_id, agent, **context):
        """A run, not yet started; run_id, request_id, parent_run_id and input may be given."""
        return Run(self, user_id, thread_id, agent, context)

    def close(self):
        """Leaves the node. Runs that are still held keep their place until they are closed."""
        if self._pointer:
            self._library.rs_detach(self._pointer)
            self._pointer = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Run:
    """One run. As a context manager it starts on entering; on leaving it completes, or fails with
    what was raised, unless it was ended before."""

    def __init__(self, emitter, user_id, thread_id, agent, context):
        if not emitter._pointer:
            raise ValueError("the emitter is closed")
        given = dict(context)
        wanted = library.RunContext(
            _bytes(user_id), _bytes(thread_id), _bytes(agent), _bytes(given.pop("run_id", None)),
            _bytes(given.pop("request_id", None)), _bytes(given.pop("parent_run_id", None)),
            _json(given.pop("input", None)))
        if given:
            raise TypeError(f"no such part of a run's context: {', '.join(given)}")
        self._emitter = emitter
        self._library = emitter._library
        self._pointer = ctypes.c_void_p()
        emitter.check(self._library.rs_run_open(
            ctypes.byref(self._pointer), emitter._pointer, ctypes.byref(wanted)))

    def _call(self, name, *arguments):
        if not self._pointer:
            raise ValueError("the run is closed")
        self._emitter.check(getattr(self._library, name)(self._pointer, *arguments))

    @property
    def id(self):
        return self._library.rs_run_id(self._pointer).decode()

    @property
    def ended(self):
        return not self._pointer or self._library.rs_run_ended(self._pointer)

    @property
    def unwatched(self):
        """Seconds for which no client of the user has been connected; 0.0 while one is."""
        return self._library.rs_run_unwatched_ms(self._pointer) / 1000

    def start(self):
        self._call("rs_run_start")

    def thinking(self, status):
        self._call("rs_thinking_status", _bytes(status))

    def reasoning(self, delta, message_id=None):
        self._text("rs_thinking_delta", delta, message_id)

    def text(self, delta, message_id=None):
        self._text("rs_text", delta, message_id)

    def text_final(self, message_id=None):
        self._call("rs_text_final", _bytes(message_id))

    def _text(self, name, delta, message_id):
        data, taken = delta.encode("utf-8"), ctypes.c_size_t(0)
        if not self._pointer:
            raise ValueError("the run is closed")
        code = getattr(self._library, name)(
            self._pointer, _bytes(message_id), data, len(data), ctypes.byref(taken))
        self._emitter.check(code, taken.value)

    def tool(self, name, tool_call_id=None, **args):
        """A tool call that begins now: end it, or use it as a context manager."""
        return Tool(self, name, tool_call_id, args)

    def _begin_tool(self, pointer, name, tool_call_id, args):
        if not self._pointer:
            raise ValueError("the run is closed")
        self._emitter.check(self._library.rs_tool_begin(
            ctypes.byref(pointer), self._pointer, _bytes(tool_call_id), _bytes(name), _json(args)))

    def error(self, code, message, retryable=False):
        """Something went wrong, and the run goes on."""
        self._call("rs_error", _bytes(code), _bytes(message), retryable)

    def complete(self, result=None, outcome="success", usage=None):
        self._call("rs_run_complete", OUTCOMES[outcome], _json(result), _json(usage))

    def fail(self, code, message, retryable=False):
        self._call("rs_run_fail", _bytes(code), _bytes(message), retryable)

    def flush(self, point="sequenced", timeout=5.0):
        """Waits until all that was emitted is committed, sequenced, durable or delivered."""
        self._call("rs_run_flush", POINTS[point], -1 if timeout is None else int(timeout * 1000))

    def close(self):
        """A run that was started and not ended fails with agent_failed."""
        if self._pointer:
            self._library.rs_run_free(self._pointer)
            self._pointer = ctypes.c_void_p()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, _kind, error, _traceback):
        try:
            if not self.ended and error is None:
                self.complete()
            elif not self.ended:
                self.fail("agent_failed", f"{type(error).__name__}: {error}")
        finally:
            self.close()


class Tool:
    """A tool call. Used as a context manager it ends with `result`, or with what was raised."""

    def __init__(self, run, name, tool_call_id, args):
        self._run = run
        self._pointer = ctypes.c_void_p()
        self.result = None
        self.ended = False
        run._begin_tool(self._pointer, name, tool_call_id, args)

    @property
    def id(self):
        return self._run._library.rs_tool_id(self._pointer).decode()

    def progress(self, value):
        self._call("rs_tool_progress", _json(value))

    def end(self, result=None):
        self._end("ok", _json(result), None, None)

    def fail(self, code, message, status="error"):
        self._end(status, None, _bytes(code), _bytes(message))

    def _end(self, status, *arguments):
        self._call("rs_tool_end", TOOL_STATUSES[status], *arguments)
        self.ended = True

    def _call(self, name, *arguments):
        if not self._run._pointer:
            raise ValueError("the run is closed")
        self._run._emitter.check(getattr(self._run._library, name)(self._pointer, *arguments))

    def __enter__(self):
        return self

    def __exit__(self, _kind, error, _traceback):
        if self.ended or self._run.ended:
            return
        if error is None:
            self.end(self.result)
        else:
            self.fail("tool_failed", f"{type(error).__name__}: {error}")
