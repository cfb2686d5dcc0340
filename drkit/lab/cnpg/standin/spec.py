"""What a ``Cluster`` of postgresql.cnpg.io/v1 asks for, of the part that the stand-in knows. Pure.

The fields and their defaults are CloudNativePG 1.25's (https://cloudnative-pg.io/documentation/1.25/cloudnative-pg.v1/).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Object = dict[str, Any]

CLUSTER_LABEL = "cnpg.io/cluster"
INSTANCE_LABEL = "cnpg.io/instanceName"
INSTANCE_ROLE_LABEL = "cnpg.io/instanceRole"
OLD_ROLE_LABEL = "role"
POD_ROLE_LABEL = "cnpg.io/podRole"
PRIMARY, REPLICA = "primary", "replica"
API_VERSION = "postgresql.cnpg.io/v1"


@dataclass(frozen=True)
class Bootstrap:
    """``bootstrap.initdb``: what a new cluster begins with."""

    database: str
    owner: str
    secret: str
    post_init: tuple[str, ...] = ()
    post_init_application: tuple[str, ...] = ()
    encoding: str = "UTF8"
    collate: str = "C"
    ctype: str = "C"


@dataclass(frozen=True)
class ClusterSpec:
    """A cluster of PostgreSQL instances."""

    namespace: str
    name: str
    uid: str
    instances: int
    image: str
    pull_policy: str
    size: str
    storage_class: str | None
    bootstrap: Bootstrap
    affinity: Mapping[str, Any]
    superuser_access: bool
    synchronous: Mapping[str, Any] | None
    parameters: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def app_secret(self) -> str:
        """The secret with the owner's password."""
        return self.bootstrap.secret

    @property
    def superuser_secret(self) -> str:
        """The secret with the superuser's password; there where ``enableSuperuserAccess`` is."""
        return f"{self.name}-superuser"

    @property
    def replication_secret(self) -> str:
        """The secret of the replicas. The real operator has a certificate in it, the stand-in a password."""
        return f"{self.name}-replication"

    @property
    def pooler_secret(self) -> str:
        """The secret with which PgBouncer asks for its clients' passwords."""
        return f"{self.name}-pooler"

    @property
    def settings(self) -> str:
        """The config map with what the instances read."""
        return f"{self.name}-stand-in"

    def instance(self, number: int) -> str:
        """The name of an instance, of its pod and of its volume claim."""
        return f"{self.name}-{number}"

    def number(self, instance: str) -> int:
        """The number in an instance's name."""
        return int(instance.removeprefix(f"{self.name}-"))


def parse(cluster: Object) -> ClusterSpec:
    """What the object says.

    Raises:
        KeyError: it lacks what CloudNativePG requires; the API server refuses such an object already.
    """
    metadata, spec = cluster["metadata"], cluster["spec"]
    name = metadata["name"]
    initdb = spec.get("bootstrap", {}).get("initdb", {})
    database = initdb.get("database") or "app"
    postgresql = spec.get("postgresql", {})
    return ClusterSpec(
        namespace=metadata["namespace"],
        name=name,
        uid=metadata["uid"],
        instances=spec["instances"],
        image=spec["imageName"],
        pull_policy=spec.get("imagePullPolicy", "IfNotPresent"),
        size=spec["storage"]["size"],
        storage_class=spec["storage"].get("storageClass"),
        bootstrap=Bootstrap(
            database=database,
            owner=initdb.get("owner") or database,
            secret=initdb.get("secret", {}).get("name") or f"{name}-app",
            post_init=tuple(initdb.get("postInitSQL", ())),
            post_init_application=tuple(initdb.get("postInitApplicationSQL", ())),
            encoding=initdb.get("encoding") or "UTF8",
            collate=initdb.get("localeCollate") or "C",
            ctype=initdb.get("localeCType") or "C",
        ),
        affinity=spec.get("affinity", {}),
        superuser_access=bool(spec.get("enableSuperuserAccess", False)),
        synchronous=postgresql.get("synchronous"),
        parameters=dict(postgresql.get("parameters", {})),
        resources=dict(spec.get("resources", {})),
    )


def metadata(spec: ClusterSpec, name: str, labels: Mapping[str, str] | None = None) -> Object:
    """An object's metadata: the cluster's label, and that it goes when the cluster does."""
    return {
        "name": name,
        "namespace": spec.namespace,
        "labels": {CLUSTER_LABEL: spec.name, **(labels or {})},
        "ownerReferences": [owner(spec)],
    }


def owner(spec: ClusterSpec) -> Object:
    """The reference to the cluster from what belongs to it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Cluster",
        "name": spec.name,
        "uid": spec.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
