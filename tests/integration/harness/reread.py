# SPDX-License-Identifier: Apache-2.0
"""A worker that reads its agents again."""
import json
import os
import signal


def write_agents(node, **agents):
    node.config.write_text(json.dumps({"agents": agents}))


def hang_up(node, line):
    """Has the worker read its agents again, and waits for what it says then."""
    worker, = node.pids("ringside-worker")
    seen = len(node.stderr.lines)
    os.kill(worker, signal.SIGHUP)
    node.stderr.wait_for(line, start=seen)
