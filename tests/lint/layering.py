#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom. The build's include paths enforce most of it; this says the rest.

A quoted include with a folder is a common module's or a room's: a subfolder of the component's
own. One without is a file of the same folder. Third-party headers with an interface of ours in
front of them appear behind that interface only.
"""
import re
import sys

import sources

COMMON = {
    "base": {"base"},
    "event": {"base", "event"},
    "ring": {"base", "ring"},
    "wire": {"base", "wire"},
    "config": {"base", "config"},
    "token": {"base", "token"},
    "emitter": {"base", "event", "ring", "emitter"},
}
PROGRAMS = {
    "broker": {"base", "event", "ring", "wire", "config"},
    "gateway": {"base", "event", "wire", "config", "token"},
    "agent-worker": {"base", "event", "ring", "wire", "config", "emitter"},
    "cli": {"base", "event", "ring", "wire", "config", "token"},
}
# The rooms of a program, and the rooms that each may know besides itself: only such as stand above
# it here, so that there is an order. A room never knows what is at the program's top.
ROOMS = {
    "agent-worker": {
        "json": set(),
        "protocol": {"json"},
        "native": {"json", "protocol"},
        "llm": {"json", "protocol"},
        "process": {"protocol"},
        "agents": {"json", "process"},
        "mcp": {"json", "protocol", "process", "agents"},
        "tools": {"json", "protocol", "process", "agents", "mcp"},
        "runs": {"json", "protocol", "process", "agents", "mcp", "tools"},
        "batch": {"json", "agents", "runs"},
        "check": {"json", "process", "runs", "batch"},
    },
    "broker": {
        "failpoints": set(),
        "history": {"failpoints"},
        "runs": {"history"},
        "metrics": {"runs"},
        "links": {"failpoints", "history", "metrics"},
        "delivery": {"failpoints", "runs", "links"},
        "queue": {"runs", "metrics"},
        "stream": {"failpoints", "runs", "metrics", "delivery", "queue"},
        "intake": {"failpoints", "runs", "metrics", "delivery", "stream"},
        "dispatch": {"failpoints", "runs", "links", "queue", "stream", "intake"},
        "peers": {"history", "runs", "delivery", "intake", "dispatch"},
        "upkeep": {"failpoints", "history", "metrics", "intake"},
        "loop": {"failpoints", "metrics", "links", "intake", "dispatch", "peers", "upkeep"},
        "admin": {"metrics", "links", "loop"},
    },
}
# Below a program, a folder that stands by itself: its files do not see the program's.
APART = {"broker/history": {"base", "event", "failpoints"}, "broker/failpoints": {"failpoints"}}

# Third-party header -> the files that may include it.
RESTRICTED = {
    r"libwebsockets\.h": r"gateway/[a-z_]+\.c",
    r"nng/.*": r"common/wire/(channel_nng|attachment|link_tls)\.c|broker/links/[a-z_]+_port\.c|cli/control\.c",
    r"msgpack(/.*|\.h)": r"common/base/pack\.c",
    r"lmdb\.h": r"broker/history/[a-z_]+\.[ch]",
    r"yaml\.h": r"common/config/[a-z_]+\.[ch]",
    r"jansson\.h": r"(gateway|agent-worker|broker|cli|common/(config|token)|examples)/.*",
    r"curl/.*": r"agent-worker/llm/(transfer|settings)\.[ch]",
    r"microhttpd\.h": r"broker/metrics/port\.c",
    r"openssl/.*": r"common/token/[a-z_]+\.[ch]|gateway/tls(_keys)?\.c",
}
SINGLE = {"libwebsockets.h": "gateway"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def component_of(name):
    """(folder of the component, common modules it may see), or None for tests and the like."""
    for folder, allowed in APART.items():
        if name.startswith(folder + "/"):
            return folder, allowed
    parts = name.split("/")
    if parts[0] == "common" and len(parts) > 2:
        return f"common/{parts[1]}", COMMON.get(parts[1], set())
    if parts[0] in PROGRAMS:
        return parts[0], PROGRAMS[parts[0]]
    return None


def room_problem(program, name, include):
    rooms = ROOMS.get(program, {})
    room, first = name.split("/")[1], include.split("/")[0]
    if room in rooms and first not in rooms[room] | {room} and not first.startswith("ringside"):
        return f"{program}/{room} may not include {first}"
    return None


def quoted_problem(name, include):
    if ".." in include.split("/"):
        return "climbs out of its folder"
    component = component_of(name)
    if component is None:
        return None
    folder, allowed = component
    first = include.split("/")[0]
    own = (sources.ROOT / name).parent / include
    if "/" in include and first in allowed:
        return None
    problem = room_problem(folder, name, include)
    if problem:
        return problem
    if "/" not in include:
        public = folder in ("common/emitter", "agent-worker")
        if own.is_file() or (public and include.startswith("ringside")):
            return None
        return "has no folder and is no file of the same folder"
    apart = folder in APART and first == folder.split("/")[1]
    if apart or (sources.ROOT / folder / include).is_file():
        return None
    return f"{folder} may not include {first}"


def order_problems():
    """Rooms that know one which does not stand above them, and folders that are no room."""
    for program, rooms in ROOMS.items():
        above = set()
        for room, known in rooms.items():
            for other in sorted(known - above):
                yield f"ROOMS: {program}/{room} knows {other}, which does not stand above it"
            above.add(room)
        for path in sources.files(".c", ".h"):
            parts = sources.relative(path).split("/")
            if parts[0] == program and len(parts) > 2 and parts[1] not in above | {"include"}:
                yield f"{sources.relative(path)}: {parts[1]} is no room of {program}: see ROOMS"


def system_problem(name, include):
    for header, users in RESTRICTED.items():
        if re.fullmatch(header, include) and not name.startswith("tests/") and \
                not re.fullmatch(users, name):
            return "stands behind an interface of ours: see RESTRICTED in tests/lint/layering.py"
    return None


def main():
    problems = list(order_problems())
    users = {header: [] for header in SINGLE}
    for path in sources.files(".c", ".h", ".def"):
        name = sources.relative(path)
        for kind, include in INCLUDE.findall(path.read_text(encoding="utf-8")):
            problem = (quoted_problem if kind == '"' else system_problem)(name, include)
            if problem:
                problems.append(f"{name}: {include}: {problem}")
            if include in users and name.startswith(SINGLE[include] + "/"):
                users[include].append(name)
    for header, names in users.items():
        if len(names) > 1:
            problems.append(f"{header} in more than one file: {', '.join(names)}")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
