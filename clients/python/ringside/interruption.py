# SPDX-License-Identifier: Apache-2.0
"""A cancel that comes from another thread becomes an exception in the agent's, wherever it is.

Python runs signal handlers in the main thread, between two steps of it or out of a blocking call.
The agent runs there, so a signal to ourselves with a handler that raises reaches it also while it
sleeps or waits for a network. Not while a message is written, though, of which the worker would
get half: that is shielded, and the exception comes right behind it. It comes once: what the agent
does to clean up afterwards is left alone.
"""
import contextlib
import signal
import threading

SIGNAL = signal.SIGURG  # ignored by default, so that one which comes too late does no harm


class Interruption:
    def __init__(self, make_exception):
        self._make = make_exception
        self._armed = False
        self._shields = 0
        self._reason = None
        self._pending = False
        self._main = threading.main_thread()
        signal.signal(SIGNAL, self._on_signal)

    def forget(self):
        """Another run begins: what was meant for the last one is over."""
        self._pending = False

    def raise_in_main(self, reason):
        """From any thread."""
        self._reason = reason
        self._pending = True
        signal.pthread_kill(self._main.ident, SIGNAL)

    @contextlib.contextmanager
    def armed(self):
        """In the main thread: within it the exception may come anywhere."""
        self._armed = True
        try:
            self._check()
            yield
        finally:
            self._armed = False

    @contextlib.contextmanager
    def shielded(self):
        """Within it the exception does not come; it may on leaving. Other threads never get it."""
        if threading.current_thread() is not self._main:
            yield
            return
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
            self._check()

    def _on_signal(self, _number, _frame):
        self._check()

    def _check(self):
        if self._armed and self._pending and not self._shields:
            self._armed = False
            raise self._make(self._reason)
