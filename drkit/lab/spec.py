"""What a user asks for when asking for a lab."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from drkit.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]|[a-z]")
MOST_SERVERS = 9
MOST_AGENTS = 50
MOST_GIB = 4096


class Datastore(StrEnum):
    """Where the cluster keeps its objects, as k3s knows them."""

    ETCD = "etcd"
    SQLITE = "sqlite"
    POSTGRES = "postgres"


@dataclass(frozen=True)
class LabSpec:
    """A lab: its name, how large a cluster, and of what.

    Attributes:
        name: of the lab; several can be beside each other.
        servers: how many nodes with the control plane.
        agents: how many without it.
        datastore: where the cluster keeps its objects.
        k3s: names the real k3s that was given; empty where the nodes run the stand-in.
        memory: GiB that each node has; 0 for as much as this machine has.
        disk: GiB that k3s's directory of each node has; 0 for as much as this machine has.

    Raises:
        UsageError: there can be no such lab.
    """

    name: str = "lab"
    servers: int = 1
    agents: int = 2
    datastore: Datastore = Datastore.ETCD
    k3s: str = ""
    memory: int = 0
    disk: int = 0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} is no name for a lab",
                "up to 32 lower-case letters, digits and hyphens, beginning with a letter",
            )
        if not 1 <= self.servers <= MOST_SERVERS or not 0 <= self.agents <= MOST_AGENTS:
            raise UsageError(
                f"a lab of {self.servers} servers and {self.agents} agents cannot be made",
                f"1 to {MOST_SERVERS} servers, 0 to {MOST_AGENTS} agents",
            )
        if self.datastore is Datastore.SQLITE and self.servers > 1:
            raise UsageError(
                "SQLite is one server's own file, and more than one server cannot share it",
                "--servers 1, or --datastore etcd",
            )
        if not (0 <= self.memory <= MOST_GIB and 0 <= self.disk <= MOST_GIB):
            raise UsageError(
                f"nodes with {self.memory} GiB of memory and a disk of {self.disk} GiB cannot be made",
                f"1 to {MOST_GIB} GiB, or 0 for as much as this machine has",
            )

    def __str__(self) -> str:
        k3s = f"the k3s {self.k3s} that was given" if self.k3s else "the stand-in for k3s"
        bounds = [f"{self.memory} GiB of memory"] if self.memory else []
        bounds += [f"a disk of {self.disk} GiB"] if self.disk else []
        each = f", each node with {' and '.join(bounds)}" if bounds else ""
        return f"{self.servers} servers, {self.agents} agents, {self.datastore}, and {k3s}{each}"

    def server_names(self) -> tuple[str, ...]:
        """The names of the nodes that run the control plane; the first one founds the cluster."""
        return tuple(f"server-{number}" for number in range(1, self.servers + 1))

    def agent_names(self) -> tuple[str, ...]:
        """The names of the other nodes."""
        return tuple(f"agent-{number}" for number in range(1, self.agents + 1))
