"""Probes of kind ``dns``: one question to one server, over UDP or TCP, answered with at least one record."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode

from drkit.drill.probes.doors import Door
from drkit.drill.probes.port import ANSWERED, Failed, Reply
from drkit.drill.probes.streams import StreamLine

if TYPE_CHECKING:
    from drkit.drill.probes.doors import Ways
    from drkit.drill.probes.streams import Stream
    from drkit.drill.probes.wanted import Dns

_LENGTH_BYTES = 2
"""Before each message over TCP (RFC 1035, 4.2.2)."""


class DnsKind:
    """One name at one server. Over TCP, servers may end an idle connection at any time (RFC 7766, 6.2.3)."""

    writes = False
    reopens = True

    def __init__(self, wanted: Dns, ways: Ways) -> None:
        self._wanted = wanted
        self._door = Door(wanted.server, ways)

    async def open(self) -> DnsOverTcp | DnsOverUdp:
        """A connection, or a socket of its own."""
        if self._wanted.tcp:
            return DnsOverTcp(await self._door.connect(), self._wanted)
        loop = asyncio.get_running_loop()
        _, line = await loop.create_datagram_endpoint(
            lambda: DnsOverUdp(self._wanted), remote_addr=self._door.address()
        )
        return line


class DnsOverTcp(StreamLine):
    """A connection to a server."""

    def __init__(self, stream: Stream, wanted: Dns) -> None:
        super().__init__(stream)
        self._wanted = wanted

    async def ask(self, row: int | None) -> Reply:  # noqa: ARG002 - see the port
        """Put the question."""
        question = _question(self._wanted)
        wire = question.to_wire()
        self._stream.write(len(wire).to_bytes(_LENGTH_BYTES, "big") + wire)
        await self._stream.need(_LENGTH_BYTES)
        size = int.from_bytes(self._stream.take(_LENGTH_BYTES), "big")
        await self._stream.need(size)
        return _judged(question, self._stream.take(size))


class DnsOverUdp(asyncio.DatagramProtocol):
    """A socket that takes datagrams from one server alone."""

    in_doubt = False
    ended = False

    def __init__(self, wanted: Dns) -> None:
        self._wanted = wanted
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: asyncio.Future[bytes] | None = None
        self._identity = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        # Python 3.11's own transport is one and does not say so.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - connected to one
        """The answer, or one to an earlier question, which nobody waits for any more."""
        if self._waiting is not None and not self._waiting.done() and data[: len(self._identity)] == self._identity:
            self._waiting.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there, the machine behind it says."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc)

    async def ask(self, row: int | None) -> Reply:  # noqa: ARG002 - see the port
        """Put the question. It is not repeated: a lost datagram is a question that failed."""
        assert self._transport is not None  # noqa: S101 - made before it can be asked
        question = _question(self._wanted)
        wire = question.to_wire()
        self._identity = wire[:2]
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.sendto(wire)
        return _judged(question, await self._waiting)

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()


def _question(wanted: Dns) -> dns.message.QueryMessage:
    return dns.message.make_query(wanted.name, wanted.record)


def _judged(question: dns.message.Message, wire: bytes) -> Reply:
    """What an answer comes to.

    Raises:
        Failed: it is none, refuses, or holds nothing.
    """
    try:
        answer = dns.message.from_wire(wire, ignore_trailing=True)
    except dns.exception.DNSException:
        raise Failed("no DNS") from None
    if not question.is_response(answer):
        raise Failed("another answer")
    if answer.rcode() != dns.rcode.NOERROR:
        raise Failed(dns.rcode.to_text(answer.rcode()))
    if answer.flags & dns.flags.TC:
        raise Failed("truncated")
    if not answer.answer:
        raise Failed("no record")
    return ANSWERED
