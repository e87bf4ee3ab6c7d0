# SPDX-License-Identifier: Apache-2.0
"""Keys that come and go while clients are connected, and what administrators' tokens open."""
import json

import pytest

from conftest import finish_parts
from harness import tokens
from harness.client import Client
from harness.gate import Gate
from harness.handshake import handshake


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {kind: tokens.make_key_pair(kind, folder) for kind in ("RS256", "ES256", "EdDSA")}


@pytest.fixture(scope="module")
def gate():
    gate = Gate(token_admin_claim="role=admin", metrics_access="admin")
    try:
        gate.start()
        yield gate
    finally:
        finish_parts(gate)


def write_set(gate, *jwks):
    path = gate.base / "keys.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"keys": jwks}))
    return path


def verdict(gate, token):
    answer = handshake(gate, token)
    return "let in" if answer.status == 101 else answer.error["message"]


async def test_a_key_set_is_exchanged_without_ending_a_connection(gate, pairs):
    signed = {kind: tokens.signed_with_pem(kind, private, tokens.claims("alice"), kid=kind)
              for kind, (private, _) in pairs.items()}
    jwk = {kind: tokens.jwk(kind, public) | {"kid": kind}
           for kind, (_, public) in pairs.items()}
    unknown = "the token's key (kid) is not known here"
    assert gate.configure(token_jwks_file=str(write_set(gate, jwk["RS256"], jwk["ES256"])))
    assert verdict(gate, signed["RS256"]) == "let in"
    assert verdict(gate, signed["ES256"]) == "let in"
    assert verdict(gate, signed["EdDSA"]) == unknown
    async with Client(gate, "alice", token=signed["RS256"]) as client:
        write_set(gate, jwk["ES256"], jwk["EdDSA"])
        assert verdict(gate, signed["EdDSA"]) == unknown, "read without being told to"
        assert gate.reload()
        assert verdict(gate, signed["EdDSA"]) == "let in"
        assert verdict(gate, signed["RS256"]) == unknown
        assert verdict(gate, gate.token("alice")) == "let in", "the node's own key"
        assert await client.request("ping") == {}


def test_a_set_that_cannot_be_used_leaves_the_old_one(gate, pairs):
    private, public = pairs["ES256"]
    token = tokens.signed_with_pem("ES256", private, tokens.claims("alice"), kid="one")
    good = tokens.jwk("ES256", public) | {"kid": "one"}
    assert gate.configure(token_jwks_file=str(write_set(gate, good)))
    for bad, why in ((good, "two keys with the kid one"),
                     (good | {"kid": "two", "y": good["x"]}, "of a point on the curve"),
                     ({"kty": "oct", "k": "c2hvcnQ"}, "32 to 512 bytes")):
        write_set(gate, good, bad)
        assert not gate.reload()
        assert f"key 2: " in gate.gateway.said() and why in gate.gateway.said()
        assert verdict(gate, token) == "let in"
    write_set(gate, good)
    assert not gate.configure(max_connections="many")
    assert gate.configure(max_connections=None)


def test_new_keys_beside_a_wrong_option_do_not_count(gate, pairs):
    def signed(kind):
        return tokens.signed_with_pem(kind, pairs[kind][0], tokens.claims("alice"), kid=kind)

    def key(kind):
        return tokens.jwk(kind, pairs[kind][1]) | {"kid": kind}

    assert gate.configure(token_jwks_file=str(write_set(gate, key("ES256"))))
    write_set(gate, key("EdDSA"))
    assert not gate.configure(trusted_proxies="nonsense")
    assert verdict(gate, signed("ES256")) == "let in"
    assert verdict(gate, signed("EdDSA")) == "the token's key (kid) is not known here"
    assert gate.configure(trusted_proxies=None)
    assert verdict(gate, signed("EdDSA")) == "let in"


def test_a_secret_in_a_set_must_be_private(gate):
    secret = b"s" * 32
    path = write_set(gate, {"kty": "oct", "kid": "s", "k": tokens.b64(secret)})
    path.chmod(0o644)
    assert not gate.configure(token_jwks_file=str(path))
    assert "it holds a secret" in gate.gateway.said()
    path.chmod(0o600)
    assert gate.reload()
    assert verdict(gate, tokens.hs256(secret, tokens.claims("alice"), kid="s")) == "let in"


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_is_no_secret_whatever_the_header_says(gate, pairs, kind):
    _, public = pairs[kind]
    assert gate.configure(token_pem_file=str(public), token_jwks_file=None)
    assert verdict(gate, tokens.hs256(public.read_bytes(), tokens.claims("alice"))) == \
        "the token's signature is wrong"
    other = "ES256" if kind != "ES256" else "RS256"
    forged = tokens.signed_with_pem(other, pairs[other][0], tokens.claims("alice"), kind)
    assert verdict(gate, forged) == "the token's signature is wrong"
    own = tokens.signed_with_pem(kind, pairs[kind][0], tokens.claims("alice"))
    assert verdict(gate, own) == "let in"
    assert gate.configure(token_pem_file=None)


def test_metrics_are_shown_to_administrators_alone(gate):
    def asked_with(*arguments):
        made = gate.run("token", "--user", "root", *arguments)
        assert made.returncode == 0, made.stderr
        status, body, _ = gate.get("/metrics", {"Authorization": f"Bearer {made.stdout.strip()}"})
        return status, json.loads(body)["error"]["code"] if status >= 400 else None

    assert gate.get("/metrics")[0] == 401
    assert asked_with() == (403, "permission_denied")
    assert asked_with("--claims", '{"role": ["user"]}') == (403, "permission_denied")
    assert asked_with("--claims", '{"role": ["user", "admin"]}') == (200, None)
    assert asked_with("--admin") == (200, None)


def test_what_changed_is_told_option_by_option(gate):
    assert gate.configure(max_connections=7, port=gate.port + 1)
    said = gate.gateway.said()
    assert "gateway.max_connections has changed" in said
    assert "gateway.port has changed, which takes a restart" not in said, "a flag gives it"
    assert gate.configure(max_connections=None, port=None, host="::")
    assert "gateway.host has changed, which takes a restart" in gate.gateway.said()
    assert gate.configure(host=None)


def test_a_token_has_the_claims_that_were_asked_for(gate):
    def refusal(*arguments):
        done = gate.run("token", "--user", "a", *arguments)
        assert done.returncode == 1 and not done.stdout
        return done.stderr

    assert "not a JSON object" in refusal("--claims", "[]")
    assert "not a JSON object" in refusal("--claims", '{"a":1,"a":2}')
    assert "are given otherwise" in refusal("--claims", '{"sub":"b"}')
    later = gate.run("token", "--user", "alice", "--claims", '{"nbf":32503680000}').stdout.strip()
    assert verdict(gate, later) == "the token is not valid yet (nbf)"
    assert gate.configure(token_admin_claim=None)
    assert "no administrators" in refusal("--admin")
    assert gate.configure(token_admin_claim="role=admin")
    assert not gate.configure(token_admin_claim="=admin")
    assert "is not NAME=VALUE" in gate.gateway.said()
    assert gate.configure(token_admin_claim="role=admin")


def test_the_doctor_looks_at_every_key(gate, pairs):
    def found():
        checks = json.loads(gate.run("doctor", "--json").stdout)["checks"]
        return {row["text"]: row["level"] for row in checks if row["check"] == "key"}

    _, public = pairs["EdDSA"]
    path = write_set(gate, tokens.jwk("EdDSA", public), {"kty": "new"})
    assert gate.configure(token_pem_file=str(public), token_jwks_file=str(path))
    said = found()
    assert said[f"{public}: a public key"] == "ok"
    assert said[f"{path}: 1 keys, 1 more are for something else"] == "ok"
    path.write_text("[]")
    assert found()[f"{path}: it is not an object with an array `keys`"] == "fail"
    write_set(gate, {"kty": "oct", "k": tokens.b64(b"s" * 32)})
    path.chmod(0o644)
    assert found()[f"{path}: holds a secret, and others than its owner may use it"] == "fail"
    assert gate.configure(token_pem_file=None, token_jwks_file=None)


async def test_administrators_are_shown_who_is_connected(gate):
    root = {"Authorization": f"Bearer {gate.run('token', '--user', 'root', '--admin').stdout.strip()}"}

    def shown(query=""):
        status, body, _ = gate.get(f"/admin/connections{query}", root)
        assert status == 200, body
        return json.loads(body)

    async with Client(gate, "seen") as client, Client(gate, "seen", threads=("a", "b")):
        mine = shown("?user=seen")
        assert mine["total"] == 2 == len(mine["connections"])
        row = next(row for row in mine["connections"]
                   if row["connection_id"] == client.welcome["connection_id"])
        assert row["user_id"] == "seen" and row["address"] == "127.0.0.1"
        assert row["state"] == "live" and row["format"] == "json"
        assert row["filter_threads"] == 0 and row["position"] == client.welcome["head"]
        assert shown()["total"] >= 2
        assert shown("?user=nobody") == {"connections": [], "total": 0}
    assert gate.get("/admin/connections?user=a%20b", root)[0] == 400
    assert gate.get("/admin/connections")[0] == 401
    user = {"Authorization": f"Bearer {gate.token('seen')}"}
    status, body, _ = gate.get("/admin/connections", user)
    assert status == 403 and json.loads(body)["error"]["code"] == "permission_denied"
