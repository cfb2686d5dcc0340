"""One machine of a lab's image, alone on its network: k3s runs on it, and its peer is a namespace within it."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh
from drkit.lab import containers, machines
from drkit.lab.placed import Placed
from drkit.lab.topology import CAPABILITIES
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from docker import DockerClient
    from docker.models.containers import Container

    from drkit.cluster.node import Node

LABEL = "drkit-tests.faults"
NAME = "server-1"
PEER, PEER_PORT = "10.99.0.2", 6443
MEMORY = 2 * 2**30
SMALL_DISK, SMALL_BYTES = "/mnt/small", 16 * 2**20
# Volumes below /sys/fs are seen in no other container.
_SETUP = f"""
set -e
ip netns add peer
ip link add veth0 type veth peer name veth1 netns peer
ip addr add 10.99.0.1/24 dev veth0
ip link set veth0 up
ip netns exec peer ip addr add {PEER}/24 dev veth1
ip netns exec peer ip link set veth1 up
mkdir -p {SMALL_DISK}
mount -t tmpfs -o size={SMALL_BYTES} none {SMALL_DISK}
systemd-run --quiet --unit test-peer ip netns exec peer python3 -m http.server --bind {PEER} {PEER_PORT}
"""
_READY = """
systemctl is-active --quiet k3s || exit 1
ready=$(k3s kubectl get nodes --output='jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}')
running=$(k3s kubectl get pods -A --field-selector=spec.nodeName=server-1,status.phase=Running -o name | wc -l)
[ "$ready" = True ] && [ "$running" -ge 2 ]
"""


@dataclass(frozen=True)
class Machine:
    """The machine.

    Attributes:
        node: over SSH.
        gateway: this machine's address on its network.
    """

    container: Container
    node: Node
    gateway: str

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script on it, by the engine: no network is between."""
        argv = ["docker", "exec", str(self.container.name), "sh", "-c", script]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def holds(self, script: str) -> bool:
        """Whether a shell script there succeeds."""
        return self.sh(script).returncode == 0

    def reaches_peer(self) -> bool:
        """Whether it can open a connection to its peer."""
        return self.holds(f"timeout 1 bash -c '</dev/tcp/{PEER}/{PEER_PORT}'")

    def remains(self) -> str:
        """What drills left on it."""
        return self.sh(
            "ls /run/drkit-drill /var/lib/drkit-drill /mnt/small 2>/dev/null | grep drkit-drill-;"
            "ls /run/drkit-drill 2>/dev/null;"
            "systemctl list-units --all --plain --no-legend 'drkit-drill-*'; nft list tables | grep drkit_drill;"
            "ip link show | grep drkit-; tc qdisc show | grep -e clsact -e d217"
        ).stdout.strip()

    def wait_until_whole(self) -> None:
        """Wait until k3s runs and its pods do."""
        until(lambda: self.holds(_READY), seconds=240, every=1.0)


@contextmanager
def machine(engine: DockerClient, image: str, directory: Path) -> Iterator[Machine]:
    """It, for the time of the body. What killed sessions left is removed first."""
    for owner in containers.labs(engine, LABEL):
        if not Path("/proc", owner).exists():
            containers.remove(engine, owner, LABEL)
    mine = str(os.getpid())
    try:
        subnet = containers.create_network(engine, f"drkit-test-faults-{mine}", {LABEL: mine})
        yield _boot(engine, image, directory, subnet)
    finally:
        containers.remove(engine, mine, LABEL)


def _boot(engine: DockerClient, image: str, directory: Path, subnet: IPv4Network) -> Machine:
    mine, address = str(os.getpid()), str(subnet[10])
    name = f"drkit-test-faults-{mine}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "key")], check=True)
    engine.volumes.create(f"{name}-var", labels={LABEL: mine})
    made: Container = engine.containers.create(
        image,
        name=name,
        hostname=NAME,
        labels={LABEL: mine},
        network=name,
        networking_config={name: engine.api.create_endpoint_config(ipv4_address=address)},
        volumes={f"{name}-var": {"bind": "/var", "mode": "rw"}},
        tmpfs={"/run": "exec", "/run/lock": "", "/tmp": ""},
        cap_add=list(CAPABILITIES),
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        cgroupns="private",
        # /dev/net/tun
        device_cgroup_rules=["c 10:200 rwm"],
        mem_limit=MEMORY,
        memswap_limit=MEMORY,
    )
    key = (directory / "key.pub").read_text()
    config = f'{{"cluster-init": true, "node-ip": "{address}"}}'
    containers.place(
        made, [Placed(machines.AUTHORIZED_KEYS, key, 0o600), Placed("/etc/rancher/k3s/config.yaml", config)]
    )
    made.start()
    (directory / "known_hosts").write_text(f"{address} {machines.booted(made, address)}\n")
    ssh = Ssh(user="root", key=directory / "key", known_hosts=directory / "known_hosts")
    booted = Machine(made, SshNode(NAME, address, ssh), str(subnet[1]))
    done = booted.sh(_SETUP + "systemctl enable --quiet k3s; systemctl start --no-block k3s")
    assert done.returncode == 0, done.stderr
    booted.wait_until_whole()
    return booted
