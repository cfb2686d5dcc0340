"""Credentials for registries, from pull secrets. Pure.

Which of them are for which image is the kubelet's rule
(https://kubernetes.io/docs/concepts/containers/images/#config-json): hosts match part by part, with ``*`` for any, and
what stands behind the host begins the repository.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from drkit.masking import register
from drkit.restore.images.reference import HUB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.cluster.kube import Object
    from drkit.restore.images.reference import Reference

_FIELDS: Final = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
_HUB_NAMES: Final = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})


@dataclass(frozen=True)
class Login:
    """A user's name and password, for the images that ``place`` begins."""

    place: str
    """``HOST`` or ``HOST/PATH``."""
    user: str
    password: str = field(repr=False)

    def is_for(self, image: Reference) -> bool:
        """Whether the kubelet would use it for an image."""
        host, _, path = self.place.partition("/")
        return _same_host(host, image.registry) and (
            not path or image.repository == path or image.repository.startswith(f"{path}/")
        )


def logins(secret: Object) -> tuple[Login, ...]:
    """What a pull secret holds; nothing where it is none, or is broken. Its passwords are masked from now on."""
    field_name = _FIELDS.get(str(secret.get("type")))
    data = secret.get("data")
    text = data.get(field_name) if field_name and isinstance(data, dict) else None
    try:
        document = json.loads(base64.b64decode(text)) if isinstance(text, str) else None
    except (binascii.Error, ValueError, RecursionError):
        return ()
    if field_name == ".dockerconfigjson":
        document = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(document, dict):
        return ()
    found = (_login(place, entry) for place, entry in document.items() if isinstance(entry, dict))
    return tuple(each for each in found if each is not None)


def chosen(image: Reference, found: tuple[Login, ...]) -> tuple[Login, ...]:
    """Those for an image, the most exact first."""
    return tuple(sorted((each for each in found if each.is_for(image)), key=lambda each: -len(each.place)))


def _login(place: str, entry: Mapping[str, Any]) -> Login | None:
    user, password = entry.get("username"), entry.get("password")
    auth = entry.get("auth")
    if isinstance(auth, str) and auth:
        try:
            user, _, password = base64.b64decode(auth).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        register(auth)
    if not isinstance(user, str) or not isinstance(password, str) or not user:
        return None
    # Written as a URL of one of the registry's two versions, as Docker's own client does.
    bare = place.partition("://")[2] or place
    bare = bare.rstrip("/")
    for version in ("/v1", "/v2"):
        bare = bare.removesuffix(version)
    return Login(bare, user, register(password))


def _same_host(pattern: str, host: str) -> bool:
    if host == HUB and (pattern in _HUB_NAMES or pattern == HUB):
        return True
    pattern_name, _, pattern_port = pattern.partition(":")
    name, _, port = host.partition(":")
    wanted, there = pattern_name.split("."), name.split(".")
    return (
        pattern_port == port
        and len(wanted) == len(there)
        and all(fnmatchcase(part, each) for each, part in zip(wanted, there, strict=True))
    )
