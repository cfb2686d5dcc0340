"""What a restore wants to be there: servers and what stands around them. Plain frozen values.

The terms are those of Hetzner Cloud's API (https://docs.hetzner.cloud/), which other providers translate or refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_RESTORE_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SERVER, AGENT = "server", "agent"


@dataclass(frozen=True)
class Subnet:
    """A part of a network, in one network zone."""

    ip_range: str
    zone: str
    kind: str = "cloud"


@dataclass(frozen=True)
class Route:
    """Where a network sends what is for ``destination``."""

    destination: str
    gateway: str


@dataclass(frozen=True)
class WantedNetwork:
    """A private network. One that is there under this name is adopted as it is."""

    name: str
    ip_range: str = ""
    """Empty where it must be there already: what it would be is not known."""
    subnets: tuple[Subnet, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class Rule:
    """What a firewall lets through."""

    direction: str
    protocol: str
    port: str | None = None
    source_ips: tuple[str, ...] = ()
    destination_ips: tuple[str, ...] = ()
    description: str | None = None


@dataclass(frozen=True)
class WantedFirewall:
    """A firewall in front of the servers' public addresses. One that is there under this name is adopted as it is."""

    name: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class SshKey:
    """The public half of a key that may log in; one that is there with the same key is adopted."""

    name: str
    public_key: str


@dataclass(frozen=True)
class WantedServer:
    """A server.

    Attributes:
        name: the new one's.
        was: what the cluster called the node that it stands for.
        role: ``server`` or ``agent``, as k3s has it.
        firewalls: names of those in front of it.
        primary_addresses: names of primary addresses that outlived its predecessor's server, and which it takes over.
    """

    name: str
    was: str
    role: str
    server_type: str
    image: str
    location: str
    labels: Mapping[str, str] = field(default_factory=dict)
    firewalls: tuple[str, ...] = ()
    placement_group: str | None = None
    public_ipv4: bool = True
    public_ipv6: bool = True
    primary_addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alternative:
    """What may be taken where a server type is sold out: another type, another location, or both."""

    server_type: str | None = None
    location: str | None = None


@dataclass(frozen=True)
class OldServer:
    """A server of the cluster that was lost, as the backup knew it; ``id`` is the provider's."""

    name: str
    id: int | None = None


@dataclass(frozen=True)
class HealthCheck:
    """How a load balancer finds out which targets are well; times in seconds."""

    protocol: str
    port: int
    interval: int = 15
    timeout: int = 10
    retries: int = 3
    http: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Service:
    """A port of a load balancer. ``http`` is what the API says of HTTP services, certificates included."""

    protocol: str
    listen_port: int
    destination_port: int
    check: HealthCheck
    proxyprotocol: bool = False
    http: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class WantedBalancer:
    """A load balancer. One that is there under this name is adopted: it keeps its address, services and type.

    Attributes:
        targets: names of the new servers that it sends traffic to.
        selector: the label selector that chose the targets before; empty where they were named one by one.
        private: whether it reaches them by their private addresses.
    """

    name: str
    kind: str = ""
    """The load balancer's type; empty where it must be there already."""
    location: str = ""
    algorithm: str = "round_robin"
    services: tuple[Service, ...] = ()
    targets: tuple[str, ...] = ()
    selector: str = ""
    private: bool = False
    public: bool = True


@dataclass(frozen=True)
class WantedFloating:
    """A floating address that is there, and the new server that shall have it."""

    name: str
    server: str


@dataclass(frozen=True)
class Wanted:
    """All that one restore wants.

    Attributes:
        restore_id: what everything made carries as a label.
        old: the servers of the lost cluster.
        replace: whether new servers take over the names of ``old``, which are powered off and renamed, never deleted.
        expires: when what is made is over, where that is a rehearsal (RFC 3339, UTC); empty where it is to live.

    Raises:
        ValueError: the restore's id is none that a label can hold.
    """

    restore_id: str
    servers: tuple[WantedServer, ...]
    keys: tuple[SshKey, ...] = ()
    network: WantedNetwork | None = None
    firewalls: tuple[WantedFirewall, ...] = ()
    placement_groups: tuple[str, ...] = ()
    balancer: WantedBalancer | None = None
    floating: tuple[WantedFloating, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    old: tuple[OldServer, ...] = ()
    replace: bool = False
    expires: str = ""

    def __post_init__(self) -> None:
        if not _RESTORE_ID.fullmatch(self.restore_id):
            raise ValueError(f"{self.restore_id!r} is no id of a restore: lower-case letters, digits and hyphens")

    def server(self, name: str) -> WantedServer:
        """The server of that (new) name."""
        return next(server for server in self.servers if server.name == name)
