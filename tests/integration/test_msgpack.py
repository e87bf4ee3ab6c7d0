# SPDX-License-Identifier: Apache-2.0
"""`ringside.v1.msgpack`: the same objects, in binary frames."""
import asyncio
import json

import msgpack
import pytest

from harness.client import Client, Refused

QUESTION = 'How do "rings" keep\norder? \u20ac \U0001F600'


async def test_a_packed_connection_is_told_what_the_others_are_told(shared_node, user):
    async with Client(shared_node, user, packed=True) as packed, Client(shared_node, user) as text:
        assert packed.socket.subprotocol == "ringside.v1.msgpack"
        run_id = await packed.chat(QUESTION, agent="librarian")
        told = await packed.until_ended(run_id)
        assert told == await text.until_ended(run_id)
        assert any(event["data"].get("content") == QUESTION for event in told)
        assert packed.welcome.keys() == text.welcome.keys()
    async with Client(shared_node, user, cursor="start", packed=True) as again:
        assert await again.until_ended(run_id) == told


async def test_a_packed_request_is_refused_as_any_other(shared_node, user):
    async with Client(shared_node, user, packed=True) as client:
        with pytest.raises(Refused) as refused:
            await client.request("chat.send", thread_id="t-1")
        assert refused.value.code == "invalid_argument"
        assert await client.request("ping") == {}


BROKEN = [
    b"", b"\xc1", b"\x90", b"\x80\x80", msgpack.packb({"id": 1, "method": "ping", "x": b"bytes"}),
    b"\xdf\xff\xff\xff\xff", b"\x81\xa6method\xdb\xff\xff\xff\xffping", json.dumps({"id": 1}),
]


@pytest.mark.parametrize("frame", BROKEN, ids=range(len(BROKEN)))
async def test_what_is_no_packed_object_closes_with_4400(shared_node, user, frame):
    client = Client(shared_node, user, packed=True)
    await client.connect()
    await client.socket.send(frame)
    await asyncio.wait_for(client.socket.wait_closed(), 20)
    assert client.socket.close_code == 4400
    await client.close()
