"""Clusters that scenarios are tried on: the reference cluster, and one of three servers, each with main-db."""

from __future__ import annotations

from drkit.drill.snapshot import Node, Pod, Pooler, Postgres, Service, Snapshot

SERVER_ROLES = ("control-plane", "etcd")


def reference() -> Snapshot:
    """One server and two workers; the primary is on k3s-w1, behind a load balancer that knows both workers."""
    nodes = (
        Node("k3s-mgr", SERVER_ROLES, ("10.0.0.2",), pod_ranges=("10.42.0.0/24",)),
        Node("k3s-w1", (), ("10.0.0.3",), pod_ranges=("10.42.1.0/24",)),
        Node("k3s-w2", (), ("10.0.0.4",), pod_ranges=("10.42.2.0/24",)),
    )
    return _with_workload(nodes, "k3s-w1", "k3s-w2", targets=("k3s-w1", "k3s-w2"))


def three_servers() -> Snapshot:
    """Three servers, each with a member of etcd, which carry the work as well."""
    nodes = tuple(
        Node(f"s{number}", SERVER_ROLES, (f"10.0.0.{number + 1}",), pod_ranges=(f"10.42.{number}.0/24",))
        for number in (1, 2, 3)
    )
    return _with_workload(nodes, "s1", "s2", targets=("s1", "s2", "s3"))


def _with_workload(nodes: tuple[Node, ...], one: str, other: str, *, targets: tuple[str, ...]) -> Snapshot:
    api = tuple(f"{each.addresses[0]}:6443" for each in nodes if each.is_server)
    return Snapshot(
        nodes,
        pods=(
            *(Pod("kube-system", f"coredns-{at}", at, labels={"k8s-app": "kube-dns"}) for at in (one, other)),
            Pod("postgres", "main-db-1", one, labels={"cnpg.io/cluster": "main-db"}),
            Pod("postgres", "main-db-2", other, labels={"cnpg.io/cluster": "main-db"}),
            *(
                Pod("postgres", f"pooler-{at}", at, labels={"cnpg.io/poolerName": "main-db-pooler"})
                for at in (one, other)
            ),
        ),
        postgres=(Postgres("postgres", "main-db", "main-db-1", ("main-db-1", "main-db-2"), 2, 2),),
        poolers=(Pooler("postgres", "main-db-pooler", "main-db"),),
        services=(
            Service("kube-system", "kube-dns", "10.43.0.10", (53, 9153), {"k8s-app": "kube-dns"}),
            Service("postgres", "main-db-pooler", "10.43.0.21", (5432,)),
            Service("postgres", "main-db-ro", "10.43.0.22", (5432,)),
            Service("postgres", "main-db-rw", "10.43.0.23", (5432,)),
        ),
        api=api,
        targets=targets,
        health=("https://docfast.example/health", "https://staging.docfast.example/health"),
        servers=(f"https://{api[0]}",),
    )
