"""What a rule of the audit is, and what it finds. Plain frozen values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from drkit.posture.settings import Settings
    from drkit.posture.snapshot import Snapshot

CNPG: Final = "postgresql.cnpg.io/v1"
CRITICAL, HIGH, MEDIUM, LOW = "critical", "high", "medium", "low"
SEVERITIES: Final = (CRITICAL, HIGH, MEDIUM, LOW)
"""The worst first. Critical: one failure loses data or the cluster. High: one failure takes something away until
somebody acts, or for minutes. Medium: it takes longer than it has to. Low: worth knowing."""


@dataclass(frozen=True)
class Fix:
    """How to mend something.

    Attributes:
        how: in a sentence.
        patch: as far as it is one: an object that server-side apply takes, or the settings of k3s or a load balancer.
        by: what takes the patch: ``apply``, ``k3s`` (its configuration file), ``hetzner`` (its API), ``drkit`` (its
            configuration file); empty where there is none.
    """

    how: str
    patch: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that breaks a rule.

    Attributes:
        what: whom it is about: ``Deployment kube-system/coredns``, ``load balancer k3s-lb``.
        said: what is the matter, in one sentence.
        seconds: what it costs when something fails; None where it is not a matter of seconds.
        data: what may be lost; empty where nothing is.
        fix: how to mend it.
    """

    what: str
    said: str
    fix: Fix
    seconds: float | None = None
    data: str = ""

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


@dataclass(frozen=True)
class Seen:
    """What rules look at: the cluster as it was listed, and its settings."""

    snapshot: Snapshot
    settings: Settings


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        id: stable, in lower case with hyphens.
        title: what is wrong where it is broken.
        runbook: the page about it: a path in this repository.
        needs: what of a snapshot has to be known, by the names in ``drkit.posture.snapshot``.
    """

    id: str
    severity: str
    title: str
    runbook: str
    check: Callable[[Seen], Iterable[Finding]]
    needs: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As ``audit --rules --json`` lists it."""
        return {"id": self.id, "severity": self.severity, "title": self.title, "runbook": self.runbook}


def page(name: str) -> str:
    """The runbook's path."""
    return f"runbooks/audit/{name}.md"


def applied(api_version: str, kind: str, namespace: str, name: str, **rest: Any) -> dict[str, Any]:
    """A patch for server-side apply."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        **rest,
    }
