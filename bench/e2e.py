#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From whoever publishes an event to the WebSocket client that receives it: Ringside, a floor, and peers.

    ./dev bench e2e [--json] [--only=SIDE[,SIDE]]

1,000 users with a connection each; the same load client, the same events of 240 bytes, one machine, one
side after the other. What a side costs is the processor time of all its servers, of publisher and
clients nothing. Sides that are not installed are named and passed over.
"""
import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "sides"))
from process import Failed, say  # noqa: E402
from sides import PEERS, Floor, Ringside, RingsideSleeping  # noqa: E402
from stage import Stage  # noqa: E402

ALL = [Floor, Ringside, RingsideSleeping, *PEERS]
USERS = 1000
WINDOW = 16000   # events under way, at saturation
BURST = 8
RATE = 10000
SECONDS = 2
ROUNDS = 7       # of a second each, at that rate


def measure(side):
    with Stage(side, USERS, USERS) as stage:
        stage.measure(f"window {WINDOW} 1 1")
        saturation = stage.median(f"window {WINDOW} {SECONDS} 1", 3)
        bursts = stage.measure(f"window {WINDOW} {SECONDS} {BURST}")
        stage.measure(f"rate {RATE} 1")
        paced = stage.median(f"rate {RATE} 1", ROUNDS)
    wrong = saturation.wrong + bursts.wrong + paced.wrong
    if wrong:
        say(f"   {side.name}: {wrong} events lost, repeated or not there in time")
    return {"saturation": saturation, "bursts": bursts, "paced": paced, "wrong": wrong}


def measure_all(sides):
    found = {}
    for kind in sides:
        say(f"== {kind.label}")
        try:
            found[kind.name] = measure(kind())
        except Failed as failure:
            say(f"   passed over: {failure}")
    return found


class Floor:
    """What the kernel takes for an event when one write carries k of them: a + b / k, drawn through what
    was measured one by one and in bursts."""

    def __init__(self, one):
        first, burst = one["saturation"], one["bursts"]
        self.b = (first.cpu_us - burst.cpu_us) / (1 / first.k - 1 / burst.k)
        self.a = first.cpu_us - self.b / first.k

    def times(self, measured):
        return measured.cpu_us / (self.a + self.b / max(measured.k, 1))


def columns(measured, floor):
    """µs an event, k, and how many times the floor's cost at that k."""
    times = f"{floor.times(measured):.1f} x" if floor else ""
    return f"{measured.cpu_us:9.2f}{measured.k:6.1f}{times:>8}"


def print_table(found):
    floor = Floor(found["floor"]) if "floor" in found else None
    print(f"{'':28}{'saturation, one by one':>34}{'bursts of 8':>23}"
          f"{'10,000 events/s':>26}")
    print(f"{'':28}{'events/s':>11}{'µs/event':>9}{'k':>6}{'floor':>8}{'µs/event':>9}{'k':>6}{'floor':>8}"
          f"{'p50 µs':>8}{'p99 µs':>9}{'µs/event':>9}  {'history':10}wrong")
    for kind in ALL:
        if kind.name not in found:
            continue
        one = found[kind.name]
        paced = one["paced"]
        print(f"{kind.label:28}{one['saturation'].rate:11,.0f}{columns(one['saturation'], floor)}"
              f"{columns(one['bursts'], floor)}{paced.p50_us:8.0f}{paced.p99_us:9.0f}"
              f"{paced.cpu_us:9.1f}  {kind.history:10}{one['wrong']}")
    if floor:
        print(f"floor: {floor.a:.2f} + {floor.b:.2f} / k µs an event")


# What is no peer, and how its keys begin.
OWN = {"ringside": "e2e", "ringside_sleeping": "e2e_sleeping", "floor": "floor"}


def figures(found):
    def of(one):
        return {"events_per_s": round(one["saturation"].rate),
                "cpu_us_per_event": round(one["saturation"].cpu_us, 3),
                "p50_us": round(one["paced"].p50_us, 1), "p99_us": round(one["paced"].p99_us, 1)}
    result = {"peer": {name: of(one) for name, one in found.items()
                       if name not in OWN}}
    for name, prefix in OWN.items():
        if name in found:
            result |= {f"{prefix}_{key}": value for key, value in of(found[name]).items()}
    return result


def main():
    parser = argparse.ArgumentParser(prog="./dev bench e2e", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="the figures as one object on the last line")
    parser.add_argument("--only", metavar="SIDE", help=", ".join(kind.name for kind in ALL))
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [kind.name for kind in ALL]
    unknown = set(wanted) - {kind.name for kind in ALL}
    if unknown:
        parser.error(f"there is no side {', '.join(sorted(unknown))}")
    found = measure_all([kind for kind in ALL if kind.name in wanted])
    print_table(found)
    if options.json:
        print(json.dumps(figures(found)))


if __name__ == "__main__":
    main()
