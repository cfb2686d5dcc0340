"""What a ``Pooler`` of postgresql.cnpg.io/v1 becomes: a Deployment of PgBouncer and its Service. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .patroni import PORT
from .spec import API_VERSION, CLUSTER_LABEL, POD_ROLE_LABEL, Object

POOLER_LABEL = "cnpg.io/poolerName"
USER = "cnpg_pooler_pgbouncer"
_CONFIG = "/etc/pgbouncer-lab"
_PARAMETERS = {
    "max_client_conn": "100",
    "default_pool_size": "20",
    "ignore_startup_parameters": "extra_float_digits,options",
}


def configuration(pooler: Object) -> str:
    """PgBouncer's configuration file."""
    spec = pooler["spec"]
    bouncer = spec.get("pgbouncer", {})
    settings = {
        "listen_addr": "*",
        "listen_port": str(PORT),
        "unix_socket_dir": "",
        "pool_mode": bouncer.get("poolMode", "session"),
        "auth_type": "scram-sha-256",
        "auth_file": f"{_CONFIG}/userlist.txt",
        "auth_user": USER,
        "auth_dbname": "postgres",
        "auth_query": "SELECT usename, passwd FROM public.user_search($1)",
        **_PARAMETERS,
        **bouncer.get("parameters", {}),
    }
    host = f"{spec['cluster']['name']}-{spec.get('type', 'rw')}"
    lines = ["; drkit lab: written by the stand-in for CloudNativePG", "[databases]", f"* = host={host} port={PORT}"]
    return "\n".join([*lines, "[pgbouncer]", *(f"{key} = {value}" for key, value in settings.items()), ""])


def objects(pooler: Object, image: str, password: str) -> dict[str, Object]:
    """The objects of a pooler, by the path of each in the API.

    Args:
        pooler: the object that asks for it.
        image: with PgBouncer, for a pooler whose template names none.
        password: of the user who asks for the clients' passwords.
    """
    name, namespace = pooler["metadata"]["name"], pooler["metadata"]["namespace"]
    files = {"pgbouncer.ini": configuration(pooler), "userlist.txt": f'"{USER}" "{password}"\n'}
    settings = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(pooler, f"{name}-stand-in"),
        "stringData": files,
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(pooler, name),
        "spec": {
            "type": "ClusterIP",
            "selector": {POOLER_LABEL: name},
            "ports": [{"name": "pgbouncer", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
    }
    core = f"/api/v1/namespaces/{namespace}"
    # Changed settings replace the pods.
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
    return {
        f"{core}/secrets/{name}-stand-in": settings,
        f"{core}/services/{name}": service,
        f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}": _deployment(pooler, image, digest),
    }


def _metadata(pooler: Object, name: str) -> Object:
    mine = pooler["metadata"]
    reference = {"apiVersion": API_VERSION, "kind": "Pooler", "name": mine["name"], "uid": mine["uid"]}
    return {
        "name": name,
        "namespace": mine["namespace"],
        "labels": _labels(pooler),
        "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
    }


def _labels(pooler: Object) -> dict[str, str]:
    return {
        CLUSTER_LABEL: pooler["spec"]["cluster"]["name"],
        POOLER_LABEL: pooler["metadata"]["name"],
        POD_ROLE_LABEL: "pooler",
    }


def _deployment(pooler: Object, image: str, digest: str) -> Object:
    name, spec = pooler["metadata"]["name"], pooler["spec"]
    template = spec.get("template", {})
    labels = {**template.get("metadata", {}).get("labels", {}), **_labels(pooler)}
    annotations = {**template.get("metadata", {}).get("annotations", {}), "cnpg.io/stand-in-settings": digest}
    deployment: Object = {
        "replicas": spec.get("instances", 1),
        "selector": {"matchLabels": {POOLER_LABEL: name}},
        "template": {
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": _pod(template.get("spec", {}), f"{name}-stand-in", image),
        },
    }
    if "deploymentStrategy" in spec:
        deployment["strategy"] = spec["deploymentStrategy"]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(pooler, name), "spec": deployment}


def _pod(template: dict[str, Any], settings: str, image: str) -> Object:
    """The user's template, with PgBouncer in it."""
    asked = {each["name"]: each for each in template.get("containers", [])}
    bouncer: Object = {
        "name": "pgbouncer",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["pgbouncer", f"{_CONFIG}/pgbouncer.ini"],
        "ports": [{"name": "pgbouncer", "containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 5, "timeoutSeconds": 5},
        **asked.pop("pgbouncer", {}),
        "volumeMounts": [{"name": "settings", "mountPath": _CONFIG, "readOnly": True}],
    }
    return {
        "terminationGracePeriodSeconds": 10,
        "securityContext": {"runAsUser": 26, "runAsGroup": 26},
        **template,
        "containers": [bouncer, *asked.values()],
        "volumes": [*template.get("volumes", []), {"name": "settings", "secret": {"secretName": settings}}],
    }
