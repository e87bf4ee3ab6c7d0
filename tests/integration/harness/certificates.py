# SPDX-License-Identifier: Apache-2.0
"""Certificates of an authority that is made for the test and gone with it."""
import subprocess

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """An authority in `folder`; its certificate is `path`."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        self.path = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", self._key, "-out", self.path, "-subj", f"/CN={name}", "-days", "2")

    def issue(self, name, days=2, names=NAMES):
        """(certificate, key), by default for this machine's loopback address."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        certificate, extensions = self.folder / f"{name}.pem", self.folder / f"{name}.ext"
        extensions.write_text(names)
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self._key,
                 "-CAcreateserial", "-out", certificate, "-days", days, "-extfile", extensions)
        key.chmod(0o600)
        return certificate, key

    def files(self, side, certificate, key):
        """What tells a side of links of them, in the environment."""
        return {f"RINGSIDE_{side}_CERTIFICATE_FILE": str(certificate),
                f"RINGSIDE_{side}_KEY_FILE": str(key),
                f"RINGSIDE_{side}_AUTHORITY_FILE": str(self.path)}
