"""Volumes whose data no source covers: a rebuild makes them again, empty. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.cluster.cnpg import CLUSTER_LABEL, PostgresCluster

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from drkit.cluster.kube import Object

Claim = tuple[str, str]
"""A claim's namespace and name."""


@dataclass(frozen=True, order=True)
class Volume:
    """A volume with data that is in no vault."""

    namespace: str
    claim: str
    size: str
    """As the cluster writes it, such as ``10Gi``."""
    storage_class: str
    used_by: tuple[str, ...]
    """What mounts it: ``StatefulSet/name`` and the like; nothing where only the data is left."""


def uncovered(
    volumes: Iterable[Object],
    claims: Iterable[Object],
    pods: Iterable[Object],
    stateful_sets: Iterable[Object],
    covered: Collection[PostgresCluster] | None,
    backed_up: Collection[Claim] = (),
) -> list[Volume]:
    """The claims with a volume that no source covers, and the volumes that outlived their claim.

    Args:
        volumes: all PersistentVolumes.
        claims: all PersistentVolumeClaims.
        pods: all pods.
        stateful_sets: all StatefulSets: one that is scaled down keeps its claims without a pod that mounts them.
        covered: the PostgreSQL clusters whose databases are sources; None where that is all of them.
        backed_up: the claims whose files are sources.
    """
    users = _users(pods)
    templates = [_template(each) for each in stateful_sets]
    found = []
    for claim in claims:
        spec, key = claim.get("spec") or {}, _key(claim)
        label = (claim["metadata"].get("labels") or {}).get(CLUSTER_LABEL)
        if (label and (covered is None or PostgresCluster(key[0], label) in covered)) or not spec.get("volumeName"):
            continue
        if key in backed_up:
            continue
        by = users.get(key) or {owner for owner, namespace, begin in templates if _made_by(key, namespace, begin)}
        found.append(_volume(key, claim, spec, by))
    there = {(each.namespace, each.claim) for each in found} | {_key(claim) for claim in claims}
    released = [each for each in volumes if (each.get("status") or {}).get("phase") == "Released"]
    left = [(claimed, volume) for volume in released if (claimed := _claimed(volume)) and claimed not in there]
    found += [_volume(claimed, volume, volume["spec"], ()) for claimed, volume in left]
    return sorted(found)


def _key(thing: Object) -> Claim:
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def _volume(key: Claim, thing: Object, spec: Mapping[str, Any], used_by: Iterable[str]) -> Volume:
    real = (thing.get("status") or {}).get("capacity") or spec.get("capacity")
    size = real or ((spec.get("resources") or {}).get("requests") or {})
    return Volume(*key, str(size.get("storage", "")), str(spec.get("storageClassName") or ""), tuple(sorted(used_by)))


def _claimed(volume: Object) -> Claim | None:
    claim = volume["spec"].get("claimRef")
    return (claim.get("namespace", ""), claim["name"]) if claim else None


def _users(pods: Iterable[Object]) -> dict[Claim, set[str]]:
    """By claim, what mounts it: the pods' controllers, or the pods themselves."""
    found: dict[Claim, set[str]] = {}
    for pod in pods:
        namespace, name = _key(pod)
        owner = next((each for each in pod["metadata"].get("ownerReferences") or [] if each.get("controller")), None)
        user = f"{owner['kind']}/{owner['name']}" if owner else f"Pod/{name}"
        for volume in (pod.get("spec") or {}).get("volumes") or []:
            claim = volume.get("persistentVolumeClaim")
            mounted = claim["claimName"] if claim else f"{name}-{volume['name']}" if "ephemeral" in volume else None
            if mounted:
                found.setdefault((namespace, mounted), set()).add(user)
    return found


def _template(stateful_set: Object) -> tuple[str, str, tuple[str, ...]]:
    """What a StatefulSet is called, its namespace, and what the names of its claims begin with."""
    namespace, name = _key(stateful_set)
    templates = (stateful_set.get("spec") or {}).get("volumeClaimTemplates") or []
    return f"StatefulSet/{name}", namespace, tuple(f"{each['metadata']['name']}-{name}-" for each in templates)


def _made_by(claim: Claim, namespace: str, beginnings: tuple[str, ...]) -> bool:
    return claim[0] == namespace and any(
        claim[1].startswith(begin) and claim[1].removeprefix(begin).isdecimal() for begin in beginnings
    )


def shown(volume: Mapping[str, Any]) -> str:
    """A volume as a descriptor has it, for people."""
    said = ", ".join(part for part in (volume["size"], volume["storage_class"], *volume["used_by"]) if part)
    return f"{volume['namespace']}/{volume['claim']} ({said})"
