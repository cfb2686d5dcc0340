"""The load balancer, its targets, and the names that lead to it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as look
from drkit.posture import windows
from drkit.posture.rules.pods import running
from drkit.posture.rules.rule import CRITICAL, HIGH, LOW, MEDIUM, Finding, Fix, Rule, Seen, page
from drkit.posture.snapshot import BALANCER, PROVIDER, addresses_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.posture.settings import Check

_RUNBOOK: Final = page("load-balancer")
_SLOW: Final = 15.0
_LONG_TTL: Final = 300.0


def _balancers(seen: Seen) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for check in seen.settings.checks:
        found.setdefault(check.balancer, []).append(check)
    return found


def _slow(seen: Seen) -> Iterator[Finding]:
    for name, checks in _balancers(seen).items():
        slow = [each for each in checks if windows.black_holed(each).high > _SLOW]
        if slow:
            worst = max(windows.black_holed(each).high for each in slow)
            health = {"interval": 3, "timeout": 1, "retries": 3}
            services = [{"listen_port": each.port, "health_check": health} for each in slow]
            yield Finding(
                f"load balancer {name}",
                f"a node that answers nothing gets its share of the questions for up to {worst:.0f} s",
                Fix("check every 3 s, for 1 s, three times", {"services": services}, "hetzner"),
                seconds=worst,
            )


def _single(seen: Seen) -> Iterator[Finding]:
    for name, checks in _balancers(seen).items():
        if len(checks[0].targets) < 2:  # noqa: PLR2004 - a pair
            only = checks[0].targets[0] if checks[0].targets else "nothing"
            yield Finding(
                f"load balancer {name}",
                f"it leads to {only} alone: with that node every page is gone",
                Fix("add every node that the ingress runs on as a target"),
            )


def _targets(seen: Seen) -> Iterator[Finding]:
    serving = {node for each in running(seen) if each.role == "ingress" for node in each.nodes}
    for name, checks in _balancers(seen).items() if serving else ():
        targets = set(checks[0].targets)
        for node in sorted(serving - targets):
            yield Finding(
                f"load balancer {name}",
                f"the ingress runs on {node}, which is no target: what it could carry is not used",
                Fix(f"add {node} as a target, or choose targets by a label"),
            )
        for node in sorted(targets - serving):
            yield Finding(
                f"load balancer {name}",
                f"the target {node} runs no ingress: questions that come to it are lost unless others take them",
                Fix(f"remove {node}, or let the ingress run there"),
            )


def _proxy(seen: Seen) -> Iterator[Finding]:
    takes = _takes_proxy(seen)
    for name, checks in _balancers(seen).items():
        sent = [each.port for each in checks if each.proxy]
        if sent and not takes:
            yield Finding(
                f"load balancer {name}",
                f"it speaks PROXY protocol on {', '.join(map(str, sent))}, and the ingress is not told to expect it: "
                "every request is refused",
                Fix("tell both or neither; Traefik takes it with ports.websecure.proxyProtocol.trustedIPs"),
            )
        silent = [each.port for each in checks if not each.proxy]
        if silent and _insists(seen):
            yield Finding(
                f"load balancer {name}",
                f"the ingress insists on PROXY protocol, and {', '.join(map(str, silent))} do not speak it",
                Fix("tell both or neither"),
            )


def _takes_proxy(seen: Seen) -> bool:
    for each in running(seen):
        words = [
            word
            for container in look.items(each.spec, "containers")
            for key in ("args", "command")
            for word in look.items(container, key)
        ]
        if each.role == "ingress" and any("proxyprotocol" in str(word).lower() for word in words):
            return True
    charts = seen.snapshot.of("helmchartconfigs.helm.cattle.io")
    return _insists(seen) or any("proxyprotocol" in look.text(each, "spec", "valuesContent").lower() for each in charts)


def _insists(seen: Seen) -> bool:
    """ingress-nginx takes nothing else once it is told (its ConfigMap's ``use-proxy-protocol``)."""
    return any(look.text(each, "data", "use-proxy-protocol") == "true" for each in seen.snapshot.of("configmaps"))


def _names(seen: Seen) -> Iterator[Finding]:
    balanced = {address for each in seen.snapshot.hetzner("load_balancers") for address in addresses_of(each)}
    if not balanced:
        return
    for host in sorted({each.host for each in seen.settings.routes if each.host}):
        values = _records(seen, host)
        wrong = sorted(values - balanced)
        if values and wrong:
            yield Finding(
                f"name {host}",
                f"it leads to {', '.join(wrong)}, which is no load balancer: a node that fails takes its share with it",
                Fix("let it lead to the load balancer's addresses alone"),
            )


def _records(seen: Seen, host: str) -> set[str]:
    """The addresses of a name, in the zones that are known; those of a wildcard where it has none itself."""
    found: dict[str, set[str]] = {}
    for zone in seen.snapshot.hetzner("zones"):
        for rrset in look.items(zone, "rrsets"):
            name = look.text(rrset, "name")
            whole = look.text(zone, "name") if name == "@" else f"{name}.{look.text(zone, 'name')}"
            if look.text(rrset, "type") in {"A", "AAAA"}:
                values = {look.text(each, "value") for each in look.items(rrset, "records")}
                found.setdefault(whole, set()).update(values)
    return found.get(host) or found.get(f"*.{host.partition('.')[2]}", set())


def _ttl(seen: Seen) -> Iterator[Finding]:
    ttl = seen.settings.dns_ttl
    if ttl is not None and ttl.value > _LONG_TTL:
        yield Finding(
            ttl.where,
            f"it may be remembered for {ttl.value:.0f} s: so long do users go to a cluster that was given up",
            Fix("a time to live of 300 s or less"),
            seconds=ttl.value,
        )


RULES: Final = (
    Rule("balancer-checks-slow", MEDIUM, "A load balancer notices lost nodes late", _RUNBOOK, _slow, (BALANCER,)),
    Rule("balancer-one-target", HIGH, "A load balancer has one target", _RUNBOOK, _single, (BALANCER,)),
    Rule("balancer-targets", MEDIUM, "Targets and ingress are not on the same nodes", _RUNBOOK, _targets, (BALANCER,)),
    Rule(
        "proxy-protocol",
        CRITICAL,
        "Balancer and ingress disagree on PROXY protocol",
        _RUNBOOK,
        _proxy,
        (BALANCER,),
    ),
    Rule("dns-past-the-balancer", HIGH, "A name does not lead to the load balancer", _RUNBOOK, _names, (PROVIDER,)),
    Rule("dns-remembered-long", LOW, "Names are remembered for long", _RUNBOOK, _ttl, (PROVIDER,)),
)
