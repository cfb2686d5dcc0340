"""What the nodes say of themselves: through the cluster's API, and each over SSH. Pure, but for ``look``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from drkit.errors import SourceFailed
from drkit.process import DeadlineExceeded, tail

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from drkit.cluster.kube import Object
    from drkit.cluster.node import Node

_SECONDS = 20.0
_INFO = ("architecture", "kernelVersion", "osImage", "kubeletVersion", "containerRuntimeVersion")
_CAPACITY = ("cpu", "memory", "ephemeral-storage")
_VIRTUAL = ("veth", "bridge", "vxlan", "dummy", "tun", "ipip")
"""Interfaces that the cluster's network makes by itself."""


def from_api(node: Object) -> dict[str, Any]:
    """What a rebuild needs of a Node object: what somebody set on it, where it is, and what machine it runs on."""
    metadata, spec, status = node["metadata"], node.get("spec", {}), node.get("status", {})
    info, capacity = status.get("nodeInfo", {}), status.get("capacity", {})
    return {
        "name": metadata["name"],
        "labels": metadata.get("labels", {}),
        "annotations": metadata.get("annotations", {}),
        # The control plane adds these itself, and takes them away again.
        "taints": [each for each in spec.get("taints", []) if not each["key"].startswith("node.kubernetes.io/")],
        "unschedulable": bool(spec.get("unschedulable")),
        "pod_cidrs": spec.get("podCIDRs", []),
        "provider_id": spec.get("providerID", ""),
        "addresses": [
            {"type": each["type"], "address": each["address"]}
            for each in sorted(status.get("addresses", []), key=lambda each: (each["type"], each["address"]))
        ],
        **{name: info[name] for name in _INFO if name in info},
        "capacity": {name: capacity[name] for name in _CAPACITY if name in capacity},
    }


def addresses(nodes: list[dict[str, Any]]) -> set[str]:
    """The addresses of nodes as ``from_api`` gives them."""
    return {
        each["address"] for node in nodes for each in node["addresses"] if each["type"] in {"InternalIP", "ExternalIP"}
    }


def own_addresses(host: Mapping[str, Any]) -> set[str]:
    """The addresses of a host's interfaces, as ``look`` gives it."""
    return {address.partition("/")[0] for each in host.get("interfaces", ()) for address in each["addresses"]}


def look(node: Node) -> dict[str, Any]:
    """What a host says of itself: system, processors, memory (bytes), disks, interfaces with addresses, routes.

    Raises:
        SourceFailed: it cannot be asked.
    """

    def ask(*argv: str) -> str:
        try:
            done = node.run(argv, deadline=_SECONDS)
        except DeadlineExceeded as error:
            raise SourceFailed(f"{node.name}: {error}") from None
        if done.status != 0:
            raise SourceFailed(f"{node.name}: {argv[0]} ended with status {done.status}: {tail(done.stderr)}")
        return done.stdout.decode(errors="replace")

    try:
        return {
            "system": system(ask("cat", "/etc/os-release")),
            "architecture": ask("uname", "-m").strip(),
            "processors": int(ask("nproc")),
            "memory": memory(ask("cat", "/proc/meminfo")),
            "disks": disks(json.loads(ask("lsblk", "--json", "--bytes", "--output", "NAME,SIZE,TYPE"))),
            "interfaces": interfaces(json.loads(ask("ip", "-json", "-details", "address"))),
            "routes": routes(json.loads(ask("ip", "-json", "route"))),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceFailed(f"{node.name}: what it says of itself is not understood: {error!r}") from None


def system(os_release: str) -> dict[str, str]:
    """Identity and version of the operating system; os-release(5)."""
    pairs = (line.partition("=") for line in os_release.splitlines())
    found = {key: value.strip("\"'") for key, equals, value in pairs if equals}
    return {name.lower(): found[name] for name in ("ID", "VERSION_ID", "PRETTY_NAME") if name in found}


def memory(meminfo: str) -> int:
    """Bytes of memory; proc(5): ``MemTotal:  3915032 kB``."""
    total = next(line for line in meminfo.splitlines() if line.startswith("MemTotal:"))
    return int(total.split()[1]) * 1024


def disks(listed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Name and size in bytes of each disk that has one."""
    named = [
        {"name": str(each["name"]), "size": int(each["size"])}
        for each in listed["blockdevices"]
        if each["type"] == "disk"
    ]
    return [each for each in named if each["size"]]


def interfaces(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name, hardware address, MTU and addresses of each interface that the host had before the cluster did."""
    return [
        {
            "name": each["ifname"],
            "mac": each.get("address", ""),
            "mtu": each.get("mtu", 0),
            "addresses": sorted(f"{one['local']}/{one['prefixlen']}" for one in each.get("addr_info", [])),
        }
        for each in listed
        if (each.get("link_type") != "loopback" and each.get("linkinfo", {}).get("info_kind") not in _VIRTUAL)
        # An interface in a container is one end of a pair whose other end is elsewhere.
        or each["ifname"].startswith("eth")
    ]


def routes(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Routes that lead through a gateway."""
    kept = ("dst", "gateway", "dev", "metric")
    return [{key: each[key] for key in kept if key in each} for each in listed if "gateway" in each]


def without_pods(host: Mapping[str, Any], pod_ranges: Collection[str]) -> dict[str, Any]:
    """What ``look`` saw, without the routes that the cluster's network made to its pods."""
    return {**host, "routes": [each for each in host["routes"] if each["dst"] not in pod_ranges]}
