"""From a sealed cluster to the machines that take its place, by the pure functions that a restore is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drkit.config.model import Config
from drkit.providers.port import Server as Made
from drkit.restore import rebuild_plan
from drkit.restore.engine.plan import Plan
from drkit.restore.etcd.configuration import Configuration
from drkit.restore.etcd.rewrite import rewrite
from drkit.restore.etcd.values import File, Rebuild
from drkit.restore.ground import wanted_by
from drkit.restore.machines import machine_of, made_by, to_result
from drkit.restore.making import placed
from drkit.restore.node_setups import paired, set_up_by, taken_over
from drkit.restore.rebuild_choices import Choices, Sealed
from drkit.restore.rebuild_wanted import derive
from drkit.restore.wanted import ETCD, MANIFESTS, SERVER
from tests.unit.builders import source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.providers.values import Wanted, WantedServer
    from drkit.restore.etcd.rewrite import Rewritten

CONFIG = "/etc/rancher/k3s/config.yaml"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
MANIFESTS_DIRECTORY = "/var/lib/rancher/k3s/server/manifests"
TOKEN = "K10" + "a" * 64 + "::server:of-the-cluster"
_TOKEN_FILE = "/var/lib/rancher/k3s/server/token"
_FRESH = "a-fresh-token"
_CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": "true"}
_POINT = "20260301T030000Z-abc123"
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxtzZxkVWnMvRRRFvzkJ7YBTHOqzuIZs1GSlCPJZGJB"


@dataclass(frozen=True)
class Node:
    """A node of the lost cluster: what the cluster called it and knew of it, its server at Hetzner, and its files.

    Attributes:
        internal: the address that the cluster knew it by; likewise ``external``.
        public: its server's public address.
        private: its server's address in the network ``k3s-net``; empty where there is none.
        server: what its server is called, and its labels.
        config: its ``config.yaml``.
    """

    name: str
    internal: str
    external: str = ""
    public: str = ""
    private: str = ""
    server: tuple[str, dict[str, str]] = ("", {})
    config: str = ""
    agent: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> dict[str, File]:
        """Its files, as they were sealed."""
        own = {CONFIG: self.config} if self.agent else {CONFIG: self.config, _TOKEN_FILE: f"{TOKEN}\n"}
        return {path: File(text.encode()) for path, text in {**own, **self.files}.items()}


def topology(nodes: Sequence[Node], **hetzner: Any) -> dict[str, Any]:
    """What the source ``topology`` stored."""
    return {
        "format": 1,
        "missing": {},
        "nodes": [_node(each) for each in nodes],
        "hosts": {each.name: _host(each.public, each.private) for each in nodes},
        "hetzner": {"servers": [_server(number, each) for number, each in enumerate(nodes, 1)], **hetzner},
    }


def _node(node: Node) -> dict[str, Any]:
    addresses = [("InternalIP", node.internal), ("ExternalIP", node.external)]
    return {
        "name": node.name,
        "labels": {**({} if node.agent else _CONTROL_PLANE), **node.labels},
        "taints": list(node.taints),
        "addresses": [{"type": kind, "address": address} for kind, address in addresses if address],
    }


def _host(public: str, private: str) -> dict[str, Any]:
    interfaces = [("eth0", public), ("enp7s0", private)]
    return {
        "interfaces": [{"name": name, "addresses": [f"{own}/32"]} for name, own in interfaces if own],
        "routes": [{"dst": "default", "gateway": "172.31.1.1", "dev": "eth0"}],
    }


def _server(number: int, node: Node) -> dict[str, Any]:
    name, labels = node.server
    return {
        "id": number,
        "name": name or node.name,
        "labels": labels,
        "server_type": {"name": "cax21" if node.agent else "cax11"},
        "image": {"name": "debian-13", "id": 1},
        "location": {"name": "nbg1"},
        "public_net": {"ipv4": {"ip": node.public} if node.public else None, "ipv6": None},
        "private_net": [{"network": 7, "ip": node.private}] if node.private else [],
    }


@dataclass(frozen=True)
class Restored:
    """What a restore plans, wants of the provider, and puts onto each machine; by the old nodes' names.

    The new servers have the addresses 198.51.100.11 and up, and 10.0.0.11 and up where there is a network.
    """

    plan: Plan
    wanted: Wanted
    rewritten: Mapping[str, Rewritten]
    roles: Mapping[str, str]

    @property
    def steps(self) -> list[str]:
        """The plan, without what is the same for every flavour."""
        same = {rebuild_plan.MARK, rebuild_plan.K3S, rebuild_plan.FENCE, rebuild_plan.RELEASE, rebuild_plan.OBJECTS}
        return [step.id for step in self.plan.steps if step.action not in same]

    def told(self, node: str) -> Configuration:
        """What k3s makes of a machine's files."""
        return Configuration(self.rewritten[node].files, "k3s" if self.roles[node] == SERVER else "k3s-agent")

    def text(self, node: str, path: str) -> str:
        """One of a machine's files."""
        return self.rewritten[node].files[path].content.decode()

    def server(self, node: str) -> WantedServer:
        """What is asked of the provider for a machine."""
        return next(each for each in self.wanted.servers if each.was == node)


def restored(
    nodes: Sequence[Node], document: Mapping[str, Any], datastore: str = "embedded-etcd", mode: str = ETCD
) -> Restored:
    """What a restore makes of a cluster, for a target that names nothing but the provider."""
    plan, target = _planned(nodes, document, datastore, mode)
    wanted = wanted_by(plan, target, document, "restore-1", [_KEY])
    steps = made_by(plan)
    results = {
        f"{rebuild_plan.MAKE} {each.was}": _made(each, number, network=wanted.network is not None)
        for number, each in enumerate(wanted.servers, 11)
    }
    made = {name: machine_of(steps, name, results) for name in steps}
    archives = {f"server-files/{each.name}": each.texts for each in nodes}
    olds = {name: taken_over(step, document, archives) for name, step in set_up_by(plan).items()}
    fresh = mode == MANIFESTS
    etcd = datastore == "embedded-etcd"
    rebuild = Rebuild(paired(set_up_by(plan), olds, made), etcd, _FRESH if fresh else TOKEN, fresh=fresh)
    rewritten = {name: rewrite(olds[name], made[name], rebuild) for name in steps}
    return Restored(plan, wanted, rewritten, {name: each.role for name, each in made.items()})


def _planned(nodes: Sequence[Node], document: Mapping[str, Any], datastore: str, mode: str) -> tuple[Plan, Any]:
    config = Config.model_validate(
        {
            "vaults": {"cluster": {"url": "vault", "passphrase": {"env": "NOT_ASKED_FOR"}}},
            "clusters": {"new-cluster": {"provider": "hetzner"}},
        }
    )
    first = next(each.name for each in nodes if not each.agent)
    sources = [
        source("datastore", details={"datastore": datastore, "server": first, "k3s": "v1.34.4+k3s1"}),
        source("manifests", details={"versions": {"kubernetes": "v1.34.4+k3s1"}}),
        source("topology"),
        *(source(f"server-files/{each.name}", details={"node": each.name}) for each in nodes),
    ]
    sealed = Sealed({each.name: each for each in sources}, {each.name: _POINT for each in sources}, document)
    derived = derive("new-cluster", config, sealed, Choices(mode, frozenset(sealed.sources)))
    assert not derived.warnings
    plan = Plan("new-cluster", rebuild_plan.steps(derived.wanted), (), mode=derived.wanted.mode)
    return plan, config.clusters["new-cluster"]


def _made(asked: WantedServer, number: int, *, network: bool) -> dict[str, Any]:
    """What the step ``server NAME`` leaves, once the provider has made what was asked for."""
    public = f"198.51.100.{number}" if asked.public_ipv4 else ""
    private = f"10.0.0.{number}" if network else ""
    server = Made(asked.name, asked.was, public or private, (public,) * bool(public), (private,) * bool(private))
    machine = placed(server, asked.role, _host(public, private))
    assert machine is not None
    return to_result(server, machine)
