# SPDX-License-Identifier: Apache-2.0
"""A connection's token, replaced while the connection lives."""
import pytest

from harness import tokens
from harness.client import Client, Refused
from harness.stream import check_run


async def test_a_new_token_extends_the_connection_and_says_until_when(shared_node, user):
    body = tokens.claims(user, 7200)
    async with Client(shared_node, user) as client:
        token = tokens.hs256(shared_node.secret(), body)
        assert await client.request("auth.refresh", token=token) == {
            "expires_at": body["exp"] * 1000}
        check_run(await client.until_ended(await client.chat("hello", agent="echo")))


async def test_a_bad_token_is_refused_and_the_old_one_stays(shared_node, user):
    secret = shared_node.secret()
    bad = {
        "unauthenticated": ["nonsense", "a.b.c", tokens.unsigned(tokens.claims(user)),
                            tokens.hs256(b"x" * 32, tokens.claims(user))],
        "token_expired": [tokens.hs256(secret, tokens.claims(user, -3600))],
        "invalid_argument": ["", 7],
    }
    async with Client(shared_node, user) as client:
        for code, several in bad.items():
            for token in several:
                with pytest.raises(Refused) as refused:
                    await client.request("auth.refresh", token=token)
                assert refused.value.code == code and not refused.value.retryable, token
        check_run(await client.until_ended(await client.chat("hello", agent="echo")))


async def test_anothers_token_is_refused_and_ends_the_connection(shared_node, user):
    async with Client(shared_node, user) as client, Client(shared_node, user) as beside:
        with pytest.raises(Refused, match="permission_denied"):
            await client.request("auth.refresh", token=shared_node.token(f"{user}x"))
        assert await client.until_closed() == 4403
        assert await beside.request("ping") == {}
