"""Where k3s's nodes ask for images, from ``/etc/rancher/k3s/registries.yaml``. Pure.

Rules are k3s's own (https://docs.k3s.io/installation/private-registry): a registry's endpoints in their order, those of
``*`` where it has none of its own, and last the registry itself; what an endpoint is asked for may be rewritten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from drkit.cluster import k3s
from drkit.errors import ConfigurationError, SourceFailed
from drkit.masking import register
from drkit.restore.images.keyring import Login
from drkit.restore.images.reference import HUB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.restore.images.reference import Reference

PATH: Final = "/etc/rancher/k3s/registries.yaml"
_HUB_ENDPOINT: Final = "https://registry-1.docker.io/v2"
_LOOPBACK: Final = re.compile(r"localhost(:\d+)?\Z|127\.\d+\.\d+\.\d+(:\d+)?\Z|\[::1\](:\d+)?\Z")
_GROUP: Final = re.compile(r"\$(?:\{(\d+)\}|(\d+))")


@dataclass(frozen=True)
class Endpoint:
    """A place to ask for an image."""

    url: str
    """``SCHEME://HOST[:PORT]/v2``, without a slash at the end."""
    repository: str
    """What the image is called there."""
    registry: str
    """Whose it is a copy of; a registry that is not mirrored has its own name here."""
    login: Login | None = None
    insecure: bool = False
    """Whether its certificate is not looked at."""

    @property
    def host(self) -> str:
        """Its host, with a port where there is one."""
        return urlsplit(self.url).netloc

    @property
    def is_mirror(self) -> bool:
        """Whether it stands in for another registry."""
        return self.host != urlsplit(_own(self.registry)).netloc


@dataclass(frozen=True)
class _Mirror:
    endpoints: tuple[str, ...] = ()
    rewrites: tuple[tuple[re.Pattern[str], str], ...] = ()


@dataclass(frozen=True)
class _Settings:
    login: Login | None = None
    insecure: bool = False


@dataclass(frozen=True)
class Mirrors:
    """What a node's file says; none of it where there is no file."""

    mirrors: Mapping[str, _Mirror] = field(default_factory=dict)
    settings: Mapping[str, _Settings] = field(default_factory=dict)

    def endpoints(self, image: Reference) -> tuple[Endpoint, ...]:
        """Where a node asks for an image, in that order."""
        mirror = self.mirrors.get(image.registry) or self.mirrors.get("*") or _Mirror()
        found = [self._endpoint(_url(each), _rewritten(image.repository, mirror), image) for each in mirror.endpoints]
        return (*found, self._endpoint(_own(image.registry), image.repository, image))

    def _endpoint(self, url: str, repository: str, image: Reference) -> Endpoint:
        host = urlsplit(url).netloc
        settings = self.settings.get(host) or (self.settings.get(HUB) if url == _HUB_ENDPOINT else None) or _Settings()
        return Endpoint(url, repository, image.registry, settings.login, settings.insecure)


def parse(text: bytes) -> Mirrors:
    """What the file says.

    Raises:
        ConfigurationError: k3s could not read it either.
    """
    try:
        document = k3s.document(PATH, text, YAML(typ="safe", pure=True))
        return Mirrors(
            {str(name): _mirror(each) for name, each in _mapping(document.get("mirrors")).items()},
            {str(host): _of_host(str(host), each) for host, each in _mapping(document.get("configs")).items()},
        )
    except (SourceFailed, TypeError, re.error) as error:
        raise ConfigurationError(f"{PATH}: not what k3s reads as a list of registries: {error}") from None


def _mapping(value: Any) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise TypeError("expected keys and values")
    return value or {}


def _mirror(each: Any) -> _Mirror:
    told = _mapping(each)
    endpoints = told.get("endpoint") or []
    if not isinstance(endpoints, list):
        raise TypeError("expected a list of endpoints")
    # Go's $1 is Python's \1.
    rewrites = [
        (re.compile(str(pattern)), _GROUP.sub(lambda match: f"\\{match[1] or match[2]}", str(text)))
        for pattern, text in _mapping(told.get("rewrite")).items()
    ]
    return _Mirror(tuple(str(each) for each in endpoints), tuple(rewrites))


def _of_host(host: str, each: Any) -> _Settings:
    told = _mapping(each)
    auth, tls = _mapping(told.get("auth")), _mapping(told.get("tls"))
    user, password = auth.get("username"), auth.get("password")
    login = Login(host, str(user), register(str(password))) if user and password is not None else None
    return _Settings(login, bool(tls.get("insecure_skip_verify")))


def _rewritten(repository: str, mirror: _Mirror) -> str:
    for pattern, text in mirror.rewrites:
        if pattern.search(repository):
            return pattern.sub(text, repository)
    return repository


def _url(endpoint: str) -> str:
    """An endpoint as k3s completes it: with a scheme, and with ``/v2`` where it has no path."""
    whole = endpoint if "://" in endpoint else f"{_scheme(endpoint)}://{endpoint}"
    whole = whole.rstrip("/")
    return whole if urlsplit(whole).path else f"{whole}/v2"


def _own(registry: str) -> str:
    return _HUB_ENDPOINT if registry == HUB else f"{_scheme(registry)}://{registry}/v2"


def _scheme(host: str) -> str:
    return "http" if _LOOPBACK.match(host.partition("/")[0]) else "https"
