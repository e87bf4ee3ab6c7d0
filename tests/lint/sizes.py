#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sizes of functions and files, against the budget in CONTRIBUTING.md; prints the figures.

A function's lines are counted from its name to its closing brace. Whatever passes a limit must
stand in tests/lint/sizes-allowed.txt as `path` or `path:function`, a space, and the reason.
"""
import re
import statistics
import subprocess
import sys

import sources

FUNCTION_MEDIAN, FUNCTION_P90, FUNCTION_MAX = 18, 45, 80
SOURCE_MAX, HEADER_MAX = 600, 150
PARAMETERS_MAX = 5


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def allowed():
    reasons = {}
    text = (sources.ROOT / "tests/lint/sizes-allowed.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            what, _, reason = line.partition(" ")
            reasons[what] = reason.strip()
    return reasons


def functions(paths):
    """(file, name, lines, parameters) of each function defined, by ctags."""
    listing = subprocess.run(
        ["ctags", "-x", "--languages=C", "--langmap=C:.c.h", "--kinds-C=f", "--fields=+neS",
         "--_xformat=%F\t%N\t%n\t%e\t%S", "-L", "-"],
        input="\n".join(map(str, paths)), check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        file, name, start, end, signature = (line.split("\t") + [""])[:5]
        if end.strip().isdigit():
            yield file, name, int(end) - int(start) + 1, parameters_of(signature)


def parameters_of(signature):
    """Named parameters: commas outside inner parentheses; void and … are none."""
    inner = signature.strip()[1:-1]
    while re.search(r"\([^()]*\)", inner):
        inner = re.sub(r"\([^()]*\)", "", inner)
    names = [part.strip() for part in inner.split(",")]
    return len([name for name in names if name not in ("", "void", "...")])


def check_functions(found, excused):
    problems = []
    for file, name, lines, parameters in found:
        where = f"{sources.relative(sources.ROOT / file)}:{name}"
        if where in excused:
            continue
        if lines > FUNCTION_MAX:
            problems.append(f"{where}: {lines} lines, more than {FUNCTION_MAX}")
        if parameters > PARAMETERS_MAX:
            problems.append(f"{where}: {parameters} parameters, more than {PARAMETERS_MAX}")
    return problems


def check_files(lengths, excused):
    problems = []
    for name, lines in lengths.items():
        limit = SOURCE_MAX if name.endswith(".c") else HEADER_MAX
        if lines > limit and name not in excused:
            problems.append(f"{name}: {lines} lines, more than {limit}")
    return problems


def report(what, paths):
    """Prints one line of figures; returns problems with the budget's median and p90."""
    sizes = [lines for _, _, lines, _ in functions(paths)]
    files = [len(path.read_text(encoding="utf-8").splitlines()) for path in paths
             if path.suffix == ".c"]
    if not sizes or not files:
        return []
    median, p90 = statistics.median(sizes), percentile(sizes, 0.9)
    print(f"{what}: {len(sizes)} functions, lines median {median:g} p90 {p90} max {max(sizes)}; "
          f"{len(files)} .c files, lines median {statistics.median(files):g} "
          f"p90 {percentile(files, 0.9)} max {max(files)}")
    problems = []
    if median > FUNCTION_MEDIAN:
        problems.append(f"{what}: functions have a median of {median:g} lines, more than "
                        f"{FUNCTION_MEDIAN}")
    if p90 > FUNCTION_P90:
        problems.append(f"{what}: functions have a p90 of {p90} lines, more than {FUNCTION_P90}")
    return problems


def main():
    paths = sources.files(".c", ".h")
    excused = allowed()
    lengths = {sources.relative(path): len(path.read_text(encoding="utf-8").splitlines())
               for path in paths}
    found = list(functions(paths))
    problems = check_functions(found, excused) + check_files(lengths, excused)
    known = set(lengths) | {f"{sources.relative(sources.ROOT / file)}:{name}"
                            for file, name, _, _ in found}
    for what, reason in excused.items():
        if what not in known:
            problems.append(f"sizes-allowed.txt: there is no {what}")
        if not reason:
            problems.append(f"sizes-allowed.txt: {what} gives no reason")
    tests = sources.ROOT / "tests"
    problems += report("product", [path for path in paths if tests not in path.parents])
    problems += report("tests", [path for path in paths if tests in path.parents])
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
