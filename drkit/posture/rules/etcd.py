"""etcd's database, and the way between its members. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as look
from drkit.posture.reading import nodes as reading
from drkit.posture.rules.rule import HIGH, LOW, MEDIUM, Finding, Fix, Rule, Seen, page
from drkit.posture.snapshot import ETCD, is_etcd_member

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUNBOOK: Final = page("etcd")
_NEAR: Final = 0.75
_HALF: Final = 0.5
_WORTH: Final = 100 * 1024 * 1024
"""Bytes: a smaller database is not worth the time in which a member stands still."""
_MIB: Final = 1024 * 1024
_PUBLIC: Final = ("vpn-auth", "vpn-auth-file", "flannel-external-ip")
"""What k3s is told where its nodes reach each other over the internet (docs.k3s.io: distributed hybrid)."""


def _quota(seen: Seen) -> Iterator[Finding]:
    for each in seen.snapshot.etcd:
        if each.quota and each.size >= _NEAR * each.quota:
            yield Finding(
                f"etcd of {each.node}",
                f"{each.size // _MIB} of {each.quota // _MIB} MiB: beyond that the cluster takes no write any more",
                Fix(
                    "find what fills it, then defragment one member after the other; a larger quota is a reprieve",
                    {"etcd-arg": ["quota-backend-bytes=4294967296"]},
                    "k3s",
                ),
            )


def _fragmented(seen: Seen) -> Iterator[Finding]:
    for each in seen.snapshot.etcd:
        if each.size >= _WORTH and 0 < each.in_use < _HALF * each.size:
            yield Finding(
                f"etcd of {each.node}",
                f"of {each.size // _MIB} MiB {each.in_use // _MIB} are in use: snapshots and restores carry the rest",
                Fix("defragment it: etcdctl defrag, one member after the other, the leader last"),
            )


def _across(seen: Seen) -> Iterator[Finding]:
    members = {look.name(node) for node in seen.snapshot.of("nodes") if is_etcd_member(node)}
    told = reading.words(seen.snapshot)
    public = sorted(
        name for name in members if any(word.partition("=")[0].lstrip("-") in _PUBLIC for word in told.get(name, ()))
    )
    zones = {
        look.text(each, "location", "network_zone") or look.text(each, "datacenter", "location", "network_zone")
        for each in seen.snapshot.hetzner("servers")
        if look.text(each, "name") in members
    } - {""}
    if len(members) > 1 and (public or len(zones) > 1):
        where = f"in {', '.join(sorted(zones))}" if len(zones) > 1 else f"over the internet ({', '.join(public)})"
        yield Finding(
            "etcd",
            f"its members talk {where}: a slow way makes it elect leaders again and again",
            Fix("keep all members in one network zone; put agents alone elsewhere"),
        )


RULES: Final = (
    Rule("etcd-near-quota", HIGH, "etcd's database is near its quota", _RUNBOOK, _quota, (ETCD,)),
    Rule("etcd-fragmented", LOW, "etcd's database is fragmented", _RUNBOOK, _fragmented, (ETCD,)),
    Rule("etcd-across-clouds", MEDIUM, "etcd's members are far from each other", _RUNBOOK, _across),
)
