#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three tools over a folder of text files: list, search and read.

A command tool is any program: it gets its arguments as one JSON object on stdin and writes its
result as one JSON value to stdout. When it cannot do what it was asked, it writes
{"error": {"code", "message"}} and exits with a status other than 0.

    echo '{"query": "rings"}' | library_tool.py search

The folder is $LIBRARIAN_FOLDER, else the `docs` of the project this file belongs to. Nothing
outside of it is read.
"""
import json
import math
import os
import pathlib
import re
import sys

SUFFIXES = {".md", ".txt", ".rst", ".text"}
FILE_BYTES_MAX = 1 << 20
FILES_MAX = 5000
HITS_MAX = 20
READ_LINES_MAX = 400
# BM25: how soon repeated words stop to count, and how much long paragraphs are held back.
K1 = 1.4
B = 0.6
HEADING_WEIGHT = 2
STOP_WORDS = frozenset(
    "a about an and any are as at be been but by can could did do does for from had has have how "
    "i if in into is it its may me might more must my no not of on one or our should so some such "
    "than that the their them then there these they this to us was we were what when where which "
    "while who why will with would you your".split())


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def folder():
    chosen = os.environ.get("LIBRARIAN_FOLDER")
    path = pathlib.Path(chosen) if chosen else pathlib.Path(__file__).resolve().parents[2] / "docs"
    if not path.is_dir():
        raise Refused("folder_not_found", f"there is no folder {path}")
    return path.resolve()


def text_files(root):
    """Paths of the text files below root, sorted; links are not followed out of it."""
    found = []
    for base, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = pathlib.Path(base, name)
            if path.suffix.lower() in SUFFIXES and path.resolve().is_relative_to(root):
                found.append(path)
        if len(found) >= FILES_MAX:
            return found[:FILES_MAX]
    return found


def read_text(path):
    with open(path, "rb") as file:
        return file.read(FILE_BYTES_MAX).decode("utf-8", "replace")


def words_of(text):
    """Lower-case words without the commonest ones, plural and ending trimmed a little."""
    words = []
    for word in re.findall(r"[^\W_]+", text.lower()):
        if word in STOP_WORDS:
            continue
        for ending in ("ing", "ies", "ed", "es", "s"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word[:-len(ending)]
                break
        words.append(word)
    return words


def paragraphs_of(text):
    """(line number, heading it stands under, text) of each paragraph; a row of a table is one by
    itself, code between fences is none."""
    heading, start, lines, fenced = "", 1, [], False
    for number, line in enumerate(text.splitlines() + [""], 1):
        line = line.strip()
        fence = line.startswith("```")
        if line.startswith("#") and not fenced:
            heading = line.lstrip("#").strip()
        row = line.startswith("|")
        if lines and (not line or row or fence or line.startswith("#")):
            yield start, heading, " ".join(lines)
            lines = []
        if fence:
            fenced = not fenced
        elif row and not fenced and line.strip("|-: "):
            yield number, heading, plain_row(line)
        elif line and not row and not fenced and not line.startswith("#"):
            start = start if lines else number
            lines.append(line)


def plain_row(line):
    return " – ".join(cell.strip() for cell in line.strip("|").split("|") if cell.strip())


class Index:
    """All paragraphs of a folder, and how well each answers a query (BM25)."""

    def __init__(self, root):
        self.paragraphs = []
        self.spread = {}  # word -> number of paragraphs that have it
        for path in text_files(root):
            name = path.relative_to(root).as_posix()
            for line, heading, text in paragraphs_of(read_text(path)):
                counts = {}
                for word in words_of(text) + HEADING_WEIGHT * words_of(heading):
                    counts[word] = counts.get(word, 0) + 1
                for word in counts:
                    self.spread[word] = self.spread.get(word, 0) + 1
                self.paragraphs.append((name, line, heading, text, counts))
        lengths = [sum(counts.values()) for *_, counts in self.paragraphs]
        self.usual_length = sum(lengths) / len(lengths) if lengths else 1

    def weight(self, word):
        having = self.spread.get(word, 0)
        return math.log(1 + (len(self.paragraphs) - having + 0.5) / (having + 0.5))

    def score(self, counts, query):
        """BM25, times the share of the question's words that are there at all."""
        length = sum(counts.values())
        held_back = K1 * (1 - B + B * length / self.usual_length)
        there = [word for word in query if word in counts]
        return len(there) / (len(query) or 1) * sum(
            self.weight(word) * counts[word] * (K1 + 1) / (counts[word] + held_back)
            for word in there)

    def search(self, query, limit):
        wanted = set(words_of(query))
        scored = [(self.score(paragraph[4], wanted), paragraph) for paragraph in self.paragraphs]
        scored = [hit for hit in scored if hit[0] > 0]
        scored.sort(key=lambda hit: (-hit[0], hit[1][0], hit[1][1]))
        return [{"file": name, "line": line, "heading": heading, "score": round(score, 3),
                 "text": text[:600]}
                for score, (name, line, heading, text, _) in scored[:limit]]


def number(args, name, default, most):
    value = args.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refused("invalid_argument", f"{name} must be a whole number from 1 on")
    return min(value, most)


def text_argument(args, name):
    value = args.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refused("invalid_argument", f"{name} must be a text that is not empty")
    return value


def tool_list(root, args):
    files = text_files(root)
    return {"folder": root.name, "count": len(files),
            "files": [{"file": path.relative_to(root).as_posix(), "bytes": path.stat().st_size}
                      for path in files[:number(args, "limit", 200, 1000)]]}


def tool_search(root, args):
    index = Index(root)
    hits = index.search(text_argument(args, "query"), number(args, "limit", 5, HITS_MAX))
    return {"paragraphs": len(index.paragraphs), "hits": hits}


def tool_read(root, args):
    name = text_argument(args, "file")
    path = (root / name).resolve() if "\0" not in name else root
    if not path.is_relative_to(root):
        raise Refused("permission_denied", f"{name} is outside of the folder")
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        raise Refused("file_not_found", f"there is no text file {name}")
    lines = read_text(path).splitlines()
    first = number(args, "line", 1, max(1, len(lines)))
    count = number(args, "lines", 40, READ_LINES_MAX)
    return {"file": path.relative_to(root).as_posix(), "line": first, "total_lines": len(lines),
            "text": "\n".join(lines[first - 1:first - 1 + count])}


TOOLS = {"list": tool_list, "search": tool_search, "read": tool_read}


def arguments():
    try:
        args = json.loads(sys.stdin.read() or "{}")
    except ValueError as error:
        raise Refused("invalid_argument", f"the arguments are not JSON: {error}") from error
    if not isinstance(args, dict):
        raise Refused("invalid_argument", "the arguments are not an object")
    return args


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in TOOLS:
        sys.exit(f"usage: library_tool.py {'|'.join(TOOLS)} < arguments.json")
    try:
        result, status = TOOLS[sys.argv[1]](folder(), arguments()), 0
    except Refused as refused:
        result, status = {"error": {"code": refused.code, "message": str(refused)}}, 1
    except OSError as error:
        result, status = {"error": {"code": "not_readable", "message": str(error)}}, 1
    json.dump(result, sys.stdout)
    print()
    sys.exit(status)


if __name__ == "__main__":
    main()
