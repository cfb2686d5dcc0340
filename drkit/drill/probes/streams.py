"""A TCP connection, with or without TLS, for kinds that take what comes as it comes.

asyncio's own streams do not say that the other side has ended a connection while there is something left to be read,
and it is just then that a server's last words are there.
"""

from __future__ import annotations

import asyncio
import ssl

SHUTDOWN_SECONDS = 1.0
"""For the other side's last word of TLS; asyncio would wait half a minute."""
_LARGEST_HELD = 16 * 1024 * 1024
"""Bytes that came and that nobody has taken."""


class Stream(asyncio.Protocol):
    """A connection. Made by ``Door.connect``.

    Attributes:
        held: what came and was not taken yet.
        ended: whether the other side has ended it, or it broke.
    """

    def __init__(self) -> None:
        self.held = b""
        self.ended = False
        self._broke: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[None] | None = None

    @property
    def transport(self) -> asyncio.Transport:
        """What is below."""
        assert self._transport is not None  # noqa: S101 - whoever has a stream has a connection
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Something came."""
        self.held += data
        if len(self.held) > _LARGEST_HELD:
            self.transport.abort()
        self._wake()

    def eof_received(self) -> None:
        """The other side has no more to say."""
        self.ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.ended, self._broke = True, exc
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def write(self, data: bytes) -> None:
        """Send; what cannot be sent is noticed by whoever waits for an answer."""
        self.transport.write(data)

    async def more(self) -> None:
        """Wait until more has come than is held.

        Raises:
            EOFError: nothing will.
            OSError: the connection broke.
        """
        if not self.ended:
            self._waiting = asyncio.get_running_loop().create_future()
            size = len(self.held)
            await self._waiting
            if len(self.held) > size:
                return
        raise self._broke or EOFError

    async def need(self, size: int) -> None:
        """Wait until so many bytes are held. Raises what ``more`` does."""
        while len(self.held) < size:
            await self.more()

    def take(self, size: int | None = None) -> bytes:
        """The first bytes of what is held, or all of them, which are then held no more."""
        taken = self.held if size is None else self.held[:size]
        self.held = self.held[len(taken) :]
        return taken

    async def secure(self, context: ssl.SSLContext, server_name: str) -> None:
        """Go on with TLS. Raises ``OSError``."""
        made = await asyncio.get_running_loop().start_tls(
            self.transport, self, context, server_hostname=server_name, ssl_shutdown_timeout=SHUTDOWN_SECONDS
        )
        if made is None:
            raise EOFError
        self._transport = made

    def close(self) -> None:
        """End it. What the other side does not take is thrown away, so that one that hangs holds nothing here."""
        self.transport.abort()


class StreamLine:
    """A line that is never in doubt; ``ask`` is its kind's."""

    in_doubt = False

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def ended(self) -> bool:
        """The other side has ended it."""
        return self._stream.ended

    def close(self) -> None:
        """End it, at once."""
        self._stream.close()


def verified(authority: str = "") -> ssl.SSLContext:
    """TLS with the other side's certificate verified: by this authority (PEM), or by the machine's own list.

    Raises:
        ValueError: it is no PEM.
    """
    try:
        context = ssl.create_default_context(cadata=authority or None)
    except ssl.SSLError as error:
        raise ValueError(f"the certificate authority is no PEM: {error.reason}") from None
    # Clusters' own authorities often lack the key identifiers that newer Pythons ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
