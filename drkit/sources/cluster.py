"""The sources of a cluster itself: what is found out by asking its API, and its machines."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.clock import SystemClock
from drkit.cluster import api, in_cluster, kubeconfig, members, tunnel
from drkit.cluster.reach import reach
from drkit.cluster.transport import POLITE
from drkit.config import secrets
from drkit.errors import ConfigurationError, KubeRefused, KubeUnreachable
from drkit.points import names
from drkit.sources import claim, cnpg
from drkit.sources.datastore import DatastoreSource
from drkit.sources.manifests import ManifestsSource
from drkit.sources.server_files import ServerFilesSource
from drkit.sources.topology import TopologySource
from drkit.topology import hetzner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drkit.cluster.api import HttpApi
    from drkit.cluster.members import Member
    from drkit.cluster.node import Node
    from drkit.cluster.transport import Limits
    from drkit.config.model import Cluster, Config, Server
    from drkit.sources.port import Source


def sources(config: Config) -> tuple[Source, ...]:
    """The sources of the configured cluster.

    Raises:
        ConfigurationError: the kubeconfig or a secret is not as expected.
    """
    cluster = config.cluster
    connected = connect(cluster)
    machines = machines_of(cluster, connected)
    hosts = [host(cluster, machine) for machine in machines]
    servers = tuple(host for host, machine in zip(hosts, machines, strict=True) if machine.is_server)
    label = names.new_point(SystemClock().now())
    vaults = tuple(cluster.vaults)
    found: list[Source] = [DatastoreSource(servers, label, tuple(config.postgresql.bin_dirs), vaults=vaults)]
    found += [
        ServerFilesSource(host, tuple(config.server_files.extra) if machine.is_server else (), vaults=vaults)
        for host, machine in zip(hosts, machines, strict=True)
    ]
    if connected is not None:
        found.append(ManifestsSource(connected, vaults=vaults))
    found.append(TopologySource(connected, tuple(hosts), _project(cluster), vaults=vaults))
    if connected is not None:
        found += cnpg.sources(config, connected)
        ways = {each.name: each for each in hosts}
        found += claim.sources(config.volumes, connected, ways.get)
    return tuple(found)


def connect(cluster: Cluster, limits: Limits = POLITE) -> HttpApi | None:
    """The cluster's API, of which nothing is asked yet; none where there is no kubeconfig.

    Raises:
        ConfigurationError: the kubeconfig is not as expected.
    """
    if cluster.kubeconfig is None:
        return None
    if isinstance(cluster.kubeconfig, Path):
        return api.connect(kubeconfig.read(cluster.kubeconfig), limits)
    if cluster.kubeconfig == "in-cluster":
        return api.connect(in_cluster.access(), limits)
    servers = [reach(each.name, each.address or each.name, cluster.ssh) for each in _servers(cluster)]
    return tunnel.connect(servers, limits)


def _servers(cluster: Cluster) -> Sequence[Server]:
    if not cluster.servers:
        raise ConfigurationError(
            "cluster.kubeconfig: ssh: expected the servers that lead to the API",
            "add cluster: {servers: [{name: k3s-1, address: 10.0.0.2}]}",
        )
    return cluster.servers


def machines_of(cluster: Cluster, connected: HttpApi | None) -> tuple[Member, ...]:
    """The cluster's machines: the configured ones alone where its API does not answer; ``manifests`` then says why."""
    try:
        listed = members.nodes(connected) if connected is not None else []
    except (KubeUnreachable, KubeRefused):
        listed = []
    return members.members(cluster.servers, listed)


def host(cluster: Cluster, machine: Member) -> Node:
    """The way to one of the cluster's machines."""
    return reach(machine.name, machine.address, cluster.ssh)


def _project(cluster: Cluster) -> Callable[[], hetzner.Project] | None:
    if cluster.token is None:
        return None
    token = secrets.fetch(cluster.token, "cluster.token")
    return partial(hetzner.read, token, hetzner.endpoint())
