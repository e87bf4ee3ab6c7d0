# SPDX-License-Identifier: Apache-2.0
"""What a process holds, second by second, and whether it grew: the last third against the first."""
import pathlib
import statistics

MEMORY_SHARE, MEMORY_SPARE = 1.10, 4 << 20
DESCRIPTORS_SHARE, DESCRIPTORS_SPARE = 1.10, 16
LATENCY_TIMES, LATENCY_SPARE_MS = 2.0, 100.0
TAIL_TIMES, TAIL_SPARE_MS = 3.0, 1000.0


def anonymous_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    return 0


def descriptors(pid):
    return sum(1 for _ in pathlib.Path(f"/proc/{pid}/fd").iterdir())


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class Series:
    """Values and when they were taken."""

    def __init__(self):
        self.points = []

    def add(self, when, value):
        self.points.append((when, value))

    def thirds(self, begin, end):
        """The values of the first and the last third of the time between."""
        third = (end - begin) / 3
        return ([value for when, value in self.points if begin <= when < begin + third],
                [value for when, value in self.points if end - third <= when <= end])


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


def judge_process(name, memory, fds, begin, end):
    first, last = (statistics.median(part) for part in memory.thirds(begin, end))
    yield Verdict(f"{name}: memory", "MiB", first / 2**20, last / 2**20,
                  (first * MEMORY_SHARE + MEMORY_SPARE) / 2**20)
    first, last = (statistics.median(part) for part in fds.thirds(begin, end))
    yield Verdict(f"{name}: descriptors", "", first, last,
                  first * DESCRIPTORS_SHARE + DESCRIPTORS_SPARE)


def judge_latency(ages, begin, end):
    first, last = ([1000 * age for age in part] for part in ages.thirds(begin, end))
    for what, share, times, spare in (("p50", 0.5, LATENCY_TIMES, LATENCY_SPARE_MS),
                                      ("p99", 0.99, TAIL_TIMES, TAIL_SPARE_MS)):
        before = percentile(first, share)
        yield Verdict(f"emit to client, {what}", "ms", before, percentile(last, share),
                      before * times + spare)
