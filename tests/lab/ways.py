"""Small clusters of every kind, which are backed up with drkit and lost, and what has to be the same afterwards."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drkit.lab import containers, machines
from tests.lab import postgres_clients
from tests.lab.labs import kubectl, login
from tests.lab.rebuilds import ended
from tests.lab.site import PASSPHRASE, Ran, Site
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker import DockerClient

    from drkit.lab.topology import Topology
    from tests.lab.labs import LabUser

TARGET = "again"
SETTING = {"greeting": "grüß Gott", "lines": "one\ntwo\n"}
_SHOP = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: shop}
stringData: {word: open}
"""
_DOORS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: doors, namespace: shop}
data: {Corefile: ".:80 {\\n  errors\\n}\\n.:443 {\\n  errors\\n}\\n"}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: doors, namespace: shop}
spec:
  selector: {matchLabels: {app: doors}}
  template:
    metadata: {labels: {app: doors}}
    spec:
      hostNetwork: true
      dnsPolicy: Default
      terminationGracePeriodSeconds: 1
      containers:
        - name: doors
          image: IMAGE
          imagePullPolicy: IfNotPresent
          args: [-conf, /etc/doors/Corefile]
          securityContext: {runAsUser: 0, capabilities: {add: [NET_BIND_SERVICE]}}
          volumeMounts: [{name: doors, mountPath: /etc/doors}]
      volumes: [{name: doors, configMap: {name: doors}}]
"""
"""Somebody who listens where a load balancer knocks, on each node: the one program whose image every node has."""


@dataclass(frozen=True)
class Small:
    """A cluster with a few objects, and its user's site.

    Attributes:
        lab: it.
        names: what its nodes are called.
        programs: directories of PostgreSQL's programs, where the cluster's datastore needs them.
    """

    lab: dict[str, Any]
    site: Site
    engine: DockerClient
    topology: Topology
    names: frozenset[str]
    programs: list[str] = field(default_factory=list)

    def configure(self, target: Mapping[str, Any], *more: str, hosts: str = "") -> None:
        """Write ``drkit.yaml``, with the cluster as it is and the target that it shall come back on.

        Args:
            target: in the form of ``clusters``.
            more: keys of ``cluster``, in YAML.
            hosts: the known_hosts of the target; a provider that makes machines needs none.
        """
        key = self.lab["ssh"]["key"]
        way = {"user": "root", "key": key} | ({"known_hosts": hosts} if hosts else {})
        old = {"user": "root", "key": key, "known_hosts": self.lab["ssh"]["known_hosts"]}
        lines = [
            f"cluster: {{name: {self.lab['name']}, kubeconfig: {self.lab['kubeconfig']}, ssh: {json.dumps(old)}",
            *(f"  , {each}" for each in more),
            "  }",
            "vaults: {cluster: {url: vault, passphrase: {file: passphrase}}}",
            f"clusters: {{{TARGET}: {json.dumps({**target, 'ssh': way})}}}",
            f"postgresql: {{bin_dirs: {json.dumps(self.programs)}}}",
        ]
        self.site.config.write_text("\n".join([*lines, ""]))

    def fill(self, *, doors: bool = False) -> None:
        """Put the objects there; with ``doors`` also who listens on the ports of a load balancer."""
        setting = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "setting", "namespace": "shop"}}
        text = f"{_SHOP}---\n{json.dumps({**setting, 'data': SETTING})}\n"
        if doors:
            image = "-o=jsonpath={.spec.template.spec.containers[0].image}"
            found = kubectl(self.lab, "get", "deployment", "coredns", "-n", "kube-system", image).out
            text += f"---{_DOORS.replace('IMAGE', found)}"
        done = kubectl(self.lab, "apply", "-f", "-", stdin=text)
        assert done.status == 0, done.err
        if doors:
            until(lambda: self._opened() == len(self.names), 120, 0.5)

    def backup(self) -> None:
        """All of it."""
        done = ended(self.site.start("backup", "--json"))
        assert done.status == 0, f"{done.out}\n{done.err}"

    def lose(self) -> None:
        """Destroy every node with its disks."""
        for node in self.topology.nodes:
            container = containers.get(self.engine, node.name)
            assert container is not None
            container.remove(force=True, v=True)

    def restored(self, *arguments: str) -> dict[str, Any]:
        """The report of a restore that comes to its end, with proofs that are equal and every step done."""
        done = ended(self.site.start("restore", "--to", TARGET, "--json", *arguments))
        assert done.status == 0, f"{done.status}\n{done.out}\n{done.err}"
        report: dict[str, Any] = done.json()
        assert report["proofs_equal"] is True
        assert {each["status"] for each in report["steps"]} == {"done"}
        return report

    def _opened(self) -> int:
        asked = kubectl(self.lab, "get", "daemonset", "doors", "-n", "shop", "-o=jsonpath={.status.numberReady}")
        return int(asked.out or 0)


@dataclass(frozen=True)
class Back:
    """The cluster that came back, by one of its new servers.

    Attributes:
        address: of the server; ``hosts`` is the known_hosts to believe it by.
    """

    was: Small
    address: str
    hosts: str

    def shell(self, *words: str) -> Ran:
        """A command on the server."""
        return login(self.was.lab["ssh"]["key"], self.hosts, f"root@{self.address}", *words)

    def items(self, kind: str, *words: str) -> list[dict[str, Any]]:
        """Objects of a kind."""
        asked = self.shell("k3s", "kubectl", "get", kind, "-o", "json", "--request-timeout=5s", *words)
        return list(asked.json()["items"]) if asked.status == 0 else []

    def ready(self) -> set[str]:
        """The nodes that are."""
        return {
            each["metadata"]["name"]
            for each in self.items("nodes")
            for condition in each["status"]["conditions"]
            if (condition["type"], condition["status"]) == ("Ready", "True")
        }

    def is_whole(self, names: set[str] | frozenset[str]) -> None:
        """These nodes and no others, all ready; the objects as they were; and pods that run, and answer each other."""
        assert {each["metadata"]["name"] for each in self.items("nodes")} == names
        until(lambda: self.ready() == names, 120, 0.5)
        (setting,) = [each for each in self.items("configmaps", "-n", "shop") if each["metadata"]["name"] == "setting"]
        assert setting["data"] == SETTING
        (key,) = [each for each in self.items("secrets", "-n", "shop") if each["metadata"]["name"] == "key"]
        assert key["data"] == {"word": "b3Blbg=="}
        until(lambda: "k8s-app" in json.dumps(self._running("kube-dns")), 240, 0.5)

    def _running(self, app: str) -> list[dict[str, Any]]:
        pods = self.items("pods", "-n", "kube-system", "-l", f"k8s-app={app}")
        return [
            pod
            for pod in pods
            if any((each["type"], each["status"]) == ("Ready", "True") for each in pod["status"].get("conditions", ()))
        ]


@contextmanager
def small(user: LabUser, engine: DockerClient, site: Site, *options: str) -> Iterator[Small]:
    """A lab of its own for the time of the body.

    Args:
        user: whose it is.
        engine: where it is.
        site: of who has the cluster.
        options: of ``drkit lab up``.
    """
    name = f"{user.prefix}-way"
    user.run("down", name=name)
    try:
        found = user.run("up", *options, "--json", name=name).json()
        (site.path / "passphrase").write_text(PASSPHRASE + "\n")
        made = Small(found, site, engine, machines.lab_of(engine, name), frozenset(e["name"] for e in found["nodes"]))
        if found["database"]:
            clients = site.path / "clients"
            clients.mkdir()
            made.programs.append(str(postgres_clients.unpack(found["nodes"][0]["container"], clients)))
        yield made
    finally:
        user.run("down", name=name)
