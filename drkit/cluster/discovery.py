"""What an API says that it serves, read from its answers. Pure.

Since Kubernetes 1.26 one aggregated document has all groups (https://kubernetes.io/docs/concepts/overview/kubernetes-api,
KEP-3352); older servers answer the same request with a list of groups, whose kinds have to be asked for one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drkit.cluster.kube import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ACCEPT: Final = ", ".join(
    [
        *(f"application/json;g=apidiscovery.k8s.io;v={v};as=APIGroupDiscoveryList" for v in ("v2", "v2beta1")),
        "application/json",
    ]
)
AGGREGATED: Final = "APIGroupDiscoveryList"
_STALE: Final = "Stale"


def group_version(group: str, version: str) -> str:
    """As objects carry it."""
    return f"{group}/{version}" if group else version


def aggregated(document: Mapping[str, Any]) -> tuple[list[Resource], list[str]]:
    """The kinds of an aggregated document, best version first within a group, and the group versions that are stale.

    Raises:
        TypeError, KeyError, AttributeError: it is none.
    """
    found: list[Resource] = []
    stale: list[str] = []
    for group in document.get("items") or []:
        name = group["metadata"].get("name") or ""
        for version in group["versions"]:
            if version.get("freshness") == _STALE:
                stale.append(group_version(name, version["version"]))
                continue
            found += [
                _aggregated_kind(name, version["version"], each)
                for each in version.get("resources") or []
                if each.get("responseKind")
            ]
    return found, stale


def _aggregated_kind(group: str, version: str, each: Mapping[str, Any]) -> Resource:
    return Resource(
        group,
        version,
        each["resource"],
        each["responseKind"]["kind"],
        each["scope"] == "Namespaced",
        frozenset(each["verbs"]),
    )


def versions(document: Mapping[str, Any]) -> list[str]:
    """The group versions of an old server's ``/api`` or ``/apis``, the preferred one of each group first.

    Raises:
        TypeError, KeyError, AttributeError: it is none.
    """
    if document.get("kind") == "APIVersions":
        return list(document["versions"])
    found: list[str] = []
    for group in document.get("groups") or []:
        preferred = group["preferredVersion"]["groupVersion"]
        every = [each["groupVersion"] for each in group["versions"]]
        found += [preferred, *(each for each in every if each != preferred)]
    return found


def kinds(document: Mapping[str, Any]) -> list[Resource]:
    """The kinds of one group version's own document (``APIResourceList``).

    Raises:
        TypeError, KeyError, AttributeError: it is none.
    """
    group, _, version = document["groupVersion"].rpartition("/")
    return [
        Resource(group, version, each["name"], each["kind"], each["namespaced"], frozenset(each["verbs"]))
        for each in document.get("resources") or []
        if "/" not in each["name"]
    ]


def one_version_each(found: Iterable[Resource]) -> tuple[Resource, ...]:
    """Of each kind the version that came first, sorted."""
    best: dict[tuple[str, str], Resource] = {}
    for each in found:
        best.setdefault((each.group, each.plural), each)
    return tuple(sorted(best.values(), key=lambda each: (each.group, each.plural)))


def roots(group_versions: Sequence[str]) -> list[str]:
    """Where each group version's own document is."""
    return [f"/apis/{each}" if "/" in each else f"/api/{each}" for each in group_versions]
