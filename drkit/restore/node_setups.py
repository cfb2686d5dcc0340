"""What each machine of a rebuild gets: the files of the node whose place it takes, rewritten."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from drkit.cluster import k3s
from drkit.restore import rebuild_plan
from drkit.restore.etcd import kept, machine
from drkit.restore.etcd.rewrite import rewrite
from drkit.restore.etcd.values import Old, Rebuild, old_node, read_files
from drkit.restore.sealed import TOPOLOGY, topology
from drkit.restore.stream import Whole
from drkit.restore.wanted import MANIFESTS, SERVER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from drkit.points.descriptor import SourceEntry
    from drkit.restore.engine.action import Call
    from drkit.restore.engine.plan import Plan, Step
    from drkit.restore.etcd.rewrite import Rewritten
    from drkit.restore.etcd.values import File, Machine
    from drkit.restore.machines import Machines
    from drkit.vault.port import Vault

DATASTORE = "datastore"
_AT_ONCE = 4
"""Archives that are read side by side."""


class NodeSetups:
    """Made once for an attempt; safe to use from several threads. What it reads is secret, and stays in memory.

    Args:
        plan: of the restore.
        vaults: by name.
        sources: those that the plan draws on, with their details, by name.
        machines: the ways to them.
    """

    def __init__(
        self, plan: Plan, vaults: Mapping[str, Vault], sources: Mapping[str, SourceEntry], machines: Machines
    ) -> None:
        self._steps = set_up_by(plan)
        self._vaults, self._sources, self._machines = vaults, sources, machines
        self._fresh = plan.mode == MANIFESTS
        self._lock = threading.RLock()
        self.topology: Mapping[str, Any] = {}
        """The document of the source ``topology``, once ``olds`` has read it."""
        self._olds: dict[str, Old] = {}
        self._made: dict[str, Rewritten] = {}

    def olds(self) -> dict[str, Old]:
        """What each machine takes the place of, by the machines' names.

        Raises:
            VerificationFailed: what is in the vault is not what was sealed.
        """
        with self._lock:
            if not self._olds:
                with ThreadPoolExecutor(_AT_ONCE, "files") as pool:
                    reading = pool.submit(topology, self._vaults, self._sources.get(TOPOLOGY))
                    sources = {str(step.details["source"]) for step in self._steps.values() if "source" in step.details}
                    archives = dict(zip(sources, pool.map(self._files, sources), strict=True))
                self.topology = reading.result()
                self._olds = {name: taken_over(step, self.topology, archives) for name, step in self._steps.items()}
            return self._olds

    def token(self) -> str:
        """The token that opens the datastore's identity.

        Raises:
            WrongKey: no server's token in the recovery set does.
        """
        olds = self.olds()
        servers = [olds[name] for name, step in self._steps.items() if step.details["role"] == SERVER]
        return kept.cluster_token(servers, self._sources[DATASTORE].details["bootstrap"])

    def settings(self) -> k3s.Settings:
        """What k3s was told on the node that the first server takes the place of."""
        return k3s.settings({path: file.content for path, file in self.olds()[self._machines.first].files.items()})

    def of(self, name: str, call: Call) -> Rewritten:
        """What a machine gets; the steps ``server NAME`` and ``mark NAME`` of all of them are done.

        Raises:
            SourceFailed: the old node's files cannot be understood.
        """
        with self._lock:
            if name not in self._made:
                rebuild = self._rebuild(call)
                self._made[name] = rewrite(self.olds()[name], self._machines.machine(name, call), rebuild)
            return self._made[name]

    def network_is_applied(self, call: Call) -> bool:
        """Whether the pods' network comes with the objects, which a fresh cluster gets once all have joined."""
        return self._fresh and not self.of(self._machines.first, call).flannel

    def _rebuild(self, call: Call) -> Rebuild:
        made = {name: self._machines.machine(name, call) for name in self._steps}
        pairs = paired(self._steps, self.olds(), made)
        if self._fresh:
            token = machine.fresh_token(self._machines.node(self._machines.first, call))
            return Rebuild(pairs, self._keeps_etcd(), token, fresh=True)
        kind = self._sources[DATASTORE].details["datastore"]
        return Rebuild(pairs, kind == "embedded-etcd", self.token())

    def _keeps_etcd(self) -> bool:
        """Whether a cluster that begins anew keeps its objects in an etcd of its own: where the old one did."""
        servers = sum(step.details["role"] == SERVER for step in self._steps.values())
        told = self.settings()
        return servers > 1 or told.cluster_init or bool(told.server)

    def _files(self, name: str) -> dict[str, File]:
        source = self._sources[name]
        with self._vaults[source.vault].open(source.archive) as reader:
            return read_files(Whole(reader, source))


def set_up_by(plan: Plan) -> dict[str, Step]:
    """A plan's steps ``files NAME`` by the machines' names. Pure."""
    return {step.details["name"]: step for step in plan.steps if step.action == rebuild_plan.FILES}


def taken_over(step: Step, topology: Mapping[str, Any], archives: Mapping[str, Mapping[str, File]]) -> Old:
    """What a machine takes the place of, or the pattern that it is made by. Pure.

    Args:
        step: the machine's step ``files NAME``.
        topology: the document of the source ``topology``.
        archives: the files that were sealed, by their sources.
    """
    source, node = str(step.details.get("source", "")), str(step.details["node"])
    files = archives.get(source, {})
    if node:
        return old_node(topology, node, files)
    pattern = old_node(topology, source.partition("/")[2], files)
    return Old(step.details["name"], internal=pattern.internal, external=pattern.external, files=files)


def paired(
    steps: Mapping[str, Step], olds: Mapping[str, Old], made: Mapping[str, Machine]
) -> tuple[tuple[Old, Machine], ...]:
    """Each old node and its machine, as ``Rebuild`` takes them. Pure."""
    # What more there is than there was stands for no node: its pattern's addresses are that node's machine's.
    order = sorted(steps, key=lambda name: bool(steps[name].details["node"]))
    return tuple((olds[name], made[name]) for name in order)
