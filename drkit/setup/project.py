"""What of a Hetzner Cloud project belongs to a cluster: the servers are known by name or address. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from drkit.cluster import fields
from drkit.setup.found import Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.setup.found import Machine
    from drkit.topology import hetzner

_PER_SERVER = "server"


def of_cluster(project: hetzner.Project, machines: Sequence[Machine]) -> Project | None:
    """The project as the cluster has it; None where none of its servers is a machine of the cluster.

    Args:
        project: as the API gives it; what has another shape than it should counts as not there.
        machines: the cluster's.
    """
    names, addresses = {each.name for each in machines}, {each.address for each in machines}
    ours = [
        each
        for each in project.get("servers", [])
        if fields.text(each, "name") in names or fields.text(each, "public_net", "ipv4", "ip") in addresses
    ]
    if not ours:
        return None
    ids = {fields.whole(each, "id") for each in ours}
    balancer = _one([each for each in project.get("load_balancers", []) if ids & _targets(each)])
    networks = {fields.whole(net, "network") for each in ours for net in fields.items(each, "private_net")}
    network = _one([each for each in project.get("networks", []) if fields.whole(each, "id") in networks])
    return Project(
        server_type=_most(fields.text(each, "server_type", "name") for each in ours),
        location=_most(_location(each) for each in ours),
        image=_most(fields.text(each, "image", "name") for each in ours),
        load_balancer=fields.text(balancer, "name"),
        balancer_address=fields.text(balancer, "public_net", "ipv4", "ip"),
        network=fields.text(network, "name"),
        zones=tuple(sorted(name for each in project.get("zones", []) if (name := fields.text(each, "name")))),
    )


def _targets(balancer: Any) -> set[int]:
    """The servers that a load balancer leads to, those that a label selector chose included."""
    named = [target for each in fields.items(balancer, "targets") for target in (each, *fields.items(each, "targets"))]
    return {fields.whole(each, _PER_SERVER, "id") for each in named} - {0}


def _location(server: Any) -> str:
    """The API once named it below the data centre alone."""
    return fields.text(server, "location", "name") or fields.text(server, "datacenter", "location", "name")


def _one(found: list[Any]) -> Any:
    """The only one: of several nobody knows which is meant."""
    return found[0] if len(found) == 1 else None


def _most(names: Iterable[str]) -> str:
    """The name that comes most often, empty ones apart."""
    counted = Counter(name for name in names if name)
    return counted.most_common(1)[0][0] if counted else ""
