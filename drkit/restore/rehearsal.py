"""The namespaces of rehearsals in a cluster that lives: made, and removed when their time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import KubeRefused, TargetNotEmpty
from drkit.providers.port import REMOVED, Thing
from drkit.restore import quarantine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from drkit.cluster.kube import Api

_NAMESPACES = "/api/v1/namespaces"
_NOT_FOUND = 404


def make_namespaces(api: Api, names: Iterable[str], labels: Mapping[str, str]) -> None:
    """Make a rehearsal's namespaces, or find those that an earlier attempt made.

    Raises:
        TargetNotEmpty: there is one of that name, and this rehearsal did not make it.
    """
    for name in names:
        path = f"{_NAMESPACES}/{name}"
        there = _labels_of(api, path)
        if there is not None and there.get(quarantine.RESTORE) != labels[quarantine.RESTORE]:
            raise TargetNotEmpty(
                f"there is a namespace {name} that this rehearsal did not make", "give others: --namespace OLD=NEW"
            )
        obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
        api.apply(path, obj, dry_run=False)


def _labels_of(api: Api, path: str) -> Mapping[str, str] | None:
    try:
        found: Mapping[str, str] = api.get(path)["metadata"].get("labels") or {}
    except KubeRefused as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    return found


def reap_namespaces(api: Api, now: datetime) -> Iterator[Thing]:
    """Remove the namespaces of rehearsals whose time is over, each with all that is in it, and no others."""
    there = [each for page in api.pages(_NAMESPACES, selector=quarantine.RESTORE) for each in page["items"]]
    for each in quarantine.outlived(there, now):
        name = each["metadata"]["name"]
        # With its uid: another one may have the name by now.
        if api.delete(f"{_NAMESPACES}/{name}", uid=each["metadata"]["uid"]):
            yield Thing("namespace", name, REMOVED)
