# SPDX-License-Identifier: Apache-2.0
"""Who gets in: verified tokens from allowed origins, and nobody else."""
import time

import pytest

from harness import tokens
from harness.client import Client
from harness.handshake import handshake


def refused(node, status, code, **options):
    answer = handshake(node, **options)
    assert answer.status == status, answer.body
    assert answer.error["code"] == code, answer.body
    assert answer.error["message"] and answer.error["retryable"] in (True, False)
    return answer


def test_an_honest_token_is_let_in(shared_node):
    assert handshake(shared_node, shared_node.token("alice")).status == 101


def test_no_token_is_refused(shared_node):
    refused(shared_node, 401, "unauthenticated")


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "e30.e30.", "é" * 10, "x" * 9000])
def test_a_token_that_is_none_is_refused(shared_node, token):
    refused(shared_node, 401, "unauthenticated", token=token.encode("utf-8").decode("latin-1"))


def test_a_token_signed_with_another_key_is_refused(shared_node):
    refused(shared_node, 401, "unauthenticated",
            token=tokens.hs256(b"k" * 32, tokens.claims("alice")))


def test_an_expired_token_is_refused_as_expired(shared_node):
    refused(shared_node, 401, "token_expired",
            token=tokens.hs256(shared_node.secret(), tokens.claims("alice", -3600)))


def test_a_token_that_never_expires_is_refused(shared_node):
    body = tokens.claims("alice")
    del body["exp"]
    refused(shared_node, 401, "unauthenticated", token=tokens.hs256(shared_node.secret(), body))


def test_a_token_from_the_future_is_refused(shared_node):
    body = tokens.claims("alice", nbf=int(time.time()) + 3600)
    refused(shared_node, 401, "unauthenticated", token=tokens.hs256(shared_node.secret(), body))


def test_an_unsigned_token_is_refused(shared_node):
    refused(shared_node, 401, "unauthenticated", token=tokens.unsigned(tokens.claims("alice")))


def test_a_token_whose_claims_were_changed_is_refused(shared_node):
    honest = tokens.hs256(shared_node.secret(), tokens.claims("mallory")).split(".")
    forged = tokens.hs256(b"k" * 32, tokens.claims("alice")).split(".")
    refused(shared_node, 401, "unauthenticated", token=".".join([honest[0], forged[1], honest[2]]))


@pytest.mark.parametrize("user", ["", "two words", "a" * 128, 'quote"', None, 7])
def test_a_token_whose_user_is_no_identifier_is_refused(shared_node, user):
    refused(shared_node, 401, "unauthenticated",
            token=tokens.hs256(shared_node.secret(), tokens.claims(user)))


def test_a_token_in_the_url_is_not_looked_at(shared_node):
    token = shared_node.token("alice")
    refused(shared_node, 401, "unauthenticated", path=f"/v1/ws?token={token}&access_token={token}")


def test_a_foreign_origin_is_forbidden(shared_node):
    refused(shared_node, 403, "permission_denied", token=shared_node.token("alice"),
            Origin="https://evil.example")


def test_the_gateways_own_origin_is_allowed(shared_node):
    answer = handshake(shared_node, shared_node.token("alice"),
                       Origin=f"http://{shared_node.address}")
    assert answer.status == 101


def test_an_unknown_subprotocol_is_refused(shared_node):
    refused(shared_node, 400, "invalid_argument", token=shared_node.token("alice"),
            subprotocols="ringside.v9")


@pytest.mark.parametrize("cursor", ["x", "1", ".", "e.", "e.x", "e.-1", "e.99999999999999999999",
                                    "%00.1", "a.b.c"])
def test_a_malformed_cursor_is_refused(shared_node, cursor):
    refused(shared_node, 400, "invalid_argument", token=shared_node.token("alice"),
            path=f"/v1/ws?cursor={cursor}")


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
async def test_a_token_signed_with_a_private_key_is_let_in(make_node, tmp_path, kind):
    private, public = tokens.make_key_pair(kind, tmp_path)
    node = make_node(environment={"RINGSIDE_GATEWAY_TOKEN_PEM_FILE": str(public)}).start()
    body = tokens.claims("alice")
    async with Client(node, "alice", token=tokens.signed_with_pem(kind, private, body)) as client:
        assert client.welcome["user_id"] == "alice"
    async with Client(node, "bob") as client:  # the node's own key goes on working
        assert client.welcome["user_id"] == "bob"
    # The public key is public: it must not pass as a secret, whatever the header says.
    refused(node, 401, "unauthenticated", token=tokens.hs256(public.read_bytes(), body))
    other, _ = tokens.make_key_pair("ES256" if kind == "RS256" else "RS256", tmp_path)
    wrong = "ES256" if kind == "RS256" else "RS256"
    refused(node, 401, "unauthenticated", token=tokens.signed_with_pem(wrong, other, body))
    refused(node, 401, "unauthenticated",
            token=tokens.signed_with_pem(kind, private, tokens.claims("alice"), wrong))


def test_issuer_and_audience_are_asked_for_when_configured(make_node):
    node = make_node(environment={"RINGSIDE_GATEWAY_TOKEN_ISSUER": "me",
                                  "RINGSIDE_GATEWAY_TOKEN_AUDIENCE": "ringside"}).start()

    def token(**more):
        return tokens.hs256(node.secret(), tokens.claims("alice", **more))

    refused(node, 401, "unauthenticated", token=token())
    refused(node, 401, "unauthenticated", token=token(iss="me", aud="other"))
    refused(node, 401, "unauthenticated", token=token(iss="you", aud="ringside"))
    assert handshake(node, token(iss="me", aud="ringside")).status == 101
    assert handshake(node, token(iss="me", aud=["other", "ringside"])).status == 101


def test_too_many_connections_of_one_user_are_refused_with_429(make_node):
    import socket
    node = make_node(environment={"RINGSIDE_GATEWAY_MAX_CONNECTIONS_PER_USER": "2"}).start()
    request = (f"GET /v1/ws HTTP/1.1\r\nHost: {node.address}\r\nConnection: Upgrade\r\n"
               "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
               "Sec-WebSocket-Protocol: ringside.v1\r\n"
               f"Authorization: Bearer {node.token('alice')}\r\n\r\n").encode()
    held = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(2)]
    try:
        for connection in held:
            connection.sendall(request)
            assert b" 101 " in connection.recv(100)
        answer = refused(node, 429, "rate_limited", token=node.token("alice"))
        assert int(answer.headers["Retry-After"]) > 0
        assert handshake(node, node.token("bob")).status == 101
    finally:
        for connection in held:
            connection.close()
