#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""first-commands.py BUILD OUT: writes BUILD's compile commands to OUT with one for each file, and
prints the names of the files, seen from the top of the project."""
import json
import os
import sys

build, out = sys.argv[1:]
root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
    commands = json.load(file)
first = {}
for command in commands:
    path = os.path.join(command["directory"], command["file"])
    first.setdefault(os.path.relpath(path, root), command)
with open(os.path.join(out, "compile_commands.json"), "w", encoding="utf-8") as file:
    json.dump(list(first.values()), file)
print("\n".join(first))
