"""What the next phase needs of the one before it: definitions that are served, namespaces; at the end, operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drkit.errors import KubeRefused
from drkit.restore.objects import kept, ready
from drkit.restore.objects.rounds import Pace
from drkit.restore.objects.there import get

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drkit.cluster.kube import Api, Discovery, Object
    from drkit.restore.objects.gather import Entry
    from drkit.restore.objects.kept import Own

_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NAMESPACES: Final = "/api/v1/namespaces"
_NOT_FOUND: Final = 404


def own(api: Api) -> Own:
    """What k3s has in the cluster of its own."""
    lists = (f"/apis/{group}/v1/{plural}" for group, plural in (kept.ADDONS, kept.CHARTS))
    addons, charts = (list(_listed(api, path)) for path in lists)
    return kept.own(addons, charts)


def definitions(api: Api, entries: Sequence[Entry], patience: float) -> dict[Entry, str]:
    """Wait until these definitions are established and discovery has what they serve; those that are not, and why."""
    pace = Pace(patience)
    seen = -1
    while True:
        found = {obj["metadata"]["name"]: obj for obj in _listed(api, _DEFINITIONS)} if entries else {}
        lacking = {entry: why for entry in entries if (why := _not_established(found.get(entry.name)))}
        if not lacking:
            kinds = {entry: kind for entry in entries if (kind := ready.served(found[entry.name]))}
            served = _served(api.discover()) if kinds else set()
            lacking = {entry: "not served yet" for entry, kind in kinds.items() if kind not in served}
        if not lacking:
            return {}
        if len(lacking) != seen:
            pace.begin()
        elif pace.is_over():
            return lacking
        seen = len(lacking)
        pace.wait()


def _not_established(obj: Object | None) -> str:
    return "it is not there any more" if obj is None else ready.definition(obj)


def unserved(api: Api, entries: Iterable[Entry]) -> dict[Entry, str]:
    """Of these objects those of kinds that the cluster does not know, and why."""
    discovery = api.discover()
    served = _served(discovery)
    found: dict[Entry, str] = {}
    for entry in entries:
        if (entry.kind.group, entry.kind.plural) not in served:
            why = discovery.failed.get(entry.kind.api_version)
            found[entry] = (
                f"the new cluster cannot serve {entry.kind.api_version} now: {why}"
                if why
                else f"the new cluster does not know {entry.kind.plural} of {entry.kind.api_version}"
            )
    return found


def _served(discovery: Discovery) -> set[tuple[str, str]]:
    return {(each.group, each.plural) for each in discovery.resources}


def homeless(api: Api, entries: Iterable[Entry]) -> dict[Entry, str]:
    """Of these objects those whose namespace is not there."""
    there = {obj["metadata"]["name"] for obj in _listed(api, _NAMESPACES)}
    return {
        entry: f"there is no namespace {entry.namespace}"
        for entry in entries
        if entry.namespace and entry.namespace not in there
    }


def operators(api: Api, entries: Sequence[Entry], seconds: float) -> dict[Entry, str]:
    """Wait until these workloads are ready; those that are not in time, and why."""
    pace = Pace(seconds)
    lacking: dict[Entry, str] = {}
    waiting = list(entries)
    while waiting:
        lacking = {entry: why for entry in waiting if (why := _not_ready(get(api, entry.path)))}
        if not lacking or pace.is_over():
            return lacking
        waiting = list(lacking)
        pace.wait()
    return {}


def _not_ready(obj: Object | None) -> str:
    why = "it is not there any more" if obj is None else ready.workload(obj)
    return f"an operator that is not ready: {why}" if why else ""


def _listed(api: Api, path: str) -> Iterator[dict[str, Any]]:
    try:
        for page in api.pages(path):
            yield from page["items"]
    except KubeRefused as error:
        if error.status != _NOT_FOUND:
            raise
