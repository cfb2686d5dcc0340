"""The steps that make machines nodes of the cluster again, in both modes: k3s, files, starts, joins."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from drkit.cluster.cnpg import PostgresCluster
from drkit.cluster.k3s import API_PORT
from drkit.datastore.look import Kind
from drkit.errors import RestoreFailed
from drkit.restore import quarantine, rebuild_plan
from drkit.restore.cnpg import cluster as clusters
from drkit.restore.cnpg import removal
from drkit.restore.engine.action import Action
from drkit.restore.etcd import cluster, datastores, kept, machine, program, scrub
from drkit.restore.node_setups import DATASTORE
from drkit.restore.wanted import SERVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from drkit.cluster.kube import Api
    from drkit.cluster.volumes import Claim
    from drkit.restore.engine.action import Call
    from drkit.restore.machines import Machines
    from drkit.restore.new_cluster import NewCluster
    from drkit.restore.node_setups import NodeSetups
    from drkit.restore.rebuild import Means

READY_SECONDS = 600.0
"""How long a node may take until it is ready: images of its network may have to be pulled."""


class Waking:
    """Made once for an attempt.

    Args:
        means: what the functions are made of.
        machines: the ways to them.
        setups: what each of them gets.
        new: the cluster's API.
    """

    def __init__(self, means: Means, machines: Machines, setups: NodeSetups, new: NewCluster) -> None:
        self._means, self._machines, self._setups, self._new = means, machines, setups, new

    def actions(self) -> dict[str, Action]:
        """The functions, by the names of the plan's actions."""
        return {
            rebuild_plan.K3S: Action(self._k3s),
            rebuild_plan.FILES: Action(self._files),
            rebuild_plan.DATASTORE: Action(self._datastore),
            rebuild_plan.WAKE: Action(self._wake),
            rebuild_plan.SCRUB: Action(self._scrub),
            rebuild_plan.START: Action(self._start),
            rebuild_plan.JOIN: Action(self._join),
            rebuild_plan.LABELS: Action(self._labels),
            rebuild_plan.RELEASE: Action(self._release),
        }

    def _k3s(self, call: Call) -> None:
        details = call.step.details
        program.install(self._machines.node(details["name"], call), details["role"], details["version"])

    def _files(self, call: Call) -> None:
        name = call.step.details["name"]
        found = self._setups.of(name, call)
        machine.put_files(self._machines.node(name, call), found)
        for sentence in found.said:
            call.note(sentence)

    def _datastore(self, call: Call) -> None:
        name = call.step.details["name"]
        node, settings = self._machines.node(name, call), self._setups.of(name, call).settings
        source = self._means.sources[DATASTORE]
        archive = datastores.Archive(self._means.vaults[source.vault], source)
        match Kind(source.details["datastore"]):
            case Kind.EMBEDDED_ETCD:
                datastores.restore_etcd(node, settings, archive, call.restore)
            case Kind.SQLITE:
                datastores.restore_sqlite(node, settings, archive, call.restore)
            case Kind.POSTGRESQL:
                programs = tuple(self._means.config.postgresql.bin_dirs)
                datastores.restore_postgresql(node, settings, archive, call.restore, programs)
            case Kind.EXTERNAL_ETCD:
                # Who goes on with --resume says that it was done.
                if not call.begun_before:
                    raise RestoreFailed("an etcd with machines of its own is restored there", by_hand(self._setups))

    def _wake(self, call: Call) -> None:
        name = call.step.details["name"]
        datastores.wake(self._machines.node(name, call), self._setups.of(name, call).settings)

    def _scrub(self, call: Call) -> None:
        """Scrubbed first: what is held is found by the databases' clusters, which go after that."""
        api, named = self._new.api(call), [postgres_cluster(each) for each in call.step.details["clusters"]]
        claims = everything(api, removal.CLAIMS.path)
        theirs = frozenset(claim for each in named for claim in removal.claims(each, claims))
        sealed = datetime.fromisoformat(self._means.sources[DATASTORE].ended)
        filled = volume_claims(call.step.details)
        asked = scrub.Asked(call.restore, sealed, theirs, hosts_of_databases(self._means), filled=filled)
        found = cluster.scrub(api, asked)
        for volume in found.lost:
            if (volume.namespace, volume.claim) in filled:
                continue
            used = f", used by {', '.join(volume.used_by)}" if volume.used_by else ""
            call.warn(f"the volume {volume.namespace}/{volume.claim} comes back empty{used}")
        for sentence in found.said:
            call.warn(sentence)
        for each in named:
            for warning in clusters.prepare(api, each, databases_of(self._means, each), call.restore):
                call.warn(f"{each}: {warning}")

    def _start(self, call: Call) -> None:
        name = call.step.details["name"]
        datastores.start_whole(self._machines.node(name, call), self._setups.of(name, call).settings)

    def _join(self, call: Call) -> None:
        name = call.step.details["name"]
        machine.enable(self._machines.node(name, call), call.step.details["role"])
        self._wait(call, [self._machines.machine(name, call).name])

    def _labels(self, call: Call) -> None:
        api = self._new.api(call)
        nodes = {name: self._machines.machine(name, call).name for name in self._machines.steps}
        self._wait(call, nodes.values())
        for name, node in nodes.items():
            cluster.set_labels(api, node, self._setups.of(name, call).labels)
        first = self._machines.first
        path, address = self._setups.of(first, call).kubeconfig, self._machines.made(first, call).address
        call.note(
            f"the new kubeconfig is {path} on {nodes[first]}; its server for others is https://{address}:{API_PORT}"
        )

    def _wait(self, call: Call, nodes: Iterable[str]) -> None:
        """Wait until they are ready, all but for a network that can only be applied once they are there."""
        network = not self._setups.network_is_applied(call)
        cluster.wait_ready(self._new.api(call), nodes, READY_SECONDS, network=network)

    def _release(self, call: Call) -> dict[str, Any]:
        released = cluster.release(self._new.api(call))
        if quarantine.expiry(call.step.details) is not None:
            # The user's files may hold what a rehearsal must not do; their objects were applied as far as they may be.
            return {"released": released}
        for name, step in self._machines.steps.items():
            if step.details["role"] == SERVER:
                machine.unhold(self._machines.node(name, call), self._setups.of(name, call).settings, kept.HELD)
        return {"released": released}


_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


def hosts_of_databases(means: Means) -> tuple[str, ...]:
    """Names of the servers of databases that the target reaches by connection strings."""
    told = (dsn.parameters.get("host", "") for dsn in means.dsns.values())
    return tuple(sorted({host for host in told if host and not host.startswith("/") and host not in _HERE}))


def by_hand(setups: NodeSetups) -> str:
    """The commands that bring back an etcd with machines of its own."""
    return f"drkit restore --only datastore --into DIR\n{datastores.by_hand(setups.settings(), 'DIR/datastore')}"


def volume_claims(details: Mapping[str, Any]) -> frozenset[Claim]:
    """The claims that a restore fills, as a step's details name them; a plan of an earlier version names none."""
    parts = (each.partition("/") for each in details.get("volumes", ()))
    return frozenset((namespace, name) for namespace, _, name in parts)


def postgres_cluster(named: str) -> PostgresCluster:
    """A cluster as a plan names it: ``NAMESPACE/NAME``."""
    namespace, _, name = named.partition("/")
    return PostgresCluster(namespace, name)


def databases_of(means: Means, named: PostgresCluster) -> dict[str, Mapping[str, Any]]:
    """The details of a cluster's databases that the plan brings back, by their names."""
    action = f"{rebuild_plan.IN_POD}load"
    steps = [step for step in means.plan.steps if step.action == action and step.details["cluster"] == str(named)]
    return {step.details["database"]: means.sources[step.details["source"]].details for step in steps}


def everything(api: Api, path: str) -> Sequence[dict[str, Any]]:
    """All objects of a list."""
    pages: Iterable[dict[str, Any]] = api.pages(path)
    return [each for page in pages for each in page["items"]]
