"""A node's part of the pods' network: their range in the CNI configuration, and routes to the other nodes' ranges."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import components, log, paths
from .processes import run

if TYPE_CHECKING:
    from .kube import Kube

_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_PROTOCOL = "155"
"""Marks the stand-in's own routes, so that it removes no others."""


@dataclass
class Network:
    """Keeps a node's network as the API server's nodes say."""

    kube: Kube
    node: str
    cluster_cidr: str

    def prepare(self) -> None:
        """Let this node forward the pods' traffic.

        Raises:
            Fatal: it cannot be made to.
        """
        _allow_forwarding()
        _masquerade(self.cluster_cidr)

    def refresh(self) -> None:
        """Compare and repair once.

        Raises:
            ApiError: the API server does not answer.
            Fatal: a route could not be set.
        """
        nodes = self.kube.list("/api/v1/nodes")
        for node in nodes:
            if node["metadata"]["name"] == self.node and node["spec"].get("podCIDR"):
                _write_cni(node["spec"]["podCIDR"])
        self._set_routes(components.routes(nodes, self.node))

    def _set_routes(self, wanted: dict[str, str]) -> None:
        present = self._present()
        for pod_cidr in present.keys() - wanted.keys():
            log.info(f"Removing the route to {pod_cidr}")
            run(["ip", "route", "del", pod_cidr, "proto", _PROTOCOL])
        for pod_cidr, gateway in wanted.items():
            if present.get(pod_cidr) != gateway:
                log.info(f"Adding a route to {pod_cidr} via {gateway}")
                run(["ip", "route", "replace", pod_cidr, "via", gateway, "proto", _PROTOCOL])

    @staticmethod
    def _present() -> dict[str, str]:
        listed = json.loads(run(["ip", "-json", "route", "show", "proto", _PROTOCOL]) or "[]")
        return {route["dst"]: route.get("gateway", "") for route in listed}


def _write_cni(pod_cidr: str) -> None:
    text = json.dumps(components.cni(pod_cidr), indent=1)
    if paths.CNI_CONFIG.exists() and paths.CNI_CONFIG.read_text() == text:
        return
    log.info(f"Pods of this node get addresses of {pod_cidr}")
    paths.CNI_CONFIG.parent.mkdir(parents=True, exist_ok=True)
    # In place: containerd looks again when a file is written, and not when one is moved there.
    paths.CNI_CONFIG.write_text(text)


def _allow_forwarding() -> None:
    if _FORWARD.read_text().strip() != "1":
        _FORWARD.write_text("1")


def _masquerade(cluster_cidr: str) -> None:
    # Pods reach each other with their own addresses, and what is outside with their node's.
    rule = ["POSTROUTING", "-s", cluster_cidr, "!", "-d", cluster_cidr, "-j", "MASQUERADE"]
    table = ["iptables", "-w", "-t", "nat"]
    if subprocess.run([*table, "-C", *rule], check=False, capture_output=True).returncode != 0:
        run([*table, "-A", *rule])


def remove_stale_cni() -> None:
    """Remove the pods' range of an earlier life, so that no pod starts before this node's range is known."""
    paths.CNI_CONFIG.unlink(missing_ok=True)
