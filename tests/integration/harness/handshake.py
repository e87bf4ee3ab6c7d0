# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of opening a WebSocket, by hand: what a refusal says is in its body."""
import http.client
import json


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def error(self):
        return json.loads(self.body)["error"]


def handshake(node, token=None, path="/v1/ws", subprotocols="ringside.v1", **headers):
    """Asks for the upgrade; header names are given with _ for -."""
    wanted = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    if subprotocols:
        wanted["Sec-WebSocket-Protocol"] = subprotocols
    if token is not None:
        wanted["Authorization"] = f"Bearer {token}"
    wanted |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(node.address, timeout=20)
    try:
        connection.request("GET", path, headers=wanted)
        answer = connection.getresponse()
        body = "" if answer.status == 101 else answer.read().decode()
        return Answer(answer.status, answer.headers, body)
    finally:
        connection.close()
