#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the code's atomics have the orders the memory tests assume.

    check-orders.py orders.def COMMON_RING_FOLDER
"""
import pathlib
import re
import sys

ROW = re.compile(r"^ORDER\((\w+), (\w+), ([\w.-]+), (\w+), \"(.*)\"\)$", re.MULTILINE)


def squeezed(text):
    return re.sub(r"\s+", "", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))


def body_of(source, function):
    """The function's text: its definition begins and ends in the first column."""
    found = re.search(rf"^[a-z_][^;{{}}]*\b{function}\([^;{{}}]*\)\n{{\n.*?^}}$", source,
                      re.MULTILINE | re.DOTALL)
    return squeezed(found.group()) if found else None


def call_at(body, begin):
    """From `begin` to the parenthesis that closes the call."""
    depth = 0
    for end in range(begin, len(body)):
        depth += {"(": 1, ")": -1}.get(body[end], 0)
        if depth == 0 and body[end] == ")":
            return body[begin:end + 1]
    return body[begin:]


def problem_with(row, folder):
    _, order, file, function, text = row
    path = folder / file
    body = body_of(path.read_text(encoding="utf-8"), function) if path.is_file() else None
    if body is None:
        return "there is no such function"
    begin = body.find(squeezed(text))
    if begin < 0:
        return f"has no call that begins with {text}"
    orders = re.findall(r"memory_order_(\w+)", call_at(body, begin)) or ["seq_cst"]
    return None if orders == [order] else f"{text}…: {', '.join(orders)}, not {order}"


def main(definitions, folder):
    rows = ROW.findall(pathlib.Path(definitions).read_text(encoding="utf-8"))
    failed = 0
    print(f"1..{len(rows)}")
    for number, row in enumerate(rows, 1):
        problem = problem_with(row, pathlib.Path(folder))
        failed += problem is not None
        print(f"{'not ok' if problem else 'ok'} {number} - {row[2]} {row[3]}: {row[0]} is {row[1]}")
        if problem:
            print(f"# {row[2]}: {row[3]}: {problem}")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
