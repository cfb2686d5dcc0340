"""Where k3s keeps its files (docs.k3s.io), and where the stand-in's own programs are."""

from __future__ import annotations

from pathlib import Path

CONFIG = Path("/etc/rancher/k3s/config.yaml")
CONFIG_PARTS = Path("/etc/rancher/k3s/config.yaml.d")
KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
NODE_PASSWORD = Path("/etc/rancher/node/password")

DATA = Path("/var/lib/rancher/k3s")
SERVER = DATA / "server"
TLS = SERVER / "tls"
CRED = SERVER / "cred"
MANIFESTS = SERVER / "manifests"
TOKEN = SERVER / "token"
NODE_TOKEN = SERVER / "node-token"
DB = SERVER / "db"
ETCD = DB / "etcd"
ETCD_NAME = ETCD / "name"
SNAPSHOTS = DB / "snapshots"
SNAPSHOT_METADATA = DB / ".metadata"
RESET_FLAG = DB / "reset-flag"
SQLITE = DB / "state.db"
KINE_SOCKET = SERVER / "kine.sock"

AGENT = DATA / "agent"
AGENT_IMAGES = AGENT / "images"
AGENT_ETC = AGENT / "etc"
KUBELET_STATE = Path("/var/lib/kubelet")

CNI_CONFIG = Path("/etc/cni/net.d/10-k3s-standin.conflist")
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")

PROGRAMS = Path("/usr/local/lib/k3s-standin/bin")
"""The upstream components, each a link to the one program that holds them all."""

PACKAGED_IMAGES = Path("/usr/local/lib/k3s-standin/images")
"""The stand-in's own images (pause, CoreDNS, local-path), as files that containerd imports."""


def program(name: str) -> str:
    """The full path of the component ``name``."""
    return str(PROGRAMS / name)
