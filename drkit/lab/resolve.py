"""What a DNS server answers, asked without the machine's own resolver, which does not know the lab's names."""

from __future__ import annotations

import socket
import struct

from drkit.lab.topology import DNS_PORT

_SECONDS = 5.0
_TYPE_A, _CLASS_IN = 1, 1
_MOST_BYTES = 512


def address_of(name: str, server: str) -> str:
    """The IPv4 address that ``server`` answers for a name; empty where it has none. RFC 1035, 4.1.

    Raises:
        OSError: it does not answer.
    """
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    # One question, recursion desired.
    asked = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + question + b"\0" + struct.pack(">2H", _TYPE_A, _CLASS_IN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(_SECONDS)
        line.sendto(asked, (server, DNS_PORT))
        answer = line.recv(_MOST_BYTES)
    (answers,) = struct.unpack(">H", answer[6:8])
    return socket.inet_ntoa(answer[-4:]) if answers else ""
