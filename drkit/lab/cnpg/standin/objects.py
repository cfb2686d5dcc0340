"""What belongs to a cluster of PostgreSQL instances: the objects that CloudNativePG would make. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .patroni import DATA, PORT, REST_PORT, configuration
from .spec import (
    CLUSTER_LABEL,
    INSTANCE_LABEL,
    INSTANCE_ROLE_LABEL,
    POD_ROLE_LABEL,
    PRIMARY,
    REPLICA,
    metadata,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .spec import ClusterSpec, Object

POSTGRES_ID = 26
"""The user and group that CloudNativePG runs PostgreSQL as."""

_VOLUME = DATA.rpartition("/")[0]
_SETTINGS = "/etc/cnpg-stand-in"
_SECRETS = "/etc/cnpg-stand-in-secrets"


def shared(spec: ClusterSpec) -> dict[str, Object]:
    """The objects that all instances of the cluster share, by the path of each in the API."""
    core, namespace = "/api/v1", f"namespaces/{spec.namespace}"
    rbac = f"/apis/rbac.authorization.k8s.io/v1/{namespace}"
    found = {
        f"{core}/{namespace}/serviceaccounts/{spec.name}": {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(spec, spec.name),
        },
        f"{rbac}/roles/{spec.name}": _role(spec),
        f"{rbac}/rolebindings/{spec.name}": _binding(spec),
        f"{core}/{namespace}/configmaps/{spec.settings}": _settings(spec),
    }
    for suffix, role in (("rw", PRIMARY), ("ro", REPLICA), ("r", None)):
        found[f"{core}/{namespace}/services/{spec.name}-{suffix}"] = _service(spec, suffix, role)
    return found


def _role(spec: ClusterSpec) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata(spec, spec.name),
        # What Patroni asks for with config maps as its store.
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["configmaps"],
                "verbs": ["create", "get", "list", "patch", "update", "watch", "delete", "deletecollection"],
            },
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "patch", "update", "watch"]},
        ],
    }


def _binding(spec: ClusterSpec) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(spec, spec.name),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": spec.name},
        "subjects": [{"kind": "ServiceAccount", "name": spec.name, "namespace": spec.namespace}],
    }


def _settings(spec: ClusterSpec) -> Object:
    initdb = spec.bootstrap
    bootstrap = {
        "database": initdb.database,
        "owner": initdb.owner,
        "post_init": initdb.post_init,
        "post_init_application": initdb.post_init_application,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(spec, spec.settings),
        "data": {
            "patroni.yml": json.dumps(configuration(spec), indent=1),
            "bootstrap.json": json.dumps(bootstrap, indent=1),
        },
    }


def _service(spec: ClusterSpec, suffix: str, role: str | None) -> Object:
    selector = {CLUSTER_LABEL: spec.name, POD_ROLE_LABEL: "instance"}
    if role is not None:
        selector = {CLUSTER_LABEL: spec.name, INSTANCE_ROLE_LABEL: role}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(spec, f"{spec.name}-{suffix}"),
        "spec": {
            "type": "ClusterIP",
            "selector": selector,
            "ports": [{"name": "postgres", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def secret(spec: ClusterSpec, name: str, user: str, database: str, password: str) -> Object:
    """A secret as CloudNativePG makes it for a user of the cluster; `*` stands for all databases."""
    host = f"{spec.name}-rw"
    address = f"{host}.{spec.namespace}:{PORT}/{database}"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/basic-auth",
        "metadata": metadata(spec, name),
        "stringData": {
            "username": user,
            "user": user,
            "password": password,
            "dbname": database,
            "host": host,
            "port": str(PORT),
            "uri": f"postgresql://{user}:{password}@{address}",
            "jdbc-uri": f"jdbc:postgresql://{address}?password={password}&user={user}",
            "pgpass": f"{host}:{PORT}:{database}:{user}:{password}\n",
        },
    }


def claim(spec: ClusterSpec, number: int) -> Object:
    """The volume claim of an instance."""
    name = spec.instance(number)
    body: Object = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(spec, name, {INSTANCE_LABEL: name, "cnpg.io/pvcRole": "PG_DATA"}),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": spec.size}}},
    }
    if spec.storage_class is not None:
        body["spec"]["storageClassName"] = spec.storage_class
    return body


def pod(spec: ClusterSpec, number: int, operator_image: str) -> Object:
    """The pod of an instance. The stand-in's program comes in from the operator's image, as the real operator's does.

    Args:
        spec: the cluster.
        number: of the instance.
        operator_image: where the program is.
    """
    name = spec.instance(number)
    labels = {INSTANCE_LABEL: name, POD_ROLE_LABEL: "instance"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(spec, name, labels),
        "spec": {
            "hostname": name,
            "serviceAccountName": spec.name,
            "terminationGracePeriodSeconds": 60,
            "securityContext": {"runAsUser": POSTGRES_ID, "runAsGroup": POSTGRES_ID, "fsGroup": POSTGRES_ID},
            "initContainers": [
                {
                    "name": "bootstrap-controller",
                    "image": operator_image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["cp", "/usr/local/lib/cnpg-stand-in/cnpg_standin/instance.py", "/controller/"],
                    "volumeMounts": [{"name": "controller", "mountPath": "/controller"}],
                }
            ],
            "containers": [_postgres(spec, name)],
            "volumes": _volumes(spec, name),
            **_placement(spec),
        },
    }


def _postgres(spec: ClusterSpec, name: str) -> Object:
    return {
        "name": "postgres",
        "image": spec.image,
        "imagePullPolicy": spec.pull_policy,
        "command": ["python3", "/controller/instance.py", "run"],
        "resources": dict(spec.resources),
        "env": _environment(spec, name),
        "ports": [
            {"name": "postgresql", "containerPort": PORT},
            {"name": "status", "containerPort": REST_PORT},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/readiness", "port": REST_PORT},
            "periodSeconds": 5,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "volumeMounts": [
            {"name": "pgdata", "mountPath": _VOLUME},
            {"name": "controller", "mountPath": "/controller"},
            {"name": "settings", "mountPath": _SETTINGS, "readOnly": True},
            *({"name": each, "mountPath": f"{_SECRETS}/{each}", "readOnly": True} for each in _secrets(spec)),
        ],
    }


def _environment(spec: ClusterSpec, name: str) -> list[Object]:
    password = {"valueFrom": {"secretKeyRef": {"name": spec.replication_secret, "key": "password"}}}
    return [
        {"name": "POD_NAME", "value": name},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "PATRONI_NAME", "value": name},
        {"name": "PATRONI_KUBERNETES_POD_IP", "value": "$(POD_IP)"},
        {"name": "PATRONI_RESTAPI_CONNECT_ADDRESS", "value": f"$(POD_IP):{REST_PORT}"},
        {"name": "PATRONI_POSTGRESQL_CONNECT_ADDRESS", "value": f"$(POD_IP):{PORT}"},
        {"name": "PATRONI_REPLICATION_PASSWORD", **password},
        {"name": "PATRONI_REWIND_PASSWORD", **password},
        # For whoever executes psql in the container.
        {"name": "PGHOST", "value": "/controller/run"},
        {"name": "PGPORT", "value": str(PORT)},
        {"name": "PGDATA", "value": DATA},
    ]


def _secrets(spec: ClusterSpec) -> Mapping[str, str]:
    """The secrets that an instance keeps PostgreSQL's passwords equal to, by the purpose of each."""
    found = {"app": spec.app_secret, "pooler": spec.pooler_secret}
    return {**found, "superuser": spec.superuser_secret} if spec.superuser_access else found


def _volumes(spec: ClusterSpec, name: str) -> list[Object]:
    return [
        {"name": "pgdata", "persistentVolumeClaim": {"claimName": name}},
        {"name": "controller", "emptyDir": {}},
        {"name": "settings", "configMap": {"name": spec.settings}},
        *({"name": each, "secret": {"secretName": secret}} for each, secret in _secrets(spec).items()),
    ]


def _placement(spec: ClusterSpec) -> Object:
    placed: Object = {
        key: spec.affinity[key] for key in ("tolerations", "nodeSelector") if spec.affinity.get(key) is not None
    }
    rules: Object = {}
    if "nodeAffinity" in spec.affinity:
        rules["nodeAffinity"] = spec.affinity["nodeAffinity"]
    if spec.affinity.get("enablePodAntiAffinity", True):
        term = {
            "topologyKey": spec.affinity.get("topologyKey", "kubernetes.io/hostname"),
            "labelSelector": {"matchLabels": {CLUSTER_LABEL: spec.name, POD_ROLE_LABEL: "instance"}},
        }
        required = spec.affinity.get("podAntiAffinityType") == "required"
        rules["podAntiAffinity"] = (
            {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
            if required
            else {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}
        )
    return {**placed, "affinity": rules} if rules else placed
