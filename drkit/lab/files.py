"""A lab's files on this machine: its keys, its secrets, and the ``drkit.yaml`` that is ready to use."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import DrkitError
from drkit.lab.accounts import BACKUP, BORG
from drkit.lab.recipes import POSTGRES, read
from drkit.lab.topology import BOX_PORT, Role
from drkit.lab.workload.manifests import SITES
from drkit.state import state_dir, write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.lab.topology import Topology

PASSPHRASE, TOKEN, DATABASE_PASSWORD, HCLOUD_TOKEN = "passphrase", "token", "database-password", "hcloud-token"
_SECRETS = (PASSPHRASE, TOKEN, DATABASE_PASSWORD, HCLOUD_TOKEN)
NODE_KEY, APPEND_KEY, FULL_KEY = "node-key", "box-append-only", "box-full-access"
_KEYS = (NODE_KEY, APPEND_KEY, FULL_KEY)
NEXT_K3S = "k3s-next"
"""The second release of the stand-in for k3s, which a drill upgrades nodes to."""
TARGET = "new-cluster"
"""Where the lab's configuration restores its cluster to."""
SERVER_TYPE, IMAGE, LOCATION = "cax11", "debian-13", "nbg1"
"""What the lab's nodes are said to be in Hetzner's terms; the reference cluster's servers are of this type."""


@dataclass(frozen=True)
class LabFiles:
    """The directory of one lab."""

    directory: Path

    @property
    def config(self) -> Path:
        """The ``drkit.yaml`` for this lab."""
        return self.directory / "drkit.yaml"

    @property
    def kubeconfig(self) -> Path:
        """The cluster administrator's access."""
        return self.directory / "kubeconfig"

    @property
    def next_k3s(self) -> Path:
        """The program of the stand-in's next release."""
        return self.directory / NEXT_K3S

    @property
    def known_hosts(self) -> Path:
        """The host keys of the nodes and of the box."""
        return self.directory / "known_hosts"

    def key(self, name: str) -> Path:
        """A private key: of the nodes' root, or of the box's accounts."""
        return self.directory / name

    def public_key(self, name: str) -> str:
        """The public part of a key."""
        return (self.directory / f"{name}.pub").read_text().strip()

    def secret(self, name: str) -> str:
        """A secret's value."""
        return (self.directory / name).read_text().strip()

    def make(self) -> None:
        """Make keys and secrets that are not there yet. They stay as they are for the lab's whole life."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in _SECRETS:
            if not (self.directory / name).exists():
                write_durably(self.directory / name, secrets.token_hex(16) + "\n")
        for name in _KEYS:
            if not self.key(name).with_name(f"{name}.pub").exists():
                self._generate(name)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _generate(self, name: str) -> None:
        # The public part appears last; a private key without one is left over from a run that was killed.
        self.key(name).unlink(missing_ok=True)
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"drkit-lab-{name}", "-f", str(self.key(name))]
        done = process.run(argv, deadline=30, env=process.clean_environment())
        if done.status != 0:
            raise DrkitError(f"ssh-keygen failed\n{process.tail(done.stderr)}")


def files_of(lab: str) -> LabFiles:
    """The files of the lab of that name, which need not be there."""
    return LabFiles(state_dir() / "labs" / lab)


def drkit_yaml(topology: Topology) -> str:
    """The configuration for a lab; its paths are relative to it. Pure."""
    box = topology.the(Role.BOX).address

    def vault(repository: str, schedule: str) -> str:
        ssh = f"ssh: {{key: {APPEND_KEY}, prune_key: {FULL_KEY}, known_hosts: known_hosts}}"
        url = json.dumps(BACKUP.url(box, BOX_PORT, repository))
        return f'{{url: {url}, passphrase: {{file: {PASSPHRASE}}}, {ssh}, remote_path: {BORG}, schedule: "{schedule}"}}'

    lines = [
        f"# The lab {topology.spec.name}, made by `drkit lab up`; `drkit lab down` removes it.",
        "cluster:",
        f"  name: {topology.spec.name}",
        "  kubeconfig: kubeconfig",
        f"  ssh: {{user: root, key: {NODE_KEY}, known_hosts: known_hosts}}",
        "  servers:",
        *(f"    - {{name: {server.member}, address: {server.address}}}" for server in topology.by_role(Role.SERVER)),
        "vaults:",
        f"  cluster: {vault('k3s-cluster', '0 3 * * *')}",
        f"  databases: {vault('k3s-db', '0 */6 * * *')}",
        "signing_key: {file: signing.key}",
        "# What verify --deep restores the workload's databases into; `drkit lab up --workload` makes the image.",
        f"postgresql: {{scratch_image: {json.dumps(read(POSTGRES).tag)}}}",
        *_new_cluster(topology),
        "# The lab takes every drill. Its names lead nowhere outside of it, so pages are asked at its load balancer.",
        "drills:",
        "  provider: lab",
        "  watchdog: local",
        f"  address: {topology.the(Role.BALANCER).address}",
        *([] if topology.spec.k3s else [f"  k3s_binary: {NEXT_K3S}"]),
    ]
    return "\n".join([*lines, ""])


def _new_cluster(topology: Topology) -> list[str]:
    """Where it is restored to, and what then has to answer."""
    hosts = [site.host(topology.zone) for site in SITES]
    servers, agents = ([node.member for node in topology.by_role(role)] for role in (Role.SERVER, Role.AGENT))
    return [
        "# `drkit lab rehearse` restores the cluster to servers of Hetzner's API, whose stand-in makes containers.",
        "health:",
        *(f"  - {{url: {json.dumps(f'http://{host}/health')}}}" for host in hosts),
        "clusters:",
        f"  {TARGET}:",
        "    provider: hetzner",
        f"    token: {{file: {HCLOUD_TOKEN}}}",
        f"    server_type: {SERVER_TYPE}",
        f"    image: {IMAGE}",
        f"    location: {LOCATION}",
        f"    network: {topology.network}",
        f"    load_balancer: {topology.the(Role.BALANCER).member}",
        f"    servers: {json.dumps(servers)}",
        f"    agents: {json.dumps(agents)}",
        f"    dns: {json.dumps(hosts)}",
        f"    ssh: {{user: root, key: {NODE_KEY}}}",
    ]
