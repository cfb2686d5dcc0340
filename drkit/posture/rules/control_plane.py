"""The control plane and its datastore: how many, where, and in which version. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as look
from drkit.posture.reading import nodes as reading
from drkit.posture.rules.rule import CRITICAL, HIGH, LOW, MEDIUM, Finding, Fix, Rule, Seen, page
from drkit.posture.snapshot import DATASTORE, PROVIDER, is_etcd_member, is_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object

_RUNBOOK: Final = page("control-plane")
_THREE: Final = 3
_OLDEST: Final = 3
"""How many minor versions a kubelet may be behind the API server (kubernetes.io/releases/version-skew-policy)."""
_ZONE: Final = "topology.kubernetes.io/zone"
_JOINING: Final = {"server": "https://<first server>:6443", "token": "<the servers' token>"}


def _ready(node: Object) -> bool:
    return any(
        look.text(each, "type") == "Ready" and look.text(each, "status") == "True"
        for each in look.items(node, "status", "conditions")
    )


def _one(seen: Seen) -> Iterator[Finding]:
    if len(seen.settings.servers) == 1:
        yield Finding(
            f"Node {seen.settings.servers[0]}",
            "the only server: while it is away nothing is scheduled, replaced or promoted, and the API does not answer",
            Fix("add two servers; the datastore has to be etcd (cluster-init) or an external one", _JOINING, "k3s"),
        )


def _members(seen: Seen) -> list[Object]:
    return [node for node in seen.snapshot.of("nodes") if is_etcd_member(node)]


def _even(seen: Seen) -> Iterator[Finding]:
    count = len(_members(seen))
    if count and count % 2 == 0:
        yield Finding(
            "etcd",
            f"{count} members bear the loss of {(count - 1) // 2}, as {count - 1} do, and are likelier to lose one",
            Fix("add one server or take one away", _JOINING, "k3s"),
            data="" if count > 2 else "nothing; but the loss of either stops the cluster",  # noqa: PLR2004 - a pair
        )


def _margin(seen: Seen) -> Iterator[Finding]:
    found = _members(seen)
    gone = [look.name(node) for node in found if not _ready(node)]
    majority = len(found) // 2 + 1
    if len(found) >= _THREE and gone and len(found) - len(gone) <= majority:
        yield Finding(
            "etcd",
            f"{', '.join(sorted(gone))} is away: the next loss takes the quorum, and with it the cluster",
            Fix("bring it back, or delete its node and join another server in its place"),
        )


def _not_ready(seen: Seen) -> Iterator[Finding]:
    for node in seen.snapshot.of("nodes"):
        if not _ready(node):
            yield Finding(
                f"Node {look.name(node)}",
                "it is not ready: what it ran is missing or doubled on the others",
                Fix("look at it: kubectl describe node; journalctl --unit k3s-agent on the node"),
            )


def _location(seen: Seen, node: Object) -> str:
    """Where a node is, by its provider or its label; empty where nobody says."""
    for server in seen.snapshot.hetzner("servers"):
        if look.text(server, "name") == look.name(node):
            return look.text(server, "location", "name") or look.text(server, "datacenter", "location", "name")
    return look.labels(node).get(_ZONE, "")


def _one_place(seen: Seen) -> Iterator[Finding]:
    servers = [node for node in seen.snapshot.of("nodes") if is_server(node) or is_etcd_member(node)]
    where = {_location(seen, node) for node in servers}
    if len(servers) >= _THREE and len(where) == 1 and where != {""}:
        yield Finding(
            "control plane",
            f"all {len(servers)} servers are in {where.pop()}: its loss is the cluster's",
            Fix("put each into another location of the same network zone; in between is a backup elsewhere"),
        )


def _shared_host(seen: Seen) -> Iterator[Finding]:
    servers = [each for each in seen.snapshot.hetzner("servers") if look.text(each, "name") in seen.settings.servers]
    apart = {look.number(each, "placement_group", "id") for each in servers}
    if len(servers) >= _THREE and (len(apart) > 1 or apart == {None}) and None in apart:
        yield Finding(
            "control plane",
            "servers without a placement group of type spread may run on one host, and fail together",
            Fix("put all servers into one placement group; they have to be powered off for it"),
        )


def _sqlite(seen: Seen) -> Iterator[Finding]:
    if seen.snapshot.datastore == "sqlite":
        yield Finding(
            "datastore",
            "SQLite: k3s takes no snapshots of it, and no second server can join",
            Fix(
                "move to embedded etcd with cluster-init, or see that drkit's backups run",
                {"cluster-init": True},
                "k3s",
            ),
            data="all since drkit's last backup",
        )


def _skew(seen: Seen) -> Iterator[Finding]:
    listed = seen.snapshot.of("nodes")
    lowest = look.version(reading.version(listed))
    if lowest is None:
        return
    for node in listed:
        written = look.text(node, "status", "nodeInfo", "kubeletVersion")
        found = look.version(written)
        if found is None:
            continue
        said = ""
        if is_server(node):
            said = "more than one minor version ahead of another server" if found[1] - lowest[1] > 1 else ""
        elif found[:2] > lowest[:2]:
            said = "newer than the API server"
        elif lowest[1] - found[1] > _OLDEST:
            said = "more than three minor versions behind the API server"
        if said:
            yield Finding(
                f"Node {look.name(node)}",
                f"{written} is {said}, which is v{lowest[0]}.{lowest[1]}",
                Fix("upgrade servers first, one minor version at a time, then agents"),
            )


RULES: Final = (
    Rule("one-server", HIGH, "There is one control-plane server", _RUNBOOK, _one),
    Rule("etcd-even-members", HIGH, "etcd has an even number of members", _RUNBOOK, _even),
    Rule("etcd-without-margin", CRITICAL, "The next loss takes etcd's quorum", _RUNBOOK, _margin),
    Rule("node-not-ready", HIGH, "A node is not ready", _RUNBOOK, _not_ready),
    Rule("servers-in-one-place", LOW, "All servers are in one place", _RUNBOOK, _one_place),
    Rule("servers-may-share-a-host", MEDIUM, "Servers may share a host", _RUNBOOK, _shared_host, (PROVIDER,)),
    Rule("sqlite", MEDIUM, "The datastore is SQLite", _RUNBOOK, _sqlite, (DATASTORE,)),
    Rule("version-skew", HIGH, "Versions of k3s are too far apart", _RUNBOOK, _skew),
)
