"""How each rule of the audit is broken, and whom it then names."""

from __future__ import annotations

from datetime import timedelta

from drkit.manifests.diff import CHANGED, FieldChange, ObjectChange
from drkit.posture.drift import CONFLICT, DRIFTED, KEPT, REFUSED, Found
from drkit.posture.snapshot import Certificate, Drilled, Etcd, Kept, Lag
from tests.unit.posture_changes import (
    Case,
    alone,
    away,
    both,
    cluster,
    config_map,
    container,
    dumped_from,
    health,
    instance_missing,
    kept,
    kubelet,
    let_in,
    moved,
    nginx,
    nodes,
    pod_spec,
    pooler,
    proxied,
    put,
    record,
    seen,
    servers,
    target,
    told,
)
from tests.unit.posture_cluster import NOW, budget, claim, node, pods, volume

OPERATOR = "cnpg-controller-manager"
SERVER, AGENT = "Node k3s-mgr", "Node k3s-w1"
APP, DNS = "Deployment docfast/docfast", "Deployment kube-system/coredns"
LB, DB, POOLER = "load balancer k3s-lb", "Cluster postgres/main-db", "Pooler postgres/main-db-pooler"
THREE = ("k3s-mgr", "k3s-s1", "k3s-s2")
GB = 1024**3
FEWER = ObjectChange("apps/deployments", "a", "b", CHANGED, (FieldChange("spec.replicas", CHANGED, "1", "3"),))
CERTIFICATE = "k3s-mgr: tls/etcd/client.crt"

CASES = [
    Case("one-server", (SERVER,), nodes(node("k3s-mgr", "10.0.0.2", server=True), node("k3s-w1", "10.0.0.3"))),
    Case(
        "etcd-even-members",
        ("etcd",),
        nodes(*(node(each, "10.0.0.2", server=True, etcd=True) for each in ("k3s-mgr", "k3s-s1"))),
    ),
    Case("etcd-without-margin", ("etcd",), away("k3s-s1")),
    Case("node-not-ready", (AGENT,), away("k3s-w1")),
    Case("servers-in-one-place", ("control plane",), project=servers(location={"name": "nbg1"})),
    Case("servers-may-share-a-host", ("control plane",), project=servers(placement_group=None)),
    Case("sqlite", ("datastore",), known=seen(datastore="sqlite")),
    Case("version-skew", (AGENT,), kubelet("k3s-w1", "v1.35.0+k3s1")),
    Case("version-skew", (AGENT,), kubelet("k3s-w1", "v1.30.9+k3s1")),
    Case("version-skew", (SERVER,), kubelet("k3s-mgr", "v1.36.1+k3s1")),
    Case("etcd-near-quota", ("etcd of k3s-mgr",), known=seen(etcd=(Etcd("k3s-mgr", GB * 3 // 2, GB, 2 * GB),))),
    Case("etcd-fragmented", ("etcd of k3s-mgr",), known=seen(etcd=(Etcd("k3s-mgr", GB, GB // 10, 8 * GB),))),
    Case("etcd-across-clouds", ("etcd",), told(["--vpn-auth=********"])),
    Case(
        "etcd-across-clouds",
        ("etcd",),
        project=lambda project: project["servers"][-1].update(location={"name": "ash", "network_zone": "us-east"}),
    ),
    Case("dns-one-replica", (DNS,), alone("coredns", "kube-dns")),
    Case(
        "operator-one-replica",
        (f"Deployment cnpg-system/{OPERATOR}",),
        alone(OPERATOR, OPERATOR),
    ),
    Case(
        "ingress-one-replica",
        ("Deployment ingress-nginx/controller",),
        both(put("deployments.apps", nginx()), put("pods", *pods(nginx(), "k3s-w1"))),
    ),
    Case("workload-one-replica", (APP,), alone("docfast", "docfast")),
    Case(
        "pooler-one-replica",
        (POOLER,),
        pooler(instances=1),
    ),
    Case("pods-on-one-node", (APP,), moved("docfast", "k3s-w1")),
    Case("no-spread", (APP,), pod_spec("docfast", affinity=None)),
    Case("instances-may-share-a-node", (DB,), cluster(affinity={"enablePodAntiAffinity": False})),
    Case("poolers-on-one-node", (POOLER,), moved("main-db-pooler", "k3s-w1")),
    Case("server-takes-workloads", (SERVER,), lambda listed: listed["nodes"][0]["spec"].update(taints=[])),
    Case("node-loss-noticed-late", ("kube-controller-manager",), told([])),
    Case(
        "node-grace-too-short",
        ("kube-controller-manager",),
        told(["--kube-controller-manager-arg", "node-monitor-grace-period=10s"]),
    ),
    Case("evicted-late", (APP,), pod_spec("docfast", tolerations=None)),
    Case("evicted-late", (APP,), pod_spec("docfast", tolerations=[{"operator": "Exists"}])),
    Case("no-readiness-probe", (APP,), container("docfast", readinessProbe=None)),
    Case("slow-readiness-probe", (APP,), container("docfast", readinessProbe={"tcpSocket": {"port": 80}})),
    Case(
        "liveness-before-readiness",
        (APP,),
        container("docfast", livenessProbe={"tcpSocket": {"port": 80}, "periodSeconds": 1}),
    ),
    Case("failover-delayed", (DB,), cluster(failoverDelay=30)),
    Case(
        "pooler-reconnects-late",
        (POOLER,),
        pooler(pgbouncer={"poolMode": "session"}),
    ),
    Case("no-disruption-budget", (APP,), lambda listed: listed["poddisruptionbudgets.policy"].pop(0)),
    Case(
        "disruption-budget-impossible",
        ("PodDisruptionBudget docfast/docfast",),
        lambda listed: listed["poddisruptionbudgets.policy"][0]["spec"].update(maxUnavailable=0),
    ),
    Case(
        "disruption-budget-impossible",
        ("PodDisruptionBudget docfast/least",),
        put("poddisruptionbudgets.policy", budget("docfast", "least", "docfast", minAvailable="51%")),
    ),
    Case(
        "disruption-budget-idle",
        ("PodDisruptionBudget docfast/old",),
        put("poddisruptionbudgets.policy", budget("docfast", "old", "renamed")),
    ),
    Case("balancer-checks-slow", (LB,), project=health(interval=15, timeout=10)),
    Case("balancer-one-target", (LB,), project=target(3)),
    Case("balancer-targets", (LB,), project=target(3)),
    Case("balancer-targets", (LB,), project=target(2, 3, 4)),
    Case("proxy-protocol", (LB,), project=proxied),
    Case("proxy-protocol", (LB,), put("configmaps", config_map("nginx", **{"use-proxy-protocol": "true"}))),
    Case(
        "dns-past-the-balancer",
        ("name docfast.example",),
        project=record(records=[{"value": "192.0.2.3"}]),
    ),
    Case("dns-remembered-long", ("A record docfast.example",), project=record(ttl=86400)),
    Case("postgres-one-instance", (DB,), cluster(instances=1)),
    Case("postgres-instances-on-one-node", (DB,), moved("main-db", "k3s-w1")),
    Case(
        "postgres-instance-missing",
        (DB,),
        instance_missing,
    ),
    Case("postgres-asynchronous", (DB,), cluster(postgresql={})),
    Case("postgres-writes-block", (DB,), cluster(postgresql={"synchronous": {"method": "any", "number": 1}})),
    Case(
        "postgres-isolated-primary",
        (DB,),
        cluster(probes={"liveness": {"isolationCheck": {"enabled": False}}}),
    ),
    Case(
        "postgres-isolated-primary",
        (DB,),
        container("cnpg-controller-manager", image="ghcr.io/cloudnative-pg/cloudnative-pg:1.25.1"),
    ),
    Case(
        "postgres-replication-lag",
        ("postgres/main-db, main-db-2",),
        known=seen(replication=(Lag("postgres/main-db", "main-db-2", 0.1, 64 * 1024 * 1024),)),
    ),
    Case(
        "backup-through-pooler",
        ("database docfast",),
        known=dumped_from("main-db-pooler.postgres", 5432),
    ),
    Case("backup-through-pooler", ("database docfast",), known=dumped_from("10.0.0.7", 6432)),
    Case(
        "local-data-alone",
        ("PersistentVolumeClaim docfast/uploads",),
        both(
            put("persistentvolumes", volume("pvc-9", "docfast", "uploads")),
            put("persistentvolumeclaims", claim("docfast", "uploads", "pvc-9")),
        ),
    ),
    Case(
        "volume-in-no-backup",
        ("PersistentVolumeClaim docfast/uploads",),
        known=kept(volumes=("docfast/uploads",)),
    ),
    Case("no-firewall", ("server k3s-mgr",), project=lambda project: project["firewalls"][0]["applied_to"].pop(0)),
    Case("api-open-to-the-world", ("server k3s-mgr",), project=let_in("6443")),
    Case("ssh-open-to-the-world", ("server k3s-mgr",), project=let_in("22")),
    Case("firewall-hole", ("server k3s-mgr",) * 2, project=let_in("2379-2380")),
    Case("firewall-hole", ("server k3s-mgr",), project=let_in("8472", "udp")),
    Case(
        "network-nearly-full",
        ("network k3s",),
        project=lambda project: project["networks"][0].update(servers=list(range(90))),
    ),
    Case(
        "k3s-certificate-ends",
        ("k3s-mgr: client-admin.crt",),
        known=seen(certificates=(Certificate("k3s", "k3s-mgr: client-admin.crt", NOW + timedelta(days=29)),)),
    ),
    Case(
        "etcd-certificate-ends",
        (CERTIFICATE,),
        known=seen(certificates=(Certificate("etcd", CERTIFICATE, NOW - timedelta(days=1)),)),
    ),
    Case(
        "ingress-certificate-ends",
        ("Secret docfast/certificate",),
        known=seen(certificates=(Certificate("ingress", "Secret docfast/certificate", NOW + timedelta(days=13)),)),
    ),
    Case("secret-in-configmap", ("ConfigMap docfast/a",), put("configmaps", config_map("a", DB_PASSWORD="hunter2"))),
    Case(
        "secret-in-configmap",
        ("ConfigMap docfast/b",) * 3,
        put(
            "configmaps",
            config_map(
                "b",
                uri="postgresql://docfast:hunter2@db/docfast",
                pem="-----BEGIN RSA PRIVATE KEY-----\nMIIB\n",
                env="HOST=db\nAPI_KEY=0123456789abcdef\n",
            ),
        ),
    ),
    Case(
        "patches-drifted",
        ("Deployment kube-system/coredns", "Pooler postgres/main-db-pooler"),
        known=seen(
            patches=(
                Found(0, "Deployment kube-system/coredns", DRIFTED, FEWER),
                Found(1, "Deployment cnpg-system/cnpg-controller-manager", KEPT),
                Found(2, "Pooler postgres/main-db-pooler", CONFLICT, FEWER, owners="kubectl: .spec.instances"),
            )
        ),
    ),
    Case(
        "patches-refused",
        ("PodDisruptionBudget docfast/docfast",),
        known=seen(patches=(Found(0, "PodDisruptionBudget docfast/docfast", REFUSED, why="it is not there"),)),
    ),
    Case("no-backup", ("backups",), known=kept(sources=(Kept("datastore", None, 172800.0, None),))),
    Case("backup-old", ("source datastore",), known=kept(sources=(Kept("datastore", 180000.0, 172800.0, None),))),
    Case(
        "backup-lacking",
        ("source topology",),
        known=kept(sources=(Kept("datastore", 60.0, 172800.0, None), Kept("topology", None, 172800.0, None))),
    ),
    Case("backup-lacking", ("backups",), known=kept(complete=False)),
    Case("backup-unverified", ("backups",), known=kept(verified=NOW - timedelta(days=8))),
    Case("backup-unproven", ("source database/x",), known=kept(sources=(Kept("database/x", 60.0, 46800.0, None),))),
    Case("no-escrow", ("keys",), known=kept(escrow=0)),
    Case("one-provider", ("backups",), known=kept(places=("hetzner", "hetzner"))),
    Case(
        "prediction-off",
        ("drill 20260301T030000Z-worker-down, page",),
        known=seen(drills=(Drilled("20260301T030000Z-worker-down", "page", 20.0, 5.0, 31.0, 0.2),)),
    ),
]
