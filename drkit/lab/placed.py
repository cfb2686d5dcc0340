"""Which files each container of a lab is given before its first start. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.lab import balancer, cluster, names
from drkit.lab.accounts import ACCOUNTS
from drkit.lab.topology import Role

if TYPE_CHECKING:
    from drkit.lab.topology import Container, Topology


@dataclass(frozen=True)
class Placed:
    """A file in a container, root's."""

    path: str
    content: str
    mode: int = 0o644


@dataclass(frozen=True)
class Access:
    """Who is let in where: public keys and shared secrets."""

    node_key: str
    append_only_key: str
    full_key: str
    token: str
    database_password: str


def files(topology: Topology, container: Container, access: Access) -> tuple[Placed, ...]:
    """The files of ``container``."""
    match container.role:
        case Role.SERVER | Role.AGENT:
            told = cluster.settings(topology, container, access.token, access.database_password)
            return (
                Placed("/var/lib/lab/authorized_keys", access.node_key + "\n", 0o600),
                Placed(cluster.CONFIG, cluster.render(told), 0o600),
                Placed(cluster.RESOLVER, cluster.resolver(topology)),
            )
        case Role.BOX:
            return tuple(
                Placed(
                    f"/etc/lab/accounts/{account.user}",
                    account.authorized_keys(access.append_only_key, access.full_key),
                )
                for account in ACCOUNTS
            )
        case Role.BALANCER:
            targets = {node.member: node.address for node in topology.ingress}
            return (Placed(balancer.FILE, balancer.configuration(balancer.INGRESS, targets)),)
        case Role.DNS:
            return (
                Placed("/etc/lab/dnsmasq.conf", names.configuration(topology)),
                Placed(f"{names.HOSTS}/members", names.hosts(topology)),
            )
        case Role.DATABASE:
            return (Placed("/etc/lab/password", access.database_password + "\n"),)
