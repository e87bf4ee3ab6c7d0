#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each counter, and each of the broker's verdicts, is in a test that counts its occurrences.

The test calls assert_counted (tests/unit/broker/broker-test.h, or of the same name in Python) with
the counter, or with what stands for a verdict: assert_counted(f->counters.refused[VERDICT_X], 1), or a
helper that is made of it, assert_refused(f, event, X). The gateway's counters may also be looked at
where its unit tests keep them, assert_int_equal(stage->counters.x, 1), or by their metric's name.
"""
import re
import sys

import sources

COUNTED = re.compile(r"\b(?:assert_counted|assert_refused)\((.*?)\);?\s*$", re.DOTALL | re.MULTILINE)
OF_STAGE = re.compile(r"\bassert_int_equal\(\s*stage->counters\.(\w+),")
METRIC = re.compile(r"\b(?:ringside_gateway_)?(\w+?)_total\b")
# What no test can bring about, and why.
UNREACHABLE = {
    "VERDICT_NO_MEMORY": "tests do not make the process run out of memory",
}


def named(path, kind):
    text = (sources.ROOT / path).read_text(encoding="utf-8")
    return re.findall(rf"^{kind}\((\w+),", text, re.MULTILINE)


def counted():
    """Every word within a call of the helpers, in all tests."""
    words = set()
    for path in sources.files(".c", ".py"):
        if sources.relative(path).startswith(("tests/unit/", "tests/integration/")):
            text = path.read_text(encoding="utf-8")
            for call in COUNTED.findall(text):
                words |= set(re.findall(r"\w+", call))
            words |= set(OF_STAGE.findall(text)) | set(METRIC.findall(text))
    return words


def main():
    words = counted()
    wanted = named("broker/metrics/counters.def", "COUNTER") + named("gateway/counters.def", "COUNTER")
    verdicts = named("broker/runs/verdicts.def", "VERDICT") + \
        named("common/event/verdicts.def", "VERDICT")
    missing = [name for name in wanted if name not in words]
    missing += [f"VERDICT_{name}" for name in verdicts
                if f"VERDICT_{name}" not in words and name not in words
                and f"VERDICT_{name}" not in UNREACHABLE]
    for name in missing:
        print(f"{name}: no test counts its occurrences with assert_counted")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
