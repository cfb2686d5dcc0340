"""A lab's cluster that is backed up with drkit and then lost, and fresh machines that take its place."""

from __future__ import annotations

import http.client
import json
import shlex
import subprocess
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.lab import containers, inside, machines
from drkit.lab.workload import images
from drkit.observe.progress import PlainReporter
from tests.lab.labs import kubectl, login
from tests.lab.site import PASSPHRASE, Ran, Site, finish
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from drkit.lab.topology import Topology

Lab = dict[str, Any]
NAMESPACE, CLUSTER = "postgres", "main-db"
DATABASE = f"{NAMESPACE}/{CLUSTER}"
BULK = "create table bulk as select g, repeat(md5(g::text), 12) as t from generate_series(1, 400000) g"
"""Enough that a load of it takes some seconds, in which things can happen."""
RESTORE_SECONDS = 900.0
SPARES = ("spare-1", "spare-2")
_IMAGES = "/var/lib/rancher/k3s/agent/images"
"""Where k3s takes images from at its start (docs.k3s.io/installation/airgap)."""


@dataclass(frozen=True)
class Lost:
    """A cluster of one server and one agent, of which nothing is left but its backup.

    Attributes:
        lab: as it was.
        site: where its backup is.
        documents: what the application held, by keys.
    """

    lab: Lab
    site: Site
    engine: DockerClient
    topology: Topology
    documents: dict[str, str]

    @contextmanager
    def spares(self) -> Iterator[None]:
        """Two fresh machines, which are the target ``spare`` for the time of the body."""
        with spares(self.engine, self.topology, self.lab, self.site.path / "spare_hosts") as addresses:
            self.site.config.write_text(configuration(self.lab, addresses))
            yield

    def power_cut(self, name: str) -> None:
        """A spare machine loses its power, and gets it back."""
        found = machines.find(self.engine, self.topology, name)
        assert found is not None
        machines.cut_power(found)
        machines.power_on(found)

    @contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """Nothing comes to a spare machine or from it for the time of the body, and nobody is told so."""
        found = machines.find(self.engine, self.topology, name)
        assert found is not None
        rules = ("PREROUTING", "-i"), ("OUTPUT", "-o")
        for chain, way in rules:
            inside.run_in(found, "iptables", "-w", "-t", "raw", "-I", chain, way, "eth0", "-j", "DROP")
        try:
            yield
        finally:
            for chain, way in rules:
                inside.run_in(found, "iptables", "-w", "-t", "raw", "-D", chain, way, "eth0", "-j", "DROP")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin ``drkit restore`` to the spare machines."""
        return self.site.start("restore", "--to", "spare", *arguments)

    def restored(self, *arguments: str) -> dict[str, Any]:
        """The report of a restore that comes to its end."""
        done = ended(self.start("--json", *arguments))
        assert done.status == 0, f"{arguments}: {done.status}\n{done.out}\n{done.err}"
        report: dict[str, Any] = done.json()
        return report

    def restores(self) -> int:
        """How many restores were begun so far."""
        return len(list((self.site.path / "state/drkit/restores/spare").glob("*.jsonl")))

    def has_begun(self, step: str) -> bool:
        """Whether the restore that is not finished has begun a step."""
        journals = sorted((self.site.path / "state/drkit/restores/spare").glob("*.jsonl"))
        lines = journals[-1].read_text(errors="replace").splitlines() if journals else []
        finished = any('{"status": "finished"' in line for line in lines)
        return not finished and any(f'"step": "{step}", "status": "started"' in line for line in lines)

    def is_loading(self) -> bool:
        """Whether rows flow into a database; waits a little for that."""
        asked = "select 1 from pg_stat_progress_copy where command = 'COPY FROM' and bytes_processed > 1000000"
        looks = f'for _ in $(seq 50); do psql -U postgres -Atc "{asked}" | grep -q 1 && exit; sleep 0.1; done; exit 1'
        words = ("exec", "-n", NAMESPACE, f"{CLUSTER}-1", "-c", "postgres", "--", "sh", "-c", shlex.quote(looks))
        return self.kubectl(*words).status == 0

    def address(self, number: int = 0) -> str:
        """Of one of the spare machines."""
        return (self.site.path / "spare_hosts").read_text().splitlines()[number].split()[0]

    def kubectl(self, *words: str) -> Ran:
        """Kubectl on the new first server."""
        hosts = str(self.site.path / "spare_hosts")
        return login(self.lab["ssh"]["key"], hosts, f"root@{self.address()}", "k3s", "kubectl", *words)

    def items(self, kind: str, *words: str) -> list[dict[str, Any]]:
        """All objects of a kind in the new cluster."""
        asked = self.kubectl("get", kind, "-A", "-o", "json", "--request-timeout=5s", *words)
        return list(asked.json()["items"]) if asked.status == 0 else []

    def found(self, key: str) -> str:
        """A document, as the application on the new machines answers it."""
        return ask(self.address(1), f"docfast.{self.lab['dns']['zone']}", key)

    def serves(self) -> bool:
        """Whether the application answers with all that it held."""
        return all(self.found(key) == f"{text}\n" for key, text in self.documents.items())


@contextmanager
def spares(
    engine: DockerClient,
    topology: Topology,
    lab: Lab,
    known_hosts: Path,
    names: tuple[str, ...] = SPARES,
    *,
    workload: bool = True,
) -> Iterator[list[str]]:
    """Fresh machines, with the workload's images on their disks; their addresses. Their host keys are written down."""
    made = [_spare(engine, topology, lab, name, workload=workload) for name in names]
    try:
        addresses = [machines.address_of(each, topology) for each in made]
        keys = [machines.booted(each, address) for each, address in zip(made, addresses, strict=True)]
        known_hosts.write_text("".join(f"{address} {key}\n" for address, key in zip(addresses, keys, strict=True)))
        yield addresses
    finally:
        for each in made:
            each.remove(force=True, v=True)


def _spare(engine: DockerClient, topology: Topology, lab: Lab, name: str, *, workload: bool) -> Any:
    key = Path(lab["ssh"]["key"]).with_suffix(".pub").read_text()
    fresh = machines.Fresh(name, uuid.uuid4().hex[:8], (key,))
    made = machines.make(engine, topology, fresh, PlainReporter())
    machines.power_on(made)
    made.reload()
    if not workload:
        return made
    archive = images.archive(sorted(images.ensure_all(engine, PlainReporter()).values()))
    subprocess.run(["docker", "exec", str(made.name), "mkdir", "-p", _IMAGES], check=True)
    subprocess.run(["docker", "cp", str(archive), f"{made.name}:{_IMAGES}/workload.tar"], check=True)
    return made


def ended(child: subprocess.Popen[str]) -> Ran:
    """Wait for a started command."""
    return finish(child, RESTORE_SECONDS)


def ask(address: str, host: str, key: str, text: str | None = None) -> str:
    """Read a document, or write it; what went wrong where it is neither."""
    connection = http.client.HTTPConnection(address, 80, timeout=8)
    try:
        if text is not None:
            connection.request("POST", "/documents", text, {"Host": host, "Key": key})
        else:
            connection.request("GET", f"/documents/{key}", headers={"Host": host})
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()


def configuration(lab: Lab, spares: list[str]) -> str:
    """``drkit.yaml`` with the lab as the cluster, and the spare machines as a target."""
    address = next(each["address"] for each in lab["nodes"] if each["name"] == "server-1")
    vault = "passphrase: {file: passphrase}, lock_wait: 2"
    ssh = f"user: root, key: {lab['ssh']['key']}"
    lines = [
        "cluster:",
        "  name: lab",
        f"  kubeconfig: {json.dumps(lab['kubeconfig'])}",
        f"  servers: [{{name: server-1, address: {address}}}]",
        f"  ssh: {{{ssh}, known_hosts: {lab['ssh']['known_hosts']}}}",
        "vaults:",
        f"  databases: {{url: vault, {vault}}}",
        f"  cluster: {{url: other, {vault}}}",
    ]
    if spares:
        server, agent = ([f"{{name: {name}, address: {at}}}"] for name, at in zip(SPARES, spares, strict=True))
        lines.append(
            f"clusters: {{spare: {{provider: ssh, servers: [{server[0]}], agents: [{agent[0]}], "
            f"ssh: {{{ssh}, known_hosts: spare_hosts}}}}}}"
        )
    return "\n".join([*lines, ""])


def lose(lab: Lab, site: Site, engine: DockerClient) -> Lost:
    """Fill the application of a lab with the sample workload, back all of it up with drkit, and destroy the nodes."""
    (site.path / "passphrase").write_text(PASSPHRASE + "\n")
    site.config.write_text(configuration(lab, []))
    host, address = f"docfast.{lab['dns']['zone']}", lab["load_balancer"]["address"]
    documents = {uuid.uuid4().hex: f"document {number}" for number in range(20)}
    for key, text in documents.items():
        until(lambda key=key, text=text: ask(address, host, key, text).strip() == key, 60, 0.5)  # type: ignore[misc]
    psql = ("psql", "-U", "postgres", "-d", "docfast", "-c", BULK)
    made = kubectl(lab, "exec", "-n", NAMESPACE, f"{CLUSTER}-1", "-c", "postgres", "--", *psql)
    assert made.status == 0, made
    done = ended(site.start("backup", "--json"))
    assert done.status == 0, f"{done.out}\n{done.err}"
    topology = machines.lab_of(engine, lab["name"])
    for node in topology.nodes:
        container = containers.get(engine, node.name)
        assert container is not None
        container.remove(force=True, v=True)
    return Lost(lab, site, engine, topology, documents)
