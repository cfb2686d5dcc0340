"""Source ``topology``: the servers and what stands around them, as one JSON document."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.errors import DrkitError, SourceFailed
from drkit.sources.port import MemoryStream
from drkit.topology import hetzner, select
from drkit.topology import nodes as topology_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drkit.cluster.kube import Kube
    from drkit.cluster.node import Node
    from drkit.sources.port import SourceStream

FORMAT = 1
_SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class TopologySource:
    """What can be asked: the cluster's API, its hosts, and Hetzner's API, each where there is one.

    Args:
        kube: the cluster's API.
        hosts: the hosts that can be logged in to.
        project: reads the Hetzner Cloud project.
    """

    kube: Kube | None
    hosts: Sequence[Node]
    project: Callable[[], hetzner.Project] | None
    name: str = "topology"
    kind: str = "topology"
    vaults: Sequence[str] = ("cluster",)
    file_name: str = "topology.json"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Ask all of them.

        A host that does not answer is named in the document and in a warning: losing one must not keep a backup from
        saying what the others are.

        Raises:
            SourceFailed: the cluster's API or Hetzner's does not answer; or no host does, where only they can be asked.
        """
        nodes = self._nodes()
        hosts, missing = self._looked_at({each for node in nodes for each in node["pod_cidrs"]})
        if missing and not hosts and not nodes:
            raise SourceFailed("no host answers: " + "; ".join(missing.values()))
        document: dict[str, Any] = {"format": FORMAT, "nodes": nodes, "hosts": hosts, "missing": missing}
        if self.project is not None:
            names = {node["name"] for node in nodes} | {host.name for host in self.hosts}
            document["hetzner"] = select.belonging(self.project(), names, self._addresses(nodes, hosts))
        content = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        with MemoryStream(content, details(document)) as stream:
            yield stream

    def _nodes(self) -> list[dict[str, Any]]:
        if self.kube is None:
            return []
        found = [node for page in self.kube.pages("/api/v1/nodes") for node in page["items"]]
        return sorted((topology_nodes.from_api(node) for node in found), key=lambda node: str(node["name"]))

    def _looked_at(self, pod_ranges: set[str]) -> tuple[dict[str, Any], dict[str, str]]:
        """All hosts side by side: what each says of itself, and why the others did not."""
        hosts: dict[str, Any] = {}
        missing: dict[str, str] = {}
        with ThreadPoolExecutor(_SIDE_BY_SIDE, "topology") as pool:
            asked = {host.name: pool.submit(topology_nodes.look, host) for host in self.hosts}
        for name, answer in asked.items():
            try:
                hosts[name] = topology_nodes.without_pods(answer.result(), pod_ranges)
            except DrkitError as error:
                missing[name] = error.message
        return hosts, missing

    @staticmethod
    def _addresses(nodes: list[dict[str, Any]], hosts: dict[str, Any]) -> set[str]:
        return topology_nodes.addresses(nodes).union(*map(topology_nodes.own_addresses, hosts.values()))


def details(document: dict[str, Any]) -> dict[str, Any]:
    """What the descriptor says of a topology: how many of each, and who did not answer."""
    collections = document.get("hetzner", {})
    counted = {"nodes": len(document["nodes"]), "hosts": len(document["hosts"])}
    return {
        "counts": {**counted, **{f"hetzner {name}": len(each) for name, each in collections.items()}},
        "warnings": [f"topology: {name} was not asked: {why}" for name, why in document["missing"].items()],
    }
