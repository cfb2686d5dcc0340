"""What is open to the world, and what a private network bears. Pure.

Source: Hetzner Cloud API, firewalls: without a rule that lets it in, inbound traffic is dropped; a server without a
firewall is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drkit.cluster import fields as look
from drkit.posture.rules.rule import CRITICAL, HIGH, LOW, MEDIUM, Finding, Fix, Rule, Seen, page
from drkit.posture.snapshot import PROVIDER
from drkit.topology.select import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RUNBOOK: Final = page("network")
_WORLD: Final = frozenset({"0.0.0.0/0", "::/0"})
_API: Final = 6443
_SSH: Final = 22
_INSIDE: Final = {
    2379: "etcd",
    2380: "etcd",
    10250: "the kubelet",
    5432: "PostgreSQL",
    6379: "Redis",
    9345: "the supervisor",
    8472: "the pods' network (VXLAN, unencrypted)",
}
_FULL: Final = 90
"""Of the 100 things that a private network of Hetzner takes (docs.hetzner.com/cloud/networks/overview)."""


def _firewalls(seen: Seen, server: dict[str, Any]) -> list[dict[str, Any]]:
    """The firewalls of a server: those that name it, or its labels."""
    return [
        each
        for each in seen.snapshot.hetzner("firewalls")
        if any(_applies(resource, server) for resource in look.items(each, "applied_to"))
    ]


def _applies(resource: Any, server: dict[str, Any]) -> bool:
    match look.text(resource, "type"):
        case "server":
            return bool(look.at(resource, "server", "id") == server.get("id"))
        case "label_selector":
            return matches(look.text(resource, "label_selector", "selector"), look.mapping(server, "labels"))
        case _:
            return False


def _servers(seen: Seen) -> Iterator[tuple[str, dict[str, Any]]]:
    """The nodes that have a public address."""
    known = {*seen.settings.servers, *seen.settings.agents}
    for server in seen.snapshot.hetzner("servers"):
        public = look.text(server, "public_net", "ipv4", "ip") or look.text(server, "public_net", "ipv6", "ip")
        if look.text(server, "name") in known and public:
            yield look.text(server, "name"), server


def _open_ports(firewall: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Ranges of ports that anybody may ask."""
    for rule in look.items(firewall, "rules"):
        anybody = _WORLD & {each for each in look.items(rule, "source_ips") if isinstance(each, str)}
        if look.text(rule, "direction") == "in" and anybody and look.text(rule, "protocol") in {"tcp", "udp"}:
            first, _, last = look.text(rule, "port").partition("-")
            if first == "any":
                yield 1, 65535
            elif first.isdigit():
                yield int(first), int(last) if last.isdigit() else int(first)


def _is_open(seen: Seen, server: dict[str, Any], port: int) -> bool:
    return any(low <= port <= high for each in _firewalls(seen, server) for low, high in _open_ports(each))


def _bare(seen: Seen) -> Iterator[Finding]:
    for name, server in _servers(seen):
        if not _firewalls(seen, server):
            yield Finding(
                f"server {name}",
                "it has a public address and no firewall of the provider: every port that listens is open",
                Fix("apply a firewall that lets in 22 from you, and what the cluster needs from its own network"),
            )


def _port(port: int, what: str, how: str) -> Callable[[Seen], Iterator[Finding]]:
    def check(seen: Seen) -> Iterator[Finding]:
        for name, server in _servers(seen):
            concerned = port != _API or name in seen.settings.servers
            if concerned and _is_open(seen, server, port):
                yield Finding(f"server {name}", f"{what} (port {port}) answers to the whole world", Fix(how))

    return check


def _holes(seen: Seen) -> Iterator[Finding]:
    for name, server in _servers(seen):
        for port, what in _INSIDE.items():
            if _is_open(seen, server, port):
                yield Finding(
                    f"server {name}",
                    f"its firewall lets the whole world ask {what} (port {port})",
                    Fix(f"let in {port} from the cluster's own network alone"),
                    data="" if port == 8472 else "whatever it holds, to whoever gets in",  # noqa: PLR2004 - VXLAN's
                )


def _crowded(seen: Seen) -> Iterator[Finding]:
    for network in seen.snapshot.hetzner("networks"):
        count = len(look.items(network, "servers")) + len(look.items(network, "load_balancers"))
        if count >= _FULL:
            yield Finding(
                f"network {look.text(network, 'name')}",
                f"{count} servers and load balancers are in it, and it takes 100: a rebuild beside it finds no room",
                Fix("use a second network, or nodes that meet over wireguard-native"),
            )


RULES: Final = (
    Rule("no-firewall", HIGH, "A server has no firewall", _RUNBOOK, _bare, (PROVIDER,)),
    Rule(
        "api-open-to-the-world",
        HIGH,
        "The API answers to the whole world",
        _RUNBOOK,
        _port(_API, "the API", "let in 6443 from you and from the cluster's network; else tunnel over SSH"),
        (PROVIDER,),
    ),
    Rule(
        "ssh-open-to-the-world",
        LOW,
        "SSH answers to the whole world",
        _RUNBOOK,
        _port(_SSH, "SSH", "let in 22 from the addresses that you use, and keep a console for the day they change"),
        (PROVIDER,),
    ),
    Rule("firewall-hole", CRITICAL, "A firewall lets the world ask what is inside", _RUNBOOK, _holes, (PROVIDER,)),
    Rule("network-nearly-full", MEDIUM, "A private network is nearly full", _RUNBOOK, _crowded, (PROVIDER,)),
)
