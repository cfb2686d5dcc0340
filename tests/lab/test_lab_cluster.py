"""The lab's cluster: pods that really run, on nodes that really reach each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.labs import COLD_SECONDS, kubectl
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]

NAMESPACE = "test-cluster"
PORT = 8000
HOST_PATHS = {"usr": "/usr", "lib": "/usr/lib", "lib64": "/usr/lib64"}
"""The node's own programs, so that a pod has Python without an image of its own."""

ASK = f"""
import sys, urllib.request
for name in sys.argv[1:]:
    page = urllib.request.urlopen(f"http://{{name}}.pods.{NAMESPACE}:{PORT}/etc/hostname", timeout=5)
    print(page.read().decode().strip())
"""


def pod(node: str) -> dict[str, Any]:
    """A pod on that node, which serves its own files and can run Python."""
    volumes = [{"name": name, "hostPath": {"path": path}} for name, path in HOST_PATHS.items()]
    mounts = [{"name": name, "mountPath": f"/{name}", "readOnly": True} for name in HOST_PATHS]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"on-{node}", "namespace": NAMESPACE, "labels": {"app": "pods"}},
        "spec": {
            "nodeName": node,
            "hostname": f"on-{node}",
            "subdomain": "pods",
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "python",
                    "image": "localhost/drkit-lab/pause:1",
                    "imagePullPolicy": "Never",
                    "command": ["/usr/bin/python3", "-m", "http.server", "--directory=/", str(PORT)],
                    "volumeMounts": mounts,
                }
            ],
            "volumes": volumes,
        },
    }


@pytest.fixture
def pods(lab: Lab) -> Iterator[list[str]]:
    """A running pod on each node; the namespace is gone after the test."""
    nodes = [node["name"] for node in lab["nodes"]]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "pods", "namespace": NAMESPACE},
        "spec": {"clusterIP": "None", "selector": {"app": "pods"}, "ports": [{"port": PORT}]},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    items = [namespace, service, *(pod(node) for node in nodes)]
    made = kubectl(lab, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    assert made.status == 0, made.err
    ready = kubectl(lab, "wait", "-n", NAMESPACE, "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    assert ready.status == 0, kubectl(lab, "describe", "pods", "-n", NAMESPACE).out
    yield [f"on-{node}" for node in nodes]
    kubectl(lab, "delete", "namespace", NAMESPACE, "--wait=true")


def test_pods_reach_each_other_by_name_across_nodes(lab: Lab, pods: list[str]) -> None:
    """A pod on each node fetches a file from every other one, under the name that the cluster's DNS gives it."""
    for name in pods:
        asked = kubectl(lab, "exec", "-n", NAMESPACE, name, "--", "/usr/bin/python3", "-c", ASK, *pods)
        assert asked.out.split() == pods, asked.err


def test_pods_find_the_labs_members(lab: Lab, pods: list[str]) -> None:
    """A pod resolves what stands beside the cluster, as a backup job in the cluster must."""
    box = f"box.{lab['dns']['zone']}"
    ask = f"import socket; print(socket.gethostbyname({box!r}))"
    asked = kubectl(lab, "exec", "-n", NAMESPACE, pods[0], "--", "/usr/bin/python3", "-c", ask)
    assert asked.out.strip() == lab["box"]["address"], asked.err


def test_the_kubeconfig_works_from_this_machine(lab: Lab) -> None:
    """The kubeconfig that ``status`` names reaches the API by the server's own address."""
    with open(lab["kubeconfig"], encoding="utf-8") as file:  # noqa: PTH123 - a path in a JSON document
        text = file.read()
    assert f"server: https://{lab['nodes'][0]['address']}:6443" in text
    ran = kubectl(lab, "--kubeconfig=/dev/stdin", "get", "--raw=/readyz", stdin=text)
    assert ran.out == "ok", ran.err


def test_a_node_whose_power_was_cut_is_ready_again(lab: Lab, pods: list[str], docker_engine: DockerClient) -> None:
    """After a power cut a node runs its pods again, and they are reached by name as before."""
    cut = docker_engine.containers.get(lab["nodes"][1]["container"])
    cut.kill()
    cut.start()

    def answered() -> bool:
        asked = kubectl(lab, "exec", "-n", NAMESPACE, pods[1], "--", "/usr/bin/python3", "-c", ASK, *pods)
        return asked.out.split() == pods

    until(answered)
