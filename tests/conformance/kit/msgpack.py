# SPDX-License-Identifier: Apache-2.0
"""As much of MessagePack as there is JSON for."""
import struct


def pack(value):
    if value is None or value is True or value is False:
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        return b"\xcf" + struct.pack(">Q", value) if value >= 0 else b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return b"\xdb" + struct.pack(">I", len(data)) + data
    if isinstance(value, list):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    return b"\xdf" + struct.pack(">I", len(value)) + b"".join(
        pack(name) + pack(each) for name, each in value.items())


NUMBERS = {0xca: ">f", 0xcb: ">d", 0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q",
           0xd0: ">b", 0xd1: ">h", 0xd2: ">i", 0xd3: ">q"}
SIZES = {0xd9: ">B", 0xda: ">H", 0xdb: ">I", 0xdc: ">H", 0xdd: ">I", 0xde: ">H", 0xdf: ">I"}


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError("MessagePack that ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self):
        first = self.take(1)[0]
        if first < 0x80:
            return first
        if first >= 0xe0:
            return first - 0x100
        if first in (0xc2, 0xc3):
            return first == 0xc3
        if first in NUMBERS:
            return self.number(NUMBERS[first])
        if first < 0x90:
            return self.map(first & 15)
        if first < 0xa0:
            return [self.value() for _ in range(first & 15)]
        if first < 0xc0:
            return self.take(first & 31).decode()
        if first not in SIZES:
            raise ValueError(f"MessagePack of a kind that JSON does not have: {first:#x}")
        size = self.number(SIZES[first])
        if first <= 0xdb:
            return self.take(size).decode()
        return [self.value() for _ in range(size)] if first <= 0xdd else self.map(size)

    def map(self, size):
        pairs = [(self.value(), self.value()) for _ in range(size)]
        if len(dict(pairs)) != size or not all(isinstance(name, str) for name, _ in pairs):
            raise ValueError("a map with a name twice, or one that is no string")
        return dict(pairs)


def unpack(data):
    reader = _Reader(data)
    value = reader.value()
    if reader.at != len(data):
        raise ValueError("bytes behind a MessagePack value")
    return value
