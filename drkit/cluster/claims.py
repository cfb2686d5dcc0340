"""Which claims' files are backed up, and where the volume of a claim is: on which node's disk, at which path. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from drkit.cluster.kube import Object
    from drkit.cluster.volumes import Claim
    from drkit.config.model import Volumes

CLAIMS, VOLUMES = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"
HOST = "kubernetes.io/hostname"


@dataclass(frozen=True)
class Place:
    """Where a volume's files are: a node, as its label of the host name has it, and an absolute path there."""

    node: str
    path: str


def chosen(entries: Iterable[Volumes], claims: Iterable[Object]) -> dict[Claim, tuple[str, ...]]:
    """The claims that entries of ``volumes`` mean, with the vaults of each; one that is named need not be there."""
    there = list(claims)
    found: dict[Claim, tuple[str, ...]] = {}
    for entry in entries:
        for claim in _meant(entry, there):
            found[claim] = tuple(dict.fromkeys((*found.get(claim, ()), *entry.vaults)))
    return dict(sorted(found.items()))


def _meant(entry: Volumes, claims: Sequence[Object]) -> list[Claim]:
    if entry.claim is not None:
        namespace, _, name = entry.claim.partition("/")
        return [(namespace, name)]
    return [
        key_of(claim)
        for claim in claims
        if key_of(claim)[0] == entry.namespace
        and entry.labels.items() <= (claim["metadata"].get("labels") or {}).items()
    ]


def key_of(claim: Object) -> Claim:
    """A claim's namespace and name."""
    return claim["metadata"].get("namespace", ""), claim["metadata"]["name"]


def place(claim: Claim, claims: Mapping[Claim, Object], volumes: Mapping[str, Object]) -> Place:
    """Where a claim's volume is.

    Args:
        claim: its namespace and name.
        claims: all claims.
        volumes: all volumes by name.

    Raises:
        SourceFailed: it has none, or one that is not on one node's own disk.
    """
    named = "/".join(claim)
    if claim not in claims:
        raise SourceFailed(f"there is no claim {named}", "see what there is: kubectl get pvc -A")
    volume = volumes.get((claims[claim].get("spec") or {}).get("volumeName") or "")
    if volume is None:
        raise SourceFailed(f"the claim {named} has no volume yet", "it gets one with the first pod that mounts it")
    spec = volume.get("spec") or {}
    path = str((spec.get("local") or spec.get("hostPath") or {}).get("path") or "")
    hosts = _hosts(spec)
    if not path or len(hosts) != 1:
        raise SourceFailed(
            f"the volume of {named} is not on the disk of one node, as those of local-path are",
            "leave it out of volumes, and back it up where it is",
        )
    if not path.startswith("/") or path == "/" or {"", ".", ".."} & set(path.strip("/").split("/")):
        raise SourceFailed(f"the volume of {named} says that it is at {path!r}, where no volume is")
    return Place(hosts[0], path.rstrip("/"))


def _hosts(spec: Mapping[str, Any]) -> list[str]:
    """The hosts that a volume's affinity names."""
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    return [
        str(value)
        for term in required.get("nodeSelectorTerms") or []
        for each in term.get("matchExpressions") or []
        if each.get("key") == HOST and each.get("operator") == "In"
        for value in each.get("values") or []
    ]


def node_names(nodes: Iterable[Object]) -> dict[str, str]:
    """Names of nodes by their labels of the host name, which is another one where a cloud gives it."""
    return {(each["metadata"].get("labels") or {}).get(HOST, ""): each["metadata"]["name"] for each in nodes}
