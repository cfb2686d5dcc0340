"""A cluster of the suite's machines backed up through drkit's own sources, and brought back step by step.

Each step runs in a process of its own (``python -m tests.contract.k3s.rebuild FILE STEP``), so that it can be killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from drkit.cluster.api import connect
from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh
from drkit.points.descriptor import OK, SourceEntry
from drkit.restore.etcd import cluster, datastores, kept, machine, program
from drkit.restore.etcd.rewrite import Rewritten, rewrite
from drkit.restore.etcd.scrub import Asked
from drkit.restore.etcd.values import Machine, Rebuild, old_node, read_files
from drkit.sources.datastore import DatastoreSource
from drkit.sources.server_files import ServerFilesSource
from drkit.sources.topology import TopologySource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drkit.cluster.kube import Kube
    from drkit.cluster.node import Node as Host
    from drkit.sources.port import Source
    from drkit.vault.port import Vault
    from tests.contract.k3s.nodes import Node

DATABASE = "db.example"
"""A database that the suite's cluster says it uses, and that is none of CloudNativePG's."""
_READY_SECONDS = 240.0
_HOST_KEY = "/var/lib/lab/ssh_host_ed25519_key"


@dataclass(frozen=True)
class Login:
    """How the suite's machines are logged in to: a key of its own, and their pinned keys, below a directory."""

    directory: Path

    @property
    def ssh(self) -> Ssh:
        """As drkit is told."""
        return Ssh(user="root", key=self.directory / "key", known_hosts=self.directory / "known_hosts")

    def prepare(self, node: Node) -> None:
        """Let this key in, and pin the machine's."""
        key = self.directory / "key"
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        node.write("/root/.ssh/authorized_keys", key.with_suffix(".pub").read_text())
        node.sh(f"mkdir -p /var/lib/lab; test -e {_HOST_KEY} || ssh-keygen -q -t ed25519 -N '' -f {_HOST_KEY}")
        node.ok("systemctl", "restart", "ssh")
        with (self.directory / "known_hosts").open("a") as file:
            file.write(f"{node.address} {node.sh(f'cat {_HOST_KEY}.pub')}\n")

    @contextmanager
    def host(self, name: str, address: str) -> Iterator[SshNode]:
        """A machine as drkit reaches it."""
        made = SshNode(name, address, self.ssh)
        try:
            yield made
        finally:
            made.close()


class Files:
    """A vault as far as a restore reads it: a directory with a file for each archive."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def open(self, archive: str) -> Iterator[Any]:
        """An archive's bytes."""
        with (self.directory / archive).open("rb") as file:
            yield file

    def store(self, source: Source) -> SourceEntry:
        """Keep a source, as a run does."""
        archive = source.name.replace("/", "-")
        digest, size = hashlib.sha256(), 0
        with source.open() as stream, (self.directory / archive).open("wb") as file:
            while block := os.read(stream.fileno(), 1 << 18):
                file.write(block)
                digest.update(block)
                size += len(block)
            stream.finish()
            details = stream.details()
        return SourceEntry(
            name=source.name,
            kind=source.kind,
            vault="cluster",
            status=OK,
            archive=archive,
            file=source.file_name,
            size=size,
            sha256=digest.hexdigest(),
            ended=datetime.now(UTC).isoformat(),
            details=details,
        )


def back_up(
    directory: Path, login: Login, servers: Sequence[Node], agents: Sequence[Node], programs: tuple[Path, ...] = ()
) -> None:
    """Keep all that a restore needs below ``directory``."""
    vault = Files(directory)
    entries: dict[str, Any] = {}
    hosts = [SshNode(each.name, each.address, login.ssh) for each in (*servers, *agents)]
    try:
        access = machine.access(hosts[0], "/etc/rancher/k3s/k3s.yaml", f"https://{servers[0].address}:6443")
        sources: list[Source] = [
            *(ServerFilesSource(cast("Host", host)) for host in hosts),
            TopologySource(cast("Kube", connect(access)), hosts, None),
            DatastoreSource(hosts[: len(servers)], "suite", programs),
        ]
        for source in sources:
            entries[source.name] = asdict(vault.store(source))
    finally:
        for host in hosts:
            host.close()
    (directory / "descriptor.json").write_text(json.dumps(entries))


@dataclass(frozen=True)
class Rebuilding:
    """What is brought back, and onto which machines.

    Args:
        restore: the restore's id.
        backup: what ``back_up`` wrote.
        login: the directory of ``Login``.
        machines: for each old node's name its machine: name, role, address, and the address that it joins.
        endpoint: of an external datastore that takes the place of the old one.
        programs: where PostgreSQL's programs are, beside the usual places.
    """

    restore: str
    backup: str
    login: str
    machines: dict[str, dict[str, str]]
    endpoint: str = ""
    programs: str = ""

    @cached_property
    def _vault(self) -> Files:
        return Files(Path(self.backup))

    @cached_property
    def _entries(self) -> dict[str, SourceEntry]:
        found = json.loads((self._vault.directory / "descriptor.json").read_text())
        return {name: SourceEntry(**entry) for name, entry in found.items()}

    @cached_property
    def archive(self) -> datastores.Archive:
        """The datastore's."""
        return datastores.Archive(cast("Vault", self._vault), self._entries["datastore"])

    @cached_property
    def machine_of(self) -> dict[str, Machine]:
        """The machine of each old node."""
        return {
            old: Machine(each["name"], each["role"], (each["address"],), join=each["join"])  # type: ignore[arg-type]
            for old, each in self.machines.items()
        }

    @cached_property
    def files(self) -> dict[str, Rewritten]:
        """What each machine gets, by its name."""
        topology = json.loads((self._vault.directory / self._entries["topology"].archive).read_text())
        olds = {}
        for name in self.machines:
            with self._vault.open(self._entries[f"server-files/{name}"].archive) as reader:
                olds[name] = old_node(topology, name, read_files(reader))
        servers = [olds[name] for name, each in self.machine_of.items() if each.role == "server"]
        details = self.archive.source.details
        token = kept.cluster_token(servers, details["bootstrap"])
        pairs = tuple((olds[name], each) for name, each in self.machine_of.items())
        rebuild = Rebuild(pairs, details["datastore"] == "embedded-etcd", token, self.endpoint)
        return {each.name: rewrite(old, each, rebuild) for old, each in pairs}

    @property
    def first(self) -> Machine:
        """The first server."""
        return next(each for each in self.machine_of.values() if not each.join)

    @property
    def others(self) -> list[Machine]:
        """All others, servers first."""
        joining = [each for each in self.machine_of.values() if each.join]
        return sorted(joining, key=lambda each: each.role != "server")

    @property
    def steps(self) -> list[str]:
        """All steps in their order."""
        names = [each.name for each in self.machine_of.values()]
        each_of = [f"{step} {name}" for step in ("mark", "k3s", "files") for name in names]
        last = [f"join {each.name}" for each in self.others]
        return [*each_of, "datastore", "wake", "scrub", "start", *last, "ready", "release"]

    def run(self, step: str) -> None:
        """Do one step."""
        verb, _, name = step.partition(" ")
        chosen = next((each for each in self.machine_of.values() if each.name == name), self.first)
        with Login(Path(self.login)).host(chosen.name, chosen.internal[0]) as host:
            _STEPS[verb](self, chosen, host)

    def access(self, host: Host) -> Any:
        """The API of the cluster that is brought back."""
        found = self.files[self.first.name]
        return connect(machine.access(host, found.kubeconfig, f"https://{self.first.internal[0]}:6443"))

    def load(self, host: Host) -> None:
        """The datastore, by its kind."""
        settings = self.files[self.first.name].settings
        match self.archive.source.details["datastore"]:
            case "sqlite":
                datastores.restore_sqlite(host, settings, self.archive, self.restore)
            case "postgresql":
                bin_dirs = (Path(self.programs),) if self.programs else ()
                datastores.restore_postgresql(host, settings, self.archive, self.restore, bin_dirs)
            case _:
                datastores.restore_etcd(host, settings, self.archive, self.restore)

    def ready(self, host: Host) -> None:
        """Wait for all nodes, and give them the labels that only the API can."""
        api = self.access(host)
        cluster.wait_ready(api, [each.name for each in self.machine_of.values()], _READY_SECONDS)
        for name, found in self.files.items():
            cluster.set_labels(api, name, found.labels)

    def release(self, host: Host) -> None:
        """Wake what was held."""
        cluster.release(self.access(host))
        machine.unhold(host, self.files[self.first.name].settings, kept.HELD)

    @property
    def asked(self) -> Asked:
        """What the scrub is asked for."""
        return Asked(self.restore, datetime.fromisoformat(self.archive.source.ended), hosts=(DATABASE,))

    @property
    def version(self) -> str:
        """The old cluster's."""
        return str(self.archive.source.details["k3s"])


_STEPS: dict[str, Callable[[Rebuilding, Machine, Host], object]] = {
    "mark": lambda work, _, host: machine.mark(host, work.restore),
    "k3s": lambda work, chosen, host: program.install(host, chosen.role, work.version, "exit 1"),
    "files": lambda work, chosen, host: machine.put_files(host, work.files[chosen.name]),
    "datastore": lambda work, _, host: work.load(host),
    "wake": lambda work, chosen, host: datastores.wake(host, work.files[chosen.name].settings),
    "scrub": lambda work, _, host: cluster.scrub(work.access(host), work.asked),
    "start": lambda work, chosen, host: datastores.start_whole(host, work.files[chosen.name].settings),
    "join": lambda _, chosen, host: machine.enable(host, chosen.role),
    "ready": lambda work, _, host: work.ready(host),
    "release": lambda work, _, host: work.release(host),
}


def killed(file: Path, step: str, seconds: float) -> None:
    """Begin a step in a process of its own, and kill it after so many seconds from when it has read all."""
    argv = [sys.executable, "-m", "tests.contract.k3s.rebuild", str(file), step]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()


def main() -> None:
    """Do one step of what a file describes."""
    work = Rebuilding(**json.loads(Path(sys.argv[1]).read_text()))
    _ = work.files
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    started = time.monotonic()
    work.run(sys.argv[2])
    sys.stdout.write(f"{time.monotonic() - started:.1f} s\n")


if __name__ == "__main__":
    main()
