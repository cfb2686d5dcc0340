"""The export of a real cluster's objects: whole, applicable, and with read-only rights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from drkit.cluster.api import connect
from drkit.cluster.kubeconfig import read as read_kubeconfig
from drkit.manifests import order, paths
from drkit.manifests.skip import KINDS
from tests.exported import Exported, export
from tests.lab import every_kind
from tests.lab.labs import kubectl

if TYPE_CHECKING:
    from drkit.cluster.api import HttpApi
    from drkit.cluster.kube import Object

pytestmark = pytest.mark.lab

_BUILT_IN = ("", ".k8s.io")
_APPS = frozenset({"apps", "autoscaling", "batch", "policy"})


@pytest.fixture(scope="module")
def api(lab: dict[str, Any]) -> HttpApi:
    """The lab's API, as its administrator."""
    return connect(read_kubeconfig(Path(str(lab["kubeconfig"]))))


class Place:
    """What a test may make: a namespace, and names in the cluster that begin alike; all of it is removed after it."""

    def __init__(self, lab: dict[str, Any]) -> None:
        self.lab = lab
        self.prefix = f"test-{uuid4().hex[:8]}"
        self.namespace = f"{self.prefix}-in"

    def apply(self, objects: list[Object], *options: str) -> None:
        """Apply objects with kubectl."""
        self.kubectl(
            "apply", *options, "-f", "-", stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": objects})
        )

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl says; it has to succeed."""
        done = kubectl(self.lab, *words, stdin=stdin)
        assert done.status == 0, done.err
        return done.out

    def files(self, exported: Exported) -> dict[str, bytes]:
        """The files of what was made here."""
        own = f"/namespaces/{self.namespace}/"
        return {
            path: content
            for path, content in exported.files.items()
            if path.startswith("objects/") and (own in path or ("/cluster/" in path and self.prefix in path))
        }

    def clear(self, objects: list[Object]) -> None:
        """Delete all of it and see that it is gone."""
        for obj in objects:
            if "namespace" not in obj["metadata"]:
                self.kubectl("delete", _kind(obj), obj["metadata"]["name"], "--ignore-not-found", "--wait=false")
        for obj in objects:
            if "namespace" not in obj["metadata"]:
                self.kubectl("wait", "--for=delete", _kind(obj), obj["metadata"]["name"], "--timeout=100s")


def _kind(obj: Object) -> str:
    group, _, version = obj["apiVersion"].rpartition("/")
    return f"{obj['kind']}.{version}.{group}"


@pytest.fixture
def place(lab: dict[str, Any]) -> Place:
    """A place of the test's own."""
    return Place(lab)


def test_what_was_exported_can_be_applied_and_is_the_same_again(api: HttpApi, place: Place) -> None:
    """Export, delete, apply the exported files, export: every file is equal, for objects of every built-in kind."""
    definition = every_kind.definition(place.prefix)
    objects = every_kind.objects(place.prefix, place.namespace)
    everything = [definition, *objects]
    try:
        place.apply([definition])
        place.kubectl("wait", "--for=condition=Established", f"crd/{definition['metadata']['name']}")
        place.apply(objects)
        before = export(api)
        first = place.files(before)
        assert _lacking_kinds(before, first) == []
        place.clear(everything)
        assert place.files(export(api)) == {}
        _apply_files(place, before, first)
        second = place.files(export(api))
    finally:
        place.clear(everything)
    assert sorted(second) == sorted(first)
    different = [path for path, content in first.items() if second[path] != content]
    assert not different, "\n".join(f"{path}\n{first[path].decode()}\n{second[path].decode()}" for path in different)


def _apply_files(place: Place, exported: Exported, files: dict[str, bytes]) -> None:
    """As one would by hand: in order, each file as it is."""
    wished = exported.wished
    operators = order.operators(wished)
    phases: dict[order.Phase, list[str]] = {}
    for kind, obj in wished:
        path = paths.of_object(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if path in files:
            phases.setdefault(order.phase(kind, obj, operators), []).append(files[path].decode())
    for phase in sorted(phases):
        place.kubectl("apply", "--server-side", "--field-manager=drkit", "-f", "-", stdin="---\n".join(phases[phase]))
        if phase is order.Phase.DEFINITIONS:
            place.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


def _lacking_kinds(exported: Exported, files: dict[str, bytes]) -> list[str]:
    """The built-in kinds that could be in an export of these files and are not."""
    there = {"/".join(path.split("/")[-3:-1]) for path in files}
    return [
        path
        for path, kind in exported.details["kinds"].items()
        if path not in there
        and (kind["group"] in _APPS or kind["group"].endswith(_BUILT_IN[1]) or not kind["group"])
        and "create" in kind["verbs"]
        and (kind["group"], kind["plural"]) not in KINDS
    ]
