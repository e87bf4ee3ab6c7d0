# SPDX-License-Identifier: Apache-2.0
"""What the broker has counted. tests/lint/counters.py looks for this helper with each counter."""


def assert_counted(node, name, occurrences, before=0):
    counted = node.status()["counters"][name] - before
    assert counted == occurrences, f"{name}: {counted} instead of {occurrences}"
