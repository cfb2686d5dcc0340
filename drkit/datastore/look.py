"""Which datastore a server has: found out by looking at it, never assumed. What decides is pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drkit import process
from drkit.cluster import k3s
from drkit.errors import SourceFailed
from drkit.masking import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.cluster.k3s import Settings
    from drkit.cluster.node import Node

_SECONDS = 60.0
_LARGEST_BYTES = 1024 * 1024
_COLLECT = f"""
IFS=
for pattern; do for file in $pattern; do
    [ -f "$file" ] || continue
    size=$(wc -c <"$file") || exit 1
    if [ "$size" -gt {_LARGEST_BYTES} ]; then echo "$file is too large for a configuration" >&2; exit 1; fi
    printf '%s\\0%s\\0' "$file" "$((size))"
    head -c "$size" <"$file" || exit 1
done; done
"""
_THERE = 'for path; do if [ -e "$path" ]; then echo yes; else echo no; fi; done; k3s --version'
_BOOTSTRAP_DIGITS = 12


class Kind(StrEnum):
    """What holds the cluster's state."""

    EMBEDDED_ETCD = "embedded-etcd"
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    EXTERNAL_ETCD = "external-etcd"


@dataclass(frozen=True)
class Seen:
    """What was seen on a server."""

    settings: Settings
    etcd: bool
    """Whether there is an etcd database on its disk."""
    sqlite: bool
    """Whether there is a SQLite database on its disk."""
    version: str
    token: str = field(default="", repr=False)
    """The cluster's, as the server keeps it."""

    @property
    def bootstrap_key(self) -> str:
        """Under which key the datastore holds the identity that this token opens; empty where there is no token."""
        return identity_key(self.token or self.settings.token)


def identity_key(token: str) -> str:
    """Under which key a datastore holds the identity that a token, in either form, opens; empty where it is empty.

    k3s: pkg/cluster/encrypt.go, keyHash; pkg/cluster/storage.go, storageKey.
    """
    password = k3s.token_password(token)
    return f"/bootstrap/{hashlib.sha256(password.encode()).hexdigest()[:_BOOTSTRAP_DIGITS]}" if password else ""


def collect(node: Node, patterns: Sequence[str]) -> dict[str, bytes]:
    """The files of these patterns that are there, by path.

    Raises:
        SourceFailed: one of them cannot be read.
    """
    done = _run(node, ["sh", "-c", _COLLECT, "sh", *patterns])
    found = {}
    rest = done
    while rest:
        path, _, rest = rest.partition(b"\0")
        digits, _, rest = rest.partition(b"\0")
        size = int(digits) if digits.isdigit() else -1
        if not 0 <= size <= len(rest):
            raise SourceFailed(f"{node.name}: {path.decode(errors='replace')} changed while it was read", "try again")
        found[path.decode(errors="surrogateescape")] = rest[:size]
        rest = rest[size:]
    return found


def _run(node: Node, argv: Sequence[str]) -> bytes:
    try:
        done = node.run(argv, deadline=_SECONDS)
    except process.DeadlineExceeded as error:
        raise SourceFailed(f"{node.name}: {error}") from None
    if done.status != 0:
        raise SourceFailed(f"{node.name}: {process.tail(done.stderr)}", "see that its user is root there")
    return done.stdout


def told(node: Node, unit: str = k3s.SERVER_UNIT) -> Settings:
    """What k3s on a node was told.

    Raises:
        SourceFailed: its files cannot be read or understood.
    """
    files = collect(node, (*k3s.units(unit), *k3s.environments(unit), k3s.CONFIG, k3s.parts_of(k3s.CONFIG)))
    try:
        settings = k3s.settings(files, unit)
        if settings.config not in files:
            more = collect(node, (settings.config, k3s.parts_of(settings.config)))
            settings = k3s.settings({**files, **more}, unit)
    except SourceFailed as error:
        raise SourceFailed(f"{node.name}: {error.message}") from None
    return settings


def look(node: Node) -> Seen:
    """Look at a server.

    Raises:
        SourceFailed: its files cannot be read or understood, or it has no k3s.
    """
    settings = told(node)
    database = settings.database_directory
    argv = ["sh", "-c", _THERE, "sh", f"{database}/etcd/member", f"{database}/state.db"]
    etcd, sqlite, version, *_ = [*_run(node, argv).decode(errors="replace").splitlines(), ""]
    token = (node.read(f"{settings.server_directory}/token") or b"").decode(errors="replace").strip()
    if token:
        register(token)
        register(k3s.token_password(token))
    # It begins with "k3s version", then comes the number.
    number = next((word for word in version.split() if word.startswith("v") and word[1:2].isdigit()), version)
    return Seen(settings, etcd == "yes", sqlite == "yes", number, token)


def decide(seen: Seen) -> Kind:
    """Which datastore it is. An etcd database on disk counts before all that k3s was told (pkg/cluster/managed.go).

    Raises:
        SourceFailed: it is of a kind that is not supported, or none is there.
    """
    settings = seen.settings
    if seen.etcd:
        return Kind.EMBEDDED_ETCD
    scheme = urlsplit(settings.endpoint).scheme
    if scheme in {"postgres", "postgresql"}:
        return Kind.POSTGRESQL
    if scheme in {"http", "https"}:
        return Kind.EXTERNAL_ETCD
    if settings.endpoint:
        raise SourceFailed(
            f"the datastore {scheme or 'that datastore-endpoint names'} is not supported",
            "supported are embedded etcd, SQLite, PostgreSQL and external etcd; dump this one by its own means",
        )
    if settings.cluster_init or settings.server:
        raise SourceFailed(f"k3s is told to have etcd, and none is in {settings.database_directory}")
    if not seen.sqlite:
        raise SourceFailed(
            f"no datastore is in {settings.database_directory}", "cluster.servers names the nodes that run k3s server"
        )
    return Kind.SQLITE
