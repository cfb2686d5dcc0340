"""HTTP to a cluster's API: politely, and again where trying again helps."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError

from drkit import __version__, process
from drkit.cluster.credentials import Identity
from drkit.errors import KubeUnreachable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from urllib3 import BaseHTTPResponse

    from drkit.clock import Clock
    from drkit.cluster.kubeconfig import Access

ATTEMPTS: Final = 6
LONGEST_WAIT: Final = 30.0
"""Seconds before another try, whatever ``Retry-After`` says."""
_FIRST_WAIT: Final = 0.2
LARGEST_BYTES: Final = 256 * 1024 * 1024
_BLOCK: Final = 256 * 1024
_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429
_PASSING: Final = frozenset({_TOO_MANY, 502, 503, 504})
"""Statuses that pass by themselves. 500 too where nothing was asked to change: a webhook's refusal is one as well."""


@dataclass(frozen=True)
class Limits:
    """How much is asked of a server."""

    connections: int
    """At most so many requests at a time."""
    rate: float
    """Requests in a second, and twice that at once."""
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    """How long it may be silent."""
    attempts: int = ATTEMPTS


POLITE: Final = Limits(connections=4, rate=50.0)
"""Beside others who need the server; kubectl allows itself 50 a second and 300 at once."""
ALONE: Final = Limits(connections=8, rate=5000.0)
"""For a server that has nothing else to do, such as a new cluster's: it sets the pace itself, with 429."""
PROMPT: Final = Limits(connections=8, rate=100.0, connect_seconds=1.0, read_seconds=3.0, attempts=1)
"""For who has to know soon that it does not answer, and tries again himself."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    kind: str
    """Its ``Content-Type``."""
    body: bytes


@dataclass(frozen=True)
class Connection:
    """All that another protocol over the same endpoint needs, such as a websocket."""

    host: str
    port: int
    prefix: str
    """What every path begins with; empty or ``/…``."""
    context: ssl.SSLContext | None
    """TLS; nothing for plain HTTP on this machine."""
    server_name: str
    """The name to ask for and to check."""
    headers: Mapping[str, str]
    """With the credentials in force now: a secret."""


class TooLarge(Exception):
    """The answer is longer than was allowed; it was not read to its end."""


class Pace:
    """Lets requests through at a bounded rate (a token bucket). Safe to use from several threads."""

    def __init__(self, rate: float, clock: Clock, pause: Callable[[float], None]) -> None:
        self._rate, self._clock, self._pause = rate, clock, pause
        self._lock = threading.Lock()
        self._free = 2 * rate
        self._at = clock.monotonic()

    def wait(self) -> None:
        """Return when the next request may leave."""
        with self._lock:
            now = self._clock.monotonic()
            self._free = min(2 * self._rate, self._free + (now - self._at) * self._rate) - 1
            self._at = now
            missing = -self._free / self._rate
        if missing > 0:
            self._pause(missing)


def wait_before(attempt: int, retry_after: str) -> float:
    """Seconds to wait before trying again, after ``attempt`` tries."""
    seconds = float(retry_after) if retry_after.isdecimal() else _FIRST_WAIT * 2 ** (attempt - 1)
    return min(seconds, LONGEST_WAIT)


class Transport:
    """Requests to one API server. Safe to use from several threads.

    Args:
        access: where it is.
        clock: the time.
        pause: waits so many seconds; raises ``KeyboardInterrupt`` where drkit is being ended.
        limits: how much is asked of it.
    """

    def __init__(
        self, access: Access, clock: Clock, pause: Callable[[float], None] = process.pause, limits: Limits = POLITE
    ) -> None:
        self._access, self._limits = access, limits
        self._parts = urlsplit(access.server)
        self._identity = Identity(access, clock)
        self._pace = Pace(limits.rate, clock, pause)
        self._pause = pause
        self._lock = threading.Lock()
        self._pool: urllib3.HTTPConnectionPool | None = None

    @property
    def server(self) -> str:
        """Its URL."""
        return self._access.server

    @property
    def limits(self) -> Limits:
        """How much is asked of it."""
        return self._limits

    def connection(self) -> Connection:
        """What another protocol needs to reach the same server as the same user."""
        parts = self._parts
        secure = parts.scheme == "https"
        return Connection(
            parts.hostname or "",
            parts.port or (443 if secure else 80),
            parts.path,
            self._identity.context() if secure else None,
            self._access.server_name or parts.hostname or "",
            self._identity.headers(),
        )

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        largest: int = LARGEST_BYTES,
        patient: bool = True,
    ) -> Answer:
        """Send one request until an answer comes that another try would not change, or the tries are used up.

        Args:
            method: only ones that may be repeated: GET, DELETE, POST, which is refused the second time, and PATCH that
                comes to the same twice.
            path: below the server's address, query included.
            headers: beside those of the credentials.
            body: what to send.
            largest: bytes of the answer's body.
            patient: false for one try alone.

        Raises:
            KubeUnreachable: no whole answer came.
            TooLarge: the answer is longer than ``largest``.
        """
        renewed = False
        attempts = self._limits.attempts if patient else 1
        for attempt in itertools.count(1):
            last = attempt >= attempts
            try:
                answer, retry_after = self._once(method, path, headers, body, largest)
            except (HTTPError, OSError) as error:
                if last or isinstance(error, SSLError):
                    raise self._unreachable(error) from None
                retry_after = ""
            else:
                if answer.status == _UNAUTHORIZED and self._identity.renewable and not renewed:
                    renewed = True
                    self._identity.forget()
                    self.close()
                    continue
                passing = answer.status in _PASSING or (answer.status >= 500 and method == "GET")  # noqa: PLR2004 - HTTP
                if last or not passing:
                    return answer
            self._pause(wait_before(attempt, retry_after))
        raise AssertionError  # the last attempt returns or raises

    def _once(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, largest: int
    ) -> tuple[Answer, str]:
        self._pace.wait()
        if process.ending():
            raise KeyboardInterrupt
        response = self._open_pool().urlopen(
            method,
            self._parts.path + path,
            body=body or None,
            headers={"User-Agent": f"drkit/{__version__}", **self._identity.headers(), **headers},
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            content = _read(response, largest)
        except BaseException:
            response.close()  # what is left of it must not be taken for the next answer
            raise
        finally:
            response.release_conn()
        kind = response.headers.get("Content-Type", "")
        return Answer(response.status, kind, content), response.headers.get("Retry-After", "")

    def _open_pool(self) -> urllib3.HTTPConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = self._make_pool()
            return self._pool

    def _make_pool(self) -> urllib3.HTTPConnectionPool:
        host, port = self._parts.hostname or "", self._parts.port
        timeout = urllib3.Timeout(connect=self._limits.connect_seconds, read=self._limits.read_seconds)
        if self._parts.scheme == "http":
            return urllib3.HTTPConnectionPool(host, port, maxsize=self._limits.connections, block=True, timeout=timeout)
        return urllib3.HTTPSConnectionPool(
            host,
            port,
            maxsize=self._limits.connections,
            block=True,
            timeout=timeout,
            ssl_context=self._identity.context(),
            server_hostname=self._access.server_name or None,
        )

    def _unreachable(self, error: Exception) -> KubeUnreachable:
        first = str(error.args[0]) if error.args and not isinstance(error, OSError) else str(error)
        said = first.partition("\n")[0] or type(error).__name__
        if isinstance(error, SSLError):
            hint = "compare certificate-authority in cluster.kubeconfig with the server's own, and the names it has"
        elif isinstance(error, NewConnectionError):
            hint = "is the address in cluster.kubeconfig reachable from here, and k3s running there?"
        else:
            hint = "try again, and look at the API server's log: journalctl -u k3s"
        return KubeUnreachable(f"the API at {self.server} does not answer: {said}", hint)


def _read(response: BaseHTTPResponse, largest: int) -> bytes:
    """The whole body, unpacked; a small one can unpack to anything, so it is counted on the way."""
    blocks: list[bytes] = []
    size = 0
    for block in response.stream(_BLOCK, decode_content=True):
        size += len(block)
        if size > largest:
            raise TooLarge
        blocks.append(block)
    return b"".join(blocks)
