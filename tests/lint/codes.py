#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each error code and close code of docs/protocol-client.md is one that the programs give, and that
a test asks for; and each code of the protocol that the gateway or the broker gives is on that page.
"""
import re
import sys

import sources

PAGE = "docs/protocol-client.md"
PRODUCT = ("gateway/", "broker/", "agent-worker/", "common/token/")
TESTS = ("tests/unit/gateway/", "tests/unit/broker/", "tests/integration/", "tests/conformance/")
# What a client of the protocol is never told: administration, HTTP, and ends of runs.
REFUSALS = re.compile(r'\b(?:fail|refuse|protocol_error_set|reply_error)\([^;"]*"([a-z]+(?:_[a-z]+)+)"')


def section(text, title):
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0] \
        or text.partition(f"\n### {title}\n")[2].partition("\n##")[0]


def first_cells(table):
    return [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]


def text_of(prefixes, *suffixes):
    return {sources.relative(path): path.read_text(encoding="utf-8")
            for path in sources.files(*suffixes)
            if sources.relative(path).startswith(prefixes)}


def problems():
    page = (sources.ROOT / PAGE).read_text(encoding="utf-8")
    errors = [code for cell in first_cells(section(page, "Error codes"))
              for code in re.findall(r"`([a-z_]+)`", cell)]
    closes = [code for cell in first_cells(section(page, "Closing"))
              for code in re.findall(r"\b(4\d\d\d|1009|1011)\b", cell)]
    product = text_of(PRODUCT, ".c", ".h")
    tests = "\n".join(text_of(TESTS, ".c", ".py").values())
    if len(errors) < 10 or len(closes) < 10:
        yield f"{PAGE}: its tables of codes are not found"
    given = "\n".join(product.values())
    for code in errors:
        if f'"{code}"' not in given:
            yield f"{PAGE}: nothing gives {code}"
    for code in closes:
        if not re.search(rf"\b{code}\b", given):
            yield f"{PAGE}: nothing closes with {code}"
    for code in errors + closes:
        if not re.search(rf"\b{code}\b", tests):
            yield f"{PAGE}: no test asks for {code}"
    for name, text in product.items():
        if name.startswith(("gateway/session", "gateway/protocol", "broker/dispatch/requests",
                            "broker/dispatch/answers", "broker/peers/run_queries",
                            "broker/peers/gateway_port")):
            for code in REFUSALS.findall(text):
                if code not in errors:
                    yield f"{name}: {code} is not on {PAGE}"


def main():
    found = list(problems())
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
