#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Words that say unfinished, sleeps in tests, and sources that do not name their licence."""
import re
import sys

import sources

CODE = (".c", ".h", ".def", ".py", ".js", ".mjs", ".html", ".css", ".sh", ".build", ".yaml", ".md",
        ".txt")
LICENSED = (".c", ".h", ".def", ".py", ".js", ".mjs", ".sh")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\b[Nn]ot[ -]implemented\b")
STANDS_IN = re.compile(r"\bplaceholder\b", re.IGNORECASE)
PAGE = (".js", ".html", ".css")  # where an input's hint is called so
SLEEP = re.compile(r"\b(usleep|nanosleep|clock_nanosleep|sleep)\s*\(|\bwaitForTimeout\b")
# An agent, or an hour of traffic, that takes its time is what is tested, not a test.
PACED = ("tests/agents/", "tests/stress/crashes/", "tests/stress/soak/")


def problems_in(name, text):
    first_lines = "\n".join(text.splitlines()[:3])
    if name.endswith(LICENSED) and "SPDX-License-Identifier: Apache-2.0" not in first_lines:
        yield f"{name}:1: does not name its licence"
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line) or (not name.endswith(PAGE) and STANDS_IN.search(line)):
            yield f"{name}:{number}: unfinished: {line.strip()}"
        if name.startswith("tests/") and not name.startswith(PACED) and SLEEP.search(line):
            yield f"{name}:{number}: sleeps instead of waiting for something: {line.strip()}"


def main():
    problems = []
    for path in sources.files(*CODE):
        name = sources.relative(path)
        if name != "tests/lint/words.py":
            problems += problems_in(name, path.read_text(encoding="utf-8"))
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
