"""Probes of kind ``tcp``, and ``control``, which is one whose target is the prober's own parent."""

from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING

from drkit.drill.probes.doors import Door
from drkit.drill.probes.port import ANSWERED, Failed, Reply
from drkit.drill.probes.streams import StreamLine
from drkit.drill.probes.wanted import Place, Tcp

if TYPE_CHECKING:
    from drkit.drill.probes.doors import Address, Ways
    from drkit.drill.probes.streams import Stream

_MOST_BYTES = 64 * 1024
_ECHO = "drkit\n"


class TcpKind:
    """One port.

    Args:
        wanted: what is asked.
        ways: where ways begin.
        timeout: seconds after which a session's other side that acknowledges nothing is taken for gone.
    """

    writes = False
    reopens = False

    def __init__(self, wanted: Tcp, ways: Ways, timeout: float) -> None:
        self._door = Door(wanted.connect, ways)
        self._say, self._expect = wanted.say.encode(), wanted.expect.encode()
        self._timeout = timeout

    async def open(self) -> TcpLine:
        """A new connection."""
        stream = await self._door.connect()
        _notice_silence(stream.transport.get_extra_info("socket"), self._timeout)
        return TcpLine(stream, self._say, self._expect)


class TcpLine(StreamLine):
    """A connection. Where nothing is said over it, a question asks whether it is still there."""

    def __init__(self, stream: Stream, say: bytes, expect: bytes) -> None:
        super().__init__(stream)
        self._say, self._expect = say, expect

    async def ask(self, row: int | None) -> Reply:  # noqa: ARG002 - see the port
        """Say what there is to say, and wait for what has to come back."""
        if self._say:
            self._stream.write(self._say)
        while self._expect not in self._stream.held:
            if len(self._stream.held) > _MOST_BYTES:
                raise Failed("another answer")
            await self._stream.more()
        self._stream.take()
        if not self._say:
            self._expect = b""  # a greeting comes once
        if self.ended:
            raise EOFError
        return ANSWERED


def control(where: Address, ways: Ways, timeout: float) -> TcpKind:
    """The kind that asks the prober's parent."""
    return TcpKind(Tcp(Place(*where), say=_ECHO, expect=_ECHO), ways, timeout)


def _notice_silence(connection: socket.socket, timeout: float) -> None:
    """Let the kernel ask every second whether the other side is there: an idle session would not notice (tcp(7))."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, math.ceil(timeout * 1000))
