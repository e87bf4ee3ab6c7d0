#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The state diagram and the table of steps in docs/lifecycle.md, drawn from the tables in the code.

    tools/draw-runs.py          writes them into the page
    tools/draw-runs.py --check  says whether the page has them as they are
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/lifecycle.md"


def rows(path, macro):
    """The arguments of each MACRO(…) of a .def file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for found in re.finditer(rf"^{macro}\(((?:[^()]|\([^()]*\))*)\)", text, re.MULTILINE):
        yield [part.strip() for part in re.split(r",\s*(?![^(\"]*[)\"])", found.group(1))]


def split_quoted(arguments):
    """RUN_MOVE's, whose second argument is a string that may hold commas."""
    cause, words, rest = re.match(r'\s*(\w+),\s*"([^"]*)",\s*(.*)', arguments, re.DOTALL).groups()
    before, after = rest.rsplit(",", 1)
    return cause, words, re.findall(r"S\((\w+)\)", before), after.strip()


def moves():
    text = (ROOT / "broker/runs/moves.def").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for found in re.finditer(r"^RUN_MOVE\(((?:[^()]|\([^()]*\))*)\)", text, re.MULTILINE):
        yield split_quoted(found.group(1))


def diagram():
    names = {symbol: (name, final == "true")
             for symbol, name, final in rows("broker/runs/states.def", "RUN_STATE")}
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> accepted: chat.send",
             "    [*] --> starting: agent_started of a program's own run"]
    for _, words, before, after in moves():
        lines += [f"    {names[symbol][0]} --> {names[after][0]}: {words}" for symbol in before]
    lines += [f"    {name} --> [*]" for name, final in names.values() if final]
    return [*lines, "```"]


FORMS = {"PLAIN": "", "FINAL": ", final", "OF_TOOL": " of a tool call", "FATAL": ", fatal",
         "BARE_FINAL": ", final, where there is text"}
ITEMS = {"NONE": "", "TEXT": "text", "TOOL": "tool call", "INTERRUPT": "interrupt"}


def states(cell):
    return "never" if cell == "NEVER" else " or ".join(
        part.strip().lower() for part in cell.split("|"))


def item(cell):
    return " or ".join(part.strip().removeprefix("ITEM_").lower() for part in cell.split("|"))


def steps():
    lines = ["| event | its agent may, in a run that is | the broker may | run after | item | before | after |",
             "|---|---|---|---|---|---|---|"]
    for _, event, form, agent, broker, after, items, old, new in rows(
            "common/event/grammar.def", "STEP"):
        has_item = items != "NONE"
        lines.append(
            f"| `{event.lower()}`{FORMS[form]} | {states(agent)} | {states(broker)} | "
            f"{'' if after == 'SAME' else after.lower()} | {ITEMS[items]} | "
            f"{item(old) if has_item else ''} | {item(new) if has_item else ''} |")
    return lines


def drawn(page):
    for name, lines in (("states", diagram()), ("steps", steps())):
        begin, end = f"<!-- {name}: drawn by tools/draw-runs.py -->", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
        if not pattern.search(page):
            sys.exit(f"{PAGE}: has no place for the {name}")
        page = pattern.sub(lambda _, b=begin, e=end, text=lines: "\n".join([b, *text, e]), page)
    return page


def main():
    page = PAGE.read_text(encoding="utf-8")
    wanted = drawn(page)
    if sys.argv[1:] == ["--check"]:
        if page != wanted:
            print("docs/lifecycle.md is not what the tables say: run tools/draw-runs.py")
        return page != wanted
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
