"""What ``drkit init`` found, as plain frozen values. None of them is a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TOKEN_VARIABLE = "HCLOUD_TOKEN"  # noqa: S105 - the name of a variable, that of the ``hcloud`` command
PASSPHRASE_FILE = "passphrase"  # noqa: S105 - the name of a file
STORAGE_BOX = "ssh://u000000-sub1@u000000.your-storagebox.de:23/./drkit"
"""A place for vaults that has the right form and is nobody's."""


@dataclass(frozen=True)
class Login:
    """How machines are logged in to; what is empty is OpenSSH's own default."""

    user: str = "root"
    key: Path | None = None
    known_hosts: Path | None = None
    port: int | None = None


@dataclass(frozen=True)
class Machine:
    """A machine of the cluster, and what stands in the way of SSH to it; empty where nothing does."""

    name: str
    address: str
    is_server: bool
    trouble: str = ""


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL cluster ``namespace/name`` of CloudNativePG, and its databases as far as they were told."""

    name: str
    databases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """An address that an Ingress names, and what it said; ``answers`` where that was what a healthy page says."""

    url: str
    answers: bool
    said: str


@dataclass(frozen=True)
class Project:
    """What of a Hetzner Cloud project belongs to the cluster; empty where there is none, or it is not clear which.

    Attributes:
        zones: the names of its DNS zones.
    """

    server_type: str = ""
    location: str = ""
    image: str = ""
    load_balancer: str = ""
    balancer_address: str = ""
    network: str = ""
    zones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Missing:
    """What was looked for and not found, why, and what would help."""

    what: str
    why: str
    hint: str = ""


@dataclass(frozen=True)
class Found:
    """All of it.

    Attributes:
        name: how recovery points call the cluster.
        vault: the address below which the vaults shall be; empty where nobody said.
        missing: in the order in which it was looked for.
    """

    name: str
    kubeconfig: Path | None = None
    login: Login = Login()
    machines: tuple[Machine, ...] = ()
    postgres: tuple[Postgres, ...] = ()
    pages: tuple[Page, ...] = ()
    project: Project | None = None
    vault: str = ""
    missing: tuple[Missing, ...] = ()
