"""``python -m bench.probe_targets DIRECTORY``: what probes ask, in a process of its own, until its stdin ends.

Prints the ports as JSON: pages with and without TLS, a port that repeats what it is told, and DNS over TCP and UDP.
``DIRECTORY`` gets the certificate, ``certificate.pem``, which is for ``NAME``.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import dns.message
import dns.rrset

from drkit.lab.workload.certificate import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "target.bench"
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"status":"ok"}'


class _Page(asyncio.Protocol):
    """A page, whatever is asked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(_PAGE)


class _Echo(_Page):
    """What it is told."""

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


def _answer(wire: bytes) -> bytes:
    asked = dns.message.from_wire(wire)
    answer = dns.message.make_response(asked)
    answer.answer.append(dns.rrset.from_text(asked.question[0].name, 10, "IN", "A", "192.0.2.7"))
    return answer.to_wire()


class _DnsOverTcp(_Page):
    def data_received(self, data: bytes) -> None:
        wire = _answer(data[2:])
        self._transport.write(len(wire).to_bytes(2, "big") + wire)


class _DnsOverUdp(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(_answer(data), addr)


async def _serve(directory: Path) -> None:
    loop = asyncio.get_running_loop()
    certificate, key = self_signed([NAME])
    (directory / "certificate.pem").write_text(certificate, encoding="ascii")
    both = directory / "both.pem"
    both.write_text(certificate + key, encoding="ascii")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    kinds: list[tuple[str, Callable[[], asyncio.Protocol], ssl.SSLContext | None]] = [
        ("http", _Page, None),
        ("https", _Page, context),
        ("echo", _Echo, None),
        ("dns", _DnsOverTcp, None),
    ]
    ports = {}
    for name, protocol, tls in kinds:
        server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls, backlog=1024)
        ports[name] = server.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(_DnsOverUdp, local_addr=("127.0.0.1", 0))
    ports["dns-udp"] = transport.get_extra_info("sockname")[1]
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
