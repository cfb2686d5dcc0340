"""What a node was, what takes its place, and what its files become: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal

from drkit.archive import Kind, entries
from drkit.cluster.node import LARGEST_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.archive import Source

Role = Literal["server", "agent"]


@dataclass(frozen=True)
class File:
    """A file's content, which may be secret, and its permission bits."""

    content: bytes = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True)
class Old:
    """An old node: its place in the cluster, as the topology has it, and its files by absolute path."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    internal: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Machine:
    """What takes its place.

    Args:
        name: what the cluster calls it from now on.
        role: what k3s is on it.
        internal: the addresses by which the cluster's machines reach it, of each family one.
        external: its public addresses, of each family one; without a private network they are the internal ones too.
        interface: the one that ``internal`` is on; needed where flannel was told of one.
        join: an address of the server that it joins; empty for the first server.
    """

    name: str
    role: Role
    internal: tuple[str, ...]
    external: tuple[str, ...] = ()
    interface: str = ""
    join: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of them, those inside first."""
        return tuple(dict.fromkeys((*self.internal, *self.external)))


@dataclass(frozen=True)
class Rebuild:
    """What is the same for all machines.

    Args:
        pairs: each old node and its machine.
        etcd: whether the datastore is k3s's own etcd.
        token: the cluster's, as its server kept it.
        endpoint: the external datastore's; empty where it is where it was, or is none.
        fresh: whether the cluster begins anew, with ``token`` as its own: nothing of the old identity or datastore
            is told or put there.
    """

    pairs: tuple[tuple[Old, Machine], ...]
    etcd: bool
    token: str = field(repr=False)
    endpoint: str = field(default="", repr=False)
    fresh: bool = False

    @property
    def addresses(self) -> dict[str, str]:
        """Each old address, and what took its place: the address of the same kind and family."""
        found: dict[str, str] = {}
        for old, machine in self.pairs:
            for before, now in ((old.external, machine.external or machine.internal), (old.internal, machine.internal)):
                by_family = {family(address): address for address in reversed(now)}
                found |= {address: by_family[family(address)] for address in before if family(address) in by_family}
        return found

    @property
    def names(self) -> dict[str, str]:
        """Each old node's name, and its machine's."""
        return {old.name: machine.name for old, machine in self.pairs}


def family(address: str) -> int:
    """4 or 6; 0 where it is no address."""
    try:
        return ip_address(address).version
    except ValueError:
        return 0


def old_node(topology: Mapping[str, Any], name: str, files: Mapping[str, File]) -> Old:
    """A node as the source ``topology`` described it; one that it does not know has only its name and files."""
    node: Mapping[str, Any] = next((each for each in topology.get("nodes", []) if each["name"] == name), {})

    def addresses(kind: str) -> tuple[str, ...]:
        found = [each["address"] for each in node.get("addresses", []) if each["type"] == kind]
        return tuple(sorted(found, key=family))

    return Old(
        name,
        node.get("labels", {}),
        tuple(node.get("taints", [])),
        addresses("InternalIP"),
        addresses("ExternalIP"),
        files,
    )


def read_files(archive: Source) -> dict[str, File]:
    """The files of an archive of the source ``server-files``, by absolute path; read to its end.

    Links are not among them: what they lead to is, where the archive has it.

    Raises:
        VerificationFailed: it is damaged, or holds a file that no configuration is as large as.
    """
    return {
        f"/{entry.name}": File(content.whole(LARGEST_FILE_BYTES), entry.mode)
        for entry, content in entries(archive)
        if entry.kind is Kind.FILE
    }


def shown(addresses: Iterable[str]) -> str:
    """Addresses as k3s's settings take them."""
    return ",".join(addresses)
