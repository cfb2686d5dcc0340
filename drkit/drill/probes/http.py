"""Probes of kind ``http``: one ``GET`` for each question, answered whole and with a status that is as it should be."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import h11

from drkit import __version__
from drkit.drill.probes.doors import Door, plain
from drkit.drill.probes.port import ANSWERED, Failed, Reply
from drkit.drill.probes.streams import StreamLine, verified
from drkit.drill.probes.wanted import Http, Place

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from drkit.drill.probes.doors import Ways
    from drkit.drill.probes.streams import Stream

_LARGEST_HEAD = 64 * 1024
_KEPT = "%/?:@!$&'()*+,;=~[]"
"""What stands in a URL for itself (RFC 3986), and escapes that are there already."""


class HttpKind:
    """One URL. Browsers and libraries open another connection by themselves where a server ended an idle one.

    Args:
        wanted: what is asked.
        ways: where ways begin.
        context: TLS, where it is another one than ``wanted`` says.
        server_name: the name that the certificate must have; the URL's host where it is left out.
        headers: more of them, such as who asks: a secret.

    Raises:
        OwnTrouble: the host has no address.
        ValueError: the authority is no PEM, or the URL none.
    """

    writes = False
    reopens = True

    def __init__(
        self,
        wanted: Http,
        ways: Ways,
        *,
        context: ssl.SSLContext | None = None,
        server_name: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(wanted.url)
        secure, host = parts.scheme == "https", parts.hostname or ""
        self._door = Door(wanted.connect or Place(host, parts.port or (443 if secure else 80)), ways)
        self._context = (context or verified(wanted.authority)) if secure else None
        self._server_name = (server_name or host) if secure else None
        self._accept = wanted.accept
        given = {
            "Host": parts.netloc.rpartition("@")[2],
            "User-Agent": f"drkit/{__version__}",
            "Accept": "*/*",
            **(headers or {}),
        }
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_KEPT)
        try:
            self._request = h11.Request(method="GET", target=target, headers=list(given.items()))
        except (h11.LocalProtocolError, UnicodeError) as error:
            raise ValueError(f"{wanted.url}: cannot be asked for: {error}") from None

    async def open(self) -> HttpLine:
        """A new connection, with TLS where the URL says so."""
        return HttpLine(await self._door.connect(self._context, self._server_name), self._request, self._accept)


class HttpLine(StreamLine):
    """A connection to a web server."""

    def __init__(self, stream: Stream, request: h11.Request, accept: tuple[int, int]) -> None:
        super().__init__(stream)
        self._request, self._accept = request, accept
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)

    @property
    def ended(self) -> bool:
        """Also where the server said ``Connection: close``."""
        return super().ended or self._state.our_state is h11.MUST_CLOSE

    async def ask(self, row: int | None) -> Reply:  # noqa: ARG002 - see the port
        """Put the request and read the whole answer."""
        try:
            if self._state.our_state is h11.DONE:
                self._state.start_next_cycle()
            head = self._state.send(self._request) or b""
            self._stream.write(head + (self._state.send(h11.EndOfMessage()) or b""))
            status = await self._answer()
        except h11.RemoteProtocolError as error:
            # Its words for an end in the middle are many; what came is not HTTP in every other case.
            if self._stream.ended:
                raise EOFError from None
            raise Failed(plain(f"no HTTP: {error}")) from None
        first, last = self._accept
        if not first <= status <= last:
            raise Failed(str(status))
        return ANSWERED

    async def _answer(self) -> int:
        status = 0
        while True:
            event = self._state.next_event()
            if event is h11.NEED_DATA:
                await self._feed()
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                return status
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError

    async def _feed(self) -> None:
        """Hand over what came; where nothing will, that is the end, which some answers have."""
        if not self._stream.held and not self._stream.ended:
            with suppress(EOFError):
                await self._stream.more()
        self._state.receive_data(self._stream.take())
