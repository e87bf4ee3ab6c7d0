# SPDX-License-Identifier: Apache-2.0
"""Tokens, honest and forged, made without the project's own code."""
import base64
import hashlib
import hmac
import json
import subprocess
import tempfile
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(user, seconds=3600, **more):
    now = int(time.time())
    return {"sub": user, "iat": now, "exp": now + seconds, **more}


def signing_input(header, body):
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(body).encode())}"


def hs256(secret, body, **header):
    text = signing_input({"alg": "HS256", "typ": "JWT"} | header, body)
    return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def unsigned(body):
    """alg: none, with the empty signature such a token has."""
    return signing_input({"alg": "none", "typ": "JWT"}, body) + "."


def read_secret(path):
    """The node's own key: one line, hexadecimal or base64url."""
    with open(path, encoding="ascii") as file:
        text = file.read().strip()
    try:
        return bytes.fromhex(text)
    except ValueError:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, check=True,
                          capture_output=True).stdout


def make_key_pair(kind, folder):
    """(private, public) PEM files; kind is RS256, ES256 or EdDSA."""
    private, public = folder / f"{kind}.key", folder / f"{kind}.pem"
    options = {"RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
               "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
               "EdDSA": ["-algorithm", "ED25519"]}[kind]
    _openssl("genpkey", *options, "-out", str(private))
    _openssl("pkey", "-in", str(private), "-pubout", "-out", str(public))
    return private, public


def jwk(kind, public):
    """The public key of a PEM file as an identity provider would list it."""
    der = _openssl("pkey", "-pubin", "-in", str(public), "-outform", "DER")
    if kind == "EdDSA":
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(der[-32:])}
    if kind == "ES256":
        return {"kty": "EC", "crv": "P-256", "x": b64(der[-64:-32]), "y": b64(der[-32:])}
    modulus = _openssl("rsa", "-pubin", "-in", str(public), "-noout", "-modulus").decode()
    return {"kty": "RSA", "e": "AQAB", "n": b64(bytes.fromhex(modulus.strip().partition("=")[2]))}


def _fixed_width(der):
    """An ECDSA signature as two numbers of 32 bytes, as tokens carry it, from its DER form."""
    at, numbers = 2, []
    for _ in range(2):
        size = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2:at + 2 + size], "big"))
        at += 2 + size
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def signed_with_pem(kind, private, body, header_kind=None, **header):
    text = signing_input({"alg": header_kind or kind, "typ": "JWT"} | header, body)
    if kind == "EdDSA":
        with tempfile.NamedTemporaryFile() as file:  # it signs no stream
            file.write(text.encode())
            file.flush()
            signature = _openssl("pkeyutl", "-sign", "-rawin", "-inkey", str(private),
                                 "-in", file.name)
    else:
        signature = _openssl("dgst", "-sha256", "-sign", str(private), data=text.encode())
    return f"{text}.{b64(_fixed_width(signature) if kind == 'ES256' else signature)}"
