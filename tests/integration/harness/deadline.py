# SPDX-License-Identifier: Apache-2.0
"""Waiting for something to become true, never for time to pass."""
import asyncio
import select
import time


class Missed(AssertionError):
    """Something did not happen in time."""


# Sanitizers and a busy machine are slow; a test that hits this has failed in any case.
PATIENCE = 30.0


def until(condition, what, seconds=PATIENCE):
    """The first true value of condition(), looked at every few milliseconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Missed(f"{what}: not within {seconds:g} s")
        select.select([], [], [], 0.005)


async def until_changed(changed, condition, problem, seconds):
    """The first true value of condition(), looked at again whenever the event `changed` is set;
    what problem() gives is raised. asyncio.TimeoutError when the time is over."""
    async def watch():
        while True:
            changed().clear()
            value = condition()
            if value:
                return value
            wrong = problem()
            if wrong:
                raise wrong
            await changed().wait()
    return await asyncio.wait_for(watch(), seconds)
