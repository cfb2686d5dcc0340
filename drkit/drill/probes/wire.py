"""PostgreSQL's protocol, version 3, as far as a probe needs it: start, TLS, authentication, simple queries.

https://www.postgresql.org/docs/17/protocol-message-formats.html. libpq through psycopg takes 5.5 ms of a core for each
new connection, which 50 in a second on two targets make half a core of, and stops everything else meanwhile; this
takes a tenth. Simple queries hold no state in the server, as a pooler in transaction mode wants it; and only here is it
known whether a statement had been sent before a connection broke.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drkit.drill.probes import scram
from drkit.drill.probes.doors import plain
from drkit.drill.probes.port import Failed

if TYPE_CHECKING:
    import ssl

    from drkit.drill.probes.doors import Door
    from drkit.drill.probes.streams import Stream

_PROTOCOL = 196608
"""3.0."""
_TLS_REQUEST = struct.pack(">II", 8, 80877103)
_LARGEST = 1024 * 1024
_HEADER = 5
_OK, _CLEAR, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12
_LOCAL = ("127.0.0.1", "::1")
_MOST_KEYS = 32

Row = tuple[str | None, ...]


class Refused(Failed):
    """The server's own word that a statement, or a client, is refused.

    Attributes:
        severity: ``ERROR``; or ``FATAL``, ``PANIC``: the connection ends with it.
        state: https://www.postgresql.org/docs/17/errcodes-appendix.html.
    """

    def __init__(self, severity: str, state: str, message: str) -> None:
        super().__init__(plain(f"{state} {message}"))
        self.severity, self.state = severity, state


@dataclass
class Login:
    """Who asks, for what, and how it is secured.

    Attributes:
        context: TLS; nothing where there is to be none.
        needs_tls: whether a server without TLS is not talked to.
        server_name: the name that its certificate must have.
    """

    user: str
    database: str
    application: str
    password: str = field(default="", repr=False)
    context: ssl.SSLContext | None = None
    needs_tls: bool = False
    server_name: str = ""
    _known: dict[tuple[bytes, int], scram.Keys] = field(default_factory=dict, repr=False)

    async def keys(self, challenge: scram.Challenge) -> scram.Keys:
        """Those of the password, derived once."""
        which = challenge.salt, challenge.rounds
        if which not in self._known:
            while len(self._known) >= _MOST_KEYS:  # a server that takes another salt each time
                self._known.pop(next(iter(self._known)))
            self._known[which] = await asyncio.to_thread(scram.keys, self.password, *which)
        return self._known[which]


class Wire:
    """A session with a server. Made by ``connected``."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.in_doubt = False

    @property
    def ended(self) -> bool:
        """The server has ended it."""
        return self._stream.ended

    def send(self, kind: bytes, body: bytes) -> None:
        """One message."""
        self._stream.write(kind + struct.pack(">I", len(body) + 4) + body)

    async def receive(self) -> tuple[bytes, bytes]:
        """The next message that is not by the way: its kind and its body.

        Raises:
            Refused: it is an error.
            Failed: it is not of the protocol.
            EOFError: the connection was ended.
        """
        while True:
            await self._stream.need(_HEADER)
            kind, size = struct.unpack_from(">cI", self._stream.held)
            if not 4 <= size <= _LARGEST:  # noqa: PLR2004 - its own four bytes
                raise Failed("no PostgreSQL")
            await self._stream.need(1 + size)
            body = self._stream.take(1 + size)[_HEADER:]
            if kind == b"E":
                raise refusal(body)
            if kind not in b"NSKA":  # notices, settings, the key to cancel with, notifications
                return kind, body

    async def query(self, statement: str) -> Row:
        """The first row of a statement's answer; nothing in it where there is none. Raises what ``receive`` does."""
        self.in_doubt = True
        self.send(b"Q", statement.encode() + b"\0")
        found: Row = ()
        refused: Refused | None = None
        while True:
            try:
                kind, body = await self.receive()
            except Refused as error:
                # What a pooler says of a server that it lost, and a server that leaves, tells nothing of the statement.
                if undecided(error):
                    raise
                refused = error
                continue
            if kind == b"D" and not found:
                found = row(body)
            elif kind == b"Z":
                self.in_doubt = False
                if refused is not None:
                    raise refused
                return found

    def close(self) -> None:
        """End it, and say so where that can be said at once."""
        if self.in_doubt or self._stream.ended:
            self._stream.close()
        else:
            self.send(b"X", b"")
            self._stream.transport.close()


def undecided(error: Refused) -> bool:
    """Whether a statement that was answered so may have been done. Pure."""
    return error.severity != "ERROR" or error.state.startswith("08") or error.state == "40003"


def row(body: bytes) -> Row:
    """The values of a ``DataRow``. Pure."""
    found: list[str | None] = []
    (count,), at = struct.unpack_from(">H", body), 2
    for _ in range(count):
        (size,) = struct.unpack_from(">i", body, at)
        at += 4
        found.append(None if size < 0 else body[at : at + size].decode(errors="replace"))
        at += max(size, 0)
    return tuple(found)


def refusal(body: bytes) -> Refused:
    """An ``ErrorResponse``. Pure."""
    found = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    severity = found.get(b"V") or found.get(b"S", "")  # in one language since PostgreSQL 9.6; poolers have the old one
    return Refused(severity, found.get(b"C", ""), found.get(b"M", ""))


async def connected(door: Door, login: Login) -> Wire:
    """A new session.

    Raises:
        Failed: the server refuses it, or is none.
        OSError: the connection does not come about; likewise ``EOFError``.
    """
    stream = await door.connect()
    try:
        if login.context is not None:
            await _secure(stream, login)
        return await _started(stream, login)
    except BaseException:
        stream.close()
        raise


async def _started(stream: Stream, login: Login) -> Wire:
    try:
        told = {"user": login.user, "database": login.database, "application_name": login.application}
        body = b"".join(f"{name}\0{value}\0".encode() for name, value in told.items())
        stream.write(struct.pack(">II", len(body) + 9, _PROTOCOL) + body + b"\0")
        wire = Wire(stream)
        await _authenticate(wire, stream.transport, login)
        while (await wire.receive())[0] != b"Z":
            pass
    except (struct.error, ValueError) as error:
        raise Failed(plain(f"no PostgreSQL: {error}")) from None
    return wire


async def _secure(stream: Stream, login: Login) -> None:
    stream.write(_TLS_REQUEST)
    await stream.need(1)
    # All that is held: what came in clear behind the server's word must not be taken for what came over TLS.
    if (answer := stream.take()) == b"S":
        assert login.context is not None  # noqa: S101 - the caller's condition
        await stream.secure(login.context, login.server_name)
    elif answer != b"N":
        raise Failed("no PostgreSQL")
    elif login.needs_tls:
        raise Failed("no TLS")


async def _authenticate(wire: Wire, transport: asyncio.Transport, login: Login) -> None:
    exchange = scram.Exchange()
    while True:
        kind, body = await wire.receive()
        if kind != b"R":
            raise Failed("no PostgreSQL")
        (how,), rest = struct.unpack_from(">I", body), body[4:]
        if how == _OK:
            exchange.end()
            return
        if how in {_CLEAR, _MD5}:
            wire.send(b"p", _password(how, rest, transport, login) + b"\0")
        elif how == _SASL and scram.MECHANISM.encode() in rest.split(b"\0"):
            first = exchange.first()
            wire.send(b"p", scram.MECHANISM.encode() + b"\0" + struct.pack(">I", len(first)) + first)
        elif how == _SASL_CONTINUE:
            challenge = exchange.challenge(rest)
            wire.send(b"p", exchange.final(challenge, await login.keys(challenge)))
        elif how == _SASL_FINAL:
            exchange.verify(rest)
        else:
            raise Failed("asks for an unknown authentication")


def _password(how: int, salt: bytes, transport: asyncio.Transport, login: Login) -> bytes:
    """The password as older servers and poolers want it."""
    if how == _MD5:
        return b"md5" + _md5(_md5(login.password.encode() + login.user.encode()) + salt[:4])
    if transport.get_extra_info("ssl_object") is None and transport.get_extra_info("peername")[0] not in _LOCAL:
        raise Failed("asks for the password in clear")
    return login.password.encode()


def _md5(text: bytes) -> bytes:
    return hashlib.md5(text, usedforsecurity=False).hexdigest().encode()
