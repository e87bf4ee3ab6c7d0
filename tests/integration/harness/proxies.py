# SPDX-License-Identifier: Apache-2.0
"""The proxies of deploy/proxies/, run as they are but for addresses, certificates and places to write."""
import os
import pathlib
import shutil
import socket
import ssl
import subprocess

from .deadline import until
from .node import ROOT
from .parts import free_port

SAMPLES = ROOT / "deploy/proxies"


def make_certificate(folder):
    """cert.pem, key.pem and both.pem for 127.0.0.1."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True)
    (folder / "both.pem").write_text(
        (folder / "cert.pem").read_text() + (folder / "key.pem").read_text())


def changed(text, changes):
    """Each change must find what it changes, or the sample is no longer what is tested."""
    for old, new in changes:
        assert old in text, f"the sample has no {old!r}"
        text = text.replace(old, new)
    return text


class Proxy:
    """One of them in front of a gate; ends with the block."""

    name = None
    sample = None

    def __init__(self, gate, folder):
        self.gate = gate
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        make_certificate(self.folder)
        self.tls = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        self.process = None

    @classmethod
    def installed(cls):
        return shutil.which(cls.name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def __enter__(self):
        config = self.folder / self.sample
        common = [("127.0.0.1:8080", f"127.0.0.1:{self.gate.port}"),
                  ("/etc/ringside/tls/", f"{self.folder}/")]
        config.write_text(changed((SAMPLES / self.sample).read_text(), common + self.changes()))
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder)}
        with open(self.folder / "said", "wb") as log:
            self.process = subprocess.Popen(
                [self.installed(), *self.arguments(config)], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=environment, cwd=self.folder)
        until(self._listens, f"{self.name} to listen")
        return self

    def _listens(self):
        assert self.process.poll() is None, self.said()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def said(self):
        return (self.folder / "said").read_text(errors="replace")[-3000:]


class Nginx(Proxy):
    name, sample = "nginx", "nginx.conf"

    def changes(self):
        temporary = "".join(f"    {kind}_temp_path {self.folder}/{kind};\n" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return [("http {\n", f"http {{\n    access_log off;\n{temporary}"),
                ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
                ("        listen [::]:443 ssl http2;\n", ""),
                ("worker_processes auto;\n", "worker_processes 1;\n"),
                ("worker_rlimit_nofile 262144;\n", ""),
                ("131072", "512")]

    def arguments(self, config):
        return ["-p", str(self.folder), "-c", str(config), "-e", "stderr", "-g",
                f"daemon off; pid {self.folder}/pid;"]


class Haproxy(Proxy):
    name, sample = "haproxy", "haproxy.cfg"

    def changes(self):
        return [("    bind [::]:443 v6only ssl crt", f"    bind [::1]:{free_port()} v6only ssl crt"),
                ("bind :443", f"bind 127.0.0.1:{self.port}"),
                ("maxconn 100000", "maxconn 100"),
                ("inter 2s", "inter 50ms")]

    def arguments(self, config):
        return ["-db", "-f", str(config)]


class Caddy(Proxy):
    name, sample = "caddy", "Caddyfile"

    def changes(self):
        return [("grace_period 30s", "grace_period 100ms\n\tadmin off\n\tauto_https disable_redirects"),
                ("ringside.example {", f"https://{self.address} {{"),
                ("health_interval 2s", "health_interval 50ms")]

    def arguments(self, config):
        return ["run", "--adapter", "caddyfile", "--config", str(config)]


PROXIES = [Nginx, Haproxy, Caddy]
