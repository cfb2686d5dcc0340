"""The cluster that is drilled, and how all of it is reached: its API, its machines, whoever has their power."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drkit.cluster import api, in_cluster, kubeconfig, tunnel
from drkit.cluster.k3s import API_PORT, KUBECONFIG
from drkit.cluster.reach import answers, reach
from drkit.cluster.transport import PROMPT
from drkit.config import secrets
from drkit.drill.faults.watchdog import HostWatchdog, LocalWatchdog
from drkit.drill.snapshot import at
from drkit.errors import ConfigurationError, KubeUnreachable
from drkit.providers.power import Way, power_of
from drkit.sources.cluster import connect, machines_of
from drkit.topology.hetzner import endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.cluster.api import HttpApi
    from drkit.cluster.kubeconfig import Access
    from drkit.cluster.node import Node
    from drkit.config.model import Config
    from drkit.drill.faults.watchdog import Watchdog
    from drkit.observe.progress import Reporter
    from drkit.providers.power import Power

LOCAL = "local"
"""The watchdog that is this machine."""
_IN_LAB = "lab"


@dataclass(frozen=True)
class Site:
    """A cluster and what has to do with it.

    Attributes:
        name: the cluster's.
        kube: its API.
        prompt: the same for who has to know soon that it does not answer.
        access: who asks it, and where.
        apis: the same through each of its servers that this machine reaches, ``prompt`` first.
        nodes: its machines, by the names that it has for them; servers first.
        servers: the names of those that run the control plane.
        power: whoever has their power and the load balancer; None where nobody is known.
        watchdog: where the undo of a host's power waits; None where nowhere.
        in_lab: whether it is a lab's.
    """

    name: str
    kube: HttpApi
    prompt: HttpApi
    apis: tuple[HttpApi, ...]
    access: Access
    nodes: Mapping[str, Node]
    servers: tuple[str, ...]
    power: Power | None
    watchdog: Watchdog | None
    in_lab: bool


def site(config: Config, reporter: Reporter) -> Site:
    """The configured cluster. Its API is asked which machines there are.

    Raises:
        ConfigurationError: the configuration leads to no cluster.
        SourceFailed: its API does not answer.
        PreflightFailed: the provider of its machines does not.
    """
    cluster = config.cluster
    connected = connect(cluster)
    if connected is None:
        raise ConfigurationError(
            "cluster.kubeconfig: a drill needs the cluster's API", "name its kubeconfig, or: kubeconfig: ssh"
        )
    machines = machines_of(cluster, connected)
    nodes = {each.name: reach(each.name, each.address, cluster.ssh) for each in machines}
    servers = tuple(each.name for each in machines if each.is_server)
    hosts = [nodes[name] for name in servers]
    access = _access(config, hosts)
    through_ssh = cluster.kubeconfig == "ssh"
    prompt = tunnel.connect(hosts, PROMPT) if through_ssh else api.connect(access, PROMPT)
    addresses = [each.address for each in machines if each.is_server]
    return Site(
        cluster.name,
        connected,
        prompt,
        (prompt, *_others(access, addresses)),
        access,
        nodes,
        servers,
        _power(config, reporter),
        _watchdog(config, nodes),
        config.drills.provider == _IN_LAB,
    )


def _others(access: Access, servers: Sequence[str]) -> list[HttpApi]:
    """The API at the servers that the kubeconfig does not name, where they are reached from here."""
    others = [each for each in servers if each != urlsplit(access.server).hostname and answers(each, API_PORT)]
    return [api.connect(replace(access, server=f"https://{at(each, API_PORT)}"), PROMPT) for each in others]


def _access(config: Config, servers: list[Node]) -> Access:
    """Who asks the API; where only SSH leads to it, the administrator that a server knows, at that server."""
    if isinstance(config.cluster.kubeconfig, Path):
        return kubeconfig.read(config.cluster.kubeconfig)
    if config.cluster.kubeconfig == "in-cluster":
        return in_cluster.access()
    for node in servers:
        content = node.read(KUBECONFIG)
        if content is not None:
            return kubeconfig.parse(Path(KUBECONFIG), content, f"https://{at('127.0.0.1', API_PORT)}")
    raise KubeUnreachable(f"no server has a {KUBECONFIG}", "see cluster.servers in drkit.yaml")


def _power(config: Config, reporter: Reporter) -> Power | None:
    if config.drills.provider == _IN_LAB:
        return power_of(Way(_IN_LAB, {"lab": config.cluster.name}), reporter)
    if config.drills.token is None:
        return None
    token = secrets.fetch(config.drills.token, "drills.token")
    return power_of(Way("hetzner", {"token": token, "endpoint": endpoint()}), reporter)


def _watchdog(config: Config, nodes: Mapping[str, Node]) -> Watchdog | None:
    named = config.drills.watchdog
    if named is None:
        return None
    if named == LOCAL:
        return LocalWatchdog()
    return HostWatchdog(nodes.get(named) or reach(named, named, config.cluster.ssh))
