"""Which objects a restore does not apply, each with the reason. Pure.

They are made by the cluster or by their owners, or belong to what a new cluster does not have. All of them are in the
raw form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from drkit.cluster.kube import Object, Resource

KINDS: Final[Mapping[tuple[str, str], str]] = {
    ("", "events"): "what happened, not what shall be",
    ("events.k8s.io", "events"): "what happened, not what shall be",
    ("", "nodes"): "nodes register themselves",
    ("", "componentstatuses"): "made up for each question",
    ("certificates.k8s.io", "certificatesigningrequests"): "a request to the authority of this cluster",
    ("coordination.k8s.io", "leases"): "held by what runs",
    ("coordination.k8s.io", "leasecandidates"): "held by what runs",
    ("internal.apiserver.k8s.io", "storageversions"): "kept by the API servers",
    ("k3s.cattle.io", "addons"): "kept by k3s from the files in server/manifests",
    ("k3s.cattle.io", "etcdsnapshotfiles"): "kept by k3s from the files that there are",
    ("networking.k8s.io", "ipaddresses"): "kept by the API server from the services",
    ("resource.k8s.io", "resourceslices"): "kept by the drivers on the nodes",
    ("storage.k8s.io", "csinodes"): "kept by the kubelets",
    ("storage.k8s.io", "csistoragecapacities"): "kept by the drivers",
    ("storage.k8s.io", "volumeattachments"): "of volumes and nodes of this cluster",
}
"""Kinds of which no object is applied."""
_OWNED_BY_NAMESPACE: Final = frozenset({"kube-root-ca.crt"})
_TOKENS: Final = frozenset({"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"})
_OF_A_NODE: Final = ".node-password.k3s"
_KUBE_SYSTEM: Final = "kube-system"
_OF_THE_API: Final = frozenset(
    {"extension-apiserver-authentication", "kube-apiserver-legacy-service-account-token-tracking"}
)
RESTORE_RECORD: Final = "drkit-restore"
"""The ConfigMap in kube-system that says which restore a cluster is of: another one's would belie the next."""
_PACKAGED_CHART: Final = "https://%{KUBERNETES_API}%/static/charts/"


def reason(obj: Object, kind: Resource) -> str:
    """Why an object is not applied by a restore; empty where it is."""
    found = KINDS.get((kind.group, kind.plural))
    if found:
        return found
    if "create" not in kind.verbs:
        return "its API takes none"
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if metadata.get("deletionTimestamp"):
        return "being deleted"
    # What is in a secret no owner can make again: passwords, certificates.
    if (kind.group, kind.plural) != ("", "secrets") and _is_managed(metadata):
        return "made by its owner"
    special = _SPECIAL.get((kind.group, kind.plural))
    return special(obj, metadata) if special else ""


def _is_managed(metadata: Mapping[str, Any]) -> bool:
    owners = metadata.get("ownerReferences")
    if not isinstance(owners, list):
        return False
    return any(isinstance(owner, dict) and owner.get("controller") is True for owner in owners)


def _mapping(obj: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = obj.get(key)
    return value if isinstance(value, dict) else {}


def _is_one_of(value: Any, known: Collection[str]) -> bool:
    return isinstance(value, str) and value in known


def _secret(obj: Object, metadata: Mapping[str, Any]) -> str:
    if _is_one_of(obj.get("type"), _TOKENS):
        return "a token of this cluster"
    if metadata.get("namespace") == _KUBE_SYSTEM:
        name = str(metadata.get("name"))
        if name.endswith(_OF_A_NODE):
            return "made by k3s when the node registers"
        if name == "k3s-serving":
            return "made by k3s with the authority of this cluster"
    return ""


def _config_map(_: Object, metadata: Mapping[str, Any]) -> str:
    name = metadata.get("name")
    if _is_one_of(name, _OWNED_BY_NAMESPACE):
        return "made in each namespace"
    if _is_one_of(name, _OF_THE_API) and metadata.get("namespace") == _KUBE_SYSTEM:
        return "made by the API server"
    if name == RESTORE_RECORD and metadata.get("namespace") == _KUBE_SYSTEM:
        return "says which restore this cluster is of"
    return ""


def _pod(obj: Object, metadata: Mapping[str, Any]) -> str:
    if _is_one_of(_mapping(obj, "status").get("phase"), {"Succeeded", "Failed"}):
        return "completed"
    if "kubernetes.io/config.mirror" in _mapping(metadata, "annotations"):
        return "made by a kubelet from a file"
    return ""


def _job(obj: Object, _: Mapping[str, Any]) -> str:
    conditions = _mapping(obj, "status").get("conditions")
    for condition in conditions if isinstance(conditions, list) else []:
        ended = isinstance(condition, dict) and _is_one_of(condition.get("type"), {"Complete", "Failed"})
        if ended and condition.get("status") == "True":
            return "completed; applied again it would run again"
    return ""


def _endpoints(_: Object, metadata: Mapping[str, Any]) -> str:
    labels, annotations = _mapping(metadata, "labels"), _mapping(metadata, "annotations")
    made = (
        labels.get("endpoints.kubernetes.io/managed-by") == "endpoint-controller"
        or "endpoints.kubernetes.io/last-change-trigger-time" in annotations
        or "control-plane.alpha.kubernetes.io/leader" in annotations
        or _is_the_apis_own(metadata)
    )
    # Those that somebody wrote for a service without a selector are kept: nothing makes them again.
    return "made by its service" if made else ""


def _endpoint_slice(_: Object, metadata: Mapping[str, Any]) -> str:
    labels = _mapping(metadata, "labels")
    by = labels.get("endpointslice.kubernetes.io/managed-by")
    made = isinstance(by, str) and by.endswith(".k8s.io")
    return "made by its service" if made or _is_the_apis_own(metadata) else ""


def _daemon_set(_: Object, metadata: Mapping[str, Any]) -> str:
    # Its name ends with the service's uid, which is another one in a new cluster.
    balances = "svccontroller.k3s.cattle.io/svcname" in _mapping(metadata, "labels")
    return "made for its service by k3s's load balancer" if balances else ""


def _service(_: Object, metadata: Mapping[str, Any]) -> str:
    return "made by the API server" if _is_the_apis_own(metadata) else ""


def _is_the_apis_own(metadata: Mapping[str, Any]) -> bool:
    return metadata.get("namespace") == "default" and metadata.get("name") == "kubernetes"


def _api_service(_: Object, metadata: Mapping[str, Any]) -> str:
    automanaged = "kube-aggregator.kubernetes.io/automanaged" in _mapping(metadata, "labels")
    return "made by the API server" if automanaged else ""


def _service_cidr(_: Object, metadata: Mapping[str, Any]) -> str:
    return "made by the API server" if metadata.get("name") == "kubernetes" else ""


def _flow(_: Object, metadata: Mapping[str, Any]) -> str:
    kept = _mapping(metadata, "annotations").get("apf.kubernetes.io/autoupdate-spec") == "true"
    return "made by the API server" if kept else ""


def _volume(_: Object, metadata: Mapping[str, Any]) -> str:
    dynamic = "pv.kubernetes.io/provisioned-by" in _mapping(metadata, "annotations")
    return "made for its claim by a provisioner" if dynamic else ""


def is_packaged_chart(obj: Object) -> bool:
    """Whether a HelmChart is one that k3s brings with it."""
    chart = _mapping(obj, "spec").get("chart")
    return isinstance(chart, str) and chart.startswith(_PACKAGED_CHART)


def _helm_chart(obj: Object, _: Mapping[str, Any]) -> str:
    return "packaged with k3s" if is_packaged_chart(obj) else ""


_SPECIAL: Final[Mapping[tuple[str, str], Callable[[Object, Mapping[str, Any]], str]]] = {
    ("", "secrets"): _secret,
    ("", "configmaps"): _config_map,
    ("", "pods"): _pod,
    ("", "endpoints"): _endpoints,
    ("", "services"): _service,
    ("", "persistentvolumes"): _volume,
    ("apiregistration.k8s.io", "apiservices"): _api_service,
    ("apps", "daemonsets"): _daemon_set,
    ("batch", "jobs"): _job,
    ("discovery.k8s.io", "endpointslices"): _endpoint_slice,
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): _flow,
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): _flow,
    ("helm.cattle.io", "helmcharts"): _helm_chart,
    ("networking.k8s.io", "servicecidrs"): _service_cidr,
}
