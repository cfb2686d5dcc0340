"""A cluster in the Hetzner stand-in as somebody made it with Hetzner's own library, and what a backup knew of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import hcloud
from hcloud.firewalls import FirewallRule
from hcloud.images import Image
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import (
    LoadBalancerHealthCheck,
    LoadBalancerService,
    LoadBalancerTarget,
    LoadBalancerTargetLabelSelector,
)
from hcloud.locations import Location
from hcloud.networks import NetworkSubnet
from hcloud.server_types import ServerType
from hcloud.zones import Zone, ZoneRecord

from drkit.config.model import Target
from drkit.providers.wanted import wanted
from drkit.topology import hetzner, select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.lab.hcloud.serve import StandIn
    from drkit.observe.progress import Task
    from drkit.providers.values import Wanted

NODES = ("k3s-mgr", "k3s-w1", "k3s-w2")
WORKERS = NODES[1:]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxtzZxkVWnMvRRRFvzkJ7YBTHOqzuIZs1GSlCPJZGJB"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0KTbyDVWzHcPbEhLMoIYZkqQ6GzzLOmBfVBlWcKHmq admin"
RESTORE = "restore-1"


@dataclass
class Heard:
    """A reporter that keeps what it is told."""

    notes: list[str] = field(default_factory=list)

    @contextmanager
    def task(self, name: str) -> Iterator[Task]:
        """A piece of work."""
        self.notes.append(name)
        yield self

    def update(self, done: int, total: int | None = None) -> None:
        """Nobody looks."""

    def note(self, text: str) -> None:
        """Kept."""
        self.notes.append(text)

    def warn(self, text: str) -> None:
        """Kept."""
        self.notes.append(text)


def client(api: StandIn) -> hcloud.Client:
    """Hetzner's own library, as anybody uses it."""
    return hcloud.Client(api.token, api.endpoint, poll_interval=0.02)


def there(thing: Any) -> Any:
    """What the library found: its models leave open whether there is any."""
    assert thing is not None
    return thing


def build(api: StandIn, *, by_label: bool = True) -> dict[str, Any]:
    """Make the reference cluster, and return what the source ``topology`` stores of it.

    Args:
        api: where.
        by_label: whether the load balancer finds its targets by label, or has them by name.
    """
    own = client(api)
    network = own.networks.create("k3s-net", "10.0.0.0/16", [NetworkSubnet("10.0.0.0/24", "cloud", "eu-central")])
    rule = FirewallRule(FirewallRule.DIRECTION_IN, FirewallRule.PROTOCOL_TCP, ["0.0.0.0/0"], port="22")
    firewall = own.firewalls.create("k3s-fw", [rule]).firewall
    key = own.ssh_keys.create("admin", OTHER_KEY)
    group = own.placement_groups.create("k3s-spread", "spread").placement_group
    servers = {}
    for name in NODES:
        made = own.servers.create(
            name,
            ServerType(name="cax11"),
            Image(name="debian-13"),
            ssh_keys=[key],
            networks=[network],
            firewalls=[firewall],
            labels={"cluster": "docfast", "role": "worker" if name in WORKERS else "manager"},
            location=Location(name="nbg1"),
            placement_group=group,
        )
        for action in (made.action, *made.next_actions):
            action.wait_until_finished()
        servers[name] = made.server
    own.servers.create("shop", ServerType(name="cx22"), Image(name="debian-13"), location=Location(name="nbg1"))
    check = LoadBalancerHealthCheck("tcp", 80, 15, 10, 3)
    services = [LoadBalancerService("tcp", port, port, proxyprotocol=True, health_check=check) for port in (80, 443)]
    if by_label:
        chosen = LoadBalancerTargetLabelSelector("cluster==docfast,role==worker")
        targets = [LoadBalancerTarget("label_selector", label_selector=chosen, use_private_ip=True)]
    else:
        targets = [LoadBalancerTarget("server", server=servers[name], use_private_ip=True) for name in WORKERS]
    balancer = own.load_balancers.create(
        "k3s-lb",
        LoadBalancerType(name="lb11"),
        services=services,
        targets=targets,
        location=Location(name="nbg1"),
        network=network,
    )
    balancer.action.wait_until_finished()
    zone = own.zones.create(name="docfast.dev", mode="primary").zone
    address = str(there(balancer.load_balancer.public_net).ipv4.ip)
    own.zones.create_rrset(
        Zone(id=zone.id), name="@", type="A", records=[ZoneRecord(address)]
    ).action.wait_until_finished()
    return topology(api)


def topology(api: StandIn) -> dict[str, Any]:
    """What the source ``topology`` stores of the cluster."""
    project = hetzner.read(api.token, api.endpoint)
    return {"format": 1, "nodes": [], "hosts": {}, "missing": {}, "hetzner": select.belonging(project, NODES, ())}


def lose(api: StandIn, *collections: str) -> None:
    """Delete the cluster's things of these collections, as an accident does; others' things stay."""
    own = client(api)
    if "servers" in collections:
        for name in NODES:
            there(own.servers.get_by_name(name)).delete().wait_until_finished()
    for collection in collections:
        if collection not in {"servers", "zones"}:
            for each in getattr(own, collection).get_all():
                done = each.delete()
                if hasattr(done, "action"):
                    done.action.wait_until_finished()


def target(**more: Any) -> Target:
    """Where it shall be again."""
    settled = {"provider": "hetzner", "servers": ["k3s-mgr"], "agents": ["k3s-w1", "k3s-w2"], "load_balancer": "k3s-lb"}
    return Target.model_validate({**settled, **more})


def asked(document: dict[str, Any], *, restore_id: str = RESTORE, replace: bool = False, **more: Any) -> Wanted:
    """What a restore wants there."""
    return wanted(document, target(**more), restore_id, [KEY], section="clusters.new", replace=replace)


def state(api: StandIn) -> dict[str, Any]:
    """All that is there, so that two states compare: without numbers, times and what is made by chance."""
    project = api.project
    with project.lock:
        project.settle()
        names = {
            collection: {number: each["name"] for number, each in things.items()}
            for collection, things in project.things.items()
        }
        servers = {
            each["name"]: {
                "status": each["status"],
                "labels": {key: value for key, value in each["labels"].items() if "key" not in key},
                "type": each["server_type"]["name"],
                "location": each["location"]["name"],
                "networks": [names["networks"].get(one["network"]) for one in each["private_net"]],
                "firewalls": [names["firewalls"].get(one["id"]) for one in each["public_net"]["firewalls"]],
                "group": (each["placement_group"] or {}).get("name"),
            }
            for each in project.things["servers"].values()
        }
        balancers = {
            each["name"]: (
                each["public_net"]["ipv4"]["ip"] and sorted(_target(one, names["servers"]) for one in each["targets"]),
                sorted(key for key in each["labels"] if not key.startswith("drkit-before")),
            )
            for each in project.things["load_balancers"].values()
        }
        records = {
            f"{each['name']}.{names['zones'][zone]} {each['type']}": [one["value"] for one in each["records"]]
            for zone, sets in project.rrsets.items()
            for each in sets.values()
        }
        others = {
            collection: sorted(names[collection].values())
            for collection in ("networks", "firewalls", "ssh_keys", "placement_groups", "floating_ips")
        }
        addresses = len(project.things["primary_ips"])
    return {"servers": servers, "balancers": balancers, "records": records, "addresses": addresses, **others}


def _target(target: dict[str, Any], servers: dict[int, str]) -> str:
    if target["type"] == "server":
        return f"server {servers.get(target['server']['id'])}"
    return f"selector {target['label_selector']['selector']}"
