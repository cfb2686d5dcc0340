"""What each component may do in the cluster, and whom its pods may talk to. Pure.

The rules are those of ``drkit/cluster/rbac*.yaml``, cut down to what the one job needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drkit.config.model import DsnDatabase
from drkit.cronjobs.jobs import DATABASES, DRILLS, EVERYTHING, WITHOUT_API
from drkit.cronjobs.pods import labels, metadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.config.model import Config
    from drkit.cronjobs.jobs import Job

_GROUP: Final = "rbac.authorization.k8s.io"
_ROLES: Final = f"{_GROUP}/v1"
_SSH_PORT, _POSTGRESQL_PORT, _API_PORTS, _HTTPS_PORT, _DNS_PORT = 22, 5432, (443, 6443), 443, 53
IN_PODS: Final = [
    # pg_dump is run in the instances' pods, which are found by their cluster.
    {"apiGroups": ["postgresql.cnpg.io"], "resources": ["clusters"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]},
]
_READ: Final = [
    # Whole objects, and no subresource, such as pods/exec and nodes/proxy: those can be got, and not be listed.
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list"]},
    {"nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/version"], "verbs": ["get"]},
]
_HURT: Final = [
    # Cordoning, draining and deleting are what faults through the API do; the others are done over SSH.
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "watch", "patch"]},
    {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "watch", "delete"]},
    # What happens is watched, and whether the API's servers answer is asked of the namespace kube-system.
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["watch"]},
    {"apiGroups": ["postgresql.cnpg.io"], "resources": ["clusters"], "verbs": ["get", "watch"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
    {"nonResourceURLs": ["/readyz", "/livez"], "verbs": ["get"]},
]
_ONE_AT_A_TIME: Final = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch"]}
]


_OWN_JOB: Final = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]}]


def account(component: str) -> dict[str, Any]:
    """Its ServiceAccount; who asks the API for nothing has no token for it."""
    token = {"automountServiceAccountToken": False} if component in WITHOUT_API else {}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(component), **token}


def base_rights(component: str) -> list[dict[str, Any]]:
    """The roles that do not depend on a configuration, with their bindings."""
    if component in WITHOUT_API:
        return []
    if component == DATABASES:
        return _bound("Role", component, IN_PODS)
    return _bound("ClusterRole", component, [*_READ, *(_HURT if component == DRILLS else [])])


def database_rights(component: str, namespace: str, own: str) -> list[dict[str, Any]]:
    """To run programs in the pods of one namespace's databases, for a job in the namespace ``own``."""
    return _bound("Role", component, IN_PODS, namespace, own)


def lease_rights(component: str, own: str) -> list[dict[str, Any]]:
    """To hold the lease that keeps two drills apart, which is in ``kube-system``."""
    return _bound("Role", component, _ONE_AT_A_TIME, "kube-system", own)


def share_rights(component: str) -> list[dict[str, Any]]:
    """To see which of the pods of a Job have ended, for the one that seals what they stored."""
    return _bound("Role", component, _OWN_JOB, name=f"drkit-{component}-shares")


def _bound(
    kind: str, component: str, rules: Iterable[Any], namespace: str = "", own: str = "", name: str = ""
) -> list[dict[str, Any]]:
    where = ({"namespace": namespace} if namespace else {}) | ({"name": name} if name else {})
    subject = {"kind": "ServiceAccount", "name": f"drkit-{component}"} | ({"namespace": own} if own else {})
    return [
        {"apiVersion": _ROLES, "kind": kind, "metadata": metadata(component, **where), "rules": [*rules]},
        {
            "apiVersion": _ROLES,
            "kind": f"{kind}Binding",
            "metadata": metadata(component, **where),
            "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": name or f"drkit-{component}"},
            "subjects": [subject],
        },
    ]


def network(component: str) -> dict[str, Any]:
    """Nobody reaches its pods, and they reach the cluster's DNS alone until an overlay says more."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(component),
        "spec": {
            "podSelector": {"matchLabels": labels(component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [_dns()],
        },
    }


def egress(config: Config, job: Job, ports: Iterable[int]) -> list[dict[str, Any]]:
    """Whom a job's pods may talk to: the boxes, the API, and what else their sources need.

    Args:
        config: says where the API is.
        job: whose pods.
        ports: the boxes'. Where they are is a name, which a policy cannot have.
    """
    found = [_dns(), _to(sorted(set(ports)))]
    if job.uses_api or job.is_shared:
        found.append(_to(_API_PORTS, *map(str, config.cronjobs.api)))
    if job.component in (EVERYTHING, DRILLS):
        found.append(_to([config.cluster.ssh.port or _SSH_PORT]))
    if job.component == DRILLS:
        found.append(_to([80, _HTTPS_PORT]))  # probes ask pages, and the provider has the machines' power
    elif job.component == EVERYTHING and config.cluster.token is not None:
        found.append(_to([_HTTPS_PORT]))
    if any(isinstance(each, DsnDatabase) for share in job.databases for each in share):
        found.append(_to([_POSTGRESQL_PORT]))
    if config.notify.urls or config.notify.ping:
        found.append(_to(config.cronjobs.ports))
    return found


def _dns() -> dict[str, Any]:
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    return {"to": [system], "ports": [{"protocol": each, "port": _DNS_PORT} for each in ("UDP", "TCP")]}


def _to(ports: Iterable[int], *networks: str) -> dict[str, Any]:
    found: dict[str, Any] = {"ports": [{"protocol": "TCP", "port": each} for each in ports]}
    return found | ({"to": [{"ipBlock": {"cidr": each}} for each in networks]} if networks else {})
