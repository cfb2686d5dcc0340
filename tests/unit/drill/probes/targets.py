"""Targets on loopback that answer, fail and vanish as they are told; a handler for each protocol that is asked."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Self, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    Handler = Callable[[str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ANSWERS, ERROR, HALF, SILENT = "answers", "error", "half", "silent"
"""What a target does: its work; says that it cannot; ends in the middle of its answer; accepts and says nothing."""


class Target:
    """A TCP server in the test's own event loop, on one port for as long as it is there.

    Attributes:
        mode: one of the words above.
        port: where it listens.
        connections: how many there have been.
    """

    def __init__(self, handler: Handler, context: ssl.SSLContext | None = None) -> None:
        self.mode, self.port, self.connections = ANSWERS, 0, 0
        self._handler, self._context = handler, context
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, on the same port as before."""
        # What is silent does not even answer a handshake.
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=None if self.mode == SILENT else self._context
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone, and everything that was connected too."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def turn(self, mode: str) -> None:
        """Do otherwise from now on; who is connected is thrown out."""
        await self.stop()
        self.mode = mode
        await self.start()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        try:
            if self.mode == SILENT:
                while await reader.read(1024):
                    pass
            await self._handler(self.mode, reader, writer)
        except (OSError, EOFError):
            pass  # the other side, or the test, has ended it
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def web(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A web server that keeps its connections; its errors are 503."""
    while True:
        await reader.readuntil(b"\r\n\r\n")
        status = "503 Service Unavailable" if mode == ERROR else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 6\r\n\r\n".encode())
        writer.write(b"hal" if mode == HALF else b"hello\n")
        await writer.drain()
        if mode == HALF:
            return


async def echo(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what it is told, a line at a time; its error is another answer, and no end of it."""
    while True:
        line = await reader.readuntil(b"\n")
        writer.write(b"x" * 100_000 if mode == ERROR else line[:-3] if mode == HALF else line)
        await writer.drain()
        if mode == HALF:
            return


async def names(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A DNS server over TCP; its error is SERVFAIL."""
    while True:
        (size,) = struct.unpack(">H", await reader.readexactly(2))
        wire = dns_answer(mode, await reader.readexactly(size))
        writer.write(struct.pack(">H", len(wire)) + (wire[:9] if mode == HALF else wire))
        await writer.drain()
        if mode == HALF:
            return


def dns_answer(mode: str, question: bytes) -> bytes:
    """What a DNS server says."""
    asked = dns.message.from_wire(question)
    answer = dns.message.make_response(asked)
    if mode == ERROR:
        answer.set_rcode(dns.rcode.SERVFAIL)
    else:
        answer.answer.append(dns.rrset.from_text(asked.question[0].name, 10, "IN", "A", "192.0.2.7"))
    return answer.to_wire()


async def postgresql(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As little of a PostgreSQL as takes a statement: who asks is believed; its error is a read-only transaction."""
    (size,) = struct.unpack(">I", await reader.readexactly(4))
    await reader.readexactly(size - 4)
    writer.write(_message(b"R", struct.pack(">I", 0)) + _message(b"Z", b"I"))
    while True:
        kind, size = struct.unpack(">cI", await reader.readexactly(5))
        await reader.readexactly(size - 4)
        if kind == b"X" or mode == HALF:
            return
        if mode == ERROR:
            said = b"SERROR\0VERROR\0C25006\0Mcannot execute in a read-only transaction\0\0"
            writer.write(_message(b"E", said) + _message(b"Z", b"I"))
        else:
            values = (b"10.42.1.5", b"0000000A")
            columns = b"".join(struct.pack(">I", len(each)) + each for each in values)
            row = struct.pack(">H", len(values)) + columns
            writer.write(_message(b"D", row) + _message(b"C", b"SELECT 1\0") + _message(b"Z", b"I"))


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


class DnsOverUdp(asyncio.DatagramProtocol):
    """A DNS server over UDP, with ``Target``'s ways."""

    def __init__(self) -> None:
        self.mode, self.port = ANSWERS, 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A question."""
        assert self._transport is not None
        if self.mode == HALF:
            self._transport.sendto(dns_answer(ANSWERS, data)[:9], addr)
        elif self.mode != SILENT:
            self._transport.sendto(dns_answer(self.mode, data), addr)

    async def start(self) -> None:
        """Listen, on the same port as before."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", self.port))
        assert self._transport is not None
        self.port = self._transport.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        """Be gone."""
        assert self._transport is not None
        self._transport.abort()
        await asyncio.sleep(0)

    async def turn(self, mode: str) -> None:
        """Do otherwise from now on."""
        self.mode = mode
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
