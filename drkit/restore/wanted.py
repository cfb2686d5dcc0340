"""What a cluster's rebuild is to bring back: plain values, from which ``rebuild_plan`` makes the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drkit.datastore.look import Kind

ETCD, MANIFESTS, PARTS = "etcd", "manifests", "parts"
"""The modes: the old identity out of its datastore; a fresh one with the objects applied; parts into a cluster that is
there."""
SSH, HETZNER, LAB = "ssh", "hetzner", "lab"
"""The providers."""
SERVER, AGENT = "server", "agent"


@dataclass(frozen=True)
class Archive:
    """A source that a step reads, and its size in bytes."""

    source: str
    size: int = 0

    @property
    def details(self) -> dict[str, Any]:
        """For a step."""
        return {"source": self.source, "size": self.size}


@dataclass(frozen=True)
class Machine:
    """A machine of the new cluster.

    Attributes:
        name: as the configuration calls it, and the steps. What a provider makes may have another name, which is in
            the result of its step ``server NAME``: the old one may be taken still.
        node: the old node whose place it takes; empty where it is one more than there were.
        files: that node's files; or another server's as a pattern; none where there are none.
    """

    name: str
    node: str = ""
    files: Archive | None = None


@dataclass(frozen=True)
class Datastore:
    """The datastore's copy: what kind of store it is of."""

    kind: Kind
    archive: Archive


@dataclass(frozen=True)
class Database:
    """A database, the archive that fills it, and how the target knows it."""

    name: str
    archive: Archive


@dataclass(frozen=True)
class Volume:
    """A claim ``NAMESPACE/NAME``, as the new cluster calls it, the archive that fills it, and the node it was on."""

    claim: str
    archive: Archive
    node: str = ""


@dataclass(frozen=True)
class PostgresCluster:
    """A CloudNativePG cluster ``NAMESPACE/NAME``, as the new cluster calls it, its databases, and its roles."""

    name: str
    databases: tuple[Database, ...]
    roles: Archive | None = None


@dataclass(frozen=True)
class Wanted:
    """What a restore is to bring back.

    Attributes:
        target: its name in the configuration.
        mode: ``etcd``, ``manifests`` or ``parts``.
        provider: ``hetzner``, ``lab`` or ``ssh``; the last finds its servers and network there.
        servers: that run k3s server, the first one first; likewise ``agents``.
        version: of k3s; empty where no source says it.
        datastore: in mode etcd.
        manifests: in mode manifests to be applied, in mode etcd to compare what is there with.
        parts: of the manifests those to apply, as ``NAMESPACE/KIND/NAME``; empty for all.
        namespaces: old and new names of those that are called otherwise.
        clusters: CloudNativePG's.
        databases: those that the target names by connection strings, with the sources of roles.
        dsn_roles: the roles for these.
        all_roles: whether all of them are made, or only those that are needed.
        replace: whether new servers take over the names of the old ones.
        old_is_dead: the user vouches for it, so nothing is fenced.
        volumes: claims that are filled with their files.
        empty_volumes: volumes whose data no source has, as ``NAMESPACE/CLAIM``.
        expires: when a rehearsal is over (RFC 3339, UTC); empty where the cluster is to live.
        balancer: whether there is a load balancer; likewise ``dns`` (names to be changed), ``health``, ``patches``.
    """

    target: str
    mode: str
    provider: str = SSH
    servers: tuple[Machine, ...] = ()
    agents: tuple[Machine, ...] = ()
    version: str = ""
    datastore: Datastore | None = None
    manifests: Archive | None = None
    parts: tuple[str, ...] = ()
    namespaces: tuple[tuple[str, str], ...] = ()
    clusters: tuple[PostgresCluster, ...] = ()
    databases: tuple[Database, ...] = ()
    dsn_roles: tuple[str, ...] = ()
    all_roles: bool = False
    replace: bool = False
    old_is_dead: bool = False
    empty_volumes: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    expires: str = ""
    balancer: bool = False
    dns: tuple[str, ...] = ()
    health: bool = False
    patches: bool = False

    @property
    def rehearsal(self) -> dict[str, str]:
        """For the details of the steps that a rehearsal does otherwise."""
        return {"expires": self.expires} if self.expires else {}

    @property
    def machines(self) -> tuple[tuple[str, Machine], ...]:
        """All, each with its role."""
        return (*((SERVER, each) for each in self.servers), *((AGENT, each) for each in self.agents))
