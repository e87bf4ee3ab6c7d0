# SPDX-License-Identifier: Apache-2.0
"""The request that opens a connection, and how it is refused."""
import base64
import json

from kit.case import Skipped, case
from kit.session import MSGPACK, Session
from kit.wire import TEXT, check, frame, upgrade_headers

PING = json.dumps({"id": "first", "method": "ping"}).encode()


@case("H-01", "The handshake is completed as RFC 6455 says", "RFC 6455, 4.2.2")
def _(kit):
    session = kit.connect()
    headers = session.answer.headers
    check(headers.get("upgrade", "").lower() == "websocket", f"Upgrade: {headers}")
    check("upgrade" in headers.get("connection", "").lower(), f"Connection: {headers}")
    check(headers.get("sec-websocket-protocol") == "ringside.v1", f"subprotocol: {headers}")


@case("H-02", "Names of headers and values of Upgrade and Connection have no case", "RFC 6455, 4.2.1")
def _(kit):
    kit.connect(more=[("upgrade", "WebSocket"), ("CONNECTION", "keep-alive, UPGRADE")]).alive()


@case("H-03", "ringside.v1 is found among other subprotocols", "Connecting")
def _(kit):
    session = kit.connect(subprotocol="chat.v9, ringside.v1")
    check(session.subprotocol == "ringside.v1", f"selected {session.subprotocol}")
    session.alive()


@case("H-04", "ringside.v1.msgpack is selected when it alone is offered", "Connecting")
def _(kit):
    check(kit.connect(subprotocol=MSGPACK).subprotocol == MSGPACK, "not selected")


@case("H-05", "No subprotocol, or none that is known, is refused with 400", "Connecting")
def _(kit):
    for offered in ("", "chat.v9", "ringside.v2", "ringside"):
        kit.refused(400, "invalid_argument", subprotocols=offered)


@case("H-06", "No token is refused with 401", "Connecting")
def _(kit):
    kit.refused(401, "unauthenticated", token=False)


@case("H-07", "What is no token is refused with 401", "Connecting")
def _(kit):
    for token in ("x", "a.b.c", "....", "e30.e30.e30"):
        kit.refused(401, "unauthenticated", token=token)


@case("H-08", "A token whose signature is not that of its claims is refused with 401", "Connecting")
def _(kit):
    head, claims, signature = kit.token().split(".")
    changed = ("B" if signature[0] != "B" else "C") + signature[1:]
    kit.refused(401, "unauthenticated", token=f"{head}.{claims}.{changed}")
    forged = base64.urlsafe_b64encode(json.dumps({"sub": "root", "exp": 1 << 40}).encode())
    kit.refused(401, "unauthenticated", token=f"{head}.{forged.decode().rstrip('=')}.{signature}")


@case("H-09", "A token that says it needs no signature is refused with 401", "Connecting")
def _(kit):
    claims = kit.token().split(".")[1]
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    kit.refused(401, "unauthenticated", token=f"{none}.{claims}.")


@case("H-10", "A token that has expired is refused with 401 and token_expired", "Connecting")
def _(kit):
    if not kit.options.expired_token:
        raise Skipped("needs --expired-token")
    kit.refused(401, "token_expired", token=kit.options.expired_token)


@case("H-11", "A browser's token comes as a subprotocol, which is not selected", "Connecting")
def _(kit):
    offered = f"ringside.v1, bearer.{kit.token()}"
    wire, _, answer = kit.handshake(token=False, subprotocols=offered)
    check(answer.status == 101, f"{answer.status} {answer.body[:200]!r}")
    check(answer.headers.get("sec-websocket-protocol") == "ringside.v1", f"{answer.headers}")
    check(Session(wire, answer, kit.user).read()["user_id"] == kit.user, "another user")


@case("H-12", "A token in the address is not looked at", "Connecting")
def _(kit):
    for name in ("token", "access_token", "bearer"):
        kit.refused(401, "unauthenticated", token=False, query=[(name, kit.token())])


@case("H-13", "Who one is comes from the token, whatever else is said", "Connecting")
def _(kit):
    session = kit.connect([("user", "root"), ("user_id", "root"), ("sub", "root")],
                          more=[("X-User", "root")])
    check(session.welcome["user_id"] == kit.user, f"welcome to {session.welcome['user_id']}")


@case("H-14", "A malformed cursor is refused with 400", "Connecting")
def _(kit):
    for cursor in ("7", "w.", ".", "w.x", "w.-1", "w.1e3", "w.99999999999999999999999", "start.",
                   "w 1.1"):
        kit.refused(400, "invalid_argument", query=[("cursor", cursor)])


@case("H-15", "A malformed filter is refused with 400", "Connecting")
def _(kit):
    for thread in ("", "a b", "x" * 128, 'a"b', "\u00e9"):
        kit.refused(400, "invalid_argument", query=[("thread", thread)])


@case("H-16", "A page of another origin is refused with 403", "Connecting")
def _(kit):
    for origin in ("https://evil.example", "null"):
        kit.refused(403, "permission_denied", more=[("Origin", origin)])


@case("H-17", "A page of the server's own origin is let in", "Connecting")
def _(kit):
    kit.connect(more=[("Origin", kit.target.origin)]).alive()


@case("H-18", "Another version of WebSocket is refused with 426, which names 13", "RFC 6455, 4.4")
def _(kit):
    answer = kit.refused(426, "invalid_argument", more=[("Sec-WebSocket-Version", "8")])
    check("13" in answer.headers.get("sec-websocket-version", ""), f"{answer.headers}")


@case("H-19", "A request that asks for no upgrade is refused with 426", "RFC 9110, 15.5.22")
def _(kit):
    kit.refused(426, "invalid_argument", without=["Upgrade"])


@case("H-20", "A key that is missing, or that is not 16 bytes, is refused with 400", "RFC 6455, 4.2.1")
def _(kit):
    kit.refused(400, "invalid_argument", without=["Sec-WebSocket-Key"])
    for key in ("", "short", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "!!!!!!!!!!!!!!!!!!!!!!=="):
        kit.refused(400, "invalid_argument", more=[("Sec-WebSocket-Key", key)])


@case("H-21", "No extension is taken up", "Limits")
def _(kit):
    session = kit.connect(more=[("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover")])
    check("sec-websocket-extensions" not in session.answer.headers, f"{session.answer.headers}")
    session.alive()


@case("H-22", "A request that comes one byte at a time is completed", "RFC 6455, 4.2")
def _(kit):
    kit.connect(slowly=True).alive()


@case("H-23", "A frame right behind the request is answered", "RFC 6455, 4.1")
def _(kit):
    session = kit.connect(behind=frame(TEXT, PING))
    check(session.reply_to("first") == {}, "not answered")


@case("H-24", "Another method than GET opens nothing", "RFC 6455, 4.1")
def _(kit):
    for method in ("POST", "PUT", "DELETE"):
        _, _, answer = kit.handshake(method=method)
        check(400 <= answer.status < 500, f"{method}: {answer.status}")


@case("H-25", "Headers may be spaced and repeated as HTTP allows", "RFC 9110, 5.6.1")
def _(kit):
    wire = kit.wire()
    headers = upgrade_headers(kit.target, "AAAAAAAAAAAAAAAAAAAAAA==", "", kit.token())
    headers += [("Sec-WebSocket-Protocol", "other"), ("Sec-WebSocket-Protocol", "  ringside.v1\t")]
    wire.ask("GET", kit.path(), headers)
    answer = wire.read_answer()
    check(answer.status == 101, f"{answer.status} {answer.body[:200]!r}")
    check(answer.headers.get("sec-websocket-accept") == "ICX+Yqv66kxgM0FcWaLWlFLwTAI=", "accept")


@case("H-26", "Refusals are checked in their order: the request before the token", "When the handshake fails")
def _(kit):
    kit.refused(400, "invalid_argument", token=False, query=[("cursor", "x")])
    kit.refused(403, "permission_denied", token=False, more=[("Origin", "https://evil.example")])


@case("H-27", "An address that does not exist is 404", "HTTP")
def _(kit):
    _, _, answer = kit.handshake(path="/v1/nothing")
    check(answer.status == 404, f"{answer.status}")
