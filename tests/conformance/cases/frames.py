# SPDX-License-Identifier: Apache-2.0
"""RFC 6455 to the byte: frames, fragments, control frames, closing."""
import json
import struct

from kit.case import case
from kit.session import Closed
from kit.wire import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Ended, check, close_frame,
                      frame)

INVALID_UTF8 = {
    "a lone continuation byte": b"\x80",
    "a sequence cut off by another character": b"\xc3\x28",
    "an overlong form": b"\xc0\xaf",
    "a surrogate": b"\xed\xa0\x80",
    "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "a byte that never occurs": b"\xff",
}


def request(name="q", **params):
    return json.dumps({"id": name, "method": "ping", "params": params}, ensure_ascii=False).encode()


def in_fragments(pieces):
    """The frames of one text message."""
    last = len(pieces) - 1
    return [frame(TEXT if number == 0 else CONTINUATION, piece, fin=number == last)
            for number, piece in enumerate(pieces)]


def violation(kit, data, *codes):
    session = kit.connect()
    session.wire.send(data)
    session.closes(*(codes or (1002,)), drop=True)


# ---- Fragments

@case("F-01", "A message in two fragments is one message", "RFC 6455, 5.4")
def _(kit):
    session, data = kit.connect(), request()
    session.wire.send(b"".join(in_fragments([data[:9], data[9:]])))
    check(session.reply_to("q") == {}, "not answered")


@case("F-02", "A message in fragments of one byte is one message", "RFC 6455, 5.4")
def _(kit):
    session, data = kit.connect(), request()
    for piece in in_fragments([data[at:at + 1] for at in range(len(data))]):
        session.wire.send(piece)
    check(session.reply_to("q") == {}, "not answered")


@case("F-03", "Fragments may be empty, the first and the last too", "RFC 6455, 5.4")
def _(kit):
    session, data = kit.connect(), request()
    session.wire.send(b"".join(in_fragments([b"", data[:5], b"", data[5:], b""])))
    check(session.reply_to("q") == {}, "not answered")


@case("F-04", "A ping between fragments is answered, and the message goes on", "RFC 6455, 5.4, 5.5")
def _(kit):
    session, data = kit.connect(), request()
    first, last = in_fragments([data[:9], data[9:]])
    session.wire.send(first + frame(PING, b"between"))
    got = session.wire.read_frame()
    check((got.opcode, got.payload) == (PONG, b"between"), f"{got}, not a pong")
    session.wire.send(last)
    check(session.reply_to("q") == {}, "not answered")


@case("F-05", "A pong and a close between fragments are taken at once", "RFC 6455, 5.4")
def _(kit):
    session = kit.connect()
    session.wire.send(frame(TEXT, b'{"id":', fin=False) + frame(PONG) + close_frame(1000))
    session.closes(1000)


@case("F-06", "A continuation that continues nothing is a violation", "RFC 6455, 5.4")
def _(kit):
    violation(kit, frame(CONTINUATION, b"{}"))
    violation(kit, frame(CONTINUATION, b"{}", fin=False))


@case("F-07", "A message that begins within another is a violation", "RFC 6455, 5.4")
def _(kit):
    for opcode in (TEXT, BINARY):
        violation(kit, frame(TEXT, b"{", fin=False) + frame(opcode, b"{}"), 1002)


# ---- Text

@case("F-08", "A character may be cut by a fragment's end at any byte", "RFC 6455, 5.6, 8.1")
def _(kit):
    session = kit.connect()
    for character in ("\u00e9", "\u20ac", "\U0001f44b"):
        data = request(character)
        at = data.index(character.encode())
        for cut in range(at, at + len(character.encode()) + 1):
            session.wire.send(b"".join(in_fragments([data[:cut], data[cut:]])))
            check(session.reply_to(character) == {}, f"cut at {cut}")


@case("F-09", "Text that is not UTF-8 closes with 1007", "RFC 6455, 8.1")
def _(kit):
    for what, wrong in INVALID_UTF8.items():
        session = kit.connect()
        session.wire.send(frame(TEXT, request("ID").replace(b"ID", wrong)))
        session.closes(1007)


@case("F-10", "Text that ends within a character closes with 1007", "RFC 6455, 8.1")
def _(kit):
    session = kit.connect()
    session.wire.send(frame(TEXT, b'{"id":"\xe2\x82'))
    session.closes(1007)


@case("F-11", "Text that is not UTF-8 only across fragments closes with 1007", "RFC 6455, 8.1")
def _(kit):
    data = request("ID").replace(b"ID", b"\xe2\x28\xa1")
    cut = data.index(b"\xe2") + 1
    session = kit.connect()
    session.wire.send(b"".join(in_fragments([data[:cut], data[cut:]])))
    session.closes(1007)


# ---- Heads of frames

@case("F-12", "A reserved bit that no extension gave a meaning is a violation", "RFC 6455, 5.2")
def _(kit):
    for reserved in (1, 2, 4, 7):
        violation(kit, frame(TEXT, request(), reserved=reserved))
    violation(kit, frame(PING, reserved=4))


@case("F-13", "A reserved opcode is a violation", "RFC 6455, 5.2")
def _(kit):
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        violation(kit, frame(opcode, b""))


@case("F-14", "A frame that is not masked is a violation", "RFC 6455, 5.1")
def _(kit):
    violation(kit, frame(TEXT, request(), mask=None))
    violation(kit, frame(PING, b"x", mask=None))


@case("F-15", "Any mask will do, zero too", "RFC 6455, 5.3")
def _(kit):
    session = kit.connect()
    for number, mask in enumerate((bytes(4), b"\xff" * 4, b"\x00\xff\x00\xff")):
        session.wire.send(frame(TEXT, request(str(number)), mask=mask))
        check(session.reply_to(str(number)) == {}, f"mask {mask.hex()}")


@case("F-16", "Lengths of 7, 16 and 64 bits are understood", "RFC 6455, 5.2")
def _(kit):
    session = kit.connect()
    most = session.welcome["limits"]["max_frame"]
    for size in (125, 126, 127, 65535, 65536, 70000):
        padding = size - len(request("q", x=""))
        if size <= most and padding >= 0:
            session.wire.send(frame(TEXT, request("q", x="a" * padding)))
            check(session.reply_to("q") == {}, f"{size} bytes")


@case("F-17", "A frame that comes one byte at a time is understood", "RFC 6455, 5.2")
def _(kit):
    session = kit.connect()
    session.wire.send_slowly(frame(TEXT, request("q", x="a" * 200)))
    check(session.reply_to("q") == {}, "not answered")


@case("F-18", "Many frames in one piece are each answered", "RFC 6455, 5.2")
def _(kit):
    session = kit.connect()
    session.wire.send(b"".join(frame(TEXT, request(str(number))) for number in range(50)))
    for number in range(50):
        check(session.reply_to(str(number)) == {}, f"number {number}")


@case("F-19", "A length of 2^63 or more is refused at once", "RFC 6455, 5.2")
def _(kit):
    for length in (1 << 63, (1 << 64) - 1):
        violation(kit, frame(TEXT, b"", length=length), 1002, 1009)


@case("F-20", "A frame over max_frame closes with 1009, whatever its length says", "Limits")
def _(kit):
    for length in (None, 1 << 62):
        session = kit.connect()
        payload = b"[" * (session.welcome["limits"]["max_frame"] + 1)
        try:
            session.wire.send(frame(TEXT, payload, length=length))
        except OSError:
            pass
        session.closes(1009, drop=True)


@case("F-21", "Fragments that are together over max_frame close with 1009", "Limits")
def _(kit):
    session = kit.connect()
    piece = session.welcome["limits"]["max_frame"] // 4 + 1
    try:
        session.wire.send(frame(TEXT, b"[" * piece, fin=False))
        for _ in range(4):
            session.wire.send(frame(CONTINUATION, b"[" * piece, fin=False))
    except OSError:
        pass
    session.closes(1009, drop=True)


# ---- Control frames

@case("F-22", "A ping is answered with its own payload", "RFC 6455, 5.5.2, 5.5.3")
def _(kit):
    session = kit.connect()
    for payload in (b"", b"x", bytes(range(125))):
        session.wire.send(frame(PING, payload))
        got = session.wire.read_frame()
        check((got.opcode, got.payload) == (PONG, payload), f"{got}, not a pong with {payload}")


@case("F-23", "Of several pings at least the last is answered", "RFC 6455, 5.5.3")
def _(kit):
    session = kit.connect()
    session.wire.send(b"".join(frame(PING, bytes([number])) for number in range(10)))
    while True:
        got = session.wire.read_frame()
        check(got.opcode == PONG, f"{got}")
        if got.payload == bytes([9]):
            return


@case("F-24", "A pong that nobody asked for is passed over", "RFC 6455, 5.5.3")
def _(kit):
    session = kit.connect()
    session.wire.send(frame(PONG, b"unasked") + frame(PONG))
    session.alive()


@case("F-25", "A ping one byte at a time is answered", "RFC 6455, 5.5.2")
def _(kit):
    session = kit.connect()
    session.wire.send_slowly(frame(PING, b"slow"))
    check(session.wire.read_frame()[2:] == (PONG, b"slow"), "not a pong")


@case("F-26", "A control frame of more than 125 bytes is a violation", "RFC 6455, 5.5")
def _(kit):
    for opcode in (PING, PONG, CLOSE):
        violation(kit, frame(opcode, struct.pack(">H", 1000) + b"a" * 124))


@case("F-27", "A control frame in fragments is a violation", "RFC 6455, 5.5")
def _(kit):
    for opcode in (PING, PONG, CLOSE):
        violation(kit, frame(opcode, b"", fin=False))


# ---- Closing

def answered_close(kit, data):
    """The code of the server's Close; behind it the server ends the connection."""
    session = kit.connect()
    session.wire.send(data)
    try:
        while True:
            session.message()
    except Closed as closed:
        check(session.wire.at_end(), "something came behind the Close frame")
        return closed.code
    except Ended:
        check(False, "the connection ended without a Close frame")


@case("F-28", "A Close is answered with its code, and the server ends the connection",
      "RFC 6455, 5.5.1, 7.1.1")
def _(kit):
    for code in (1000, 1001, 1003, 1007, 1011, 3000, 3999, 4000, 4999):
        got = answered_close(kit, close_frame(code, b"bye"))
        check(got in (code, 1000), f"{code} was answered with {got}")


@case("F-29", "A Close without a code is answered", "RFC 6455, 5.5.1")
def _(kit):
    check(answered_close(kit, close_frame()) in (1000, 1005), "answered with another code")


@case("F-30", "A Close whose code must not be sent is a violation", "RFC 6455, 7.4")
def _(kit):
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999):
        violation(kit, close_frame(code))


@case("F-31", "A Close of one byte is a violation", "RFC 6455, 5.5.1")
def _(kit):
    violation(kit, frame(CLOSE, b"\x03"))


@case("F-32", "A Close whose reason is not UTF-8 is a violation", "RFC 6455, 5.5.1, 8.1")
def _(kit):
    violation(kit, close_frame(1000, b"\xff\xfe"), 1007, 1002)


@case("F-33", "What comes behind a client's Close is not looked at", "RFC 6455, 5.5.1")
def _(kit):
    session = kit.connect()
    session.wire.send(close_frame(1000) + frame(TEXT, request("late")))
    session.closes(1000)
    check("late" not in session.replies, "a request behind the Close was answered")


@case("F-34", "The other kind of frame closes with 4400", "Closing")
def _(kit):
    session = kit.connect()
    session.wire.send(frame(BINARY, request()))
    session.closes(4400)


@case("F-35", "A violation of one connection disturbs no other of the same user", "RFC 6455, 7.1.7")
def _(kit):
    neighbour = kit.connect()
    violation(kit, frame(3, b""))
    neighbour.alive()
