"""Volumes: data that dies with its node, or that no backup has. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as look
from drkit.cluster.cnpg import CLUSTER_LABEL
from drkit.posture.rules.rule import HIGH, Finding, Fix, Rule, Seen, page
from drkit.posture.snapshot import BACKUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object

_RUNBOOK: Final = page("volumes")


def _local(volume: Object | None) -> bool:
    """Whether a PersistentVolume is a directory or disk of one node."""
    return volume is not None and bool(
        look.mapping(volume, "spec", "local") or look.mapping(volume, "spec", "hostPath")
    )


def _alone(seen: Seen) -> Iterator[Finding]:
    volumes = {look.name(each): each for each in seen.snapshot.of("persistentvolumes")}
    replicated = {(each.namespace, each.name) for each in seen.settings.databases if each.instances > 1}
    for claim in seen.snapshot.of("persistentvolumeclaims"):
        owner = look.namespace(claim), look.labels(claim).get(CLUSTER_LABEL, "")
        if _local(volumes.get(look.text(claim, "spec", "volumeName"))) and owner not in replicated:
            yield Finding(
                f"PersistentVolumeClaim {look.namespace(claim)}/{look.name(claim)}",
                "its data is on the disk of one node, and nowhere else in the cluster",
                Fix("replicate it in the application, or put it on a volume of the provider (hcloud-volumes)"),
                data="all of it since its last backup, and what uses it is away as long as the node",
            )


def _uncovered(seen: Seen) -> Iterator[Finding]:
    for claim in seen.snapshot.backups.volumes if seen.snapshot.backups else ():
        yield Finding(
            f"PersistentVolumeClaim {claim}",
            "no source of the backup has its data: a rebuild makes the volume again, empty",
            Fix("have its application dump into a database or a file that is backed up, or keep it elsewhere"),
            data="all of it",
        )


RULES: Final = (
    Rule("local-data-alone", HIGH, "Data is on one node's disk alone", _RUNBOOK, _alone),
    Rule("volume-in-no-backup", HIGH, "A volume is in no backup", _RUNBOOK, _uncovered, (BACKUPS,)),
)
