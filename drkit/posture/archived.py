"""A snapshot out of a recovery point: what its archives of manifests and of the topology hold."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from drkit.cluster import fields as at
from drkit.errors import NoSuchPoint, VerificationFailed
from drkit.manifests import read as exports
from drkit.points import catalogue as catalogues
from drkit.posture import facts
from drkit.posture.snapshot import (
    BACKUPS,
    BALANCER,
    CERTIFICATES,
    DATASTORE,
    DRILLS,
    ETCD,
    INGRESSES,
    KINDS,
    NO_DRILL,
    PATCHES,
    PROVIDER,
    REPLICATION,
    Certificate,
    Snapshot,
    kind_of,
)
from drkit.restore.stream import Whole, feed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.cluster.kube import Object
    from drkit.points.descriptor import SourceEntry
    from drkit.points.point import Point
    from drkit.points.signing import Verifier
    from drkit.vault.port import Vault

_LARGEST_DOCUMENT: Final = 64 * 1024 * 1024


def from_point(point: Point, vaults: Mapping[str, Vault], verifier: Verifier) -> Snapshot:
    """A cluster as a recovery point has it.

    Raises:
        NoSuchPoint: it has no manifests.
        VerificationFailed: an archive is not what was sealed.
    """
    descriptor = point.drawn_on(catalogues.open_descriptor(point, vaults, verifier))
    stored = {source.kind: source for source in descriptor.sources if source.stored}
    if "manifests" not in stored:
        raise NoSuchPoint(f"{point.id} has no manifests, and nothing else tells what the cluster was", "choose another")
    why = "a recovery point does not tell"
    listed, certificates = _read_objects(vaults, stored["manifests"])
    snapshot = Snapshot(
        taken=point.created,
        listed=listed,
        certificates=certificates,
        unknown=dict.fromkeys((ETCD, REPLICATION), why)
        | {
            CERTIFICATES: "the servers' files in a recovery point are not opened",
            DRILLS: NO_DRILL,
            BACKUPS: "the audit of a recovery point is none of the backups",
            PATCHES: "patches are tried on a live cluster",
        },
    )
    if "topology" in stored:
        snapshot = replace(snapshot, topology=_document(vaults, stored["topology"]))
    if not snapshot.topology.get("hetzner"):
        snapshot = snapshot.without([PROVIDER, BALANCER], "its topology was made without asking a provider")
    datastore = stored["datastore"].details.get("datastore", "") if "datastore" in stored else ""
    snapshot = replace(snapshot, datastore=datastore if isinstance(datastore, str) else "")
    return snapshot if snapshot.datastore else snapshot.without([DATASTORE], why)


def _read_objects(
    vaults: Mapping[str, Vault], source: SourceEntry
) -> tuple[dict[str, tuple[Object, ...]], tuple[Certificate, ...]]:
    """The objects, and the certificates that ingresses name; of Secrets nothing else is kept."""
    found: dict[str, list[Object]] = {}
    served: dict[tuple[str, str], tuple[Certificate, ...]] = {}
    with vaults[source.vault].open(source.archive) as reader:
        for resource, obj in exports.objects(Whole(reader, source).read, source.details):
            if kind_of(resource) in KINDS:
                found.setdefault(kind_of(resource), []).append(obj)
            elif kind_of(resource) == "secrets":
                served[at.namespace(obj), at.name(obj)] = tuple(facts.served_by(obj))
    named = facts.secrets_of(found.get(INGRESSES, ()))
    return (
        {kind: tuple(each) for kind, each in found.items()},
        tuple(one for each in sorted(named) for one in served.get(each, ())),
    )


def _document(vaults: Mapping[str, Vault], source: SourceEntry) -> dict[str, Any]:
    blocks: list[bytes] = []
    if source.size <= _LARGEST_DOCUMENT:
        feed(vaults[source.vault], source, blocks.append)
    try:
        found = json.loads(b"".join(blocks))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise VerificationFailed(f"{source.name}: the archive {source.archive} holds no JSON document")
    return found
