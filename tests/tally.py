#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts test cases for `./dev test`, part by part, in the file named by TALLY_FILE.

    tally.py meson LOG     the cases of meson's testlog.json (cmocka programs that report in TAP)
    tally.py junit FILE    the cases of pytest's JUnit report
    tally.py node FILE     the cases of node's TAP report
    tally.py one pass|fail [WHAT]
    tally.py part STATUS SECONDS
                           ends a part: a part that went wrong without a failed case gets one
    tally.py sum SECONDS   prints all of it; status 1 when anything failed or nothing ran
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

TAP_LINE = re.compile(r"^(ok|not ok) \d+\b(.*)$", re.MULTILINE)


def record(passed, failed, skipped=0, failures=(), seconds=0):
    line = {"part": os.environ.get("TALLY_PART", "?"), "passed": passed, "failed": failed,
            "skipped": skipped, "failures": list(failures), "seconds": seconds}
    with open(os.environ["TALLY_FILE"], "a", encoding="utf-8") as tally:
        tally.write(json.dumps(line) + "\n")


def records():
    with open(os.environ["TALLY_FILE"], encoding="utf-8") as tally:
        return [json.loads(line) for line in tally]


def count_program(test):
    """(passed, failed, skipped, names) of one program; one that died has at least one failure."""
    passed = failed = skipped = 0
    names = []
    for verdict, rest in TAP_LINE.findall(test.get("stdout", "") or ""):
        if "# SKIP" in rest:
            skipped += 1
        elif verdict == "ok":
            passed += 1
        else:
            failed += 1
            names.append(test["name"] + rest)
    if test["result"] not in ("OK", "SKIP") and failed == 0:
        failed = 1
        names.append(f"{test['name']} ({test['result'].lower()})")
    if test["result"] == "OK" and passed == 0 and skipped == 0:
        passed = 1
    return passed, failed, skipped, names


def count_meson(path):
    with open(path, encoding="utf-8") as log:
        for line in log:
            record(*count_program(json.loads(line)))


def count_junit(path):
    cases = ElementTree.parse(path).getroot().iter("testcase")
    passed = failed = skipped = 0
    names = []
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            names.append(f"{case.get('classname')} {case.get('name')}")
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    record(passed, failed, skipped, names)


def count_node(path):
    with open(path, encoding="utf-8") as report:
        text = report.read()
    numbers = {name: int(number) for name, number
               in re.findall(r"^# (pass|fail|skipped|cancelled) (\d+)$", text, re.MULTILINE)}
    names = re.findall(r"^ *not ok \d+ - (.*)$", text, re.MULTILINE)
    record(numbers.get("pass", 0), numbers.get("fail", 0) + numbers.get("cancelled", 0),
           numbers.get("skipped", 0), names)


def end_part(status, seconds):
    part = os.environ["TALLY_PART"]
    record(0, 0, seconds=seconds)
    mine = [line for line in records() if line["part"] == part]
    if status != 0 and not any(line["failed"] for line in mine):
        record(0, 1, 0, [f"ended with status {status}"])
    elif not any(line["passed"] or line["failed"] for line in mine):
        record(0, 1, 0, ["ran nothing"])


def print_sum(seconds):
    parts = {}
    for line in records():
        total = parts.setdefault(line["part"],
                                 {"passed": 0, "failed": 0, "skipped": 0, "seconds": 0})
        for key in total:
            total[key] += line[key]
        for name in line["failures"]:
            print(f"failed: {line['part']}: {name}")
    for part, total in parts.items():
        print(f"{part:12} {total['passed']:5} passed {total['failed']:3} failed "
              f"{total['skipped']:3} skipped {total['seconds']:5} s")
    passed = sum(total["passed"] for total in parts.values())
    failed = sum(total["failed"] for total in parts.values())
    print(f"{'in all':12} {passed:5} passed {failed:3} failed {'':11} {seconds:5} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main(verb, *rest):
    if verb == "one":
        passed = rest[0] == "pass"
        record(int(passed), int(not passed), 0, () if passed else rest[1:])
        return 0
    if verb == "part":
        end_part(*map(int, rest))
        return 0
    if verb == "sum":
        return print_sum(int(rest[0]))
    {"meson": count_meson, "junit": count_junit, "node": count_node}[verb](rest[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
