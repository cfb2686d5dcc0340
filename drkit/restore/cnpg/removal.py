"""What belongs to a Cluster whose volumes are lost, and how it goes without what is needed going with it. Pure.

Kubernetes collects what an object owns when that is deleted (https://kubernetes.io/docs/concepts/architecture/
garbage-collection/): a Cluster owns its secrets, the applications' password among them. They are disowned first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.cluster.cnpg import CLUSTER_LABEL, PostgresCluster
from drkit.cluster.kube import Resource
from drkit.restore.cnpg.remade import RESTORE, Remade
from drkit.restore.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from drkit.cluster.kube import Object
    from drkit.cluster.volumes import Claim


def _resource(plural: str, kind: str, *, namespaced: bool = True) -> Resource:
    return Resource("", "v1", plural, kind, namespaced, frozenset())


SECRETS = _resource("secrets", "Secret")
PODS = _resource("pods", "Pod")
CLAIMS = _resource("persistentvolumeclaims", "PersistentVolumeClaim")
VOLUMES = _resource("persistentvolumes", "PersistentVolume", namespaced=False)
CONFIG_MAPS = _resource("configmaps", "ConfigMap")
CLUSTERS = Resource("postgresql.cnpg.io", "v1", "clusters", "Cluster", namespaced=True, verbs=frozenset())
_ROLE = "cnpg.io/podRole"
_GENERATED = ("-app", "-superuser", "-ca", "-server", "-replication", "-pooler")


@dataclass(frozen=True)
class Belongings:
    """What there is of a cluster beside its Cluster."""

    secrets: Sequence[Object]
    pods: Sequence[Object]
    claims: Sequence[Object]
    volumes: Sequence[Object]


def note_path(cluster: PostgresCluster) -> str:
    """Where the Cluster to be made is noted once the old one is gone."""
    return CONFIG_MAPS.object_path(cluster.namespace, f"drkit-remade-{cluster.name}")


def note(cluster: PostgresCluster, remade: Remade, restore: str, volumes: Iterable[str] = ()) -> Object:
    """The ConfigMap that says which Cluster is to be made, and which volumes must go, which nothing else leads to."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"drkit-remade-{cluster.name}",
            "namespace": cluster.namespace,
            "annotations": {RESTORE: restore},
        },
        "data": {
            "cluster": json.dumps(remade.cluster),
            "database": remade.database,
            "owner": remade.owner,
            "warnings": json.dumps(remade.warnings),
            "volumes": json.dumps(sorted(volumes)),
        },
    }


def noted(found: Object, restore: str) -> Remade | None:
    """What a ConfigMap of ``note`` says; nothing where another restore made it."""
    if not is_of(found, restore):
        return None
    data = found["data"]
    return Remade(json.loads(data["cluster"]), data["database"], data["owner"], tuple(json.loads(data["warnings"])))


def noted_volumes(found: Object | None, restore: str) -> frozenset[str]:
    """The names of the volumes that a ConfigMap of ``note`` says must go."""
    if found is None or not is_of(found, restore):
        return frozenset()
    return frozenset(json.loads(found["data"]["volumes"]))


def is_of(obj: Object, restore: str) -> bool:
    """Whether this restore has made an object."""
    return bool((obj["metadata"].get("annotations") or {}).get(RESTORE) == restore)


def belongings(
    cluster: PostgresCluster,
    found: Object | None,
    secrets: Iterable[Object],
    pods: Iterable[Object],
    claims: Iterable[Object],
    volumes: Iterable[Object],
    known: frozenset[str] = frozenset(),
) -> Belongings:
    """What belongs to a cluster.

    Args:
        cluster: its name.
        found: the Cluster; nothing where it is gone already.
        secrets: those of its namespace; likewise ``pods`` and ``claims``.
        pods: see ``secrets``.
        claims: see ``secrets``.
        volumes: all PersistentVolumes.
        known: the names of volumes that are known to be its: their claims may be gone.
    """
    names = {f"{cluster.name}{suffix}" for suffix in _GENERATED} | set(_named((found or {}).get("spec")))
    ours = [each for each in claims if _is_labelled(each, cluster) or _owned(each, cluster)]
    keys = {(cluster.namespace, each["metadata"]["name"]) for each in ours}
    return Belongings(
        [each for each in secrets if each["metadata"]["name"] in names or _owned(each, cluster)],
        [each for each in pods if (_is_labelled(each, cluster) and not _is_pooler(each)) or _owned(each, cluster)],
        ours,
        [each for each in volumes if _claim(each) in keys or each["metadata"]["name"] in known],
    )


def claims(cluster: PostgresCluster, found: Iterable[Object]) -> set[Claim]:
    """The namespace and name of each claim of all namespaces that belongs to the cluster."""
    return {
        (cluster.namespace, each["metadata"]["name"])
        for each in found
        if each["metadata"].get("namespace") == cluster.namespace
        and (_is_labelled(each, cluster) or _owned(each, cluster))
    }


def _is_labelled(obj: Object, cluster: PostgresCluster) -> bool:
    return bool((obj["metadata"].get("labels") or {}).get(CLUSTER_LABEL) == cluster.name)


def _is_pooler(pod: Object) -> bool:
    return bool((pod["metadata"].get("labels") or {}).get(_ROLE) == "pooler")


def _is_owner(reference: Mapping[str, Any], cluster: PostgresCluster) -> bool:
    # An owner is in the namespace of what it owns. By its name: the Cluster with this uid may be gone.
    group = str(reference.get("apiVersion", "")).partition("/")[0]
    return (group, reference.get("kind"), reference.get("name")) == (CLUSTERS.group, CLUSTERS.kind, cluster.name)


def _owned(obj: Object, cluster: PostgresCluster) -> bool:
    return any(_is_owner(each, cluster) for each in obj["metadata"].get("ownerReferences") or [])


def _named(value: Any) -> Iterator[str]:
    """Names in a spec that may be of secrets: ``…Secret: x``, ``…secret: {name: x}``, ``…: {name: x, key: y}``."""
    if isinstance(value, list):
        for each in value:
            yield from _named(each)
    if not isinstance(value, dict):
        return
    for key, each in value.items():
        if str(key).lower().endswith("secret"):
            yield from (str(name) for name in (each, each.get("name") if isinstance(each, dict) else None) if name)
        if isinstance(each, dict) and {"name", "key"} <= each.keys():
            yield str(each["name"])
        yield from _named(each)


def _claim(volume: Object) -> Claim:
    claimed = (volume.get("spec") or {}).get("claimRef") or {}
    return str(claimed.get("namespace", "")), str(claimed.get("name", ""))


def operations(
    cluster: PostgresCluster, found: Object | None, there: Belongings, remade: Remade, restore: str
) -> list[Operation]:
    """What is to be done, in this order, so that nothing that is needed is lost wherever it is cut short.

    Args:
        cluster: its name.
        found: the Cluster; nothing where it is gone already.
        there: what belongs to it.
        remade: the Cluster to be made.
        restore: the restore's id.
    """
    volumes = [each["metadata"]["name"] for each in there.volumes]
    noting = note(cluster, remade, restore, volumes)
    return [
        *_disowned(cluster, there.secrets),
        Operation("apply", note_path(cluster), f"ConfigMap for {cluster}", noting),
        *([] if found is None else _gone(CLUSTERS, found)),
        *(operation for pod in there.pods for operation in _gone(PODS, pod)),
        *(operation for volume in there.volumes for operation in _gone(VOLUMES, volume)),
        *(operation for claim in there.claims for operation in _gone(CLAIMS, claim)),
    ]


def _disowned(cluster: PostgresCluster, secrets: Iterable[Object]) -> Iterator[Operation]:
    for each in secrets:
        owners = each["metadata"].get("ownerReferences") or []
        others = [owner for owner in owners if not _is_owner(owner, cluster)]
        if others != owners:
            patch = {"metadata": {"ownerReferences": others or None}}
            yield Operation("patch", SECRETS.object_path(*_key(each)), f"Secret {'/'.join(_key(each))}", patch)


def _gone(kind: Resource, obj: Object) -> Iterator[Operation]:
    namespace, name = _key(obj)
    path, about = kind.object_path(namespace, name), f"{kind.kind} {namespace}/{name}".replace(" /", " ")
    uid = str(obj["metadata"].get("uid", ""))
    yield Operation("delete", path, about, uid=uid)
    if obj["metadata"].get("finalizers"):
        # Whatever waits for its end waits for controllers that may not run, or for a node that is gone.
        yield Operation("patch", path, about, {"metadata": {"finalizers": None}}, uid)


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
