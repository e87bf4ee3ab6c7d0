#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the page's files as a table in C: embed.py OUTPUT FILE…"""

import hashlib
import pathlib
import sys


def rows(data):
    for start in range(0, len(data), 16):
        yield "    " + "".join(f"0x{byte:02x}," for byte in data[start : start + 16])


def main():
    output, files = sys.argv[1], sorted(map(pathlib.Path, sys.argv[2:]), key=lambda f: f.name)
    lines = ["/* Made by embed.py. */", '#include "assets.h"', ""]
    table = []
    for index, path in enumerate(files):
        data = path.read_bytes()
        etag = hashlib.sha256(data).hexdigest()[:24]
        lines += [f"static const unsigned char bytes_{index}[] = {{", *rows(data), "    0};"]
        table.append(f'    {{"{path.name}", "\\"{etag}\\"", bytes_{index}, {len(data)}}},')
    lines += ["", "const struct asset assets[] = {", *table, "    {0}};"]
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


main()
