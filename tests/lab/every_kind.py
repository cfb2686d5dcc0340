"""Objects of every built-in kind that can be made, for tests that export, delete and apply them. None of them runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.cluster.kube import Object

_TEXTS = {
    "no": "no",
    "number": "1e3",
    "octal": "0o17",
    "time": "12:30",
    "null": "null",
    "tilde": "~",
    "date": "2001-12-14",
    "lines": "first\n  second\n\nthird \n",
    "blank": " leading and trailing ",
    "newlines": "\n\nboth ends\n\n",
    "unicode": "ä日本😀\u2028",
    "tab": "a\tb\n\tc\n",
    "quotes": "'\"\\ # : - {}[]",
    "empty": "",
    "crlf": "a\r\nb\r\n",
}
_TEMPLATE: Mapping[str, Any] = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {
        "nodeSelector": {"example.com/nowhere": "no"},
        "containers": [
            {
                "name": "main",
                "image": "example.com/nothing:1.10",
                "env": [{"name": name.upper(), "value": value} for name, value in _TEXTS.items() if "\r" not in value],
                "ports": [{"containerPort": 80}],
                "resources": {"limits": {"memory": "10Mi"}, "requests": {"cpu": "1m"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5},
            }
        ],
    },
}
_SELECTOR: Mapping[str, Any] = {"matchLabels": {"app": "a"}}
_RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]


def names(prefix: str) -> dict[str, str]:
    """What the definition's group and plural are."""
    return {"group": f"{prefix}.example.com", "plural": "things"}


def _in_namespace() -> list[tuple[str, str, dict[str, Any]]]:
    port = {"name": "web", "port": 80, "targetPort": 80}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
        "storageClassName": "local-path",
    }
    return [
        ("v1", "ConfigMap", {"data": _TEXTS, "binaryData": {"binary": "AAEC/w=="}}),
        ("v1", "LimitRange", {"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]}}),
        ("v1", "PersistentVolumeClaim", {"spec": claim}),
        ("v1", "Pod", {"metadata": {"labels": {"of": "nobody"}}, "spec": _TEMPLATE["spec"]}),
        ("v1", "PodTemplate", {"template": _TEMPLATE}),
        ("v1", "ReplicationController", {"spec": {"replicas": 1, "selector": {"app": "a"}, "template": _TEMPLATE}}),
        ("v1", "ResourceQuota", {"spec": {"hard": {"pods": "1000"}}}),
        ("v1", "Secret", {"type": "Opaque", "data": {"password": "c2VjcmV0", "empty": ""}}),
        ("v1", "ServiceAccount", {"imagePullSecrets": [{"name": "a"}]}),
        ("v1", "Service", {"spec": {"selector": {"app": "a"}, "ports": [port]}}),
        ("v1", "Service", {"metadata": {"name": "none"}, "spec": {"clusterIP": "None", "ports": [port]}}),
        ("v1", "Service", {"metadata": {"name": "auto"}, "spec": {"type": "NodePort", "ports": [port]}}),
        (
            "v1",
            "Service",
            {"metadata": {"name": "node"}, "spec": {"type": "NodePort", "ports": [{**port, "nodePort": 31999}]}},
        ),
        (
            "v1",
            "Service",
            {
                "metadata": {"name": "balanced"},
                "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [port]},
            },
        ),
        (
            "v1",
            "Service",
            {"metadata": {"name": "far"}, "spec": {"type": "ExternalName", "externalName": "example.com"}},
        ),
        ("v1", "Endpoints", {"metadata": {"name": "none"}, "subsets": [{"addresses": [{"ip": "192.0.2.7"}]}]}),
        ("apps/v1", "ControllerRevision", {"revision": 1, "data": {"of": "nobody"}}),
        ("apps/v1", "DaemonSet", {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}}),
        ("apps/v1", "Deployment", {"spec": {"replicas": 2, "selector": _SELECTOR, "template": _TEMPLATE}}),
        ("apps/v1", "ReplicaSet", {"spec": {"replicas": 1, "selector": _SELECTOR, "template": _TEMPLATE}}),
        (
            "apps/v1",
            "StatefulSet",
            {
                "spec": {
                    "serviceName": "none",
                    "replicas": 1,
                    "selector": _SELECTOR,
                    "template": _TEMPLATE,
                    "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
                }
            },
        ),
        (
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            {
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gone"},
                    "maxReplicas": 3,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                        }
                    ],
                }
            },
        ),
        (
            "batch/v1",
            "CronJob",
            {"spec": {"schedule": "0 3 31 2 *", "jobTemplate": {"spec": {"template": _job_template()}}}},
        ),
        ("batch/v1", "Job", {"spec": {"suspend": True, "template": _job_template()}}),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            {
                "metadata": {"labels": {"kubernetes.io/service-name": "none"}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["192.0.2.7"]}],
                "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
            },
        ),
        (
            "networking.k8s.io/v1",
            "Ingress",
            {"spec": {"defaultBackend": {"service": {"name": "service", "port": {"number": 80}}}}},
        ),
        ("networking.k8s.io/v1", "NetworkPolicy", {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
        ("policy/v1", "PodDisruptionBudget", {"spec": {"minAvailable": "50%", "selector": _SELECTOR}}),
        ("rbac.authorization.k8s.io/v1", "Role", {"metadata": {"name": "system:a:B"}, "rules": _RULES}),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            {
                "metadata": {"name": "system:a:B"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "system:a:B"},
                "subjects": [{"kind": "ServiceAccount", "name": "serviceaccount"}],
            },
        ),
        (
            "resource.k8s.io/v1",
            "ResourceClaim",
            {"spec": {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "gone"}}]}}},
        ),
        (
            "resource.k8s.io/v1",
            "ResourceClaimTemplate",
            {"spec": {"spec": {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "gone"}}]}}}},
        ),
    ]


def _job_template() -> dict[str, Any]:
    return {**_TEMPLATE, "spec": {**_TEMPLATE["spec"], "restartPolicy": "Never"}}


def _in_cluster(prefix: str, namespace: str) -> list[tuple[str, str, dict[str, Any]]]:
    group = f"{prefix}.example.com"
    rule = {"apiGroups": [group], "apiVersions": ["v9"], "operations": ["CREATE"], "resources": ["*"]}
    webhook = {
        "name": group,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
        "clientConfig": {"service": {"namespace": namespace, "name": "none", "path": "/"}},
        "rules": [rule],
    }
    subject = {"kind": "Group", "name": f"{prefix}:nobody", "apiGroup": "rbac.authorization.k8s.io"}
    return [
        (
            "v1",
            "PersistentVolume",
            {
                "spec": {
                    "capacity": {"storage": "1Mi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": f"{prefix}-static",
                    "nfs": {"server": "192.0.2.7", "path": "/"},
                }
            },
        ),
        ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", {"webhooks": [webhook]}),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", {"webhooks": [webhook]}),
        (
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicy",
            {"spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]}},
        ),
        (
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicyBinding",
            {"spec": {"policyName": prefix, "validationActions": ["Deny"]}},
        ),
        (
            "apiregistration.k8s.io/v1",
            "APIService",
            {
                "metadata": {"name": f"v9.{group}"},
                "spec": {
                    "group": group,
                    "version": "v9",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 1,
                    "service": {"namespace": namespace, "name": "none"},
                    "insecureSkipTLSVerify": True,
                },
            },
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1",
            "FlowSchema",
            {
                "spec": {
                    "priorityLevelConfiguration": {"name": prefix},
                    "rules": [
                        {
                            "subjects": [{"kind": "User", "user": {"name": prefix}}],
                            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}],
                        }
                    ],
                }
            },
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1",
            "PriorityLevelConfiguration",
            {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}},
        ),
        ("networking.k8s.io/v1", "IngressClass", {"spec": {"controller": "example.com/nobody"}}),
        ("networking.k8s.io/v1", "ServiceCIDR", {"spec": {"cidrs": ["10.211.250.0/24"]}}),
        ("node.k8s.io/v1", "RuntimeClass", {"handler": "nothing"}),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", {"metadata": {"name": f"{prefix}:a:B"}, "rules": _RULES}),
        (
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            {
                "metadata": {"name": f"{prefix}-part", "labels": {f"{prefix}.example.com/part": "true"}},
                "rules": _RULES,
            },
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            {
                "metadata": {"name": f"{prefix}-whole"},
                "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {f"{prefix}.example.com/part": "true"}}]},
            },
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            {
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{prefix}:a:B"},
                "subjects": [subject],
            },
        ),
        ("resource.k8s.io/v1", "DeviceClass", {"spec": {"selectors": [{"cel": {"expression": "false"}}]}}),
        ("scheduling.k8s.io/v1", "PriorityClass", {"value": 7, "description": "no"}),
        ("storage.k8s.io/v1", "CSIDriver", {"spec": {"attachRequired": False}}),
        ("storage.k8s.io/v1", "StorageClass", {"provisioner": "example.com/nobody", "parameters": {"a": "1e3"}}),
        ("storage.k8s.io/v1", "VolumeAttributesClass", {"driverName": "example.com", "parameters": {"a": "no"}}),
    ]


def definition(prefix: str) -> Object:
    """A definition with two versions."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}}
        for name in ("v1", "v1beta1")
    ]
    named = names(prefix)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{named['plural']}.{named['group']}"},
        "spec": {
            "group": named["group"],
            "names": {"plural": named["plural"], "kind": "Thing"},
            "scope": "Namespaced",
            "versions": versions,
        },
    }


def _custom(prefix: str) -> tuple[str, str, dict[str, Any]]:
    spec = {
        "texts": [*_TEXTS.values()],
        "numbers": [0, -1, 1.5, 1e300, 2**53, 1e-7],
        "truths": [True, False],
        "empty": {"a": {}, "b": []},
        "nested": [[1, [2, {"a": [None]}]]],
        "k" * 300: "long",
        "": "no name",
    }
    return f"{prefix}.example.com/v1", "Thing", {"spec": spec, "more": {"at": "the top"}}


def objects(prefix: str, namespace: str) -> list[Object]:
    """All of them; those in no namespace have names that begin with ``prefix``. The definition is not among them."""
    made: list[Object] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}]
    for api_version, kind, rest in [*_in_namespace(), _custom(prefix)]:
        metadata = {"name": kind.lower(), "namespace": namespace, **rest.get("metadata", {})}
        made.append({"apiVersion": api_version, "kind": kind, **rest, "metadata": metadata})
    for api_version, kind, rest in _in_cluster(prefix, namespace):
        made.append(
            {"apiVersion": api_version, "kind": kind, **rest, "metadata": {"name": prefix, **rest.get("metadata", {})}}
        )
    return made
