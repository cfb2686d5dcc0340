"""Where ``drkit.yaml`` names secrets and files, found in its values and changed in its text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from drkit.config.edit import edited
from drkit.config.model import Cluster, Secret, Ssh, VaultConfig, VaultSsh
from drkit.keys.bundle import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.config.edit import Where
    from drkit.config.model import Config

_FILES: tuple[tuple[type[BaseModel], str], ...] = (
    (Ssh, "key"),
    (Ssh, "known_hosts"),
    (VaultSsh, "key"),
    (VaultSsh, "prune_key"),
    (VaultSsh, "known_hosts"),
    (VaultConfig, "key_file"),
    (Cluster, "kubeconfig"),
)
"""The values that name a file which goes along; others name places of this machine."""
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Place:
    """A secret, or a file that the configuration names."""

    where: Where
    value: Secret | Path

    @property
    def name(self) -> str:
        """As people write it: ``vaults.cluster.passphrase``."""
        return dotted(self.where)


def dotted(where: Where) -> str:
    """A place as people write it."""
    return ".".join(map(str, where))


def places(config: Config) -> list[Place]:
    """All of them; those that stand nowhere in the file and have a default too."""
    # What pods share out is reached and opened as the vault that it is a share of.
    return [each for each in _below(config, ()) if each.where[0] != "vaults" or each.where[1] not in config.shares]


def _below(value: Any, where: Where) -> Iterator[Place]:
    if isinstance(value, Secret):
        yield Place(where, value)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            below = getattr(value, name)
            if isinstance(below, Path):
                if any(isinstance(value, kind) and name == field for kind, field in _FILES):
                    yield Place((*where, name), below)
            else:
                yield from _below(below, (*where, name))
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _below(below, (*where, str(key)))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _below(below, (*where, number))


def file_names(names: Iterable[str]) -> dict[str, str]:
    """The path in the bundle for each item, each another one."""
    found: dict[str, str] = {}
    for name in names:
        plain = ".".join(_NO_NAME.sub("-", part).strip("-") or "x" for part in name.split("."))[:150]
        taken, number = set(found.values()), 1
        path = f"{KEYS}/{plain}"
        while path in taken:
            number += 1
            path = f"{KEYS}/{plain}-{number}"
        found[name] = path
    return found


def rewritten(text: str, config: Config, files: Mapping[Where, str]) -> str:
    """The text of ``drkit.yaml`` as it stands in a bundle.

    Args:
        text: as this machine has it.
        config: what it says, with its paths anchored.
        files: for the secrets and files that go along, their paths in the bundle.
    """
    secret = {place.where for place in places(config) if isinstance(place.value, Secret)}
    changes: dict[Where, Any] = {where: {"file": file} if where in secret else file for where, file in files.items()}
    # A path beside this machine's file says nothing elsewhere.
    changes |= {
        ("vaults", str(name), "url"): vault.url
        for name, vault in config.vaults.items()
        if not vault.is_remote and name not in config.shares
    }
    return edited(text, changes)
