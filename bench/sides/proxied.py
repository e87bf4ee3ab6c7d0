# SPDX-License-Identifier: Apache-2.0
"""Ringside behind HAProxy, which speaks TLS to the gateway for a load client that has none, or does not. What
the gateway alone takes is counted, so the proxy costs only the machine."""
import shutil
import subprocess

from process import Failed, Group, free_port, until_listening
from sides import Ringside

CONFIGURATION = """global
    maxconn 4000
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen gateway
    bind 127.0.0.1:{port}
    server gateway 127.0.0.1:{behind} {how}
"""


class Plain(Ringside):
    name, label, how = "plain", "Ringside behind a proxy, plain", ""

    def start(self):
        if not shutil.which("haproxy"):
            raise Failed("haproxy is not installed")
        super().start()
        behind, self.port = self.port, free_port()
        path = self.base / "haproxy.cfg"
        path.write_text(CONFIGURATION.format(port=self.port, behind=behind, how=self.how))
        proxy = subprocess.Popen(["haproxy", "-db", "-f", str(path)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True)
        self.processes.append(proxy)
        until_listening(self.port, proxy)

    def group(self):
        return Group([self.processes[1].pid])


class Tls(Plain):
    name, label, how = "tls", "Ringside behind a proxy, TLS", "ssl verify none"

    def environment(self):
        return super().environment() | {
            "RINGSIDE_GATEWAY_TLS_CERTIFICATE_FILE": str(self.base / "tls.pem"),
            "RINGSIDE_GATEWAY_TLS_KEY_FILE": str(self.base / "tls.key")}

    def start(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", str(self.base / "tls.key"), "-out", str(self.base / "tls.pem"),
             "-subj", "/CN=bench", "-days", "2"], check=True, capture_output=True)
        (self.base / "tls.key").chmod(0o600)
        super().start()
