"""What carries out the steps of a cluster's rebuild that concern the cluster itself, and what is looked at before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from drkit.cluster.k3s import KUBECONFIG
from drkit.cluster.reach import reach
from drkit.cluster.ssh import SshNode
from drkit.config.model import Server
from drkit.datastore.look import Kind
from drkit.errors import PreflightFailed
from drkit.restore import needed_images, rebuild_plan
from drkit.restore.applying import Applying
from drkit.restore.cnpg import remade
from drkit.restore.engine.action import Action
from drkit.restore.filling import Filling
from drkit.restore.new_cluster import NewCluster, Way
from drkit.restore.node_setups import DATASTORE, NodeSetups
from drkit.restore.pod_databases import PodDatabases
from drkit.restore.sealed_objects import MANIFESTS, SealedObjects
from drkit.restore.waking import Waking, by_hand, databases_of, postgres_cluster
from drkit.restore.wanted import ETCD, PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from drkit.config.model import Config, Ssh
    from drkit.restore.engine.action import Call
    from drkit.restore.machines import Machines
    from drkit.restore.rebuild import Means


@contextmanager
def working(means: Means, machines: Machines, *, resumed: bool) -> Iterator[Mapping[str, Action]]:
    """The functions of these steps, by the names of the plan's actions, for the time of the body; preflight first.

    Args:
        means: what the functions are made of.
        machines: the ways to them.
        resumed: an earlier attempt has looked for images already.

    Raises:
        WrongKey: the sealed token does not open the sealed datastore; nothing was touched, likewise below.
        VerificationFailed: what is in the vault is not what was sealed.
        PreflightFailed: what was sealed cannot be brought back.
    """
    applied = next((step for step in means.plan.steps if step.action in _OF_OBJECTS), None)
    with ExitStack() as stack:
        setups = NodeSetups(means.plan, means.vaults, means.sources, machines)
        sealed = SealedObjects(means.vaults, means.sources, applied.details if applied else {}, stack)
        new = NewCluster(_way(means, machines, setups, stack), stack)
        if means.plan.mode != PARTS:
            _read(means, setups, sealed)
            _preflight(means, setups, sealed)
            if not resumed and MANIFESTS in means.sources:
                files = setups.olds()[machines.first].files
                accepted = means.accept_incomplete
                needed_images.see(sealed.gathered(), setups.topology, files, means.reporter, accepted=accepted)
        yield {
            rebuild_plan.REACH: Action(lambda call: _see(new, call)),
            **Waking(means, machines, setups, new).actions(),
            **Applying(means, machines, sealed, new).actions(),
            **PodDatabases(means, new).actions(),
            **Filling(means, machines, new).actions(),
        }


_OF_OBJECTS = (rebuild_plan.APPLY, rebuild_plan.OBJECTS)


def _see(new: NewCluster, call: Call) -> None:
    new.api(call).discover()


def _way(means: Means, machines: Machines, setups: NodeSetups, stack: ExitStack) -> Callable[[Call], Way]:
    """The way to the first server: one that the restore made, or, where parts are brought back, the target's own."""
    if means.plan.mode != PARTS:
        first = machines.first if machines.steps else ""
        return lambda call: Way(
            machines.node(first, call), machines.made(first, call).address, setups.of(first, call).kubeconfig
        )

    return lambda _: to_standing(means.config, means.plan.target, machines.ssh, stack)


def to_standing(config: Config, target: str, ssh: Ssh, stack: ExitStack) -> Way:
    """The way to a server of a target that is there already.

    Raises:
        PreflightFailed: the configuration has no address of one.
    """
    for each in config.clusters[target].servers:
        if isinstance(each, Server) and each.address:
            node = reach(each.name, each.address, ssh)
            if isinstance(node, SshNode):
                stack.callback(node.close)
            return Way(node, each.address, KUBECONFIG)
    raise PreflightFailed(
        f"no address is known of a server of {target}",
        f"add it: clusters: {{{target}: {{servers: [{{name: k3s-1, address: 198.51.100.7}}]}}}}",
    )


def _read(means: Means, setups: NodeSetups, sealed: SealedObjects) -> None:
    """Read all that is needed of the vaults but what is large, side by side."""
    with ThreadPoolExecutor(1, "preflight") as pool:
        objects = pool.submit(sealed.gathered) if MANIFESTS in means.sources else None
        setups.olds()
        if objects is not None:
            objects.result()


def _preflight(means: Means, setups: NodeSetups, sealed: SealedObjects) -> None:
    if means.plan.mode == ETCD:
        setups.token()
        if means.sources[DATASTORE].details["datastore"] == Kind.EXTERNAL_ETCD:
            means.reporter.warn(f"this will be for you to do, in its time:\n{by_hand(setups)}")
    problems = []
    for step in means.plan.steps if MANIFESTS in means.sources else ():
        if step.action == rebuild_plan.POSTGRES:
            named = postgres_cluster(step.details["cluster"])
            found = remade.problems(sealed.postgres(named), databases_of(means, named))
            problems += [f"{named}: {problem}" for problem in found]
    if problems:
        raise PreflightFailed(
            "\n".join(problems), "change the Cluster before the next backup, or leave its databases out: --only"
        )
