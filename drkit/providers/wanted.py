"""From what a backup knows of the servers, and from what the user wants, what a restore makes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drkit.errors import ConfigurationError
from drkit.providers import described, naming
from drkit.providers.values import (
    AGENT,
    SERVER,
    Alternative,
    OldServer,
    SshKey,
    Wanted,
    WantedBalancer,
    WantedFloating,
    WantedNetwork,
    WantedServer,
)
from drkit.topology import nodes, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from drkit.config.model import Target

    Raw = Mapping[str, Any]

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
LAB_BALANCER = "balancer"
"""A lab has one, under this name."""
_DEFAULTS = {"lab": ("node", "node", "lab"), "ssh": ("host", "", "")}
"""Type, image and location of a server where the provider knows only one."""


def wanted(
    topology: Raw,
    target: Target,
    restore_id: str,
    keys: Sequence[str],
    *,
    section: str,
    replace: bool = False,
    stands_for: Raw | None = None,
) -> Wanted:
    """What a restore wants to be there.

    What the user says in the target goes before what the backup knows; what only the backup knows stays as it was.

    Args:
        topology: the document of the source ``topology``; an empty one where the point has none.
        target: where the cluster shall be.
        restore_id: of the restore.
        keys: the public keys that may log in. Others that the project had are not let in: who was let in since, and
            who no more, stands in the servers' own files.
        section: the target's name in the configuration, for messages: ``clusters.new-cluster``.
        replace: whether the new servers take over the old ones' names.
        stands_for: of machines that are called otherwise, the old nodes whose places they take.

    Raises:
        ConfigurationError: the two together do not say what to make.
    """
    return _Making(topology, target, restore_id, section, stands_for or {}, replace=replace).all(keys)


def rehearsed(wanted: Wanted, expires: str) -> Wanted:
    """The same as a rehearsal, which takes no traffic from the cluster that lives.

    Load balancer and floating addresses stay where they are. So do the old servers' labels: a selector of a load
    balancer that means the old servers would mean the new ones too.

    Args:
        wanted: what a restore would make.
        expires: when it is over (RFC 3339, UTC).
    """
    servers = tuple(replace(each, labels={naming.STANDS_FOR: each.was}) for each in wanted.servers)
    return replace(wanted, servers=servers, balancer=None, floating=(), expires=expires)


@dataclass(frozen=True)
class _Node:
    """A node of the lost cluster that shall be there again, and its server where the backup knows it."""

    name: str
    role: str
    raw: Raw


class _Making:
    def __init__(
        self, topology: Raw, target: Target, restore_id: str, section: str, stands_for: Raw, *, replace: bool
    ) -> None:
        self._stands_for = stands_for
        self._target, self._restore_id, self._section, self._replace = target, restore_id, section, replace
        self._provider = target.provider or "hetzner"
        # Elsewhere there is none of Hetzner's networks, types and load balancers.
        self._known: Mapping[str, Sequence[Raw]] = topology.get("hetzner") or {} if self._provider == "hetzner" else {}
        self._kube_nodes: Sequence[Raw] = topology.get("nodes") or ()
        self._hosts: Mapping[str, Raw] = topology.get("hosts") or {}
        self._nodes = [*self._of(target.servers, SERVER), *self._of(target.agents, AGENT)] or self._all_there_were()
        if not self._nodes:
            raise self._unsaid("servers", "the names of the nodes that shall be there: servers: [k3s-mgr]")
        names = [node.name for node in self._nodes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise self._unsaid("servers", f"each name once; {', '.join(twice)} stands there twice")
        # Servers that exist have their names.
        keeps = replace or self._provider == "ssh"
        self._names = naming.new_names(names, restore_id, replace=keeps)

    def all(self, keys: Sequence[str]) -> Wanted:
        return Wanted(
            restore_id=self._restore_id,
            servers=tuple(self._server(node) for node in self._nodes),
            keys=tuple(self._key(number, key) for number, key in enumerate(keys)),
            network=self._network(),
            firewalls=tuple(described.firewall(each) for each in self._known.get("firewalls", ())),
            placement_groups=tuple(str(each["name"]) for each in self._known.get("placement_groups", ())),
            balancer=self._balancer(),
            floating=tuple(self._floating()),
            alternatives=tuple(Alternative(each.server_type, each.location) for each in self._target.alternatives),
            old=self._old(),
            replace=self._replace,
        )

    def _old(self) -> tuple[OldServer, ...]:
        known = tuple(OldServer(each["name"], each["id"]) for each in self._known.get("servers", ()))
        return known or tuple(OldServer(each["name"]) for each in self._kube_nodes)

    def _unsaid(self, key: str, expected: str) -> ConfigurationError:
        return ConfigurationError(f"{self._section}.{key}: expected {expected}")

    def _of(self, named: Iterable[Any], role: str) -> list[_Node]:
        names = [each if isinstance(each, str) else str(each.name) for each in named]
        return [_Node(name, role, self._server_of(name)) for name in names]

    def _all_there_were(self) -> list[_Node]:
        found = [
            _Node(
                str(node["name"]), SERVER if _CONTROL_PLANE in node["labels"] else AGENT, self._server_of(node["name"])
            )
            for node in self._kube_nodes
        ]
        return sorted(found, key=lambda node: node.role != SERVER)

    def _server_of(self, name: str) -> Raw:
        """The server that was the node of that name: named like it, or with one of its addresses."""
        name = self._stands_for.get(name) or name
        servers = self._known.get("servers", ())
        node = next((node for node in self._kube_nodes if node["name"] == name), None)
        own = {each["address"] for each in node["addresses"]} if node is not None else set()
        # Through a VPN the cluster knows its nodes by addresses that are no server's.
        own |= nodes.own_addresses(self._hosts.get(name) or {})
        by_address = (server for server in servers if own & select.addresses_of(server))
        by_name = (server for server in servers if server["name"] == name)
        return next(by_address, None) or next(by_name, None) or {}

    def _server(self, node: _Node) -> WantedServer:
        raw, target = node.raw, self._target
        kind, image, location = _DEFAULTS.get(self._provider, (None, None, None))
        public = raw.get("public_net") or {}
        has_public = {family: not raw or bool(public.get(family)) for family in ("ipv4", "ipv6")}
        return WantedServer(
            name=self._names[node.name],
            was=node.name,
            role=node.role,
            server_type=self._said("server_type", node, target.server_type, (raw.get("server_type") or {}), kind),
            image=self._image(node) if image is None else image,
            location=self._said("location", node, target.location, described.location(raw), location),
            labels={**naming.without_marks(raw.get("labels") or {}), naming.STANDS_FOR: node.name},
            firewalls=tuple(self._in_front_of(raw)) if any(has_public.values()) else (),
            placement_group=self._group(raw),
            public_ipv4=has_public["ipv4"],
            public_ipv6=has_public["ipv6"],
            primary_addresses=tuple(self._primary(raw)) if self._replace else (),
        )

    def _said(self, key: str, node: _Node, wished: str | None, known: Raw, default: str | None) -> str:
        value = wished or known.get("name") or default
        if value is None:
            raise self._unsaid(key, f"a value: the backup does not know which {node.name} had")
        return str(value)

    def _image(self, node: _Node) -> str:
        known = node.raw.get("image") or {}
        # A snapshot has no name, and is called by its number.
        value = self._target.image or known.get("name") or known.get("id")
        if value is None:
            raise self._unsaid("image", f"an image such as debian-13: the backup does not know which {node.name} had")
        return str(value)

    def _in_front_of(self, raw: Raw) -> Iterable[str]:
        for each in self._known.get("firewalls", ()) if raw else ():
            if any(_means(resource, raw) for resource in each.get("applied_to", ())):
                yield str(each["name"])

    def _group(self, raw: Raw) -> str | None:
        groups = self._known.get("placement_groups", ()) if raw else ()
        return next((str(each["name"]) for each in groups if raw["id"] in each.get("servers", ())), None)

    def _primary(self, raw: Raw) -> Iterable[str]:
        for each in self._known.get("primary_ips", ()) if raw else ():
            if each.get("assignee_id") == raw["id"] and not each.get("auto_delete"):
                yield str(each["name"])

    def _key(self, number: int, key: str) -> SshKey:
        more = f"-{number + 1}" if number else ""
        return SshKey(f"drkit-{naming.short(self._restore_id)}{more}", " ".join(key.split()[:2]))

    def _network(self) -> WantedNetwork | None:
        known = self._known.get("networks", ())
        if self._provider != "hetzner":
            return None
        if (name := self._target.network) is not None:
            known = [each for each in known if each["name"] == name]
            return described.network(known[0]) if known else WantedNetwork(name)
        if len(known) > 1:
            raise self._unsaid("network", f"one of {', '.join(sorted(each['name'] for each in known))}")
        return described.network(known[0]) if known else None

    def _balancer(self) -> WantedBalancer | None:
        known = self._known.get("load_balancers", ())
        name = self._target.load_balancer or (LAB_BALANCER if self._provider == "lab" else None)
        if name is not None:
            known = [each for each in known if each["name"] == name]
        elif len(known) > 1:
            raise self._unsaid("load_balancer", f"one of {', '.join(sorted(each['name'] for each in known))}")
        if not known:
            return None if name is None else WantedBalancer(name, targets=self._behind({}))
        return described.balancer(known[0], self._target.location, self._behind(known[0]))

    def _behind(self, raw: Raw) -> tuple[str, ...]:
        """The new servers that stand for its targets; all agents where none is known (servers where there are none)."""
        targets = raw.get("targets", ())
        behind = [node for node in self._nodes if node.raw and any(_means(each, node.raw) for each in targets)]
        usual = [node for node in self._nodes if node.role == AGENT] or self._nodes
        return tuple(self._names[node.name] for node in behind or usual)

    def _floating(self) -> Iterable[WantedFloating]:
        by_id = {node.raw["id"]: node for node in self._nodes if node.raw}
        for each in self._known.get("floating_ips", ()):
            if each.get("server") in by_id:
                yield WantedFloating(str(each["name"]), self._names[by_id[each["server"]].name])


def _means(resource: Raw, server: Raw) -> bool:
    """Whether a load balancer's target, or what a firewall is applied to, is this server."""
    match resource.get("type"):
        case "server":
            return bool(resource["server"]["id"] == server["id"])
        case "label_selector":
            return select.matches(resource["label_selector"]["selector"], server.get("labels") or {})
        case "ip":
            return resource["ip"]["ip"] in select.addresses_of(server)
        case _:
            return False
