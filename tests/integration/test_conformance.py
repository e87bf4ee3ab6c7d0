# SPDX-License-Identifier: Apache-2.0
"""The conformance kit (tests/conformance/) against our own gateway."""
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from harness import tokens
from harness.node import PROGRAMS, ROOT
from harness.parts import free_port

KIT = ROOT / "tests/conformance/conformance.py"


def run_kit(*arguments, environment=None):
    return subprocess.run([sys.executable, str(KIT), *arguments], env=environment,
                          capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def cases(shared_node, tmp_path_factory):
    """What became of each case, by its id: None, or what the kit says against it."""
    report = tmp_path_factory.mktemp("conformance") / "report.xml"
    expired = tokens.hs256(shared_node.secret(), tokens.claims("late", seconds=-4000))
    done = run_kit(
        "--url", f"ws://{shared_node.address}/v1/ws", "--junit", str(report),
        "--token-cmd", f"{PROGRAMS['ringside']} token --user {{user}} --ttl {{ttl}}",
        "--agent", "echo", "--slow-agent", "slow",
        "--slow-content", json.dumps({"steps": 100000, "pause_ms": 20}),
        "--ask-agent", "asker", "--ask-content", "may I?", "--expired-token", expired,
        environment=shared_node.environment)
    assert done.returncode in (0, 1), done.stderr
    return {node.get("name"): node for node in ElementTree.parse(report).iter("testcase")}


def ids():
    lines = run_kit("--list").stdout.splitlines()
    return [line.partition(" [")[0].replace("  ", " ") for line in lines]


@pytest.mark.parametrize("case", ids())
def test_gateway_conforms(cases, case):
    failure, skipped = cases[case].find("failure"), cases[case].find("skipped")
    assert failure is None, failure.text
    if skipped is not None:
        pytest.skip(skipped.get("message"))


def test_kit_says_that_nothing_answers_or_that_a_case_is_unknown():
    done = run_kit("--url", f"ws://127.0.0.1:{free_port()}/v1/ws")
    assert done.returncode == 3 and "is the server there?" in done.stderr
    assert run_kit("--only", "Z").returncode == 2
