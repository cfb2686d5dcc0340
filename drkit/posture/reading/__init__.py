"""The settings of a cluster, found in what was listed of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.cluster import fields as look
from drkit.posture.reading import balancers, nodes, postgres, routes, workloads
from drkit.posture.settings import Settings
from drkit.posture.snapshot import is_etcd_member, is_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.posture.settings import Check
    from drkit.posture.snapshot import Snapshot


def settings(snapshot: Snapshot, checks: Sequence[Check] = ()) -> Settings:
    """The settings that spend seconds, each with where it stands.

    Args:
        snapshot: the cluster.
        checks: those of load balancers that its topology does not know, such as the lab's.
    """
    listed = snapshot.of("nodes")
    told = nodes.words(snapshot)
    return Settings(
        version=nodes.version(listed),
        servers=tuple(sorted(look.name(node) for node in listed if is_server(node))),
        agents=tuple(sorted(look.name(node) for node in listed if not is_server(node))),
        etcd=sum(map(is_etcd_member, listed)),
        loss=nodes.loss(listed, told),
        election=nodes.election(),
        checks=(*balancers.checks(snapshot), *checks),
        workloads=workloads.workloads(snapshot, nodes.eviction(told)),
        routes=routes.routes(snapshot),
        databases=postgres.databases(snapshot),
        poolers=postgres.poolers(snapshot),
        operator=postgres.operator(snapshot, nodes.eviction(told)),
        dns_ttl=balancers.dns_ttl(snapshot),
        addresses=nodes.addresses(listed),
    )
