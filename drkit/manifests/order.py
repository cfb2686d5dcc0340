"""In which order objects are applied to a new cluster. Pure.

What others need comes first: definitions before their objects, namespaces before what is in them, rights and
configuration before what runs with them, operators before what they look after. Admission webhooks come last: one whose
backend does not run yet refuses everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.cluster.kube import Object, Resource

    Found = tuple[Resource, Object]


class Phase(IntEnum):
    """A step of applying; one begins when the one before it is done."""

    DEFINITIONS = 0
    """Custom resource definitions, to be waited for until they are Established."""
    NAMESPACES = 1
    CLASSES = 2
    RIGHTS = 3
    CONFIGURATION = 4
    VOLUMES = 5
    SERVICES = 6
    NETWORK = 7
    """What runs on the nodes' own network, on each of them: it may be what makes that of the pods, as Canal is."""
    OPERATORS = 8
    """What serves webhooks or looks after custom resources, to be waited for until it is ready."""
    WORKLOADS = 9
    """With the custom resources."""
    ENTRIES = 10
    """What leads to the workloads, or watches over them."""
    ADMISSION = 11


_PHASES: Final[Mapping[tuple[str, str], Phase]] = {
    ("apiextensions.k8s.io", "customresourcedefinitions"): Phase.DEFINITIONS,
    ("", "namespaces"): Phase.NAMESPACES,
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): Phase.CLASSES,
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): Phase.CLASSES,
    ("networking.k8s.io", "ingressclasses"): Phase.CLASSES,
    ("networking.k8s.io", "servicecidrs"): Phase.CLASSES,
    ("node.k8s.io", "runtimeclasses"): Phase.CLASSES,
    ("resource.k8s.io", "deviceclasses"): Phase.CLASSES,
    ("scheduling.k8s.io", "priorityclasses"): Phase.CLASSES,
    ("storage.k8s.io", "csidrivers"): Phase.CLASSES,
    ("storage.k8s.io", "storageclasses"): Phase.CLASSES,
    ("storage.k8s.io", "volumeattributesclasses"): Phase.CLASSES,
    ("", "serviceaccounts"): Phase.RIGHTS,
    ("", "limitranges"): Phase.RIGHTS,
    ("", "resourcequotas"): Phase.RIGHTS,
    ("networking.k8s.io", "networkpolicies"): Phase.RIGHTS,
    ("rbac.authorization.k8s.io", "clusterroles"): Phase.RIGHTS,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): Phase.RIGHTS,
    ("rbac.authorization.k8s.io", "roles"): Phase.RIGHTS,
    ("rbac.authorization.k8s.io", "rolebindings"): Phase.RIGHTS,
    ("", "configmaps"): Phase.CONFIGURATION,
    ("", "secrets"): Phase.CONFIGURATION,
    ("", "persistentvolumeclaims"): Phase.VOLUMES,
    ("", "persistentvolumes"): Phase.VOLUMES,
    ("", "endpoints"): Phase.SERVICES,
    ("", "services"): Phase.SERVICES,
    ("discovery.k8s.io", "endpointslices"): Phase.SERVICES,
    ("apiregistration.k8s.io", "apiservices"): Phase.ENTRIES,
    ("autoscaling", "horizontalpodautoscalers"): Phase.ENTRIES,
    ("networking.k8s.io", "ingresses"): Phase.ENTRIES,
    ("policy", "poddisruptionbudgets"): Phase.ENTRIES,
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): Phase.ADMISSION,
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): Phase.ADMISSION,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): Phase.ADMISSION,
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): Phase.ADMISSION,
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): Phase.ADMISSION,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): Phase.ADMISSION,
}
_ON_EACH_NODE: Final = ("apps", "daemonsets")
_RUNNING: Final = frozenset({("apps", "deployments"), ("apps", "statefulsets"), _ON_EACH_NODE})
_WEBHOOKS: Final = frozenset(
    {
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    }
)


@dataclass(frozen=True)
class Operators:
    """By what a workload is told to be an operator's."""

    service_namespaces: frozenset[str] = field(default_factory=frozenset)
    """Namespaces with a service that answers for webhooks or an aggregated API."""
    accounts: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """Service accounts (namespace, name) with rights over custom resources in the whole cluster."""

    def has(self, kind: Resource, obj: Object) -> bool:
        """Whether an object is an operator."""
        if not may_operate(kind):
            return False
        namespace = str(_at(obj, "metadata", "namespace"))
        pod = _at(obj, "spec", "template", "spec")
        account = str(_at(pod, "serviceAccountName") or "default")
        return namespace in self.service_namespaces or (namespace, account) in self.accounts


def may_operate(kind: Resource) -> bool:
    """Whether an object of the kind can be an operator: of all others the kind alone tells when they are applied."""
    return (kind.group, kind.plural) in _RUNNING


def phase(kind: Resource, obj: Object, operators: Operators) -> Phase:
    """When an object is applied."""
    if (kind.group, kind.plural) == _ON_EACH_NODE and _at(obj, "spec", "template", "spec", "hostNetwork") is True:
        return Phase.NETWORK
    if operators.has(kind, obj):
        return Phase.OPERATORS
    return _PHASES.get((kind.group, kind.plural), Phase.WORKLOADS)


def operators(objects: Iterable[Found]) -> Operators:
    """What all objects together say about operators; cheap enough for a pass of its own."""
    namespaces: set[str] = set()
    groups: set[str] = set()
    rules: dict[str, list[Any]] = {}
    bound: list[tuple[str, tuple[str, str]]] = []
    for kind, obj in objects:
        namespaces |= set(_backends(kind, obj))
        match kind.group, kind.plural:
            case "apiextensions.k8s.io", "customresourcedefinitions":
                groups.add(str(_at(obj, "spec", "group")))
            case "rbac.authorization.k8s.io", "clusterroles":
                rules[str(_at(obj, "metadata", "name"))] = _list(obj.get("rules"))
            case "rbac.authorization.k8s.io", "clusterrolebindings":
                bound += [(str(_at(obj, "roleRef", "name")), account) for account in _accounts(obj)]
    over_custom = {name for name, each in rules.items() if groups & _groups(each)}
    return Operators(frozenset(namespaces), frozenset(account for role, account in bound if role in over_custom))


def _backends(kind: Resource, obj: Object) -> Iterator[str]:
    """The namespaces of the services that answer for a webhook, a conversion or an aggregated API."""
    found: list[Any] = []
    if (kind.group, kind.plural) in _WEBHOOKS:
        found = [_at(each, "clientConfig", "service", "namespace") for each in _list(obj.get("webhooks"))]
    elif kind.plural == "customresourcedefinitions":
        found = [_at(obj, "spec", "conversion", "webhook", "clientConfig", "service", "namespace")]
    elif kind.plural == "apiservices":
        found = [_at(obj, "spec", "service", "namespace")]
    yield from (each for each in found if isinstance(each, str))


def _accounts(binding: Object) -> Iterator[tuple[str, str]]:
    for subject in _list(binding.get("subjects")):
        if _at(subject, "kind") == "ServiceAccount":
            yield str(_at(subject, "namespace")), str(_at(subject, "name"))


def _groups(rules: Iterable[Any]) -> set[str]:
    return {str(group) for rule in rules for group in _list(_at(rule, "apiGroups"))}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(value: Any, *keys: str) -> Any:
    """What is below these keys; nothing where they lead nowhere."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
