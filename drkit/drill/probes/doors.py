"""Where the prober connects to, and what a connection that fails is called."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import ssl
from typing import TYPE_CHECKING

from drkit.drill.probes.port import Failed, OwnTrouble
from drkit.drill.probes.streams import SHUTDOWN_SECONDS, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drkit.drill.probes.wanted import Place

Address = tuple[str, int]
TUNNEL = "tunnel"
"""What a question says that failed for the way to its target."""

_OWN = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
"""Descriptors, memory and ports are the prober's own to have."""
_SAID = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "no route",
    errno.ENETUNREACH: "no route",
    errno.EHOSTDOWN: "no route",
    errno.ENETDOWN: "no route",
}
_LONGEST = 80


def plain(text: str) -> str:
    """What a target said, as one short line of printable text. Pure."""
    kept = "".join(each if each.isprintable() else " " for each in text[: 4 * _LONGEST])
    return " ".join(kept.split())[:_LONGEST]


def said(error: BaseException) -> str:
    """Why a question failed, shortly. Pure.

    Raises:
        OwnTrouble: for a reason that is no target's.
    """
    if isinstance(error, Failed):
        return error.said
    if isinstance(error, ssl.SSLCertVerificationError):
        return plain(f"certificate: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return plain(f"TLS: {getattr(error, 'reason', None) or error}")
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, EOFError):
        return "closed"
    if isinstance(error, OSError):
        if error.errno in _OWN:
            raise OwnTrouble(f"the prober's own machine: {error.strerror}") from None
        return _SAID.get(error.errno or 0) or plain(error.strerror or str(error))
    raise error


class Ways:
    """Where the ways through nodes begin now; the parent says so, and opens anew those that it is told are broken."""

    def __init__(self, now: dict[str, Address | None], tell: Callable[[str], None]) -> None:
        self.now, self._tell = now, tell

    def begin(self, way: str) -> Address:
        """Where one begins.

        Raises:
            Failed: nowhere.
        """
        where = self.now.get(way)
        if where is None:
            raise Failed(TUNNEL)
        return where

    def broken(self, way: str, where: Address) -> None:
        """Nobody was there."""
        if self.now.get(way) == where:
            self.now[way] = None
            self._tell(way)


class Door:
    """A place that can be connected to.

    Args:
        place: where.
        ways: where ways begin.

    Raises:
        OwnTrouble: its name has no address.
    """

    def __init__(self, place: Place, ways: Ways) -> None:
        self._way, self._ways = place.way, ways
        self._turns = itertools.cycle([] if place.way else resolved(place.host, place.port))

    def address(self) -> Address:
        """Where the next question goes. Raises ``Failed`` where the way there is broken."""
        return self._ways.begin(self._way) if self._way else next(self._turns)

    async def connect(self, context: ssl.SSLContext | None = None, server_name: str | None = None) -> Stream:
        """A new TCP connection, with TLS where a context is given.

        Raises:
            Failed: the way there is broken.
            OSError: it does not come about.
        """
        where = self.address()
        try:
            _, made = await asyncio.get_running_loop().create_connection(
                Stream,
                *where,
                ssl=context,
                server_hostname=server_name,
                ssl_shutdown_timeout=None if context is None else SHUTDOWN_SECONDS,
            )
        except ConnectionRefusedError:
            if not self._way:
                raise
            self._ways.broken(self._way, where)
            raise Failed(TUNNEL) from None
        return made


def resolved(host: str, port: int) -> Sequence[Address]:
    """The addresses of a name, of the family that this machine would choose.

    Raises:
        OwnTrouble: it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except OSError as error:
        raise OwnTrouble(f"the name {host} has no address: {error.strerror}; give one to connect to") from None
    family = found[0][0]
    return list(dict.fromkeys((str(where[0]), int(where[1])) for kind, _, _, _, where in found if kind == family))
