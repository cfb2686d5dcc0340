"""What is in the target already, so that what is equal is passed over without asking for each object."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from drkit.errors import KubeRefused
from drkit.manifests.strip import strip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.kube import Api, Object, Resource
    from drkit.restore.objects.gather import Entry

_FEW: Final = 8
"""Objects of a kind that are rather asked for one by one than by a list of all."""
_NOT_FOUND: Final = 404

Digest = bytes


def digest(obj: Object) -> Digest:
    """Names what an object holds, whatever the order of its keys."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def named(obj: Object, kind: Resource) -> Object:
    """An object of a list with the kind and version that built-in ones lack there."""
    return {**obj, "apiVersion": kind.api_version, "kind": kind.kind}


def get(api: Api, path: str) -> Object | None:
    """The object at a path, where there is one.

    Raises:
        KubeRefused: with another status than 404.
    """
    try:
        return api.get(path)
    except KubeRefused as error:
        if error.status == _NOT_FOUND:
            return None
        raise


class There:
    """The digests of the objects that are there, of one phase at a time. ``look`` first; then safe for threads."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[Resource, dict[tuple[str, str], Digest]] = {}
        self._unknown: set[Resource] = set()

    def look(self, entries: Iterable[Entry]) -> None:
        """Read what is there of the kinds of these entries, and forget all others."""
        wanted: dict[Resource, set[tuple[str, str]]] = {}
        for entry in entries:
            wanted.setdefault(entry.kind, set()).add((entry.namespace, entry.name))
        self._known, self._unknown = {}, set()
        for kind, names in wanted.items():
            try:
                self._known[kind] = self._of(kind, names)
            except KubeRefused:
                # Such as where a webhook converts them whose backend is not there yet: each is asked for by itself.
                self._unknown.add(kind)

    def is_equal(self, entry: Entry, wish: Digest) -> bool:
        """Whether the object that is there is the wished one."""
        return self._known.get(entry.kind, {}).get((entry.namespace, entry.name)) == wish

    def may_have(self, entry: Entry) -> bool:
        """Whether there was an object of that name, or that could not be seen."""
        return entry.kind in self._unknown or (entry.namespace, entry.name) in self._known.get(entry.kind, {})

    def _of(self, kind: Resource, names: set[tuple[str, str]]) -> dict[tuple[str, str], Digest]:
        found: dict[tuple[str, str], Digest] = {}
        for obj in self._one_by_one(kind, names) if len(names) <= _FEW else self._listed(kind):
            metadata = obj["metadata"]
            key = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
            if key in names:
                found[key] = digest(strip(named(obj, kind)))
        return found

    def _one_by_one(self, kind: Resource, names: set[tuple[str, str]]) -> Iterable[Object]:
        for namespace, name in sorted(names):
            try:
                obj = get(self._api, kind.object_path(namespace, name))
            except ValueError:
                continue  # whoever applies it says so
            if obj is not None:
                yield obj

    def _listed(self, kind: Resource) -> Iterable[Object]:
        try:
            for page in self._api.pages(kind.path):
                yield from page["items"]
        except KubeRefused as error:
            if error.status != _NOT_FOUND:
                raise
