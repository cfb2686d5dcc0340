"""The workload's objects, from the files beside this one. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.lab.recipes import POSTGRES
from drkit.lab.topology import Role
from drkit.lab.workload.images import APP, CNPG, INGRESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.lab.topology import Container, Topology

_DIRECTORY = Path(__file__).with_name("manifests")
_CNPG = Path(__file__).parents[1] / "cnpg"
_FEWEST_NODES = 2


@dataclass(frozen=True)
class Site:
    """An instance of the sample application.

    Attributes:
        name: of its namespace, Deployment and so on.
        database: that it keeps its documents in.
        replicas: how many pods.
        title: what its front page says.
    """

    name: str
    database: str
    replicas: int
    title: str

    def host(self, zone: str) -> str:
        """The name that it is asked for under."""
        return f"{self.name}.{zone}"


SITES = (
    Site("docfast", "docfast", 2, "docfast of drkit's lab"),
    Site("docfast-staging", "docfast_staging", 1, "docfast of drkit's lab, staging"),
)


def workers(lab: Topology) -> tuple[Container, ...]:
    """The nodes that the workload's pods run on: the agents, as on the reference cluster, where there are enough."""
    agents = lab.by_role(Role.AGENT)
    return agents if len(agents) >= _FEWEST_NODES else lab.nodes


def is_enough(lab: Topology) -> bool:
    """Whether there are nodes for two of everything."""
    return len(workers(lab)) >= _FEWEST_NODES


def password(token: str) -> str:
    """The application's password in the database: one for each lab, the same at each run."""
    return hmac.new(token.encode(), b"docfast", hashlib.sha256).hexdigest()[:32]


def definitions() -> str:
    """Custom resource definitions, which must be known before objects of theirs are."""
    return _joined(_CNPG / "crds.yaml", _DIRECTORY / "30-definitions.yaml")


def operator(images: Mapping[str, str]) -> str:
    """The stand-in for CloudNativePG's operator."""
    return _filled((_CNPG / "operator.yaml").read_text(encoding="utf-8"), {"CNPG": images[CNPG]})


def objects(lab: Topology, images: Mapping[str, str], token: str) -> str:
    """Everything else."""
    common = {
        "POSTGRESQL": images[POSTGRES],
        "INGRESS": images[INGRESS],
        "APP": images[APP],
        "PASSWORD": password(token),
    }
    parts = [_filled(_joined(_DIRECTORY / "10-postgres.yaml", _DIRECTORY / "20-ingress.yaml"), common)]
    template = (_DIRECTORY / "40-docfast.yaml").read_text(encoding="utf-8")
    for site in SITES:
        own = {
            "NAME": site.name,
            "DATABASE": site.database,
            "REPLICAS": str(site.replicas),
            "TITLE": site.title,
            "HOST": site.host(lab.zone),
        }
        parts.append(_filled(template, {**common, **own}))
    return "\n---\n".join(parts)


def coredns_patch() -> str:
    """The reference cluster's patch of CoreDNS, on one line: what a k3s upgrade or a rebuild loses."""
    return json.dumps(json.loads((_DIRECTORY / "coredns-patch.json").read_text(encoding="utf-8")))


def _joined(*paths: Path) -> str:
    return "\n---\n".join(path.read_text(encoding="utf-8") for path in paths)


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
