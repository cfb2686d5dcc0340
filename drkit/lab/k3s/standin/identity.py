"""What a server needs to be itself: the cluster's CAs (made once), and certificates of its own (made at each start)."""

from __future__ import annotations

import ipaddress
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import paths, pki

if TYPE_CHECKING:
    from pathlib import Path

SERVER_CA = pki.Authority(paths.TLS / "server-ca")
CLIENT_CA = pki.Authority(paths.TLS / "client-ca")
REQUEST_HEADER_CA = pki.Authority(paths.TLS / "request-header-ca")
ETCD_SERVER_CA = pki.Authority(paths.TLS / "etcd/server-ca")
ETCD_PEER_CA = pki.Authority(paths.TLS / "etcd/peer-ca")
SERVICE_KEY = paths.TLS / "service.key"
SERVICE_CURRENT_KEY = paths.TLS / "service.current.key"
PASSWD = paths.CRED / "passwd"

_USERS = {
    "client-admin": pki.Subject("system:admin", ("system:masters",)),
    "client-supervisor": pki.Subject("system:k3s-supervisor", ("system:masters",)),
    "client-controller": pki.Subject("system:kube-controller-manager"),
    "client-scheduler": pki.Subject("system:kube-scheduler"),
    "client-kube-apiserver": pki.Subject("system:apiserver", ("system:masters",)),
}


@dataclass(frozen=True)
class Node:
    """What a server's certificates name."""

    name: str
    address: str
    service_cidr: str
    cluster_domain: str
    extra_names: tuple[str, ...] = ()

    @property
    def service_address(self) -> str:
        """The address of the ``kubernetes`` service: the first of the range."""
        return str(ipaddress.ip_network(self.service_cidr)[1])


def make_authorities() -> None:
    """Make whichever of the cluster's CAs and keys is missing."""
    pki.make_authority(SERVER_CA, "k3s-server-ca")
    pki.make_authority(CLIENT_CA, "k3s-client-ca")
    pki.make_authority(REQUEST_HEADER_CA, "k3s-request-header-ca")
    pki.make_authority(ETCD_SERVER_CA, "etcd-server-ca")
    pki.make_authority(ETCD_PEER_CA, "etcd-peer-ca")
    pki.make_service_key(SERVICE_KEY)
    if not SERVICE_CURRENT_KEY.exists():
        pki.write_private(SERVICE_CURRENT_KEY, SERVICE_KEY.read_bytes())
    psk = paths.CRED / "ipsec.psk"
    if not psk.exists():
        pki.write_private(psk, secrets.token_hex(48).encode())


def write_passwords(password: str) -> None:
    """The accounts of joining nodes, unless the file is there: it is part of what the datastore keeps."""
    if not PASSWD.exists():
        pki.write_private(PASSWD, f"{password},node,node,k3s:agent\n{password},server,server,k3s:server\n".encode())


def make_server_certificates(node: Node) -> None:
    """The certificates of this server's components."""
    local = ("127.0.0.1", "::1", "localhost", node.address, node.name)
    service = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{node.cluster_domain}",
    )
    api = pki.Subject(
        "kube-apiserver",
        hosts=(*local, *service, node.service_address, *node.extra_names),
        server=True,
        client=False,
    )
    pki.make_leaf(SERVER_CA, paths.TLS / "serving-kube-apiserver", api)
    for stem, subject in _USERS.items():
        pki.make_leaf(CLIENT_CA, paths.TLS / stem, subject)
    pki.make_leaf(REQUEST_HEADER_CA, paths.TLS / "client-auth-proxy", pki.Subject("system:auth-proxy"))
    both = pki.Subject("etcd-server", hosts=local, server=True)
    pki.make_leaf(ETCD_SERVER_CA, paths.TLS / "etcd/server-client", both)
    pki.make_leaf(ETCD_SERVER_CA, paths.TLS / "etcd/client", pki.Subject("etcd-client"))
    pki.make_leaf(
        ETCD_PEER_CA, paths.TLS / "etcd/peer-server-client", pki.Subject("etcd-peer", hosts=local, server=True)
    )
    for stem in ("client-controller", "client-scheduler"):
        write_kubeconfig(
            paths.CRED / f"{stem.removeprefix('client-')}.kubeconfig",
            "https://127.0.0.1:6443",
            SERVER_CA.certificate,
            paths.TLS / stem,
        )


def write_kubeconfig(path: Path, server: str, authority: Path, stem: Path) -> None:
    """A kubeconfig that names files; JSON, which is YAML too."""
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [
            {"name": "user", "user": {"client-certificate": f"{stem}.crt", "client-key": f"{stem}.key"}},
        ],
        "contexts": [{"name": "default", "context": {"cluster": "local", "user": "user"}}],
        "current-context": "default",
    }
    pki.write_private(path, json.dumps(text, indent=1).encode())
