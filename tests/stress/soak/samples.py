# SPDX-License-Identifier: Apache-2.0
"""What a node holds and how long it takes, second by second, and whether that grew: the last third of the
time against the first.

A machine has other work now and then, and for minutes at a time. So everything is a median: what is slow in
less than half of a third is not seen, what leaks is there in all of it. And how late the harness itself is
woken is noted as well: what all of the machine has become slower by is not the node's.
"""
import array
import bisect
import math
import pathlib
import statistics
import time

MEMORY_SHARE, MEMORY_SPARE = 1.10, 4 << 20
DESCRIPTORS_SHARE, DESCRIPTORS_SPARE = 1.10, 16
CPU_TIMES, CPU_SPARE = 2.0, 0.05         # seconds of processor a second
LATENCY_TIMES, LATENCY_SPARE_MS = 2.0, 100.0
TAIL_TIMES, TAIL_SPARE_MS = 3.0, 1000.0
SLICES = 10                              # of a third
WAITS = 4                                # how often an event waits for a processor on its way


def anonymous_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    return 0


def descriptors(pid):
    return sum(1 for _ in pathlib.Path(f"/proc/{pid}/fd").iterdir())


def cpu_seconds(pid):
    """Of the process and all its threads: CPUCLOCK_SCHED of its pid."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e9


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class Series:
    """Values in the order of the times they were taken; half an hour of them in few bytes."""

    def __init__(self):
        self.times = array.array("d")
        self.values = array.array("d")

    def __len__(self):
        return len(self.times)

    def add(self, when, value):
        self.times.append(when)
        self.values.append(value)

    @property
    def last(self):
        return self.values[-1]

    def between(self, begin, end):
        return self.values[bisect.bisect_left(self.times, begin):bisect.bisect_left(self.times, end)]

    def slices(self, begin, end):
        width = (end - begin) / SLICES
        return [self.between(begin + number * width, begin + (number + 1) * width)
                for number in range(SLICES)]


def thirds(begin, end):
    third = (end - begin) / 3
    return (begin, begin + third), (end - third, end)


class Verdict:
    """A row of the table: before, after, and the most it may be."""

    def __init__(self, what, unit, before, after, limit):
        self.what, self.unit = what, unit
        self.before, self.after, self.limit = before, after, limit

    @property
    def grew(self):
        return self.after > self.limit

    def __str__(self):
        return (f"  {self.what:32}{self.before:12.2f}{self.after:12.2f}{self.limit:12.2f} "
                f"{self.unit:4}{'  GREW' if self.grew else ''}")


class Held:
    """What a process has, as it was noted."""

    def __init__(self):
        self.memory, self.descriptors, self.cpu = Series(), Series(), Series()

    def note(self, when, pid):
        self.memory.add(when, anonymous_bytes(pid))
        self.descriptors.add(when, descriptors(pid))
        self.cpu.add(when, cpu_seconds(pid))


def busy(cpu, begin, end):
    """The share of a processor it took, of each slice the median's."""
    values = cpu.slices(begin, end)
    width = (end - begin) / SLICES
    return statistics.median((part[-1] - part[0]) / width if part else 0.0 for part in values)


def judge_process(name, held, begin, end):
    first, last = thirds(begin, end)
    before, after = (statistics.median(held.memory.between(*part)) for part in (first, last))
    yield Verdict(f"{name}: memory", "MiB", before / 2**20, after / 2**20,
                  (before * MEMORY_SHARE + MEMORY_SPARE) / 2**20)
    before, after = (statistics.median(held.descriptors.between(*part)) for part in (first, last))
    yield Verdict(f"{name}: descriptors", "", before, after,
                  before * DESCRIPTORS_SHARE + DESCRIPTORS_SPARE)
    before, after = (busy(held.cpu, *part) for part in (first, last))
    yield Verdict(f"{name}: processor", "s/s", before, after, before * CPU_TIMES + CPU_SPARE)


def usual(series, share, begin, end):
    """Of each slice's percentile the median, in milliseconds. A slice in which nothing came is endless."""
    return statistics.median(1000 * percentile(part, share) if part else math.inf
                             for part in series.slices(begin, end))


def judge_latency(ages, lateness, begin, end):
    first, last = thirds(begin, end)
    for what, share, times, spare in (("p50", 0.5, LATENCY_TIMES, LATENCY_SPARE_MS),
                                      ("p99", 0.99, TAIL_TIMES, TAIL_SPARE_MS)):
        before, after = usual(ages, share, *first), usual(ages, share, *last)
        slower = usual(lateness, share, *last) - usual(lateness, share, *first)
        yield Verdict(f"emit to client, {what}", "ms", before, after,
                      before * times + spare + WAITS * max(0.0, slower))
