"""What k3s deploys by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.nodes import until

if TYPE_CHECKING:
    from tests.contract.k3s.nodes import Node


# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]


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
    until(lambda: holds("one"), what="the deployed manifest")
    server.write(f"{directory}/from-file.yaml", manifest("two"))
    until(lambda: holds("two"), what="the changed manifest")
    assert not server.kubectl("get", "configmap/skipped").good
    assert server.get("addons.k3s.cattle.io", "--namespace=kube-system", "from-file")["spec"]["checksum"]


def test_a_start_deploys_what_is_packaged_again(server: Node) -> None:
    """What somebody changed of a packaged object is as packaged after a restart, though its manifest is the same."""

    def period() -> str:
        path = "--output=jsonpath={.spec.template.spec.containers[0].readinessProbe.periodSeconds}"
        return server.kubectl("get", "deployment/coredns", "--namespace=kube-system", path).output

    packaged = period()
    probe = {"name": "coredns", "readinessProbe": {"periodSeconds": 7}}
    change = json.dumps({"spec": {"template": {"spec": {"containers": [probe]}}}})
    assert server.kubectl("patch", "deployment/coredns", "--namespace=kube-system", f"--patch={change}").good
    assert period() == "7" != packaged
    server.run("systemctl", "restart", "k3s")
    until(lambda: period() == packaged, what="CoreDNS as packaged")
