# SPDX-License-Identifier: Apache-2.0
"""What clients received, line by line, and `ringside verify` on it: the one check of a stream."""
import json
import subprocess

from .deadline import PATIENCE
from .node import PROGRAMS, REPORTS

_records = []   # of the test that is running


class Broken(AssertionError):
    """The stream does not keep a promise of the protocol."""


class Record:
    """One user's frames in the order they came, connection by connection."""

    def __init__(self):
        self.lines = []
        self.filtered = False

    def connection(self, filtered):
        """A connection of this record's user begins; it is checked when the test is over."""
        if self not in _records:
            _records.append(self)
        self.filtered = self.filtered or filtered

    def verify(self, *flags):
        return verify(self.lines, *flags, *(["--filtered"] if self.filtered else []))


def verify(lines, *flags):
    """What `ringside verify` says of these frames; Broken when it finds something."""
    done = subprocess.run(
        [str(PROGRAMS["ringside"]), "verify", "--json", *flags, "-"], input="\n".join(lines),
        capture_output=True, text=True, timeout=4 * PATIENCE)
    assert done.returncode in (0, 1) and not REPORTS.search(done.stderr), done.stderr
    verdict = json.loads(done.stdout)
    if done.returncode:
        raise Broken("\n".join(explain(lines, each) for each in verdict["violations"]))
    return verdict


def explain(lines, violation):
    line = violation["line"]
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    return f"line {line}: {violation['rule']}: {violation['what']}: {violation['why']}\n  {text}"


def forget_all():
    _records.clear()


def verify_all():
    """Of all records with an event: a program each, and a welcome alone says little."""
    for record in _records:
        if any('"prev":' in line for line in record.lines):
            record.verify()
    forget_all()
