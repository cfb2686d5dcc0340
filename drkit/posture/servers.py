"""What a cluster's servers say of themselves over SSH: how k3s was told, its datastore, its certificates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from drkit.cluster import k3s, members
from drkit.cluster.reach import reach
from drkit.datastore import look
from drkit.errors import DrkitError, SourceFailed
from drkit.posture import facts, told
from drkit.posture.snapshot import CERTIFICATES, DATASTORE, ETCD, Certificate, Etcd, Snapshot
from drkit.process import DeadlineExceeded, tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.cluster.members import Member
    from drkit.cluster.node import Node
    from drkit.config.model import Cluster

_TLS: Final = "/var/lib/rancher/k3s/server/tls"
_CERTIFICATES: Final = (f"{_TLS}/*.crt", f"{_TLS}/etcd/*.crt")
_TOLD: Final = (
    *k3s.units(k3s.SERVER_UNIT),
    *k3s.environments(k3s.SERVER_UNIT),
    k3s.CONFIG,
    k3s.parts_of(k3s.CONFIG),
)
_METRICS: Final = f"""
curl --silent --fail --max-time 5 http://127.0.0.1:2381/metrics ||
exec curl --silent --show-error --fail --max-time 10 --cacert {_TLS}/etcd/server-ca.crt \\
    --cert {_TLS}/etcd/client.crt --key {_TLS}/etcd/client.key https://127.0.0.1:2379/metrics
"""
"""k3s has etcd tell its figures on a port of its own, on loopback alone, and to who has a client's certificate."""
_SECONDS: Final = 30.0
_SIDE_BY_SIDE: Final = 4


def with_servers(snapshot: Snapshot, cluster: Cluster) -> Snapshot:
    """What the servers say over SSH; each that does not answer is named."""
    machines = members.members(cluster.servers, snapshot.of("nodes"))
    servers = [machine for machine in machines if machine.is_server]
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "servers") as pool:
        found = list(pool.map(partial(_asked, cluster=cluster), servers))
    words = {machine.name: each.words for machine, each in zip(servers, found, strict=True)}
    problems = [each.problem for each in found if each.problem]
    kinds = {each.datastore for each in found if each.datastore}
    snapshot = replace(
        snapshot,
        told=words,
        datastore=kinds.pop() if len(kinds) == 1 else "",
        etcd=tuple(each.etcd for each in found if each.etcd),
        certificates=tuple(one for each in found for one in each.certificates),
    )
    why = "; ".join(problems) or "no server was asked"
    lacking = [] if snapshot.datastore else [DATASTORE]
    # SQLite has no metrics of etcd's, and needs none.
    lacking += [] if snapshot.etcd or snapshot.datastore not in {"", "embedded-etcd"} else [ETCD]
    lacking += [] if snapshot.certificates else [CERTIFICATES]
    return snapshot.without(lacking, why)


def with_words(snapshot: Snapshot, hosts: Iterable[Node]) -> Snapshot:
    """The same, with what k3s was told on these hosts; those that cannot be asked are left out."""
    found = {}
    for node in hosts:
        with suppress(DrkitError, DeadlineExceeded):
            found[node.name] = told.words(look.collect(node, _TOLD), k3s.SERVER_UNIT)
    return replace(snapshot, told=found)


@dataclass
class _Server:
    """What one server said, as far as it did."""

    words: tuple[str, ...] = ()
    datastore: str = ""
    etcd: Etcd | None = None
    certificates: tuple[Certificate, ...] = ()
    problem: str = ""


def _asked(machine: Member, cluster: Cluster) -> _Server:
    found = _Server()
    node = reach(machine.name, machine.address, cluster.ssh)
    try:
        found.words = told.words(look.collect(node, _TOLD), k3s.SERVER_UNIT)
        found.datastore = str(look.decide(look.look(node)))
        found.certificates = tuple(facts.certificates(machine.name, look.collect(node, _CERTIFICATES)))
        if found.datastore == "embedded-etcd":
            found.etcd = facts.etcd(machine.name, _ran(node, ("sh", "-c", _METRICS)))
    except (DrkitError, DeadlineExceeded) as error:
        said = error.message if isinstance(error, DrkitError) else str(error)
        found.problem = said if machine.name in said else f"{machine.name}: {said}"
    return found


def _ran(node: Node, argv: Sequence[str]) -> str:
    done = node.run(argv, deadline=_SECONDS)
    if done.status != 0:
        raise SourceFailed(f"{node.name}: etcd's figures cannot be read: {tail(done.stderr)}")
    return done.stdout.decode(errors="replace")
