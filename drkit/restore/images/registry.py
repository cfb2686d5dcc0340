"""Asking a registry for an image (https://distribution.github.io/distribution/spec/api/, and .../spec/auth/token/).

What a registry answers is not trusted: its size is bounded, and where it leads elsewhere nobody is told who asks, but
for the place that it names for tokens, and that one in clear only where the registry itself is asked in clear.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from drkit import __version__, process
from drkit.cluster.transport import wait_before
from drkit.masking import register

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from drkit.restore.images.keyring import Login
    from drkit.restore.images.mirrors import Endpoint

_KINDS: Final = ("oci.image.index.v1", "docker.distribution.manifest.list.v2", "oci.image.manifest.v1")
_ACCEPT: Final = ", ".join(f"application/vnd.{kind}+json" for kind in (*_KINDS, "docker.distribution.manifest.v2"))
_AT_ONCE: Final = 8
_LARGEST: Final = 8 * 1024 * 1024
"""Bytes of an answer; manifests and configurations have some kB."""
_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0
_ATTEMPTS: Final = 3
_REDIRECTS: Final = 4
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_DIGEST: Final = re.compile(r"[a-z0-9]+:[0-9a-f]{32,128}\Z")
_OK: Final = 200
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_LINUX: Final = "linux"
_UNKNOWN: Final = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN"})


class State(Enum):
    """Whether an image can be had."""

    RESOLVED = "resolved"
    NOT_FOUND = "not found"
    DENIED = "access denied"
    OTHER_ARCHITECTURE = "not for this architecture"
    CANNOT_ASK = "cannot ask"
    NOT_ASKED = "not asked"
    """Nodes do not ask either: they have it, or are told never to pull it."""


@dataclass(frozen=True)
class Answer:
    """What was found, and why."""

    state: State
    why: str = ""
    digest: str = ""
    """Of what the tag means now."""
    is_sure: bool = False
    """Whether the registry itself said so, in its own words: not whatever stands on the way to it."""


class _Trouble(Exception):
    """No answer that says anything."""

    def __init__(self, state: State, why: str, *, is_sure: bool = False) -> None:
        super().__init__(why)
        self.state, self.why, self.is_sure = state, why, is_sure


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Registries:
    """Registries as nodes of some architectures ask them. Safe to use from several threads.

    Args:
        architectures: such as ``arm64``; an image has to be there for each of them.
    """

    def __init__(self, architectures: Collection[str]) -> None:
        self._architectures = frozenset(architectures)
        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, maxsize=_AT_ONCE)
        self._careless = urllib3.PoolManager(timeout=timeout, retries=False, maxsize=_AT_ONCE, cert_reqs="CERT_NONE")

    def ask(self, endpoint: Endpoint, version: str, login: Login | None) -> Answer:
        """Whether an endpoint has a tag or digest.

        Args:
            endpoint: where, and which repository.
            version: the tag or digest.
            login: who asks; nobody where it is none.
        """
        try:
            return self._look(_Session(self._send, endpoint, login), version)
        except _Trouble as trouble:
            return Answer(trouble.state, trouble.why, is_sure=trouble.is_sure)

    def _look(self, session: _Session, version: str) -> Answer:
        reply = session.get(f"manifests/{version}")
        digest = f"sha256:{hashlib.sha256(reply.body).hexdigest()}"
        document = _json(reply.body)
        if isinstance(document.get("manifests"), list):
            there = _platforms(document["manifests"])
        else:
            config = document.get("config")
            named = config.get("digest") if isinstance(config, dict) else None
            if not isinstance(named, str) or not _DIGEST.match(named):
                raise _Trouble(State.CANNOT_ASK, "it has a manifest of a kind that drkit does not read")
            there = _platforms([{"platform": _json(session.get(f"blobs/{named}").body)}])
        lacking = sorted(self._architectures - there)
        if lacking:
            has = ", ".join(sorted(there)) or "none that is named"
            why = f"not for {', '.join(lacking)}; it is there for {has}"
            # Where machines differ, its pods may be for those that it is there for.
            is_sure = bool(there) and not there & self._architectures
            return Answer(State.OTHER_ARCHITECTURE, why, digest, is_sure=is_sure)
        return Answer(State.RESOLVED, "", digest)

    def _send(self, url: str, headers: Mapping[str, str], *, insecure: bool) -> _Reply:
        """One request, and again what passes.

        Raises:
            _Trouble: no whole answer came.
        """
        pool = self._careless if insecure else self._pool
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            retry_after = ""
            try:
                reply = _once(pool, url, headers)
            except (HTTPError, OSError, ValueError) as error:
                if last or isinstance(error, (SSLError, ValueError)):
                    raise _Trouble(State.CANNOT_ASK, _unreachable(url, error)) from None
            else:
                passing = reply.status == _TOO_MANY or reply.status >= 500  # noqa: PLR2004 - HTTP
                if last or not passing:
                    return reply
                retry_after = reply.headers.get("Retry-After", "")
            process.pause(wait_before(attempt, retry_after))
        raise AssertionError  # the last attempt returns or raises


class _Session:
    """Questions about one repository as one user."""

    def __init__(self, send: Callable[..., _Reply], endpoint: Endpoint, login: Login | None) -> None:
        self._send, self._endpoint, self._login = send, endpoint, login
        self._authorization = ""

    def get(self, what: str) -> _Reply:
        """What is below the repository; who asks is said when the registry wants to know.

        Raises:
            _Trouble: it is not there, or not for this user.
        """
        url = f"{self._endpoint.url}/{self._endpoint.repository}/{what}"
        reply = self._follow(url)
        if reply.status == _UNAUTHORIZED and not self._authorization:
            self._authorization = self._authorize(reply.headers.get("WWW-Authenticate", ""))
            if self._authorization:
                reply = self._follow(url)
        if reply.status == _OK:
            return reply
        host = self._endpoint.host
        if reply.status == _NOT_FOUND:
            raise _Trouble(State.NOT_FOUND, f"{host} does not have it", is_sure=_says_unknown(reply.body))
        if reply.status in {_UNAUTHORIZED, _FORBIDDEN}:
            who = f"as {self._login.user}" if self._login else "without a pull secret"
            raise _Trouble(State.DENIED, f"{host} refuses it {who}")
        raise _Trouble(State.CANNOT_ASK, f"{host} answers {reply.status}")

    def _follow(self, url: str) -> _Reply:
        """Ask, and go where that leads: blobs often lie with another host, which is told nothing of who asks."""
        for _ in range(_REDIRECTS):
            at_home = urlsplit(url)[:2] == urlsplit(self._endpoint.url)[:2]
            headers = {"Accept": _ACCEPT}
            if at_home and self._authorization:
                headers["Authorization"] = self._authorization
            reply = self._send(url, headers, insecure=self._endpoint.insecure and at_home)
            target = reply.headers.get("Location", "") if reply.status in _MOVED else ""
            if not target:
                return reply
            url = urljoin(url, target)
        raise _Trouble(State.CANNOT_ASK, f"{self._endpoint.host} leads in circles")

    def _authorize(self, challenge: str) -> str:
        """What to answer to ``WWW-Authenticate``; nothing where there is nothing to say."""
        scheme, _, rest = challenge.partition(" ")
        told = dict(_CHALLENGE.findall(rest))
        if scheme.lower() == "basic":
            return self._basic(self._endpoint.url)
        if scheme.lower() != "bearer" or not told.get("realm"):
            return ""
        scope = told.get("scope") or f"repository:{self._endpoint.repository}:pull"
        query = urlencode({"scope": scope, **({"service": told["service"]} if "service" in told else {})})
        realm = urljoin(self._endpoint.url, told["realm"])
        basic = self._basic(realm)
        url = f"{realm}{'&' if '?' in realm else '?'}{query}"
        reply = self._send(url, {"Authorization": basic} if basic else {}, insecure=self._endpoint.insecure)
        if reply.status != _OK:
            return ""
        document = _json(reply.body)
        token = document.get("token") or document.get("access_token")
        return f"Bearer {register(token)}" if isinstance(token, str) else ""

    def _basic(self, url: str) -> str:
        """The user's name and password, for a place where they can be sent."""
        parts, own = urlsplit(url), urlsplit(self._endpoint.url)
        in_clear_already = own.scheme == parts.scheme and own.hostname == parts.hostname
        if self._login is None or not (parts.scheme == "https" or in_clear_already):
            return ""
        pair = base64.b64encode(f"{self._login.user}:{self._login.password}".encode()).decode()
        return f"Basic {register(pair)}"


def _once(pool: urllib3.PoolManager, url: str, headers: Mapping[str, str]) -> _Reply:
    answer = pool.request(
        "GET", url, headers={"User-Agent": f"drkit/{__version__}", **headers}, redirect=False, preload_content=False
    )
    try:
        body = answer.read(_LARGEST + 1, decode_content=True)
        if len(body) > _LARGEST:
            answer.close()
            raise ValueError(f"more than {_LARGEST} bytes")
        return _Reply(answer.status, answer.headers, body)
    finally:
        answer.release_conn()


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _Trouble(State.CANNOT_ASK, "what answers is no registry")
    return found


def _says_unknown(body: bytes) -> bool:
    """Whether these are a registry's words for what it does not have ("Error Codes" of its specification)."""
    try:
        errors = _json(body).get("errors")
    except _Trouble:
        return False
    listed = errors if isinstance(errors, list) else []
    return any(isinstance(each, dict) and each.get("code") in _UNKNOWN for each in listed)


def _platforms(manifests: Iterable[Any]) -> frozenset[str]:
    """The architectures of those that are for Linux."""
    platforms = [each.get("platform") for each in manifests if isinstance(each, dict)]
    return frozenset(
        str(each.get("architecture")) for each in platforms if isinstance(each, dict) and each.get("os") == _LINUX
    )


def _unreachable(url: str, error: Exception) -> str:
    said = str(error.args[0] if error.args and not isinstance(error, OSError) else error).partition("\n")[0]
    return f"{urlsplit(url).netloc} does not answer: {said or type(error).__name__}"
