# SPDX-License-Identifier: Apache-2.0
"""The broker's named steps (broker/failpoints/), and the file through which a test arms them."""
import collections
import mmap
import re
import struct

from .node import PROGRAMS, ROOT

Step = collections.namedtuple("Step", "name where how")
ROW = re.compile(r'^STEP\((\w+), "([^"]*)", (\w+)\)$', re.MULTILINE)
STEPS = [Step(*row) for row in ROW.findall(
    (ROOT / "broker/failpoints/steps.def").read_text(encoding="utf-8"))]
CELL = struct.Struct("=II")  # passed, kill_at


def compiled_in():
    return b"RINGSIDE_FAILPOINTS\0" in PROGRAMS["ringside-broker"].read_bytes()


class Failpoints:
    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(CELL.size * len(STEPS)))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        self.place = {step.name: number * CELL.size for number, step in enumerate(STEPS)}

    @property
    def environment(self):
        return {"RINGSIDE_FAILPOINTS": str(self.path)}

    def passed(self, name):
        return CELL.unpack_from(self.memory, self.place[name])[0]

    def arm(self, name, passes):
        """To die at the `passes`th pass from now on; the pass it will be, counted over all lives."""
        kill_at = self.passed(name) + passes
        struct.pack_into("=I", self.memory, self.place[name] + 4, kill_at)
        return kill_at

    def disarm(self, name):
        struct.pack_into("=I", self.memory, self.place[name] + 4, 0)
