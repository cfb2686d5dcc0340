"""A cluster as the API lists it: full objects in its shape, of which a test changes what it is about."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from drkit.posture.snapshot import Backups, Certificate, Drilled, Etcd, Kept, Lag, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Objects = dict[str, list[dict[str, Any]]]
NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
SERVERS, AGENTS = ("k3s-mgr",), ("k3s-w1", "k3s-w2")
TEN = [
    {"key": f"node.kubernetes.io/{lost}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}
    for lost in ("not-ready", "unreachable")
]


def node(name: str, address: str, *, server: bool = False, etcd: bool = False, args: str = "") -> dict[str, Any]:
    """A Node."""
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/arch": "arm64"}
    if server:
        labels |= {"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/master": "true"}
    if etcd:
        labels["node-role.kubernetes.io/etcd"] = "true"
    default = '["server"]' if server else '["agent"]'
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": labels,
            "annotations": {"k3s.io/node-args": args or default, "k3s.io/internal-ip": address},
        },
        "spec": {
            "podCIDR": "10.42.0.0/24",
            "podCIDRs": ["10.42.0.0/24"],
            "providerID": f"k3s://{name}",
            "taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}] if server else [],
        },
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "capacity": {"cpu": "2", "memory": "3915032Ki", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {
                "kubeletVersion": "v1.34.4+k3s1",
                "osImage": "Debian GNU/Linux 13 (trixie)",
                "architecture": "arm64",
                "containerRuntimeVersion": "containerd://2.1.5-k3s1",
            },
        },
    }


def workload(kind: str, namespace: str, name: str, replicas: int = 2, **pod: Any) -> dict[str, Any]:
    """A Deployment, StatefulSet or DaemonSet with one container; ``pod`` is put into its pods' spec."""
    labels = {"app": name}
    container = {
        "name": "app",
        "image": f"registry.example/{name}:1.0",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": "/", "port": 8080, "scheme": "HTTP"},
            "periodSeconds": 5,
            "failureThreshold": 2,
            "timeoutSeconds": 1,
            "successThreshold": 1,
        },
        "livenessProbe": {
            "httpGet": {"path": "/", "port": 8080, "scheme": "HTTP"},
            "periodSeconds": 10,
            "failureThreshold": 3,
            "timeoutSeconds": 1,
            "successThreshold": 1,
        },
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    spec = {
        "containers": [container],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "tolerations": copy.deepcopy(TEN),
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": dict(labels)},
                        },
                    }
                ]
            }
        },
    } | pod
    counted = {"desiredNumberScheduled": replicas} if kind == "DaemonSet" else {"replicas": replicas}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels), "uid": f"uid-{name}"},
        "spec": {
            **({} if kind == "DaemonSet" else {"replicas": replicas}),
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": dict(labels)}, "spec": spec},
        },
        "status": {**counted, "readyReplicas": replicas, "observedGeneration": 1},
    }


def pod(namespace: str, name: str, where: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """A Pod that runs."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels), "uid": f"uid-{name}"},
        "spec": {"nodeName": where, "containers": [{"name": "app", "image": "registry.example/app:1.0"}]},
        "status": {"phase": "Running", "podIP": "10.42.1.5", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def pods(of: dict[str, Any], *where: str) -> list[dict[str, Any]]:
    """The Pods of a workload, on these nodes."""
    labels, meta = of["spec"]["template"]["metadata"]["labels"], of["metadata"]
    return [pod(meta["namespace"], f"{meta['name']}-{each}{n}", each, labels) for n, each in enumerate(where)]


def service(namespace: str, name: str, selector: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """A Service."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.43.7.7",
            "selector": dict(selector),
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
            **more,
        },
    }


def ingress(namespace: str, name: str, host: str, backend: str) -> dict[str, Any]:
    """An Ingress."""
    behind = {"service": {"name": backend, "port": {"name": "http"}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "ingressClassName": "traefik",
            "tls": [{"hosts": [host], "secretName": "certificate"}],
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": behind}]}}],
        },
    }


def budget(namespace: str, name: str, app: str, **spec: Any) -> dict[str, Any]:
    """A PodDisruptionBudget."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": app}}, **(spec or {"maxUnavailable": 1})},
        "status": {"disruptionsAllowed": 1, "expectedPods": 2, "currentHealthy": 2, "desiredHealthy": 1},
    }


def postgres(namespace: str = "postgres", name: str = "main-db", instances: int = 2) -> dict[str, Any]:
    """A Cluster of CloudNativePG."""
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "instances": instances,
            "imageName": "ghcr.io/cloudnative-pg/postgresql:17.4",
            "storage": {"size": "10Gi", "storageClass": "local-path"},
            "postgresql": {"synchronous": {"method": "any", "number": 1, "dataDurability": "preferred"}},
            "affinity": {"enablePodAntiAffinity": True, "podAntiAffinityType": "required", "tolerations": TEN},
        },
        "status": {
            "currentPrimary": f"{name}-1",
            "targetPrimary": f"{name}-1",
            "instanceNames": [f"{name}-{n + 1}" for n in range(instances)],
            "instances": instances,
            "readyInstances": instances,
            "phase": "Cluster in healthy state",
        },
    }


def instance(name: str, number: int, where: str, namespace: str = "postgres") -> dict[str, Any]:
    """A Pod of that Cluster."""
    role = "primary" if number == 1 else "replica"
    labels = {"cnpg.io/cluster": name, "cnpg.io/podRole": "instance", "cnpg.io/instanceRole": role}
    return pod(namespace, f"{name}-{number}", where, labels)


def pooler(namespace: str = "postgres", name: str = "main-db-pooler", **parameters: str) -> dict[str, Any]:
    """A Pooler of that Cluster."""
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Pooler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "cluster": {"name": "main-db"},
            "instances": 2,
            "type": "rw",
            "pgbouncer": {"poolMode": "transaction", "parameters": dict(parameters)},
        },
        "status": {"instances": 2},
    }


def reference() -> Objects:
    """The reference cluster: three nodes, tuned as its owner says."""
    app = workload("Deployment", "docfast", "docfast")
    dns = workload("Deployment", "kube-system", "coredns", 3)
    dns["spec"]["template"]["metadata"]["labels"] |= {"k8s-app": "kube-dns"}
    operator = workload("Deployment", "cnpg-system", "cnpg-controller-manager")
    operator["metadata"]["labels"]["app.kubernetes.io/name"] = "cloudnative-pg"
    operator["spec"]["template"]["spec"]["containers"][0] |= {
        "image": "ghcr.io/cloudnative-pg/cloudnative-pg:1.25.1",
        "args": ["controller", "--leader-elect", "--webhook-port=9443"],
    }
    entry = workload("DaemonSet", "kube-system", "traefik")
    entry["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] = "traefik"
    pooled = {"cnpg.io/poolerName": "main-db-pooler", "cnpg.io/cluster": "main-db", "cnpg.io/podRole": "pooler"}
    return {
        "nodes": [
            node("k3s-mgr", "10.0.0.2", server=True, etcd=True, args='["server","--cluster-init"]'),
            node("k3s-w1", "10.0.0.3"),
            node("k3s-w2", "10.0.0.4"),
        ],
        "deployments.apps": [app, dns, operator],
        "daemonsets.apps": [entry],
        "statefulsets.apps": [],
        "pods": [
            *pods(app, "k3s-w1", "k3s-w2"),
            *pods(dns, "k3s-mgr", "k3s-w1", "k3s-w2"),
            *pods(operator, "k3s-w1", "k3s-w2"),
            *pods(entry, "k3s-w1", "k3s-w2"),
            instance("main-db", 1, "k3s-w2"),
            instance("main-db", 2, "k3s-w1"),
            pod("postgres", "main-db-pooler-a", "k3s-w1", pooled),
            pod("postgres", "main-db-pooler-b", "k3s-w2", pooled),
        ],
        "services": [service("docfast", "docfast", {"app": "docfast"})],
        "ingresses.networking.k8s.io": [ingress("docfast", "docfast", "docfast.example", "docfast")],
        "poddisruptionbudgets.policy": [budget("docfast", "docfast", "docfast")],
        "clusters.postgresql.cnpg.io": [postgres()],
        "poolers.postgresql.cnpg.io": [pooler()],
        "leases.coordination.k8s.io": [],
        "configmaps": [],
    }


def hetzner() -> dict[str, list[dict[str, Any]]]:
    """What Hetzner's API says of it, in its shape."""
    servers = [
        {
            "id": number,
            "name": name,
            "labels": {},
            "location": {"name": "nbg1", "network_zone": "eu-central"},
            "public_net": {"ipv4": {"ip": f"192.0.2.{number}"}, "ipv6": None, "firewalls": []},
            "private_net": [{"network": 7, "ip": f"10.0.0.{number}"}],
        }
        for number, name in enumerate((*SERVERS, *AGENTS), 2)
    ]
    check = {"protocol": "tcp", "port": 443, "interval": 15, "timeout": 10, "retries": 3}
    balancer = {
        "id": 31,
        "name": "k3s-lb",
        "algorithm": {"type": "round_robin"},
        "public_net": {"enabled": True, "ipv4": {"ip": "203.0.113.9"}, "ipv6": {"ip": "2001:db8::9"}},
        "private_net": [{"network": 7, "ip": "10.0.0.9"}],
        "targets": [{"type": "server", "server": {"id": number}, "use_private_ip": True} for number in (3, 4)],
        "services": [
            {
                "protocol": "tcp",
                "listen_port": port,
                "destination_port": port,
                "proxyprotocol": False,
                "health_check": {**check, "port": port},
            }
            for port in (80, 443)
        ],
    }
    zone = {
        "id": 5,
        "name": "docfast.example",
        "ttl": 3600,
        "rrsets": [{"name": "@", "type": "A", "ttl": 300, "records": [{"value": "203.0.113.9"}]}],
    }
    return {"servers": servers, "load_balancers": [balancer], "zones": [zone], "firewalls": [], "networks": []}


def snapshot(
    change: Callable[[Objects], object] = lambda _: None,
    around: Callable[[dict[str, list[dict[str, Any]]]], object] = lambda _: None,
    **more: Any,
) -> Snapshot:
    """The reference cluster, with its objects and what is around it changed."""
    listed, project = reference(), hetzner()
    change(listed)
    around(project)
    kept = {kind: tuple(each) for kind, each in listed.items()}
    return Snapshot(**{"taken": NOW, "listed": kept, "topology": {"format": 1, "hetzner": project}, **more})


def claim(namespace: str, name: str, volume: str, **labels: str) -> dict[str, Any]:
    """A PersistentVolumeClaim that is bound."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "local-path", "volumeName": volume},
        "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}},
    }


def volume(name: str, namespace: str, claimed: str) -> dict[str, Any]:
    """A PersistentVolume of local-path: a directory of one node."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "hostPath": {"path": f"/var/lib/rancher/k3s/storage/{name}", "type": "DirectoryOrCreate"},
            "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": claimed},
            "storageClassName": "local-path",
        },
        "status": {"phase": "Bound"},
    }


def _hardened(listed: Objects) -> None:
    """Three servers, quick to notice a loss, and everything kept apart."""
    quick = '["server","--kube-controller-manager-arg=node-monitor-grace-period=20s"]'
    for name, address in (("k3s-s1", "10.0.0.5"), ("k3s-s2", "10.0.0.6")):
        listed["nodes"].append(node(name, address, server=True, etcd=True, args=quick))
    listed["nodes"][0] = node("k3s-mgr", "10.0.0.2", server=True, etcd=True, args=quick)
    app, dns, operator = listed["deployments.apps"]
    labels = dns["spec"]["template"]["metadata"]["labels"]
    dns["spec"]["selector"]["matchLabels"] = {"k8s-app": "kube-dns"}
    listed["pods"] = [each for each in listed["pods"] if each["metadata"]["labels"].get("app") != "coredns"]
    listed["pods"] += [
        pod("kube-system", f"coredns-{where}", where, labels) for where in ("k3s-mgr", "k3s-w1", "k3s-w2")
    ]
    operator["spec"]["template"]["spec"]["containers"][0]["image"] = "ghcr.io/cloudnative-pg/cloudnative-pg:1.27.1"
    listed["poddisruptionbudgets.policy"] += [
        budget("kube-system", "coredns", "coredns"),
        budget("cnpg-system", "operator", "cnpg-controller-manager"),
    ]
    listed["poolers.postgresql.cnpg.io"] = [pooler(server_login_retry="1", server_connect_timeout="3")]
    listed["persistentvolumes"] = [volume("pvc-1", "postgres", "main-db-1")]
    listed["persistentvolumeclaims"] = [claim("postgres", "main-db-1", "pvc-1", **{"cnpg.io/cluster": "main-db"})]
    listed["helmchartconfigs.helm.cattle.io"] = []
    listed["configmaps"] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": "docfast"},
            "data": {"title": "DocFast", "tokenizer": "simple", "password_file": "/run/secrets/password"},
        }
    ]
    assert app["spec"]["replicas"] == 2


def _well_kept(project: dict[str, list[dict[str, Any]]]) -> None:
    """Checks that are quick, a firewall, servers on hosts of their own in several locations."""
    for balancer in project["load_balancers"]:
        for each in balancer["services"]:
            each["health_check"] |= {"interval": 3, "timeout": 1, "retries": 3}
    template = project["servers"][0]
    for number, name in ((5, "k3s-s1"), (6, "k3s-s2")):
        private = [{"network": 7, "ip": f"10.0.0.{number}"}]
        public: dict[str, Any] = {"ipv4": {"ip": f"192.0.2.{number}"}, "ipv6": None, "firewalls": []}
        location = {"name": "fsn1" if number == 5 else "hel1", "network_zone": "eu-central"}
        project["servers"].append(
            {**template, "id": number, "name": name, "private_net": private, "public_net": public, "location": location}
        )
    for each in project["servers"]:
        each["placement_group"] = {"id": 1, "name": "servers", "type": "spread"}
    project["firewalls"] = [
        {
            "id": 1,
            "name": "k3s",
            "rules": [
                {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["198.51.100.7/32"]},
                {"direction": "in", "protocol": "tcp", "port": "6443", "source_ips": ["10.0.0.0/16"]},
                {"direction": "in", "protocol": "tcp", "port": "80-443", "source_ips": ["0.0.0.0/0", "::/0"]},
            ],
            "applied_to": [{"type": "server", "server": {"id": each["id"]}} for each in project["servers"]],
        }
    ]
    project["networks"] = [{"id": 7, "name": "k3s", "servers": [2, 3, 4, 5, 6], "load_balancers": [31]}]


def hardened(
    change: Callable[[Objects], object] = lambda _: None,
    around: Callable[[dict[str, list[dict[str, Any]]]], object] = lambda _: None,
    **more: Any,
) -> Snapshot:
    """A cluster that breaks no rule, with its objects and what is around it changed."""

    def objects(listed: Objects) -> None:
        _hardened(listed)
        change(listed)

    def project(found: dict[str, list[dict[str, Any]]]) -> None:
        _well_kept(found)
        around(found)

    verified = NOW - timedelta(days=1)
    known: dict[str, Any] = {
        "datastore": "embedded-etcd",
        "etcd": (Etcd("k3s-mgr", 64 * 1024 * 1024, 48 * 1024 * 1024, 2 * 1024**3),),
        "certificates": (
            Certificate("k3s", "k3s-mgr: tls/client-admin.crt", NOW + timedelta(days=200)),
            Certificate("etcd", "k3s-mgr: tls/etcd/client.crt", NOW + timedelta(days=200)),
            Certificate("ingress", "Secret docfast/certificate", NOW + timedelta(days=60)),
        ),
        "replication": (Lag("postgres/main-db", "main-db-2", 0.02, 8192),),
        "backups": Backups(
            sources=(
                Kept("datastore", 3600.0, 172800.0, None),
                Kept("database/postgres/main-db/docfast", 3600.0, 46800.0, verified),
            ),
            complete=True,
            verified=verified,
            escrow=2,
            places=("hetzner", "example"),
            connections=(("billing", "billing-db.example", 5432),),
        ),
        "drills": (Drilled("20260228T030000Z-worker-down", "page", 20.0, 5.0, 22.0, 0.2),),
    }
    return snapshot(objects, project, **{**known, **more})
