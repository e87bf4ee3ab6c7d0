# SPDX-License-Identifier: Apache-2.0
"""A broker and one gateway, whose configuration a test may change while they run."""
import json
import re
import signal

from .deadline import until
from .parts import Parts

# Requests wait for ever: nobody runs them.
AGENTS = {"echo": {"command": ["true"]}}
COUNTER = re.compile(r"^ringside_gateway_(\w+?)(?:_total)? (\d+)$", re.MULTILINE)


class Gate(Parts):
    """`options` are those of the section gateway; a key that is None is left out."""

    def __init__(self, **options):
        super().__init__(workers=0, gateways=1)
        self.options = options
        if ":" in options.get("host", ""):
            self.address = f"[::1]:{self.port}"
        self.secure = "s" if options.get("tls_certificate_file") else ""
        self.config = self.base / "gate.yaml"
        self._write()

    def _write(self):
        # JSON is YAML.
        given = {key: value for key, value in self.options.items() if value is not None}
        self.config.write_text(json.dumps({"gateway": given, "agents": AGENTS}))

    @property
    def gateway(self):
        return self.gateways[0]

    def configure(self, **options):
        """Changes options and has the gateway read them; whether it took them."""
        self.options |= options
        self._write()
        return self.reload()

    def reload(self):
        before = self._outcomes()
        self.gateway.signal(signal.SIGHUP)
        until(lambda: len(self._outcomes()) > len(before), "the gateway to have read it")
        return self._outcomes()[-1] == "configuration"

    def _outcomes(self):
        return re.findall(r"(configuration) and token keys were read again|"
                          r"(?:what) was read again cannot be used", self.gateway.said())

    def counters(self, headers=None):
        status, text, _ = self.get("/metrics", headers)
        assert status == 200, text
        return {name: int(value) for name, value in COUNTER.findall(text)}

    def assert_counted(self, name, occurrences, before):
        """`before` is what counters() said then."""
        counted = self.counters()[name] - before[name]
        assert counted == occurrences, f"{name}: {counted} instead of {occurrences}"
