"""The objects of a Kubernetes API in memory: how they are changed, and who is told."""

from __future__ import annotations

import json
import threading
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import yaml

if TYPE_CHECKING:
    from drkit.cluster.kube import Object, Resource
    from tests.contract.api_fields import Fields

Answered = tuple[int, str, Any]
"""Status, content type and document."""
JSON = "application/json"
APPLY = "application/apply-patch+yaml"


class MemoryObjects:
    """All objects, each with a version that grows with every change."""

    def __init__(self) -> None:
        self.objects: dict[str, list[Object]] = {}
        """By the path where all of a kind are listed."""
        self.resource_version = 1000
        self.lock = threading.Lock()
        """Held while a request is answered: each is seen whole or not at all by the others."""
        self.history: list[tuple[int, str, str, Object]] = []
        """What was changed: version, the path of the list, the word for it, the object as it was then."""
        self.forgotten = 0
        """Changes up to this version are not told any more."""
        self.changed = threading.Condition(self.lock)
        self.fields: Fields | None = None
        """Who owns which fields; without it, what is applied takes the whole object's place."""

    def add(self, kind: Resource, *objects: Object) -> None:
        """Put objects there, behind those that are, as if they had always been."""
        self.objects.setdefault(kind.path, []).extend(objects)

    def put(self, kind: Resource, obj: Object) -> None:
        """Put an object there, in the place of the one of its name; whoever watches is told."""
        with self.lock:
            self._store(kind.path, obj)

    def remove(self, kind: Resource, obj: Object) -> None:
        """Take the object of this one's name away; whoever watches is told."""
        with self.lock:
            self._take(kind.path, next(each for each in self.objects[kind.path] if key_of(each) == key_of(obj)))

    def told(self, path: str, after: int) -> tuple[int, list[tuple[str, Object]]]:
        """Up to which version, and what was changed below a path since another one, waiting a moment for it."""
        with self.changed:
            self.changed.wait_for(lambda: self.resource_version > after, timeout=0.05)
            found = [(what, obj) for version, at, what, obj in self.history if at == path and version > after]
            return self.resource_version, found

    def _store(self, path: str, obj: Object) -> None:
        there = self.objects.setdefault(path, [])
        place = next((index for index, each in enumerate(there) if key_of(each) == key_of(obj)), None)
        if place is None:
            there.append(obj)
        else:
            there[place] = obj
        self._note(path, "ADDED" if place is None else "MODIFIED", obj)

    def _take(self, path: str, obj: Object) -> None:
        self.objects[path].remove(obj)
        self._note(path, "DELETED", obj)

    def _note(self, path: str, what: str, obj: Object) -> None:
        self.resource_version += 1
        obj["metadata"]["resourceVersion"] = str(self.resource_version)
        self.history.append((self.resource_version, path, what, deepcopy(obj)))
        self.changed.notify_all()

    def create(self, path: str, namespace: str | None, body: bytes) -> Answered:
        """Make an object where none of its name is."""
        obj: Object = json.loads(body)
        obj["metadata"] = {**obj["metadata"], "uid": str(uuid4())} | ({"namespace": namespace} if namespace else {})
        if any(key_of(each) == key_of(obj) for each in self.objects.get(path, [])):
            return 409, JSON, failure(409, f'"{obj["metadata"]["name"]}" already exists')
        self._store(path, obj)
        return 201, JSON, obj

    def apply(self, kind: Resource, key: tuple[str, str], query: dict[str, str], body: bytes) -> Answered:
        """Server-side apply: with the ownership of fields where ``fields`` is set."""
        applied: Object = yaml.safe_load(body)
        if key_of(applied) != key:
            return 400, JSON, failure(400, "the name of the object does not match the name on the URL")
        found = next((each for each in self.objects[kind.path] if key_of(each) == key), None)
        if self.fields is not None:
            manager, kept = query["fieldManager"], query.get("dryRun") != "All"
            merged = self.fields.apply((kind.path, *key), found, applied, manager, "force" in query, kept=kept)
            if isinstance(merged, list):
                return 409, JSON, {**failure(409, "Apply failed with conflicts"), "details": {"causes": merged}}
            applied = merged
        applied["metadata"]["uid"] = found["metadata"].get("uid") if found else str(uuid4())
        if found and "resourceVersion" in found["metadata"]:
            applied["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        if query.get("dryRun") != "All" and applied != found:  # what changes nothing leaves the version as it is
            self._store(kind.path, applied)
        return 200 if found else 201, JSON, applied

    def delete(self, kind: Resource, found: Object, body: bytes) -> Answered:
        """Take an object away, where it is the one that is meant."""
        uid = json.loads(body).get("preconditions", {}).get("uid")
        if uid not in {None, found["metadata"].get("uid")}:
            return 409, JSON, failure(409, "Precondition failed: UID in precondition")
        self._take(kind.path, found)
        return 200, JSON, found

    def merge_into(self, kind: Resource, found: Object, body: bytes) -> Answered:
        """A merge patch, where the object is the one, and of the version, that is meant."""
        change: Object = json.loads(body)
        version = change.get("metadata", {}).pop("resourceVersion", None)
        if version not in {None, found["metadata"].get("resourceVersion")}:
            return 409, JSON, failure(409, "the object has been modified")
        if change.get("metadata", {}).get("uid") not in {None, found["metadata"].get("uid")}:
            return 409, JSON, failure(409, "Precondition failed: UID in precondition")
        merge(found, change)
        self._note(kind.path, "MODIFIED", found)
        return 200, JSON, found


def merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    """A JSON merge patch (RFC 7386)."""
    for name, value in change.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict):
            if not isinstance(into.get(name), dict):
                into[name] = {}
            merge(into[name], value)
        else:
            into[name] = value


def key_of(obj: Object) -> tuple[str, str]:
    """Namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def failure(code: int, message: str) -> Any:
    """The document of a refusal."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
