#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a line without an end."""
import sys

import agent

agent.start()
while True:
    sys.stdout.write("x" * 65536)
