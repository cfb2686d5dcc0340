"""The part of k3s that runs pods: certificates, containerd, kubelet and kube-proxy, on servers and agents alike."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import components, identity, join, log, network, nodepassword, paths, pki, runtime
from .kube import Kube
from .problem import Fatal
from .processes import run, wait_for

if TYPE_CHECKING:
    from .processes import Children
    from .settings import Settings

PAUSE_IMAGE = "localhost/drkit-lab/pause:1"

_CERTIFICATES = ("client-kubelet", "serving-kubelet", "client-kube-proxy", "client-k3s-controller")
_RETRY = 2.0
_MOUNTS = Path("/proc/mounts")
_MAIN_RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(frozen=True)
class Node:
    """This node's name and address."""

    name: str
    address: str


def node_of(settings: Settings) -> Node:
    """The node's name and address: the settings', else the host's name and the address of its default route."""
    name = settings.node_name or socket.gethostname()
    if settings.with_node_id:
        name += f"-{nodepassword.own()[:8]}"
    if settings.node_ip:
        return Node(name.lower(), settings.node_ip[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks the kernel for the source address
        except OSError:
            raise Fatal("unable to select an IP from the default route; set node-ip") from None
        return Node(name.lower(), str(probe.getsockname()[0]))


def fetch_certificates(client: join.Client, node: Node) -> None:
    """Get this node's certificates from a server.

    Raises:
        Unreachable: the server does not answer, or is not ready.
        Rejected: it refused the token or the node's password.
    """
    paths.AGENT.mkdir(mode=0o755, parents=True, exist_ok=True)
    pki.write_private(paths.AGENT / "server-ca.crt", client.authority)
    pki.write_private(paths.AGENT / "client-ca.crt", client.ask("GET", "/v1-k3s/client-ca.crt"))
    headers = {
        "k3s-node-name": node.name,
        "k3s-node-password": nodepassword.own(),
        "k3s-node-ip": node.address,
    }
    for stem in _CERTIFICATES:
        request = pki.make_request(paths.AGENT / stem, node.name)
        answer = client.ask("POST", f"/v1-k3s/certificates/{stem}.crt", request, headers)
        pki.write_private(paths.AGENT / f"{stem}.crt", answer)


def fetch_patiently(client_of: list[tuple[str, str, str]], node: Node, children: Children) -> join.Client:
    """Get this node's certificates from the first server that gives them, asking again and again.

    Args:
        client_of: for each server its URL, the token and the user to act as.
        node: this node.
        children: watched meanwhile.

    Raises:
        Fatal: the token is malformed or of another cluster, or a component ended.
    """
    said = ""
    while True:
        for server, token, user in client_of:
            try:
                client = join.connect(server, token, user)
                fetch_certificates(client, node)
            except (join.Unreachable, join.Rejected) as problem:
                if str(problem) != said:
                    said = str(problem)
                    log.error(f"Waiting to retrieve agent configuration; server is not ready: {said}")
            else:
                return client
        children.check()
        time.sleep(_RETRY)


def resolvers(text: str) -> list[str]:
    """The name servers of a resolv.conf that a pod can reach: those on loopback it cannot."""
    listed = [line.split()[1] for line in text.splitlines() if line.startswith("nameserver ")]
    return [address for address in listed if not address.startswith("127.") and address != "::1"]


def write_resolv_conf(settings: Settings) -> tuple[str, list[str]]:
    """Write the resolv.conf that pods get, and return its path and name servers, which may be none."""
    if settings.resolv_conf:
        return settings.resolv_conf, resolvers(Path(settings.resolv_conf).read_text())
    found = resolvers(_MAIN_RESOLV_CONF.read_text()) if _MAIN_RESOLV_CONF.exists() else []
    path = paths.AGENT_ETC / "resolv.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"nameserver {address}\n" for address in found))
    return str(path), found


def start(settings: Settings, node: Node, api: str, children: Children) -> network.Network:
    """Start containerd, kubelet and kube-proxy, and return what keeps the pods' network.

    Raises:
        Fatal: one of them does not come up.
    """
    network.remove_stale_cni()
    driver = runtime.cgroup_driver(_MOUNTS.read_text())
    start_containerd(children, driver)
    authority = paths.AGENT / "server-ca.crt"
    for name, stem in (("kubelet", "client-kubelet"), ("kubeproxy", "client-kube-proxy")):
        identity.write_kubeconfig(paths.AGENT / f"{name}.kubeconfig", api, authority, paths.AGENT / stem)
    (paths.AGENT / "pod-manifests").mkdir(exist_ok=True)
    configuration = runtime.kubelet_configuration(settings, write_resolv_conf(settings)[0], driver)
    (paths.AGENT_ETC / "kubelet.json").write_text(json.dumps(configuration, indent=1))
    children.start("kubelet", components.kubelet(settings, node.name, node.address))
    children.start("kube-proxy", components.proxy(settings, node.name))
    kube = Kube(api, authority, paths.AGENT / "client-k3s-controller")
    pods = network.Network(kube, node.name, settings.cluster_cidr)
    pods.prepare()
    return pods


def start_containerd(children: Children, driver: str) -> None:
    """Start containerd unless the node's own service runs already, and give it the images that lie on this node.

    Args:
        children: whom it then belongs to.
        driver: who makes the pods' cgroups.

    Raises:
        Fatal: it does not come up.
    """
    if not _containerd_answers():
        path = paths.AGENT_ETC / "containerd/config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(runtime.containerd_configuration(str(paths.CONTAINERD_SOCKET), PAUSE_IMAGE, driver))
        paths.CONTAINERD_SOCKET.parent.mkdir(parents=True, exist_ok=True)
        containerd = shutil.which("containerd") or "/usr/bin/containerd"
        children.start_program("containerd", [containerd, "--log-level", "warn", "--config", str(path)])
        wait_for("containerd", _containerd_answers, children, 60.0)
    _import_images()


def _containerd_answers() -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(paths.CONTAINERD_SOCKET))
        except OSError:
            return False  # where nobody listens, ctr would wait for somebody
    done = subprocess.run(
        ["ctr", "--address", str(paths.CONTAINERD_SOCKET), "--connect-timeout", "2s", "version"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _import_images() -> None:
    """Import every image file once: which ones were is remembered beside containerd's own state."""
    record = Path("/var/lib/containerd/imported-by-k3s-standin.json")
    known: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    for directory in (paths.PACKAGED_IMAGES, paths.AGENT_IMAGES):
        for path in sorted(directory.glob("*.tar*")):
            state = path.stat()
            mark = f"{state.st_size}:{state.st_mtime_ns}"
            if known.get(str(path)) == mark:
                continue
            log.info(f"Importing images from {path}")
            run(
                ["ctr", "--address", str(paths.CONTAINERD_SOCKET), "-n", "k8s.io", "images", "import", str(path)],
                seconds=600.0,
            )
            known[str(path)] = mark
            record.write_text(json.dumps(known))
