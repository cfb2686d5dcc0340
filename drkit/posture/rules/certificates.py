"""Certificates that are about to end. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from drkit.posture.rules.rule import CRITICAL, HIGH, Finding, Fix, Rule, Seen, page
from drkit.posture.snapshot import CERTIFICATES, SERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RUNBOOK: Final = page("certificates")


def _ending(kind: str, days: int, how: str) -> Callable[[Seen], Iterator[Finding]]:
    def check(seen: Seen) -> Iterator[Finding]:
        for each in sorted(seen.snapshot.certificates, key=lambda each: (each.expires, each.where)):
            left = each.expires - seen.snapshot.taken
            if each.kind == kind and left < timedelta(days=days):
                ended = left < timedelta()
                when = f"{each.expires:%Y-%m-%d %H:%M} UTC"
                yield Finding(
                    each.where,
                    f"it ended on {when}" if ended else f"it ends on {when}, in {left.days} days",
                    Fix(how),
                )

    return check


_RESTART: Final = "restart k3s there: it renews what ends within 90 days; else k3s certificate rotate"
RULES: Final = (
    Rule(
        "k3s-certificate-ends",
        HIGH,
        "A certificate of k3s is about to end",
        _RUNBOOK,
        _ending("k3s", 30, _RESTART),
        (CERTIFICATES,),
    ),
    Rule(
        "etcd-certificate-ends",
        CRITICAL,
        "A certificate of etcd is about to end",
        _RUNBOOK,
        _ending("etcd", 30, _RESTART),
        (CERTIFICATES,),
    ),
    Rule(
        "ingress-certificate-ends",
        HIGH,
        "A certificate that users see is about to end",
        _RUNBOOK,
        _ending("ingress", 14, "see why cert-manager has not renewed it: kubectl describe certificate"),
        (SERVED,),
    ),
)
