# SPDX-License-Identifier: Apache-2.0
"""Fixtures: nodes of real processes. Tests may be coroutines; each has a deadline."""
import asyncio
import faulthandler
import inspect
import itertools
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import record  # noqa: E402
from harness.llm_server import LlmServer  # noqa: E402
from harness.node import Node  # noqa: E402

TEST_SECONDS = 300
# Agents and tools are made of the system's Python: the front end that a version manager puts before
# it takes several times as long to start.
os.environ["PATH"] = "/usr/bin:" + os.environ["PATH"]
_numbers = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs a coroutine test on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), TEST_SECONDS))
    return True


@pytest.fixture(autouse=True)
def deadline():
    """A test that hangs outside any loop ends the whole run, and shows where."""
    faulthandler.dump_traceback_later(2 * TEST_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def records():
    """What the test's clients received must be sound, whatever the test was about."""
    record.forget_all()
    yield
    record.verify_all()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Puts what the node said next to the failure."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for node in _nodes_of(item):
            for number, output in enumerate(node.outputs):
                report.sections.append((f"stderr of {node.name}, life {number + 1}",
                                        "\n".join(output.lines[-150:])))


def _nodes_of(item):
    values = list(item.funcargs.values())
    return [value for value in values if isinstance(value, Node)] + \
        [node for value in values if isinstance(value, Makers) for node in value.made]


def finish(node):
    """Stops the node as Ctrl-C does, and looks at what its processes said."""
    try:
        status = node.stop() if node.up else 0
    finally:
        if node.up and node.up.poll() is None:
            node.kill_everything()
        strays = node.stray()
        node.remove()
    assert not node.reports(), "\n\n".join(node.reports())
    assert not strays, f"processes outlived the node: {strays}"
    return status


def finish_parts(parts):
    """Stops a node that was started part by part, and looks at what its processes said."""
    try:
        parts.stop()
    finally:
        parts.kill_everything()
        reports = parts.reports()
        parts.remove()
    assert not reports, "\n\n".join(reports)


class Makers:
    """Makes nodes that a test wants in its own way; all are stopped after it."""

    def __init__(self):
        self.made = []

    def __call__(self, **options):
        node = Node(**options)
        self.made.append(node)
        return node


@pytest.fixture
def user():
    """A user no other test has."""
    return f"user-{next(_numbers)}"


@pytest.fixture(scope="module")
def server():
    """A language model's server, which nobody may have asked for what a real one would refuse."""
    made = LlmServer()
    yield made
    made.close()
    assert not made.complaints


@pytest.fixture(scope="module")
def shared_node():
    """One node for the tests of a file that do not break it."""
    node = Node()
    try:
        node.start()
        yield node
    finally:
        finish(node)


@pytest.fixture
def node():
    """A node of the test's own."""
    node = Node()
    try:
        node.start()
        yield node
    finally:
        finish(node)


@pytest.fixture
def make_node():
    makers = Makers()
    yield makers
    problems = []
    for node in makers.made:
        try:
            finish(node)
        except AssertionError as problem:
            problems.append(problem)
    assert not problems, problems
