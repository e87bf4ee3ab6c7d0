# SPDX-License-Identifier: Apache-2.0
"""Who is measured: Ringside, the floor, and the peers of bench/peers/."""
import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import pathlib
import urllib.request

from process import BUILD, ROOT, Failed, Group, free_port, terminate, until_listening

GATEWAY = BUILD / "gateway" / "ringside-gateway"


class Side:
    """What all have: a directory, clients' targets, a port, processes."""

    name = label = dialect = sink = history = ""

    def __init__(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="rs-"))
        self.processes = []
        self.port = free_port()
        self.back = free_port()

    def start(self):
        """Ready for clients when it returns; Failed with the reason when something is missing."""

    def target(self, user):
        """A line of the audience's targets: a path and a word."""
        return f"/{user}"

    def publisher_port(self):
        return self.back

    def group(self):
        pids = []
        for process in self.processes:
            pids += Group.below(process.pid).pids
        return Group(pids)

    def edge(self):
        """Those that hold the connections."""
        return self.group()

    def writes(self):
        """System calls that wrote so far."""
        return self.group().writes()

    def environment(self):
        return {}

    def stop(self):
        for process in reversed(self.processes):
            terminate(process)
        self.processes = []
        shutil.rmtree(self.base, ignore_errors=True)


class Floor(Side):
    """One process that does nothing but send; the publisher itself."""

    name, label, dialect, sink, history = "floor", "floor: a write an event", "plain", "floor", "no"

    def publisher_port(self):
        return self.port


class Peer(Side):
    def start(self):
        where = ROOT / "bench" / "peers" / self.name / "start"
        process = subprocess.Popen(
            [str(where), str(self.base), str(self.port), str(self.back)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.processes.append(process)
        try:
            until_listening(self.port, process)
        except Failed as failure:
            terminate(process)
            raise Failed(process.stderr.read().strip()[-300:] or str(failure)) from None


class Nats(Peer):
    name, label, dialect, sink, history = "nats", "nats-server, core", "nats", "nats", "no"

    def target(self, user):
        return f"/ {user.split('.')[0]}"


class Nchan(Peer):
    name, label, dialect, sink = "nchan", "nginx + nchan, message buffer", "plain", "nchan"
    history = "in memory"

    def target(self, user):
        return f"/sub/{user.split('.')[0]}"

    def publisher_port(self):
        return self.port


class WsRedis(Peer):
    name, label, dialect, sink = "ws_redis", "Node ws + Redis streams", "plain", "ws_redis"
    history = "in memory"


class SocketIoRedis(Peer):
    name, label, dialect = "socketio_redis", "Socket.IO + Redis streams", "socketio"
    sink, history = "socketio_redis", "in memory"

    def target(self, user):
        return f"/socket.io/?EIO=4&transport=websocket {user.split('.')[0]}"


class Ringside(Side):
    name, label, dialect, sink, history = "ringside", "Ringside", "ringside", "ringside", "durable"

    # What a node of one machine would not leave as it is for a load like this.
    OPTIONS = {
        "RING_COUNT": "32768",
        "BROKER_MAX_EVENTS_PER_SECOND_PER_WORKER": "0",
        "BROKER_METRICS_HOST": "off",
        "GATEWAY_PORT": "0",
        "GATEWAY_MAX_CONNECTIONS": "100000",
        "GATEWAY_MAX_CONNECTIONS_PER_USER": "100000",
        "GATEWAY_MAX_UNREAD_REQUESTS": "100000",
        "GATEWAY_CONNECTION_RATE_PER_USER": "0",
        "GATEWAY_SPIN_MAX_US": "150",
        "RING_SPIN_MAX_US": "150",
        "NODE_LOG_LEVEL": "error",
    }

    def environment(self):
        return {
            "RINGSIDE_NODE_NAME": self.base.name, "RINGSIDE_RUN_DIR": str(self.base / "run"),
            "RINGSIDE_DATA_DIR": str(self.base / "data"),
            **{f"RINGSIDE_{key}": value for key, value in self.OPTIONS.items()}}

    def _program(self, path):
        ready, told = os.pipe()
        self.processes.append(subprocess.Popen(
            [str(path)], pass_fds=[told], stdin=subprocess.DEVNULL, start_new_session=True,
            env={"PATH": os.environ["PATH"], **self.environment(),
                 "RINGSIDE_READY_FD": str(told)}))
        os.close(told)
        with os.fdopen(ready) as pipe:
            line = pipe.readline()
        if not line:
            raise Failed(f"{path.name} does not start")
        return line

    def start(self):
        self._program(BUILD / "broker" / "ringside-broker")
        self.port = int(re.search(r"(\d+)\s*$", self._program(GATEWAY)).group(1))
        text = (self.base / "data" / "token.key").read_text(encoding="ascii").strip()
        self._secret = bytes.fromhex(text)

    def token(self, user):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")
        claims = {"sub": user, "exp": int(time.time()) + 3600}
        signed = part(b'{"alg":"HS256"}') + b"." + part(json.dumps(claims).encode())
        return (signed + b"." + part(hmac.digest(self._secret, signed, hashlib.sha256))).decode()

    def target(self, user):
        return f"/v1/ws {self.token(user.split('.')[0])}"

    def edge(self):
        return Group([self.processes[1].pid])

    def counters(self):
        """The gateway's own."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            text = answer.read().decode()
        return {name: float(value) for name, value in
                re.findall(r"^ringside_gateway_(\w+?)(?:_total)? (\S+)$", text, re.MULTILINE)}

    def writes(self):
        return int(self.counters()["writes"])

    def stop(self):
        super().stop()
        shutil.rmtree(f"/dev/shm/ringside-{self.base.name}", ignore_errors=True)


class RingsideSleeping(Ringside):
    """As it comes: with nothing to do at the moment, broker and gateway sleep."""

    name, label = "ringside_sleeping", "Ringside, no spinning"
    OPTIONS = Ringside.OPTIONS | {"GATEWAY_SPIN_MAX_US": "0", "RING_SPIN_MAX_US": "0"}


PEERS = [Nats, Nchan, WsRedis, SocketIoRedis]
ALL = [Floor, Ringside, *PEERS]
