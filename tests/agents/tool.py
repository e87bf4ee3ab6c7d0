#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tools for tests: wait {"ms"}, big, huge, garbled, fails, says_why, lingers."""
import json
import subprocess
import sys
import time

kind = sys.argv[1]
args = json.load(sys.stdin)
if kind == "wait":
    time.sleep(args.get("ms", 0) / 1000)
    print(json.dumps({"waited_ms": args.get("ms", 0)}, indent=2))
elif kind == "big":  # more than an event can carry, less than a tool may write
    print(json.dumps("b" * 100_000))
elif kind == "huge":
    while True:
        sys.stdout.write("h" * 65536)
elif kind == "garbled":
    print("{not json")
elif kind == "fails":
    sys.exit("the disk is on fire")
elif kind == "says_why":
    print(json.dumps({"error": {"code": "no_such_file", "message": "there is no file x"}}))
    sys.exit(1)
elif kind == "lingers":  # a grandchild that would outlive the tool, were its group not killed
    subprocess.Popen(["sleep", "600"])
    time.sleep(600)
