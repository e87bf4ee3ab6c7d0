# SPDX-License-Identifier: Apache-2.0
"""ringside.v1.msgpack: the same objects in binary frames."""
from kit import msgpack
from kit.case import case
from kit.session import MSGPACK
from kit.wire import BINARY, TEXT, check, frame


@case("M-01", "The welcome is the same object in a binary frame", "MessagePack")
def _(kit):
    session, plain = kit.connect(subprotocol=MSGPACK), kit.connect()
    check(session.welcome["protocol"] == "ringside.v1", f"{session.welcome}")
    check(set(session.welcome) == set(plain.welcome), "other members")
    session.alive()


@case("M-02", "Events are those of the JSON stream", "MessagePack")
def _(kit):
    session, plain = kit.connect(subprotocol=MSGPACK), kit.connect()
    run_id = kit.finished_run(session, content='gr\u00fc\u00dfe \U0001f44b "quoted" \\ \t')
    plain.until_ended(run_id)
    check(session.events == plain.events, "the events differ")
    again = kit.connect([("cursor", "start")], subprotocol=MSGPACK)
    again.until_told("caught_up")
    check(again.raw == session.raw, "the bytes of the replay differ")


@case("M-03", "A text frame closes with 4400", "MessagePack")
def _(kit):
    session = kit.connect(subprotocol=MSGPACK)
    session.wire.send(frame(TEXT, b'{"id":"a","method":"ping"}'))
    session.closes(4400)


@case("M-04", "What is not one whole map closes with 4400", "MessagePack")
def _(kit):
    ping = msgpack.pack({"id": "a", "method": "ping"})
    wrong = {
        "nothing": b"", "a number": b"\x07", "an array": b"\x90", "text": b"\xa1a", "cut off": ping[:-1],
        "more behind it": ping + b"\xc0", "a name that is a number": b"\x81\x01\x01",
        "binary": b"\x81\xa2id\xc4\x01a", "an extension": b"\x81\xa2id\xd4\x01a", "never used": b"\xc1",
        "not UTF-8": b"\x81\xa2id\xa1\xff", "an array without its end": b"\x81\xa2id\xdd\xff\xff\xff\xff",
        "a name twice": b"\x82\xa2id\x01\xa2id\x02",
    }
    for what, data in wrong.items():
        session = kit.connect(subprotocol=MSGPACK)
        session.wire.send(frame(BINARY, data))
        try:
            session.closes(4400)
        except AssertionError as failure:
            raise AssertionError(f"{what}: {failure}") from None


@case("M-05", "Every form of a number and of a length is understood", "MessagePack")
def _(kit):
    session = kit.connect(subprotocol=MSGPACK)
    forms = {7: [b"\x07", b"\xcc\x07", b"\xcd\x00\x07", b"\xce\x00\x00\x00\x07", b"\xd0\x07",
                 b"\xcf" + bytes(7) + b"\x07", b"\xd3" + bytes(7) + b"\x07"],
             "a": [b"\xa1a", b"\xd9\x01a", b"\xda\x00\x01a", b"\xdb\x00\x00\x00\x01a"]}
    for name, written in forms.items():
        for data in written:
            session.wire.send(frame(BINARY, b"\x82\xa2id" + data + b"\xa6method\xa4ping"))
            check(session.reply_to(name) == {}, f"{data.hex()}")
    session.wire.send(frame(BINARY, b"\xde\x00\x02\xa2id\x01\xa6method\xa4ping"))
    check(session.reply_to(1) == {}, "a map of 16 bits")


@case("M-06", "Errors are the same objects", "MessagePack")
def _(kit):
    session = kit.connect(subprotocol=MSGPACK)
    session.refused("unknown_method", "no.such")
    session.refused("invalid_argument", "chat.send", thread_id="t-1")
