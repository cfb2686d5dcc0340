"""A server and two agents: joining, the pods' network, what is deployed by itself, snapshots, and a power cut."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s import nodes

if TYPE_CHECKING:
    from tests.contract.k3s.nodes import Machines, Node

# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

SECRET = "a-token-for-tests"
TAINT = "node-role.kubernetes.io/control-plane=true:NoSchedule"
SNAPSHOTS = "/var/lib/rancher/k3s/server/db/snapshots"


def pod(name: str, node: str) -> dict[str, object]:
    """A pod on a given node, and a service of the same name in front of it."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"app": name}},
                "spec": {
                    "nodeName": node,
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "probe",
                            "image": nodes.PROBE,
                            "imagePullPolicy": "Never",
                            "env": [{"name": "NAME", "value": name}],
                        }
                    ],
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
            },
        ],
    }


@pytest.fixture(scope="module")
def server(machines: Machines) -> Node:
    """A running server, and two agents that have joined it."""
    first = machines.add("srv1", 11)
    often = {"etcd_snapshot_schedule_cron": "* * * * *", "etcd_snapshot_retention": 2}
    first.configure(cluster_init=True, token=SECRET, node_taint=[TAINT], **often)
    first.start()
    for number, name in ((21, "w1"), (22, "w2")):
        agent = machines.add(name, number)
        agent.configure(server=f"https://{first.address}:6443", token=SECRET, node_label=["tier=worker"])
        agent.start("k3s-agent")
    nodes.until(lambda: first.ready_nodes() == {"srv1", "w1", "w2"}, what="three ready nodes")
    return first


@pytest.fixture(scope="module")
def talking(server: Node) -> Node:
    """A pod on every node, each with a service."""
    for name in ("srv1", "w1", "w2"):
        server.ok("k3s", "kubectl", "apply", "--filename=-", stdin=json.dumps(pod(f"on-{name}", name)))
    nodes.until(lambda: pods_running(server) == {"on-srv1", "on-w1", "on-w2"}, what="a running pod on each node")
    return server


def pods_running(server: Node) -> set[str]:
    """The names of the pods that are ready."""
    return {
        item["metadata"]["name"]
        for item in server.get("pods")["items"]
        if any(each["ready"] for each in item["status"].get("containerStatuses", []))
    }


def ask(server: Node, source: str, url: str) -> str:
    """What a pod gets when it asks ``url``."""
    return server.kubectl("exec", source, "--", "/probe", "ask", url).output.strip()


def everyone_reaches_everyone(server: Node) -> bool:
    """Whether each pod gets an answer from each service, its own included (whose bare name is the pod itself)."""
    names = ("on-srv1", "on-w1", "on-w2")
    return all(ask(server, source, f"http://{target}.default/") == target for source in names for target in names)


@pytest.mark.skipif(bool(nodes.REAL), reason="the real k3s is no stand-in")
def test_the_stand_in_says_that_it_is_one(server: Node) -> None:
    """Nobody takes the stand-in for k3s: its version and its log say what it is."""
    assert "drkit's stand-in for k3s, not k3s itself" in server.ok("k3s", "--version")
    assert "drkit's stand-in for k3s" in server.log()
    assert server.get("node", "srv1")["status"]["nodeInfo"]["kubeletVersion"].endswith("+standin")


def test_nodes_have_roles_labels_taints_and_ranges(server: Node) -> None:
    """A node comes up with what its configuration says: address, labels, taints, and a range for its pods."""
    first, worker = server.get("node", "srv1"), server.get("node", "w1")
    assert {"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/etcd"} <= set(first["metadata"]["labels"])
    assert first["spec"]["taints"][0]["key"] == "node-role.kubernetes.io/control-plane"
    assert worker["metadata"]["labels"]["tier"] == "worker"
    assert "node-role.kubernetes.io/control-plane" not in worker["metadata"]["labels"]
    assert re.fullmatch(r"10\.42\.\d+\.0/24", worker["spec"]["podCIDR"])
    addresses = {each["type"]: each["address"] for each in first["status"]["addresses"]}
    assert addresses["InternalIP"] == server.address


def test_the_token_pins_the_ca(server: Node) -> None:
    """The token file holds K10, the hash of the CA, the user and the secret, for root's eyes alone."""
    digest = server.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt").split()[0]
    assert server.sh("cat /var/lib/rancher/k3s/server/token") == f"K10{digest}::server:{SECRET}"
    assert server.sh("stat -c %a /var/lib/rancher/k3s/server/token /etc/rancher/k3s/k3s.yaml") == "600\n600"


def test_pods_reach_each_other_by_name_across_nodes(talking: Node) -> None:
    """A pod on each node reaches the services of the others, and its own, by name."""
    nodes.until(lambda: everyone_reaches_everyone(talking), what="every pod reaching every service")


def test_local_path_is_the_default_storage(talking: Node) -> None:
    """A claim without a class gets a directory on the node where its pod runs."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "disk"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    user = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "user"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": "w2"},
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "probe",
                    "image": nodes.PROBE,
                    "imagePullPolicy": "Never",
                    "volumeMounts": [{"name": "disk", "mountPath": "/disk"}],
                }
            ],
            "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}],
        },
    }
    talking.ok(
        "k3s",
        "kubectl",
        "apply",
        "--filename=-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [claim, user]}),
    )
    nodes.until(lambda: "user" in pods_running(talking), what="a pod with a volume")
    volume = talking.get("pvc", "disk")["spec"]["volumeName"]
    spec = talking.get("pv", volume)["spec"]
    where = spec.get("hostPath") or spec["local"]
    assert where["path"].startswith("/var/lib/rancher/k3s/storage/")
    talking.ok("k3s", "kubectl", "delete", "pod/user", "pvc/disk", "--timeout=60s")
    nodes.until(lambda: not talking.kubectl("get", "pv", volume).good, what="the volume's removal")


def test_manifests_are_deployed_unless_skipped(server: Node) -> None:
    """What lies in server/manifests is deployed by itself, and deployed again when it changes."""

    def manifest(value: str) -> str:
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "from-file", "namespace": "default"},
                "data": {"key": value},
            }
        )

    def holds(value: str) -> bool:
        found = server.kubectl("get", "configmap/from-file", "--output=jsonpath={.data.key}")
        return found.good and found.output == value

    directory = "/var/lib/rancher/k3s/server/manifests"
    server.write(f"{directory}/skipped.yaml.skip", "")
    server.write(f"{directory}/skipped.yaml", manifest("one").replace("from-file", "skipped"))
    server.write(f"{directory}/from-file.yaml", manifest("one"))
    nodes.until(lambda: holds("one"), what="the deployed manifest")
    server.write(f"{directory}/from-file.yaml", manifest("two"))
    nodes.until(lambda: holds("two"), what="the changed manifest")
    assert not server.kubectl("get", "configmap/skipped").good
    assert server.get("addons.k3s.cattle.io", "--namespace=kube-system", "from-file")["spec"]["checksum"]


def test_a_snapshot_is_named_private_and_listed(server: Node) -> None:
    """An on-demand snapshot is named by prefix, node and time, readable by root alone, and can be deleted by name."""
    server.ok("k3s", "etcd-snapshot", "save")
    name = server.sh(f"ls {SNAPSHOTS} | grep ^on-demand-")
    assert re.fullmatch(r"on-demand-srv1-\d{10}", name)
    assert server.sh(f"stat -c %a {SNAPSHOTS}/{name}") == "600"
    assert f"file://{SNAPSHOTS}/{name}" in server.ok("k3s", "etcd-snapshot", "ls")
    server.ok("k3s", "etcd-snapshot", "delete", name)
    assert name not in server.ok("k3s", "etcd-snapshot", "ls")


def test_pruning_keeps_the_newest_of_one_prefix(server: Node) -> None:
    """Pruning one prefix leaves the snapshots of others alone."""
    server.ok("k3s", "etcd-snapshot", "save", "--name", "other")
    for _ in range(3):
        taken = server.sh(f"ls {SNAPSHOTS}")
        server.ok("k3s", "etcd-snapshot", "save", "--name", "mine")
        assert server.sh(f"ls {SNAPSHOTS}") != taken or server.sh("sleep 1") == ""
    newest = server.sh(f"ls {SNAPSHOTS} | grep ^mine- | tail -n 1")
    server.ok("k3s", "etcd-snapshot", "prune", "--name", "mine", "--snapshot-retention", "1")
    left = server.sh(f"ls {SNAPSHOTS}").split()
    assert [name for name in left if name.startswith("mine-")] == [newest]
    assert any(name.startswith("other-") for name in left)


def test_the_schedule_keeps_the_newest_of_its_own(server: Node) -> None:
    """Snapshots are taken on schedule, and as many are kept as the settings say; those on demand stay."""
    server.ok("k3s", "etcd-snapshot", "save", "--name", "by-hand")
    old = f"{SNAPSHOTS}/etcd-snapshot-srv1-1700000000"
    server.sh(f"cp -p {SNAPSHOTS}/by-hand-* {old} && cp -p {old} {old[:-1]}1")
    nodes.until(lambda: not server.run("test", "-e", f"{old[:-1]}1").good, what="two scheduled snapshots")
    left = server.sh(f"ls {SNAPSHOTS}").split()
    assert len([name for name in left if name.startswith("etcd-snapshot-srv1-")]) == 2
    assert any(name.startswith("by-hand-") for name in left)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (f"K10{'0' * 64}::node:{SECRET}", "hash"),
        ("another-token", "nauthorized|not authorized|token"),
    ],
    ids=["another-ca", "another-password"],
)
def test_an_agent_with_another_token_does_not_join(server: Node, machines: Machines, token: str, reason: str) -> None:
    """An agent whose token names another CA or another secret stays out."""
    stranger = machines.add("stranger", 40)
    stranger.configure(server=f"https://{server.address}:6443", token=token)
    stranger.start("k3s-agent")
    try:
        nodes.until(lambda: re.search(reason, stranger.log("k3s-agent")), what="the refusal")
        assert not server.kubectl("get", "node/stranger").good
    finally:
        machines.remove("stranger")


def test_another_machine_does_not_take_a_nodes_name(server: Node, machines: Machines) -> None:
    """A machine that takes a node's name without its password is refused, until the password's secret is deleted."""
    impostor = machines.add("impostor", 41)
    impostor.configure(server=f"https://{server.address}:6443", token=SECRET, node_name="w3")
    original = machines.add("w3", 42)
    original.configure(server=f"https://{server.address}:6443", token=SECRET)
    original.start("k3s-agent")
    try:
        nodes.until(lambda: "w3" in server.ready_nodes(), what="the node itself")
        original.power_off()
        impostor.start("k3s-agent")
        nodes.until(lambda: "Node password rejected" in impostor.log("k3s-agent"), what="the refusal")
        server.ok("k3s", "kubectl", "delete", "--namespace=kube-system", "secret/w3.node-password.k3s")
        server.ok("k3s", "kubectl", "delete", "node/w3")
        nodes.until(lambda: address_of(server, "w3") == impostor.address, what="the node on its new machine")
    finally:
        machines.remove("impostor")
        machines.remove("w3")
        server.ok("k3s", "kubectl", "delete", "--ignore-not-found", "node/w3")
        server.ok(
            "k3s", "kubectl", "delete", "--namespace=kube-system", "--ignore-not-found", "secret/w3.node-password.k3s"
        )


def address_of(server: Node, name: str) -> str:
    """A node's address; empty where there is no such node."""
    jsonpath = '--output=jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'
    found = server.kubectl("get", f"node/{name}", jsonpath)
    return found.output if found.good else ""


def test_a_start_with_another_token_is_refused(server: Node) -> None:
    """A server whose configured token is not the datastore's does not start."""
    settings = server.sh("cat /etc/rancher/k3s/config.yaml")
    server.stop()
    try:
        server.write("/etc/rancher/k3s/config.yaml", settings.replace(SECRET, "another-token"))
        server.start()
        nodes.until(
            lambda: "bootstrap data already found and encrypted with different token" in server.log(),
            what="the refusal",
        )
    finally:
        server.stop()
        server.write("/etc/rancher/k3s/config.yaml", settings)
        server.start()
        nodes.until(lambda: "srv1" in server.ready_nodes(), what="the server's return")


def test_files_newer_than_the_datastore_stop_the_server(server: Node) -> None:
    """A CA on disk that differs from the datastore's and is newer stops the server; removed, it is written again."""
    path = "/var/lib/rancher/k3s/server/tls/request-header-ca.crt"
    server.stop()
    server.sh(
        f"cp -p {path} /var/tmp/kept && cp --no-preserve=all /var/lib/rancher/k3s/server/tls/client-ca.crt {path}"
    )
    server.start()
    nodes.until(lambda: f"{path} newer than datastore" in server.log(), what="the refusal")
    server.stop()
    server.sh(f"rm {path}")
    server.start()
    nodes.until(lambda: "srv1" in server.ready_nodes(), what="the server's return")
    server.sh(f"cmp {path} /var/tmp/kept")


def test_everything_comes_back_after_a_power_cut(talking: Node, machines: Machines) -> None:
    """After the power of all machines was cut at once, the nodes, their pods and the pods' network come back."""
    before = {name: heartbeat(talking, name) for name in ("srv1", "w1", "w2")}
    members = [machines.nodes[name] for name in before]
    for node in members:
        node.power_off()
    for node in members:
        node.power_on()
    nodes.until(lambda: talking.ready_nodes() == set(before), what="three ready nodes")
    nodes.until(lambda: all(heartbeat(talking, name) > beat for name, beat in before.items()), what="their heartbeats")
    nodes.until(lambda: everyone_reaches_everyone(talking), what="every pod reaching every service")


def heartbeat(server: Node, name: str) -> str:
    """When the API server last heard of a node's kubelet."""
    jsonpath = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].lastHeartbeatTime}'
    found = server.kubectl("get", f"node/{name}", jsonpath)
    return found.output if found.good else ""
