"""Brings what there is to what the objects ask for, one look at a time."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import TYPE_CHECKING

from . import log, objects, observed, pooler
from .kube import ApiError
from .observed import LEADER_ANNOTATION, Observed, is_leaving
from .patroni import REPLICATION_USER
from .spec import (
    API_VERSION,
    CLUSTER_LABEL,
    INSTANCE_ROLE_LABEL,
    OLD_ROLE_LABEL,
    POD_ROLE_LABEL,
    REPLICA,
    owner,
    parse,
)

if TYPE_CHECKING:
    from .kube import Kube
    from .spec import ClusterSpec, Object

_GROUP = f"/apis/{API_VERSION}"
_REFRESH_SECONDS = 30.0
"""How long somebody else's change to an object that nobody watches may last."""


class Reconciler:
    """The operator's work.

    Args:
        kube: the API server.
        image: the operator's own, which instances and poolers take programs from.
    """

    def __init__(self, kube: Kube, image: str) -> None:
        self._kube = kube
        self._image = image
        self._applied: dict[str, tuple[str, float]] = {}
        self._said: dict[str, str] = {}

    def all(self) -> None:
        """Look at every cluster and every pooler once.

        Raises:
            ApiError: the API server does not answer; a refusal concerns one object alone, and is logged.
        """
        for kind, work in (("clusters", self._cluster), ("poolers", self._pooler)):
            for thing in self._kube.list(f"{_GROUP}/{kind}"):
                name = f"{kind}/{thing['metadata']['namespace']}/{thing['metadata']['name']}"
                if is_leaving(thing):
                    continue
                try:
                    work(thing)
                    self._say(name, "")
                except ApiError as problem:
                    if not problem.status:
                        raise
                    self._say(name, f"{name}: {problem}")

    def _cluster(self, cluster: Object) -> None:
        spec = parse(cluster)
        if self._leftovers(spec):
            self._say(spec.name, f"{spec.name}: waiting for the end of an earlier cluster of this name")
            return
        self._secrets(spec)
        self._apply(objects.shared(spec))
        before = cluster.get("status", {})
        seen = self._look(spec, before)
        self._act(spec, seen)
        after = observed.status(spec, seen, before)
        if any(before.get(key) != value for key, value in after.items()):
            path = f"{_GROUP}/namespaces/{spec.namespace}/clusters/{spec.name}/status"
            self._kube.patch(path, {"status": after})
            primary, ready = after.get("currentPrimary"), after["readyInstances"]
            self._say(f"{spec.name} status", f"{spec.name}: {after['phase']}; primary {primary}, {ready} ready")

    def _pooler(self, found: Object) -> None:
        spec = found["spec"]
        namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
        secret = self._kube.get(f"/api/v1/namespaces/{namespace}/secrets/{spec['cluster']['name']}-pooler")
        if secret is None:
            self._say(name, f"{name}: waiting for the cluster {spec['cluster']['name']}")
            return
        password = base64.b64decode(secret["data"]["password"]).decode()
        self._apply(pooler.objects(found, self._image, password))
        deployment = self._kube.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}") or {}
        ready = deployment.get("status", {}).get("readyReplicas", 0)
        if found.get("status", {}).get("instances") != ready:
            self._kube.patch(f"{_GROUP}/namespaces/{namespace}/poolers/{name}/status", {"status": {"instances": ready}})

    def _list(self, spec: ClusterSpec, kind: str, label: str = "") -> list[Object]:
        selector = f"{CLUSTER_LABEL}%3D{spec.name}{label}"
        return self._kube.list(f"/api/v1/namespaces/{spec.namespace}/{kind}?labelSelector={selector}")

    def _leftovers(self, spec: ClusterSpec) -> bool:
        """Whether data or Patroni's notes of an earlier cluster are still there; this one's notes shall go with it."""
        others = False
        for kind in ("persistentvolumeclaims", "configmaps", "secrets"):
            for thing in self._list(spec, kind):
                owners = thing["metadata"].get("ownerReferences", [])
                clusters = [each["uid"] for each in owners if each["kind"] == "Cluster"]
                path = f"/api/v1/namespaces/{spec.namespace}/{kind}/{thing['metadata']['name']}"
                if not owners and kind == "configmaps":
                    self._kube.patch(path, {"metadata": {"ownerReferences": [owner(spec)]}})
                elif clusters and spec.uid not in clusters:
                    others = True
        return others

    def _secrets(self, spec: ClusterSpec) -> None:
        """Make the secrets that are not there. One that is there is kept, whoever made it."""
        wanted = [
            (spec.app_secret, spec.bootstrap.owner, spec.bootstrap.database),
            (spec.replication_secret, REPLICATION_USER, "*"),
            (spec.pooler_secret, pooler.USER, "postgres"),
        ]
        if spec.superuser_access:
            wanted.append((spec.superuser_secret, "postgres", "*"))
        collection = f"/api/v1/namespaces/{spec.namespace}/secrets"
        for name, user, database in wanted:
            if self._kube.get(f"{collection}/{name}") is None:
                password = secrets.token_urlsafe(48)
                self._kube.create(collection, objects.secret(spec, name, user, database, password))

    def _apply(self, wanted: dict[str, Object]) -> None:
        now = time.monotonic()
        for path, body in wanted.items():
            digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
            known, at = self._applied.get(path, ("", 0.0))
            if known != digest or now - at > _REFRESH_SECONDS:
                self._kube.apply(path, body)
                self._applied[path] = (digest, now)

    def _look(self, spec: ClusterSpec, before: Object) -> Observed:
        pods = {pod["metadata"]["name"]: pod for pod in self._list(spec, "pods", f",{POD_ROLE_LABEL}%3Dinstance")}
        claims = {claim["metadata"]["name"]: claim for claim in self._list(spec, "persistentvolumeclaims")}
        leader = self._kube.get(f"/api/v1/namespaces/{spec.namespace}/configmaps/{spec.name}-leader") or {}
        numbers = [spec.number(name) for name in (*claims, *pods)]
        return Observed(
            pods=pods,
            claims=claims,
            leader=leader.get("metadata", {}).get("annotations", {}).get(LEADER_ANNOTATION),
            last_number=max([before.get("latestGeneratedNode", 0), *numbers]),
        )

    def _act(self, spec: ClusterSpec, seen: Observed) -> None:
        core = f"/api/v1/namespaces/{spec.namespace}"
        todo = observed.actions(spec, seen, self._image)
        for name in todo.failed_pods:
            log.say(f"{spec.name}: removing the pod {name}, which has ended")
            self._kube.delete(f"{core}/pods/{name}")
        for name in todo.removed:
            log.say(f"{spec.name}: removing the instance {name}, which is one too many")
            self._kube.delete(f"{core}/persistentvolumeclaims/{name}")
            self._kube.delete(f"{core}/pods/{name}")
        for number in todo.new_claims:
            self._kube.create(f"{core}/persistentvolumeclaims", objects.claim(spec, number))
        for number in todo.new_pods:
            log.say(f"{spec.name}: making the pod {spec.instance(number)}")
            self._kube.create(f"{core}/pods", objects.pod(spec, number, self._image))
        for name in todo.replaced:
            log.say(f"{spec.name}: replacing the pod {name}, whose images have changed")
            self._kube.delete(f"{core}/pods/{name}")
        for name in todo.relabelled:
            log.say(f"{spec.name}: {name} is a replica; the primary is {seen.leader}")
            labels = {INSTANCE_ROLE_LABEL: REPLICA, OLD_ROLE_LABEL: REPLICA}
            self._kube.patch(f"{core}/pods/{name}", {"metadata": {"labels": labels}})

    def _say(self, about: str, text: str) -> None:
        """Say what is new about something, once."""
        if text and self._said.get(about) != text:
            log.say(text)
        self._said[about] = text
