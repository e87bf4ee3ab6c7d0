#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""failpoints-absent.py with|without DEF PROGRAM: a broker has its failpoints where the build asks
for them, and not a trace of them elsewhere."""
import pathlib
import re
import sys

STEP = re.compile(r"^STEP\((\w+),", re.MULTILINE)


def main(wanted, definitions, program):
    steps = STEP.findall(pathlib.Path(definitions).read_text(encoding="utf-8"))
    image = pathlib.Path(program).read_bytes()
    traces = [trace for trace in ("RINGSIDE_FAILPOINTS", "failpoint_pass", "failpoint_open")
              if trace.encode() + b"\0" in image]
    if not steps:
        sys.exit(f"no steps in {definitions}")
    if wanted == "with" and "RINGSIDE_FAILPOINTS" not in traces:
        sys.exit(f"{program} has no failpoints")
    if wanted == "without" and traces:
        sys.exit(f"{program} has failpoints: {traces}")


if __name__ == "__main__":
    main(*sys.argv[1:])
