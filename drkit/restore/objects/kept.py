"""Which objects a new cluster keeps itself, so that a restore leaves them alone, each with the reason. Pure.

What an export need not hold at all is left out of it already (``drkit.manifests.skip``). The rest shows only in the new
cluster: k3s deploys the files in ``server/manifests``, its packaged components among them, and installs packaged
charts; the API server makes the default rights. What the old cluster had of these may be that of another version.

k3s marks what it deploys with the annotations of its library (github.com/rancher/wrangler, pkg/apply), and its
controllers write as ``CONTROLLER@NODE`` (k3s, pkg/util/client.go: GetUserAgent). Helm marks what belongs to a release
(https://helm.sh/docs/topics/charts_hooks, "meta.helm.sh").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from drkit.manifests.skip import is_packaged_chart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.cluster.kube import Object, Resource

ADDONS: Final = ("k3s.cattle.io", "addons")
CHARTS: Final = ("helm.cattle.io", "helmcharts")
_OWN_GROUPS: Final = frozenset({"k3s.cattle.io", "helm.cattle.io"})
_DEFINITIONS: Final = ("apiextensions.k8s.io", "customresourcedefinitions")
_RIGHTS: Final = "rbac.authorization.k8s.io"
_K3S: Final = frozenset({"k3s", "k3s-supervisor", "k3s-cloud-controller-manager", "deploy", "helm-controller"})
_COUNTERS: Final = frozenset({"kube-controller-manager", "kube-scheduler", "kubelet"})
"""They note in an object what became of it, whoever made it."""
_RELEASE: Final = "helm.sh/release.v1"

Named = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class Own:
    """What the new cluster has of k3s's own."""

    addons: frozenset[Named] = field(default_factory=frozenset)
    """Objects that stand for a file in ``server/manifests``."""
    releases: frozenset[Named] = field(default_factory=frozenset)
    """Releases of packaged charts."""


def own(addons: Iterable[Object], charts: Iterable[Object]) -> Own:
    """Read it from the objects of two kinds, ``ADDONS`` and ``CHARTS``."""
    found = (_named(obj) for obj in addons)
    return Own(frozenset(found), frozenset(_release(obj) for obj in charts if is_packaged_chart(obj)))


def reason(kind: Resource, wish: Object, live: Object | None, there: Own) -> str:
    """Why an object is left alone; empty where it is not.

    Args:
        kind: its kind.
        wish: as the restore would apply it.
        live: as it is in the new cluster, where it is.
        there: what k3s has there.
    """
    annotations = _mapping(wish, "metadata", "annotations")
    if _owner(annotations, "Addon") in there.addons:
        return "deployed by k3s from server/manifests"
    if _owner(annotations, "HelmChart") in there.releases or _is_of_release(wish, annotations, there):
        return "installed by k3s with a packaged chart"
    if live is None:
        return ""
    if _is_k3s_own(kind, live):
        return "kept by k3s"
    if kind.group == _RIGHTS and _is_default(live) and _updates(annotations):
        return "kept by the API server"
    return ""


def _is_k3s_own(kind: Resource, live: Object) -> bool:
    group = _mapping(live, "spec").get("group")
    if (kind.group, kind.plural) == _DEFINITIONS and isinstance(group, str) and group in _OWN_GROUPS:
        return True
    managers = {
        str(entry.get("manager")).partition("@")[0]
        for entry in _list(_mapping(live, "metadata").get("managedFields"))
        if isinstance(entry, dict) and not entry.get("subresource")
    }
    makers = managers - _COUNTERS
    return bool(makers) and makers <= _K3S


def _is_default(live: Object) -> bool:
    return _mapping(live, "metadata", "labels").get("kubernetes.io/bootstrapping") == "rbac-defaults"


def _updates(annotations: Mapping[str, Any]) -> bool:
    """Whether nobody has taken the right out of the API server's care."""
    return annotations.get("rbac.authorization.kubernetes.io/autoupdate") != "false"


def _owner(annotations: Mapping[str, Any], kind: str) -> Named | None:
    gvk = annotations.get("objectset.rio.cattle.io/owner-gvk")
    if not isinstance(gvk, str) or not gvk.endswith(f"Kind={kind}"):
        return None
    named = (annotations.get(f"objectset.rio.cattle.io/owner-{part}") for part in ("namespace", "name"))
    namespace, name = (str(each or "") for each in named)
    return namespace, name


def _is_of_release(wish: Object, annotations: Mapping[str, Any], there: Own) -> bool:
    marked = tuple(str(annotations.get(f"meta.helm.sh/release-{part}") or "") for part in ("namespace", "name"))
    if marked in there.releases:
        return True
    # The release itself.
    metadata = _mapping(wish, "metadata")
    named = str(metadata.get("namespace")), str(_mapping(metadata, "labels").get("name"))
    return wish.get("type") == _RELEASE and named in there.releases


def _release(chart: Object) -> Named:
    namespace, name = _named(chart)
    target = _mapping(chart, "spec").get("targetNamespace")
    return (target if isinstance(target, str) and target else namespace), name


def _named(obj: Object) -> Named:
    metadata = _mapping(obj, "metadata")
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _mapping(obj: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = obj
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
