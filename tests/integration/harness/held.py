# SPDX-License-Identifier: Apache-2.0
"""WebSocket connections by hand, with any headers and from any address, kept open."""
import contextlib
import socket

from .deadline import PATIENCE

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


def request_text(node, token, path="/v1/ws", **headers):
    wanted = {"Host": node.address, "Connection": "Upgrade", "Upgrade": "websocket",
              "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY,
              "Sec-WebSocket-Protocol": "ringside.v1", "Authorization": f"Bearer {token}"}
    wanted |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in wanted.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


class Held(contextlib.ExitStack):
    """A set of open connections; all are closed at the end of the block."""

    def open(self, node, user, **headers):
        """The status of the answer: 101 when the connection is open, 200 when it streams."""
        connection = self.connect(node)
        connection.sendall(request_text(node, node.token(user), **headers))
        return int(connection.recv(65536).split()[1])

    def connect(self, node):
        """A connection of which nothing is known yet."""
        host = "::1" if node.address.startswith("[") else "127.0.0.1"
        return self.enter_context(socket.create_connection((host, node.port), timeout=PATIENCE))
