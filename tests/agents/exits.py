#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Leaves without finishing; with the argument "start", before it has answered anything."""
import sys

import agent

if len(sys.argv) > 1 and sys.argv[1] == "start":
    sys.exit("no configuration")
agent.start()
sys.exit(3)
