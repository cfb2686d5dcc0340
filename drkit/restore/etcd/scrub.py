"""What a datastore that was brought back still says of the old machines, and what must be done about it. Pure.

It is asked of an API that runs alone, without scheduler, controllers and kubelets: so what is there came out of the
datastore, or was made by the API server and k3s since. An object is of the old cluster where it was made before the
datastore was copied: a node of a new machine is not, whatever its name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drkit.cluster.kube import Resource
from drkit.cluster.volumes import Claim, Volume, uncovered
from drkit.manifests.skip import RESTORE_RECORD
from drkit.manifests.strip import strip
from drkit.restore import database_users, holds, volume_users
from drkit.restore.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.cluster.kube import Object

    Listed = Mapping[Resource, list[Object]]
    """All objects of each of ``KINDS``; of those that the API does not serve, none."""


def _resource(group: str, version: str, plural: str, kind: str, *, namespaced: bool = True) -> Resource:
    return Resource(group, version, plural, kind, namespaced, frozenset())


CLAIMS = _resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
VOLUMES = _resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
NODES = _resource("", "v1", "nodes", "Node", namespaced=False)
PODS = _resource("", "v1", "pods", "Pod")
SECRETS = _resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = _resource("", "v1", "configmaps", "ConfigMap")
LEASES = _resource("coordination.k8s.io", "v1", "leases", "Lease")
ATTACHMENTS = _resource("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", namespaced=False)
CSI_NODES = _resource("storage.k8s.io", "v1", "csinodes", "CSINode", namespaced=False)
CLUSTERS = _resource("postgresql.cnpg.io", "v1", "clusters", "Cluster")
POOLERS = _resource("postgresql.cnpg.io", "v1", "poolers", "Pooler")
WORKLOADS = (
    _resource("apps", "v1", "deployments", "Deployment"),
    _resource("apps", "v1", "replicasets", "ReplicaSet"),
    _resource("apps", "v1", "statefulsets", "StatefulSet"),
    _resource("apps", "v1", "daemonsets", "DaemonSet"),
    _resource("batch", "v1", "cronjobs", "CronJob"),
    _resource("batch", "v1", "jobs", "Job"),
)
HELD = (POOLERS, *WORKLOADS)
"""What may have to be held, in the order in which it is given back."""
KINDS = (
    *(CLAIMS, VOLUMES, NODES, PODS, SECRETS, CONFIG_MAPS, LEASES, ATTACHMENTS, CSI_NODES, CLUSTERS, POOLERS),
    *WORKLOADS,
)
"""What must be listed."""
_OF_A_NODE = ".node-password.k3s"
_KUBE_SYSTEM = "kube-system"
RECORD = CONFIG_MAPS.object_path(_KUBE_SYSTEM, RESTORE_RECORD)
"""The ConfigMap that says which restore the cluster is of."""
_HOST = "kubernetes.io/hostname"
_SELECTED = "volume.kubernetes.io/selected-node"
_NO_FINALIZERS: Object = {"metadata": {"finalizers": None}}


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Args:
        restore: the restore's id.
        sealed: when the datastore was copied; what was made later is of the new cluster.
        claims: those that somebody else takes care of, CloudNativePG's above all.
        hosts: names of databases that are no clusters of CloudNativePG, and are brought back too.
        nodes: the new nodes' names, where they are known.
        filled: claims whose volumes get their files back: who mounts them is held until then.
    """

    restore: str
    sealed: datetime
    claims: frozenset[Claim] = frozenset()
    hosts: tuple[str, ...] = ()
    nodes: frozenset[str] = frozenset()
    filled: frozenset[Claim] = frozenset()


@dataclass(frozen=True)
class Selected:
    """What must be done, in this order, and what cannot be had back.

    Attributes:
        operations: none where all of it is done.
        lost: claims whose data was on an old machine's disk; they are made anew, empty.
        said: what else died with the machines, and what waits for one of them.
    """

    operations: tuple[Operation, ...]
    lost: tuple[Volume, ...]
    said: tuple[str, ...]


def select(listed: Listed, asked: Asked) -> Selected:
    """What must be done so that the cluster can go on without its old machines, its databases' users asleep."""
    lost = _lost(listed, asked)
    operations = [
        *_record(listed, asked, lost),
        *_holds(listed, asked),
        *_pods(listed[PODS], asked),
        *_claims(listed, asked, lost),
        *_nodes(listed, asked),
    ]
    return Selected(tuple(operations), tuple(lost), (*_alone(listed[PODS], asked), *_waiting(listed, asked)))


def _is_old(obj: Object, asked: Asked) -> bool:
    """Whether it came out of the datastore; one that was being deleted then waits for who will never come."""
    return _at(obj["metadata"].get("creationTimestamp")) <= asked.sealed


def _at(text: Any) -> datetime:
    """A point in time as the API writes it; of what it says nothing of, long ago."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _about(kind: Resource, obj: Object) -> str:
    namespace, name = _name(obj)
    return f"{kind.kind} {namespace}/{name}" if namespace else f"{kind.kind} {name}"


def _name(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _path(kind: Resource, obj: Object) -> str:
    return kind.object_path(*_name(obj))


def _patch(kind: Resource, obj: Object, patch: Object | None) -> Iterator[Operation]:
    if patch is not None:
        yield Operation("patch", _path(kind, obj), _about(kind, obj), patch)


def _delete(kind: Resource, obj: Object) -> Iterator[Operation]:
    """Whatever waits for it to go waits for what does not run, or is about the old machine."""
    if obj["metadata"].get("finalizers"):
        yield from _patch(kind, obj, _NO_FINALIZERS)
    yield Operation("delete", _path(kind, obj), _about(kind, obj), uid=obj["metadata"].get("uid", ""))


def _record(listed: Listed, asked: Asked, lost: Iterable[Volume]) -> Iterator[Operation]:
    """Note the restore's id, and the claims that are deleted to be made anew: a crash in between must not lose them."""
    there, fresh = _noted(listed, asked), _anew(listed, lost)
    if there is not None and fresh.keys() <= there.keys():
        return
    noted = record(asked.restore, claims=json.dumps({**fresh, **(there or {})}))
    yield Operation("apply", RECORD, f"ConfigMap {_KUBE_SYSTEM}/{RESTORE_RECORD}", noted)


def record(restore: str, **more: str) -> Object:
    """The ConfigMap that says which restore the cluster is of, and more."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": _KUBE_SYSTEM, "name": RESTORE_RECORD},
        "data": {"restore": restore, **more},
    }


def _anew(listed: Listed, lost: Iterable[Volume]) -> dict[str, Object]:
    """The claims whose data is lost, as they are applied again."""
    wanted = {(each.namespace, each.claim) for each in lost}
    return {"/".join(_name(each)): strip(each) for each in listed[CLAIMS] if _name(each) in wanted}


def _noted(listed: Listed, asked: Asked) -> dict[str, Object] | None:
    """The claims that this restore has noted; nothing where it has noted nothing yet."""
    for each in listed[CONFIG_MAPS]:
        data = each.get("data") or {}
        if _name(each) == (_KUBE_SYSTEM, RESTORE_RECORD) and data.get("restore") == asked.restore:
            found: dict[str, Object] = json.loads(data.get("claims", "{}"))
            return found
    return None


def _holds(listed: Listed, asked: Asked) -> Iterator[Operation]:
    workloads = [each for kind in WORKLOADS for each in listed[kind]]
    found = database_users.databases(listed[CLUSTERS], listed[POOLERS], listed[SECRETS], asked.hosts)
    using = database_users.users(workloads, found, listed[CONFIG_MAPS], listed[SECRETS])
    using |= volume_users.users(workloads, asked.filled)
    chosen = holds.choose([*workloads, *listed[POOLERS]], using)
    kinds = {kind.kind: kind for kind in HELD}
    for each in chosen.held:
        yield from _patch(kinds[each["kind"]], each, holds.hold_patch(each))
    for each in chosen.followers:
        yield from _patch(kinds[each["kind"]], each, holds.follower_patch(each))


def _pods(pods: Iterable[Object], asked: Asked) -> Iterator[Operation]:
    """Those on dead machines, and those that would be put on a new one before who made them has a say."""
    for each in pods:
        if _is_old(each, asked) and ((each.get("spec") or {}).get("nodeName") or holds.owner(each)):
            yield from _delete(PODS, each)


def _alone(pods: Iterable[Object], asked: Asked) -> Iterator[str]:
    for each in pods:
        mirror = "kubernetes.io/config.mirror" in (each["metadata"].get("annotations") or {})
        ended = (each.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
        bound = (each.get("spec") or {}).get("nodeName")
        if (
            bound
            and _is_old(each, asked)
            and not _is_going(each)
            and not (each["metadata"].get("ownerReferences") or mirror or ended)
        ):
            yield f"{_about(PODS, each)} died with {bound}, and nothing makes it again: apply it anew"


def _waiting(listed: Listed, asked: Asked) -> Iterator[str]:
    for kind in WORKLOADS if asked.nodes else ():
        for each in listed[kind]:
            node = (database_users.pod_spec(each).get("nodeSelector") or {}).get(_HOST)
            if node and node not in asked.nodes and holds.owner(each) is None:
                yield f"{_about(kind, each)} runs on the node {node} alone, which is gone: change its nodeSelector"


def _is_local(volume: Object) -> bool:
    """Whether a volume's data is on a node's own disk."""
    spec = volume.get("spec") or {}
    return "hostPath" in spec or "local" in spec


def _lost(listed: Listed, asked: Asked) -> list[Volume]:
    bound = [each for each in _on_old_disks(listed, asked) if not _is_going(each)]
    found = uncovered((), bound, listed[PODS], listed[_STATEFUL_SETS], ())
    return [each for each in found if (each.namespace, each.claim) not in asked.claims]


def _on_old_disks(listed: Listed, asked: Asked) -> list[Object]:
    """The claims whose volume was on an old machine's disk."""
    local = {each["metadata"]["name"] for each in listed[VOLUMES] if _is_local(each) and _is_old(each, asked)}
    return [each for each in listed[CLAIMS] if (each.get("spec") or {}).get("volumeName") in local]


def _is_going(obj: Object) -> bool:
    """Whether somebody has deleted it, and something still holds it."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def _claims(listed: Listed, asked: Asked, lost: Iterable[Volume]) -> Iterator[Operation]:
    """Claims whose data is lost are made anew, unless somebody had deleted them; volumes on old disks go."""
    wanted = {(each.namespace, each.claim) for each in lost}
    deleted = {_name(each) for each in _on_old_disks(listed, asked) if _is_going(each)} - asked.claims
    for each in listed[CLAIMS]:
        if _name(each) in wanted | deleted:
            yield from _delete(CLAIMS, each)
        elif _name(each) not in asked.claims and not (each.get("spec") or {}).get("volumeName"):
            annotations = each["metadata"].get("annotations") or {}
            yield from _patch(
                CLAIMS, each, {"metadata": {"annotations": {_SELECTED: None}}} if _SELECTED in annotations else None
            )
    for each in listed[VOLUMES]:
        claim = (each.get("spec") or {}).get("claimRef") or {}
        theirs = (claim.get("namespace", ""), claim.get("name", "")) in asked.claims
        if _is_local(each) and _is_old(each, asked) and not theirs:
            yield from _delete(VOLUMES, each)
    there = {_name(each) for each in listed[CLAIMS]} - wanted
    again = {**_anew(listed, lost), **(_noted(listed, asked) or {})}
    for each in again.values():
        if _name(each) not in there:
            yield Operation("apply", _path(CLAIMS, each), _about(CLAIMS, each), each)


def _nodes(listed: Listed, asked: Asked) -> Iterator[Operation]:
    """The old nodes, and what only they meant something to."""
    for each in listed[SECRETS]:
        namespace, name = _name(each)
        if namespace == _KUBE_SYSTEM and name.endswith(_OF_A_NODE) and _is_old(each, asked):
            yield from _delete(SECRETS, each)
    for each in listed[LEASES]:
        # One that was renewed since has a holder that lives: the server that was woken.
        if _is_old(each, asked) and _at((each.get("spec") or {}).get("renewTime")) <= asked.sealed:
            yield from _delete(LEASES, each)
    for kind in (ATTACHMENTS, CSI_NODES, NODES):
        for each in listed[kind]:
            if _is_old(each, asked):
                yield from _delete(kind, each)


_STATEFUL_SETS = WORKLOADS[2]
