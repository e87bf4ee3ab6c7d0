# SPDX-License-Identifier: Apache-2.0
"""A network of its own, reached over a line that can be cut: nothing says that it was, no end and
no reset, what is sent is lost. Needs root and the programs of iproute2."""
import ctypes
import itertools
import os
import shutil
import socket
import subprocess
import threading

import pytest

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_numbers = itertools.count()


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Network:
    """`near` is our address on the line, `far` the one within the network."""

    def __init__(self):
        number = (os.getpid() * 4 + next(_numbers)) % 16000
        self.name = f"ringside-{os.getpid()}-{number}"
        self.near_end, self.far_end = f"rn{number}", f"rf{number}"
        at = 4 * number  # of the addresses for tests between networks: 198.18.0.0/15
        prefix = f"198.{18 + at // 65536}.{at // 256 % 256}"
        self.near, self.far = f"{prefix}.{at % 256 + 1}", f"{prefix}.{at % 256 + 2}"

    def __enter__(self):
        if os.geteuid() != 0 or not shutil.which("ip"):
            pytest.skip("a network of its own takes root and ip (iproute2)")
        try:
            _ip("netns", "add", self.name)
            _ip("link", "add", self.near_end, "type", "veth", "peer", self.far_end,
                "netns", self.name)
        except subprocess.CalledProcessError as error:
            self.__exit__()
            pytest.skip(f"no network of its own can be made here: {error.stderr.strip()}")
        _ip("address", "add", f"{self.near}/30", "dev", self.near_end)
        _ip("link", "set", self.near_end, "up")
        _ip("-n", self.name, "address", "add", f"{self.far}/30", "dev", self.far_end)
        _ip("-n", self.name, "link", "set", "lo", "up")
        self.mend()
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", self.near_end], check=False, capture_output=True)

    def cut(self):
        _ip("-n", self.name, "link", "set", self.far_end, "down")

    def mend(self):
        _ip("-n", self.name, "link", "set", self.far_end, "up")

    def connect(self, port):
        """A connection to a port of ours, from within the network."""
        made = []

        def within():  # a thread may be in another network than the others
            with open(f"/run/netns/{self.name}", "rb") as network:
                if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), NEW_NETWORK) != 0:
                    return
            made.append(socket.create_connection((self.near, port), timeout=20))
        thread = threading.Thread(target=within)
        thread.start()
        thread.join()
        assert made, "no connection from within the network"
        return made[0]

    def command(self, command):
        """The command, to be run within the network by the same process."""
        return ["ip", "netns", "exec", self.name, *command]
