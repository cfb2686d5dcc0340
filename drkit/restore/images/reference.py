"""What an image's name says: which registry, which repository, which tag or digest. Pure.

The rules are containerd's and Docker's (https://pkg.go.dev/github.com/distribution/reference): without a registry it is
Docker Hub's, there without a user ``library``, and without a tag ``latest``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HUB: Final = "docker.io"
_REPOSITORY: Final = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?\Z")
_TAG: Final = re.compile(r"\w[\w.-]{0,127}\Z", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}\Z|sha512:[0-9a-f]{128}\Z")


@dataclass(frozen=True, order=True)
class Reference:
    """An image, in full."""

    registry: str
    """Such as ``docker.io`` or ``registry.example.com:5000``."""
    repository: str
    tag: str
    digest: str = ""
    """Where it is there, it is what counts."""

    @property
    def version(self) -> str:
        """What to ask a registry for."""
        return self.digest or self.tag

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"


def parse(text: str) -> Reference | None:
    """An image's name in full; nothing where no image can be called so."""
    rest, at, digest = text.partition("@")
    name, colon, tag = rest.rpartition(":")
    tagged = bool(colon) and "/" not in tag
    if not tagged:
        name, tag = rest, ""
    registry, slash, repository = name.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, repository = HUB, name
    if registry == HUB and "/" not in repository:
        repository = f"library/{repository}"
    if not (_HOST.match(registry) and _REPOSITORY.match(repository)):
        return None
    if (at and not _DIGEST.match(digest)) or (tagged and not _TAG.match(tag)):
        return None
    return Reference(registry, repository, tag or ("" if digest else "latest"), digest)
