# SPDX-License-Identifier: Apache-2.0
"""Every case there is, in the order in which a client meets them."""
from . import handshake, frames, stream, requests, views, messagepack, events  # noqa: F401
