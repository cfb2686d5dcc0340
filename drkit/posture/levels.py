"""How much a cluster bears: its level of high availability, and what the next one takes. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from drkit.cluster import fields as look
from drkit.posture.snapshot import is_etcd_member, is_server

if TYPE_CHECKING:
    from drkit.posture.snapshot import Snapshot

TITLES: Final = (
    "a single node",
    "one control plane, several workers",
    "one control plane, several workers, a datastore of its own",
    "three servers with embedded etcd",
    "isolated members of etcd",
)
_BEARS: Final = (
    "the loss of nothing; a backup is all there is",
    "the loss of a worker, as far as workloads are spread; not that of the control plane",
    "the loss of a worker, and that of the control plane's machine without its state",
    "the loss of any one node",
    "the loss of any one node; load on the API does not slow etcd down, and the other way round",
)
_NEXT: Final = (
    ("join workers: two or more, so that each workload has a second place", "keep workloads off the server by a taint"),
    (
        "give the datastore machines of its own: an external PostgreSQL, or members of etcd without a control plane",
        "or go to level 3 at once, which small clusters do: two more servers with embedded etcd",
    ),
    (
        "run three servers with embedded etcd, in an odd number and on different hosts",
        "lead agents and kubeconfigs to all of them: by a load balancer on 6443, or a name with all addresses",
    ),
    (
        "run etcd on three machines of its own (disable-apiserver, disable-controller-manager, disable-scheduler)",
        "and the control plane on two others or more (disable-etcd)",
        "worth it where the API is under load; three servers bear the same losses",
    ),
    (),
)
_QUORUM: Final = 3
_EXTERNAL: Final = frozenset({"external-etcd", "postgresql"})


@dataclass(frozen=True)
class Level:
    """A level.

    Attributes:
        number: from 0 to 4.
        bears: what may be lost without anybody noticing for long.
        why: what was seen.
        next: what the next one takes; empty at the top.
    """

    number: int
    title: str
    bears: str
    why: str
    next: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def level(snapshot: Snapshot) -> Level:
    """The cluster's level, by its nodes' roles and what is known of its datastore."""
    nodes = snapshot.of("nodes")
    servers = [node for node in nodes if is_server(node)]
    members = [node for node in nodes if is_etcd_member(node)]
    isolated = [node for node in members if not is_server(node)]
    number = 1
    if len(nodes) <= 1:
        number = 0
    elif len(isolated) >= _QUORUM and len(servers) > 1:
        number = 4
    elif len(servers) >= _QUORUM and len(members) >= _QUORUM:
        number = 3
    elif isolated or snapshot.datastore in _EXTERNAL:
        number = 2
    counted = f"nodes {len(nodes)}, with a control plane {len(servers)}, in etcd {len(members)}"
    if snapshot.datastore:
        counted += f"; datastore {snapshot.datastore}"
    named = ", ".join(sorted(look.name(node) for node in servers))
    return Level(number, TITLES[number], _BEARS[number], f"{counted} ({named})" if named else counted, _NEXT[number])
