"""A WebSocket to the API: its handshake, with what passes waited for, over a socket that can be cut off."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from drkit import process
from drkit.cluster.transport import wait_before
from drkit.errors import KubeRefused, KubeUnreachable, SourceFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.client import ClientConnection

    from drkit.cluster.transport import Connection

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
"""Those for programs in containers that can be spoken here, the one that is preferred first."""
_CONNECT_SECONDS = 15.0
_ATTEMPTS = 3
_PASSING = frozenset({429, 500, 502, 503, 504})
"""What the API answers while it is busy or starting."""
_CLOSE_SECONDS = 1.0
_SILENCE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 6}
"""After 45 s without a sign of life from the API's machine the connection is cut; a program may be silent longer.

That is where nothing is under way. What was sent is sent again for a quarter of an hour (tcp(7), tcp_retries2) before
the connection is given up: so a load goes on where the network was down for minutes, and is not begun again.
"""


@contextmanager
def connected(where: Connection, address: str) -> Iterator[ClientConnection]:
    """A connection, after a few attempts: a program that one of them started unseen ends with that one's input.

    Args:
        where: the API.
        address: path and query of what is to be done there.

    Raises:
        KubeUnreachable: the API does not answer.
        KubeRefused: it does not let us, or what is named there is not there.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            closing, opened = _handshake(where, address)
            break
        except SourceFailed as error:
            if attempt == _ATTEMPTS or not error.passes:
                raise
        process.pause(wait_before(attempt, ""))
    else:
        raise AssertionError  # the loop leaves by a connection or by an error
    with closing:
        yield opened


def _handshake(where: Connection, address: str) -> tuple[ExitStack, ClientConnection]:
    """A connection, and what ends it."""
    # Imported where a pod is entered: `drkit --help` need not pay a tenth of a second for it.
    from websockets.exceptions import InvalidStatus, WebSocketException  # noqa: PLC0415 - see above
    from websockets.sync.client import connect  # noqa: PLC0415 - see above
    from websockets.typing import Subprotocol  # noqa: PLC0415 - see above

    with ExitStack() as stack:
        try:
            held = Held(open_socket(where, _CONNECT_SECONDS))
            stack.callback(held.release)
            opening = connect(
                # TLS is our own, see Held.
                f"ws://{authority(where)}{where.prefix}{address}",
                sock=cast("socket.socket", held),
                subprotocols=[Subprotocol(each) for each in PROTOCOLS],
                additional_headers=where.headers,
                compression=None,
                proxy=None,
                open_timeout=_CONNECT_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                # A reader that is slow keeps the library from reading pongs too: see PodExecution for what we do.
                ping_interval=None,
            )
            opened = opening.__enter__()
            stack.callback(opened.recv_events_thread.join)
            stack.callback(opening.__exit__, None, None, None)
        except InvalidStatus as error:
            raise _refused(where, error.response.status_code, error.response.body) from None
        except (OSError, WebSocketException) as error:
            raise KubeUnreachable(
                f"{authority(where)} does not answer: {error}", "look at the API server; then: drkit check"
            ) from None
        return stack.pop_all(), opened


def open_socket(where: Connection, seconds: float) -> socket.socket:
    """A connection, with TLS where that is meant, which is cut where nobody is at its other end any more.

    Args:
        where: to whom.
        seconds: how long that may take.

    Raises:
        OSError: it does not come about.
    """
    plain = socket.create_connection((where.host, where.port), timeout=seconds)
    try:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _SILENCE.items():
            plain.setsockopt(socket.IPPROTO_TCP, option, value)
        made = where.context.wrap_socket(plain, server_hostname=where.server_name) if where.context else plain
    except BaseException:
        plain.close()
        raise
    made.settimeout(None)
    return made


class Held:
    """A socket that ``close`` cuts off, and whose number is free only after ``release``.

    The library closes a socket while a thread of its own may be reading from it. The next file that drkit opens then
    gets that number, and what OpenSSL has yet to say to the lost connection, an alert of 24 bytes, goes into that file.
    """

    def __init__(self, real: socket.socket) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def close(self) -> None:
        """Cut the connection: who reads from it comes to its end."""
        cut(self._real)

    def release(self) -> None:
        """Free the number, once nobody uses it any more."""
        self._real.close()


def cut(opened: socket.socket) -> None:
    """Cut a connection off: who reads from it comes to its end. Safe from another thread."""
    with suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)  # below TLS, whose state the reader may be using


def authority(where: Connection) -> str:
    """Host and port, as URLs have them."""
    host = f"[{where.host}]" if ":" in where.host else where.host
    return f"{host}:{where.port}"


def _refused(where: Connection, status: int, body: bytes | bytearray | None) -> KubeRefused:
    try:
        said = str(json.loads(body or b"")["message"])
    except (ValueError, KeyError, TypeError):
        said = (body or b"").decode(errors="replace")[:200]
    hint = "give that user the rights in drkit/cluster/rbac-databases.yaml" if status == 403 else ""  # noqa: PLR2004 - HTTP's
    message = f"{authority(where)}: a program cannot be started: {status} {said}"
    return KubeRefused(status, message, hint, passes=status in _PASSING)
