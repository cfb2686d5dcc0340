"""What a lab consists of, computed from what was asked for: containers, addresses, volumes, rights. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from drkit.lab.engine import LABEL
from drkit.lab.spec import Datastore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network

    from drkit.lab.spec import LabSpec

ROLE_LABEL = f"{LABEL}.role"
MEMBER_LABEL = f"{LABEL}.member"

CAPABILITIES = (
    *("AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "DAC_READ_SEARCH", "IPC_LOCK", "IPC_OWNER", "LEASE"),
    *("LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "SYSLOG", "SYS_ADMIN", "SYS_BOOT"),
    *("SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_TTY_CONFIG", "WAKE_ALARM"),
)
"""What a node needs beyond Docker's default. Named one by one: ``--privileged`` fails where root itself lacks one of
them (SYS_RESOURCE in many virtual machines), Docker 20.10 refuses BPF, PERFMON and CHECKPOINT_RESTORE, and SYS_TIME
would set the host's clock."""

DISK_VARIABLE = "LAB_DISK_GIB"
"""Tells a node's first process how large a disk is to lie below ``/var/lib/rancher``."""
_TUN = ("c 10:200 rwm",)
_LOOPS = ("c 10:237 rwm", "b 7:* rwm")
"""What makes a network of a program, and a disk of a file: ``/dev/net/tun``; ``/dev/loop-control`` and ``/dev/loop*``.
Source: devices.txt, Linux."""

BOX_PORT = 23
SSH_PORT = 22
DNS_PORT = 53
DATABASE_PORT = 5432

NODE_IMAGE = "node"


class Role(StrEnum):
    """What a container is for."""

    SERVER = "server"
    AGENT = "agent"
    BOX = "box"
    BALANCER = "balancer"
    DNS = "dns"
    DATABASE = "database"

    @property
    def is_node(self) -> bool:
        """Whether it is a machine of the cluster."""
        return self in {Role.SERVER, Role.AGENT}

    @property
    def image(self) -> str:
        """The name of the recipe that its image is made by."""
        return NODE_IMAGE if self.is_node else str(self)


_HOST_PART = {Role.DNS: 2, Role.BOX: 3, Role.BALANCER: 4, Role.DATABASE: 5, Role.SERVER: 10, Role.AGENT: 100}
"""The last number of an address; a node's own number is added."""

SPARE = range(200, 255)
"""The last numbers of addresses that no lab is brought up with: for machines that come later."""

_STATE = {
    # All that a machine's disk keeps. Images and pods' layers cannot lie on a container's own overlay.
    Role.SERVER: {"var": "/var", "rancher": "/etc/rancher"},
    Role.AGENT: {"var": "/var", "rancher": "/etc/rancher"},
    Role.BOX: {"home": "/home", "host": "/var/lib/lab"},
    Role.DATABASE: {"data": "/var/lib/postgresql"},
}


@dataclass(frozen=True)
class Container:
    """One container: what the engine is asked to make."""

    name: str
    member: str
    role: Role
    address: str
    volumes: Mapping[str, str]
    """The name of each volume, and where it is mounted."""
    labels: Mapping[str, str]
    memory: int = 0
    """How many bytes of memory it has; 0 for as much as this machine has."""
    disk: int = 0
    """How many GiB the disk of k3s's directory has; 0 for as much as this machine has."""

    @property
    def tmpfs(self) -> Mapping[str, str]:
        """What a machine keeps in memory, with mount options."""
        return {"/run": "exec", "/run/lock": "", "/tmp": ""} if self.role.is_node else {}  # noqa: S108 - in a container

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The rights it needs beyond Docker's default."""
        return CAPABILITIES if self.role.is_node else ()

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that it may use beyond Docker's default; lab-init makes their files."""
        return (*_TUN, *(_LOOPS if self.disk else ())) if self.role.is_node else ()

    @property
    def security_options(self) -> tuple[str, ...]:
        """Nodes mount, unshare and load rules, which Docker's profiles forbid."""
        return ("seccomp=unconfined", "apparmor=unconfined") if self.role.is_node else ()


@dataclass(frozen=True)
class Topology:
    """A whole lab."""

    spec: LabSpec
    subnet: IPv4Network
    containers: tuple[Container, ...]

    @property
    def network(self) -> str:
        """The name of its network."""
        return full_name(self.spec.name)

    def by_role(self, *roles: Role) -> tuple[Container, ...]:
        """Its containers of these kinds, in order."""
        return tuple(container for container in self.containers if container.role in roles)

    def the(self, role: Role) -> Container:
        """The only container of its kind, or the first."""
        return self.by_role(role)[0]

    @property
    def nodes(self) -> tuple[Container, ...]:
        """The cluster's machines, servers first."""
        return self.by_role(Role.SERVER, Role.AGENT)

    @property
    def ingress(self) -> tuple[Container, ...]:
        """The nodes that the load balancer sends traffic to: the agents, or the servers where there are none."""
        return self.by_role(Role.AGENT) or self.by_role(Role.SERVER)

    @property
    def zone(self) -> str:
        """The DNS zone of its members' names; ``test`` belongs to nobody (RFC 6761)."""
        return f"{self.spec.name}.test"


def full_name(lab: str, *more: str) -> str:
    """The name that the engine knows something of a lab by."""
    return "-".join(["drkit-lab", lab, *more])


def topology(spec: LabSpec, subnet: IPv4Network) -> Topology:
    """The lab that ``spec`` asks for, on ``subnet`` (a /24)."""
    return Topology(spec, subnet, tuple(_container(spec, subnet, *member) for member in _members(spec)))


def images(spec: LabSpec) -> list[str]:
    """The names of the recipes that the lab needs."""
    return sorted({role.image for role, _, _ in _members(spec)})


def beside(lab: Topology, role: Role, member: str, address: str, key: str, labels: Mapping[str, str]) -> Container:
    """A container beside those that the lab was asked for.

    Args:
        lab: whose network it is in.
        role: what it is for.
        member: its name there.
        address: one that nobody has, of ``SPARE``.
        key: tells its disks from those of another one that had the name.
        labels: what it carries beside the lab's own.
    """
    name = lab.spec.name
    return Container(
        name=full_name(name, member),
        member=member,
        role=role,
        address=address,
        volumes={full_name(name, member, key, part): path for part, path in _STATE.get(role, {}).items()},
        labels={**labels, LABEL: name, ROLE_LABEL: str(role), MEMBER_LABEL: member},
        **_bounds(lab.spec, role),
    )


def _members(spec: LabSpec) -> list[tuple[Role, str, int]]:
    members = [(Role.DNS, "dns", 0), (Role.BOX, "box", 0), (Role.BALANCER, "balancer", 0)]
    if spec.datastore is Datastore.POSTGRES:
        members.append((Role.DATABASE, "database", 0))
    members += [(Role.SERVER, name, number) for number, name in enumerate(spec.server_names(), 1)]
    members += [(Role.AGENT, name, number) for number, name in enumerate(spec.agent_names(), 1)]
    return members


def _container(spec: LabSpec, subnet: IPv4Network, role: Role, member: str, number: int) -> Container:
    lab = spec.name
    return Container(
        name=full_name(lab, member),
        member=member,
        role=role,
        address=str(subnet[_HOST_PART[role] + number]),
        volumes={full_name(lab, member, part): path for part, path in _STATE.get(role, {}).items()},
        labels={LABEL: lab, ROLE_LABEL: str(role), MEMBER_LABEL: member},
        **_bounds(spec, role),
    )


def _bounds(spec: LabSpec, role: Role) -> dict[str, int]:
    return {"memory": spec.memory * 2**30, "disk": spec.disk} if role.is_node else {}
