#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""step-names.py OUTPUT SOURCE…: a C header with the name of every RING_STEP in the sources, so
that a step added to the rings is a kill-point of the torture by itself."""
import pathlib
import re
import sys

STEP = re.compile(r"\bRING_STEP\((\w+)\)")


def main(output, sources):
    names = {name for source in sources
             for name in STEP.findall(pathlib.Path(source).read_text(encoding="utf-8"))}
    lines = "\n".join(f'    "{name}",' for name in sorted(names))
    pathlib.Path(output).write_text(
        "#pragma once\n\nstatic const char *const step_names[] = {\n" + lines + "\n};\n"
        "#define STEP_COUNT (sizeof step_names / sizeof *step_names)\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
