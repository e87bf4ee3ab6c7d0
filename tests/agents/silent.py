#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says nothing; with the argument "start", does not even answer initialize."""
import sys

import agent

if len(sys.argv) < 2:
    agent.start()
agent.until_shutdown()
