#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What connections cost that are many: fan-out to one user's, idle ones, all that come back at once; and
what TLS adds to an event.

    ./dev bench gateway [--json] [--only=PART[,PART]]

The same sides, clients and events as `./dev bench e2e`.
"""
import argparse
import json
import pathlib
import resource
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "sides"))
from process import Failed, kernel_bytes, say  # noqa: E402
import proxied  # noqa: E402
from sides import ALL, PEERS, Ringside  # noqa: E402
from stage import Stage  # noqa: E402

FAN_OUT_CONNECTIONS = 1000
FAN_OUT_RATE = 200
IDLE_CONNECTIONS = {"ringside": 20000, "others": 5000}
SPARE_DESCRIPTORS = 300
SETTLE_SECONDS = 2
RESUMING = 10000
BEHIND = 50
AWAY_SECONDS = 2
SPREAD_MS = 5000
TIMES_AT_ONCE = 5   # the middle one counts
TLS_USERS = 1000
TLS_RATE = 5000
TLS_BURST = 8


def each(sides, measure):
    """What `measure` says of each side, by its name, with why a side was passed over on the way."""
    found = {}
    for kind in sides:
        say(f"   {kind.label}")
        try:
            found[kind.name] = measure(kind())
        except Failed as failure:
            say(f"   passed over: {failure}")
    return found


# ---- fan-out

def fan_out_of(side):
    with Stage(side, 1, FAN_OUT_CONNECTIONS) as stage:
        stage.measure(f"rate {FAN_OUT_RATE} 1")
        measured = stage.measure(f"rate {FAN_OUT_RATE} 5")
    return {"fan_out_cpu_us_per_delivery": round(measured.cpu_us, 3),
            "fan_out_p50_us": round(measured.p50_us, 1), "fan_out_p99_us": round(measured.p99_us, 1),
            "fan_out_wrong": measured.wrong}


def fan_out():
    found = each(ALL, fan_out_of)
    print(f"one user, {FAN_OUT_CONNECTIONS:,} connections, {FAN_OUT_RATE} events/s"
          f"{'µs/delivery':>16}{'p50 µs':>9}{'p99 µs':>9}{'wrong':>7}")
    for kind in ALL:
        if kind.name in found:
            one = found[kind.name]
            print(f"  {kind.label:43}{one['fan_out_cpu_us_per_delivery']:14.2f}"
                  f"{one['fan_out_p50_us']:9.0f}{one['fan_out_p99_us']:9.0f}"
                  f"{one['fan_out_wrong']:7}")
    return found


# ---- idle connections

def descriptors():
    """How many sockets a process may have here, as far as it can be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 65536),) * 2)
        return max(hard, 65536)
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard


def idle_of(side):
    wanted = IDLE_CONNECTIONS.get(side.name, IDLE_CONNECTIONS["others"])
    count = min(wanted, descriptors() - SPARE_DESCRIPTORS)
    with Stage(side, count, count, publishes=False) as stage:
        time.sleep(SETTLE_SECONDS)
        edge, behind, kernel = (now - before for now, before in
                                zip(stage.memory(), stage.memory_before))
    return {"idle_connections": count, "idle_bytes_per_connection": round(edge / count),
            "idle_behind_bytes_per_connection": round(behind / count),
            "idle_kernel_bytes_per_connection": round(kernel / count)}


def idle():
    found = each([Ringside, *PEERS], idle_of)
    print(f"idle connections, a user each{'':24}{'number':>7}{'bytes':>9}{'behind':>9}{'kernel':>9}")
    for kind in ALL:
        if kind.name in found:
            one = found[kind.name]
            print(f"  {kind.label:51}{one['idle_connections']:7,}"
                  f"{one['idle_bytes_per_connection']:9,}"
                  f"{one['idle_behind_bytes_per_connection']:9,}"
                  f"{one['idle_kernel_bytes_per_connection']:9,}")
    return found


# ---- all come back at once

def come_back(stage, spread_ms):
    """All are dropped, miss some events, and come back: all at once, or one after the other."""
    stage.audience.ask("reset")
    stage.audience.ask("drop")
    dropped, since = time.monotonic(), stage.shared.received()
    behind = stage.publisher.ask(f"each {BEHIND}", 60)["published"]
    time.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - dropped)))
    away = time.monotonic() - dropped
    group, cpu = stage.side.group(), stage.side.group().cpu_us()
    back = stage.audience.ask(f"resume {RESUMING} {spread_ms}", 120)
    missing = stage.arrived(since, behind)
    report = stage.audience.ask("report")
    return {"p50_ms": round(back["p50_ms"], 1), "p99_ms": round(back["p99_ms"], 1),
            "max_ms": round(back["max_ms"], 1), "all_s": round(back["seconds"], 3),
            "away_s": round(away, 2), "clients": back["ready"], "events": report["events"],
            "cpu_us_per_client": round((group.cpu_us() - cpu) / RESUMING, 1),
            "wrong": report["lost"] + report["repeated"] + missing}


def resume_of(side):
    with Stage(side, RESUMING, RESUMING) as stage:
        stage.measure("each 2")
        spread = come_back(stage, SPREAD_MS)
        several = sorted((come_back(stage, 0) for _ in range(TIMES_AT_ONCE)),
                         key=lambda one: one["p99_ms"])
        at_once = several[TIMES_AT_ONCE // 2] | {"wrong": sum(one["wrong"] for one in several)}
    return {**{f"resume_{key}": value for key, value in at_once.items()},
            **{f"resume_spread_{key}": value for key, value in spread.items()}}


def resume():
    found = each([Ringside], resume_of)
    for one in found.values():
        print(f"{RESUMING:,} clients dropped at once, {AWAY_SECONDS} s away, {BEHIND} events behind "
              f"each{'p50 ms':>9}{'p99 ms':>9}{'slowest':>9}{'all, s':>8}{'µs/client':>11}{'wrong':>7}")
        for what, name in ((f"come back over {SPREAD_MS / 1000:.0f} s", "resume_spread"),
                           ("come back at once", "resume")):
            print(f"  {what:58}" + "".join(
                f"{one[f'{name}_{key}']:{width}}" for key, width in
                (("p50_ms", 9), ("p99_ms", 9), ("max_ms", 9), ("all_s", 8),
                 ("cpu_us_per_client", 11), ("wrong", 7))))
    return found


# ---- TLS

def tls_of(side):
    with Stage(side, TLS_USERS, TLS_USERS) as stage:
        stage.measure(f"rate {TLS_RATE} 1")
        alone = stage.measure(f"rate {TLS_RATE} 4")
        bursts = stage.measure(f"window {TLS_USERS * TLS_BURST} 2 {TLS_BURST}")
    return {"cpu_us_per_event": alone.cpu_us, "burst_cpu_us_per_event": bursts.cpu_us,
            "wrong": alone.wrong + bursts.wrong}


def tls():
    """The gateway's processor time alone: an event a write, and eight."""
    found = each([proxied.Plain, proxied.Tls], tls_of)
    print(f"{TLS_USERS:,} users, the gateway alone: µs/event{f'{TLS_RATE:,}/s':>18}"
          f"{f'bursts of {TLS_BURST}':>15}{'wrong':>7}")
    for name, one in found.items():
        print(f"  {name:41}{one['cpu_us_per_event']:16.2f}"
              f"{one['burst_cpu_us_per_event']:15.2f}{one['wrong']:7}")
    if len(found) < 2:
        return {}
    return {"ringside": {
        "tls_extra_cpu_us_per_event": round(found["tls"]["cpu_us_per_event"] -
                                            found["plain"]["cpu_us_per_event"], 2),
        "tls_extra_burst_cpu_us_per_event": round(found["tls"]["burst_cpu_us_per_event"] -
                                                  found["plain"]["burst_cpu_us_per_event"], 2)}}


PARTS = {"fan-out": fan_out, "idle": idle, "resume": resume, "tls": tls}


def merge(parts):
    """The figures of all parts: Ringside's by their names, the others' below `peer` or `floor`."""
    result = {"peer": {}}
    for part in parts:
        for name, figures in part.items():
            if name == "ringside":
                result |= figures
            elif name == "floor":
                result |= {f"floor_{key}": value for key, value in figures.items()}
            else:
                result["peer"].setdefault(name, {}).update(figures)
    return result


def main():
    parser = argparse.ArgumentParser(
        prog="./dev bench gateway", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="the figures as one object on the last line")
    parser.add_argument("--only", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(PARTS)
    if set(wanted) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(set(wanted) - set(PARTS)))}")
    found = []
    for name in wanted:
        say(f"== {name}")
        found.append(PARTS[name]())
    if options.json:
        print(json.dumps(merge(found)))


if __name__ == "__main__":
    main()
