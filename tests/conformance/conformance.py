#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether what answers at an address speaks ringside.v1, case by case. See README.md.

Standard library only. Exit status: 0 all passed, 1 a case failed, 2 usage, 3 nothing answers.
"""
import argparse
import concurrent.futures
import os
import pathlib
import sys
import time
import traceback
import uuid
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cases  # noqa: E402, F401
from kit.case import CASES, Context, Skipped  # noqa: E402


class Result:
    def __init__(self, case, verdict, why, seconds):
        self.case = case
        self.verdict = verdict  # ok, not ok, skip
        self.why = why
        self.seconds = seconds


def run(case, options, mark):
    began = time.monotonic()
    context = Context(options, mark)
    try:
        case.run(context)
        verdict, why = "ok", ""
    except Skipped as skipped:
        verdict, why = "skip", str(skipped)
    except AssertionError as failure:
        verdict, why = "not ok", str(failure)
    except Exception:  # a case that cannot go on has found something
        verdict, why = "not ok", traceback.format_exc()
    finally:
        context.close()
    return Result(case, verdict, why, time.monotonic() - began)


def tap_line(number, result):
    text = f"{result.case.id} {result.case.title} [{result.case.clause}]".replace("#", "\\#")
    skip = f" # SKIP {result.why}" if result.verdict == "skip" else ""
    lines = [f"{'not ok' if result.verdict == 'not ok' else 'ok'} {number} - {text}{skip}"]
    if result.verdict == "not ok":
        lines += [f"  # {line}" for line in result.why.rstrip().splitlines()]
    return "\n".join(lines)


def write_junit(path, results):
    suite = ElementTree.Element("testsuite", name="ringside.v1 conformance", tests=str(len(results)),
                                failures=str(sum(r.verdict == "not ok" for r in results)),
                                skipped=str(sum(r.verdict == "skip" for r in results)))
    for result in results:
        node = ElementTree.SubElement(suite, "testcase", name=f"{result.case.id} {result.case.title}",
                                      classname=result.case.clause, time=f"{result.seconds:.3f}")
        if result.verdict == "not ok":
            ElementTree.SubElement(node, "failure", message=result.why.splitlines()[-1]).text = result.why
        elif result.verdict == "skip":
            ElementTree.SubElement(node, "skipped", message=result.why)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def parse():
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--url", default="ws://127.0.0.1:8080/v1/ws", help="default: %(default)s")
    add("--token-cmd", default="ringside token --user {user} --ttl {ttl}", metavar="COMMAND",
        help="prints a token for {user}; {ttl} is how long it lasts. Default: %(default)s")
    add("--agent", help="one that answers any text soon; default: the server's own default")
    add("--slow-agent", help="one that says something and goes on until it is cancelled")
    add("--slow-content", default="go on", help="what it is sent")
    add("--ask-agent", help="one that asks the user once, and ends when it was answered")
    add("--ask-content", default="ask", help="what it is sent")
    add("--expired-token", help="a token whose time is over")
    add("--trimmed-user", help="a user whose oldest events are gone")
    add("--events-path", default="/v1/events", help="default: %(default)s")
    add("--patient", action="store_true", help="run cases that wait for a minute too")
    add("--only", action="append", default=[], metavar="ID", help="cases whose id begins so; repeatable")
    add("--except", action="append", default=[], metavar="ID", dest="unwanted",
        help="leave this case out; repeatable")
    add("--jobs", type=int, default=4, help="cases at once; default: %(default)s")
    add("--junit", metavar="FILE", help="write a JUnit report too")
    add("--list", action="store_true", help="list the cases and leave")
    return parser.parse_args()


def main():
    options = parse()
    chosen = [case for case in CASES if case.id not in options.unwanted and (
        not options.only or any(case.id.startswith(each) for each in options.only))]
    if options.list:
        for case in chosen:
            print(f"{case.id}  {case.title} [{case.clause}]")
        return 0
    if not chosen:
        print("conformance: no case has such an id; --list shows them", file=sys.stderr)
        return 2
    mark = uuid.uuid4().hex[:8]
    try:
        Context(options, mark).wire().close()
    except OSError as error:
        print(f"conformance: {options.url}: {error}; is the server there?", file=sys.stderr)
        return 3
    print(f"TAP version 13\n1..{len(chosen)}", flush=True)
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, result in enumerate(pool.map(lambda case: run(case, options, mark), chosen), 1):
            results.append(result)
            print(tap_line(number, result), flush=True)
    count = {verdict: sum(r.verdict == verdict for r in results) for verdict in ("ok", "not ok", "skip")}
    print(f"# {count['ok']} passed, {count['not ok']} failed, {count['skip']} skipped")
    if options.junit:
        write_junit(options.junit, results)
    return 1 if count["not ok"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)
