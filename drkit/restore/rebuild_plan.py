"""The plan of a cluster's rebuild: made without any I/O, always the same for what is wanted.

A step's needs say all that must be there before it; the order in the list is only the one in which people read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.datastore.look import Kind
from drkit.restore import plan as databases
from drkit.restore.engine.plan import Step
from drkit.restore.wanted import AGENT, ETCD, MANIFESTS, PARTS, SERVER, SSH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.restore.wanted import Machine, PostgresCluster, Wanted

NETWORK, MAKE, MARK, K3S, FILES = "network", "server", "mark", "k3s", "files"
DATASTORE, WAKE, SCRUB, START, JOIN, LABELS = "datastore", "wake", "scrub", "start", "join", "labels"
REACH, APPLY, POSTGRES, FENCE, RELEASE = "reach", "apply", "postgres", "fence", "release"
FILL, FILLED = "fill", "see-filled"
PATCHES, OBJECTS, BALANCER, HEALTH, DNS = "patches", "objects", "balancer", "health", "dns"
IN_POD = "pod-"
"""Before the names of a database's actions where it is in a CloudNativePG cluster: another function does the same."""


def steps(wanted: Wanted) -> tuple[Step, ...]:
    """The steps that bring it back."""
    return _Making(wanted).all()


class _Making:
    """Adds steps in the order in which they are read; each group returns the ids that what follows has to wait for."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._steps: list[Step] = []

    def all(self) -> tuple[Step, ...]:
        wanted = self._wanted
        # Names are free only when those who have them are off.
        fenced = self._fence(()) if wanted.replace else ()
        ready = (self._add(REACH, "see that the cluster answers"),) if wanted.mode == PARTS else self._cluster(fenced)
        if wanted.mode != ETCD and wanted.manifests is not None:
            ready = (self._apply(ready),)
        proven = (*self._databases(ready), *self._volumes(ready))
        if wanted.mode != PARTS:
            self._traffic(ready, proven, fenced)
        return tuple(self._steps)

    def _add(
        self,
        action: str,
        title: str,
        needs: Iterable[str] = (),
        name: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> str:
        step = Step(f"{action} {name}".strip(), action, title, tuple(dict.fromkeys(needs)), details or {})
        self._steps.append(step)
        return step.id

    def _cluster(self, fenced: tuple[str, ...]) -> tuple[str, ...]:
        """Machines with k3s on them, joined; ends with the labels that only the API can set."""
        wanted = self._wanted
        made = self._machines(fenced)
        first = self._first(wanted.servers[0].name, made)
        last = self._joined(wanted.servers[1:], SERVER, (first,), made)
        joined = self._joined(wanted.agents, AGENT, last, made)
        title = "put back labels and taints that only the API can set"
        return (self._add(LABELS, title, joined),)

    def _machines(self, fenced: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
        """For each machine what it must have been through before k3s is started on it."""
        wanted, before = self._wanted, fenced
        title = "answers over SSH; its host key is pinned"
        if wanted.provider != SSH:
            around = "make or adopt network, subnet, firewall, SSH key and placement group"
            before = (self._add(NETWORK, around, fenced, details={"provider": wanted.provider}),)
            title = f"make or adopt it; {title}"
        whole = {each.name: {"name": each.name, "role": role, "node": each.node} for role, each in wanted.machines}
        for name, details in whole.items():
            self._add(MAKE, title, before, name, {**details, "replace": wanted.replace, **wanted.rehearsal})
        for name, details in whole.items():
            title = "leave the restore's id there; refused where k3s has run before"
            self._add(MARK, title, (f"{MAKE} {name}",), name, details)
        for name, details in whole.items():
            title = f"install k3s {wanted.version or 'of the same version'}, not started"
            self._add(K3S, title, (f"{MARK} {name}",), name, {**details, "version": wanted.version})
        for _, each in wanted.machines:
            self._files(each, whole[each.name])
        return {name: (f"{K3S} {name}", f"{FILES} {name}") for name in whole}

    def _files(self, machine: Machine, details: Mapping[str, Any]) -> None:
        fresh = self._wanted.mode == MANIFESTS
        token = "rewritten" if fresh else "token, rewritten"
        title = f"{token} configuration, registries, environment files, the user's own manifests"
        # Whoever joins is told where the first server is, and all of them the addresses that took the old ones' place.
        needs = tuple(f"{MARK} {each.name}" for _, each in self._wanted.machines)
        archive = machine.files.details if machine.files else {}
        self._add(FILES, title, needs, machine.name, {**details, **archive, "fresh_identity": fresh})

    def _first(self, name: str, made: Mapping[str, tuple[str, ...]]) -> str:
        """The first server, started for good."""
        wanted, here = self._wanted, {"name": name}
        if wanted.mode == MANIFESTS:
            return self._add(START, "start k3s with a fresh identity", made[name], name, here)
        datastore = wanted.datastore
        if datastore is None:
            raise ValueError("mode etcd without a datastore")
        details = {**here, **datastore.archive.details, "datastore": datastore.kind.value}
        put = self._add(DATASTORE, _DATASTORES[datastore.kind], made[name], name, details)
        title = "start it without scheduler, controller manager and kubelet: only the API"
        woken = self._add(WAKE, title, (put,), name, here)
        title = "remove stale nodes, node passwords, leases, volume attachments and bound pods; hold what must not wake"
        held = {
            "clusters": [each.name for each in wanted.clusters],
            "volumes": [each.claim for each in wanted.volumes],
        }
        scrubbed = self._add(SCRUB, title, (woken,), details=held)
        return self._add(START, "start it whole", (scrubbed,), name, here)

    def _joined(
        self, machines: Iterable[Machine], role: str, after: tuple[str, ...], made: Mapping[str, tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Servers that keep an etcd join one after another; all others side by side."""
        wanted = self._wanted
        in_turn = role == SERVER and (wanted.datastore is None or wanted.datastore.kind is Kind.EMBEDDED_ETCD)
        joined: tuple[str, ...] = ()
        for machine in machines:
            needs = (*(joined[-1:] if in_turn and joined else after), *made[machine.name])
            title = "join, with taints and labels already in its configuration; Ready"
            joined += (self._add(JOIN, title, needs, machine.name, {"name": machine.name, "role": role}),)
        return joined or after

    def _apply(self, ready: tuple[str, ...]) -> str:
        wanted = self._wanted
        assert wanted.manifests is not None  # noqa: S101 - its caller saw that
        details = {
            "parts": list(wanted.parts),
            "namespaces": dict(wanted.namespaces),
            "volumes": [each.claim for each in wanted.volumes],
            **wanted.rehearsal,
        }
        title = "apply them in order, held" if wanted.mode == MANIFESTS else f"apply {', '.join(wanted.parts)}"
        # "objects" alone is the comparison at the end.
        self._steps.append(Step("objects apply", APPLY, title, ready, {**wanted.manifests.details, **details}))
        return "objects apply"

    def _databases(self, ready: tuple[str, ...]) -> tuple[str, ...]:
        """All databases; ends with the last step of each, which all its proofs come before."""
        wanted = self._wanted
        ends: list[str] = []
        for cluster in wanted.clusters:
            before = ready
            if wanted.mode != PARTS:
                title = "make the CloudNativePG cluster anew; its primary is ready"
                details = {"cluster": cluster.name, **wanted.rehearsal}
                before = (self._add(POSTGRES, title, ready, cluster.name, details),)
            ends += self._of_cluster(cluster, before) or before
        roles = [databases.roles_step(source, all_roles=wanted.all_roles) for source in wanted.dsn_roles]
        self._steps += roles
        after = tuple(step.id for step in roles)
        for each in wanted.databases:
            made = databases.database_steps(each.archive.source, each.name, each.archive.size, after)
            self._steps += made
            ends.append(made[-1].id)
        return tuple(ends)

    def _volumes(self, ready: tuple[str, ...]) -> tuple[str, ...]:
        """The files of all volumes; ends with the proof of each."""
        ends = []
        for each in self._wanted.volumes:
            details = {"claim": each.claim, "node": each.node, **each.archive.details}
            title = "give it a volume on the node that takes the old one's place; unpack its files there"
            filled = self._add(FILL, title, ready, each.claim, details)
            title = "read its files back; compare names, contents, owners, modes, times and attributes"
            ends.append(self._add(FILLED, title, (filled,), each.claim, details))
        return tuple(ends)

    def _of_cluster(self, cluster: PostgresCluster, before: tuple[str, ...]) -> tuple[str, ...]:
        """The databases of one cluster, the steps named as those of any other database, done in its primary's pod."""
        here = {"cluster": cluster.name}
        if cluster.roles is not None:
            details = {**here, **cluster.roles.details, "all": True}
            roles = Step(
                f"{databases.ROLES} {cluster.name}",
                f"{IN_POD}{databases.ROLES}",
                "make the roles that are missing",
                before,
                details,
            )
            self._steps.append(roles)
            before = (roles.id,)
        ends = []
        for each in cluster.databases:
            archive = each.archive
            for step in databases.database_steps(archive.source, f"{cluster.name}/{each.name}", archive.size, before):
                details = {**step.details, **here, "database": each.name}
                self._steps.append(Step(step.id, f"{IN_POD}{step.action}", step.title, step.needs, details))
            ends.append(self._steps[-1].id)
        return tuple(ends)

    def _fence(self, needs: tuple[str, ...]) -> tuple[str, ...]:
        vouched = self._wanted.old_is_dead
        title = (
            "the user says that the old cluster is dead" if vouched else "see that the old cluster is dead, or fence it"
        )
        return (self._add(FENCE, title, needs, details={"vouched": vouched}),)

    def _traffic(self, ready: tuple[str, ...], proven: tuple[str, ...], fenced: tuple[str, ...]) -> None:
        """What wakes, and what lets traffic in: after all proofs, names last of all."""
        wanted = self._wanted
        before = (*ready, *proven)
        if not wanted.expires:
            # A rehearsal lives beside the cluster, and nothing leads to it.
            before = (*before, *fenced) if fenced else self._fence(before)
        title = "give held applications, poolers and CronJobs their state back"
        if wanted.expires:
            title = (
                f"give held applications and poolers their state back, CronJobs never; it is over at {wanted.expires}"
            )
        volumes = {"empty_volumes": list(wanted.empty_volumes), **wanted.rehearsal}
        released = self._add(RELEASE, title, before, details=volumes)
        if wanted.patches:
            self._add(PATCHES, "apply the declared patches again", (released,))
        if wanted.manifests is not None:
            title = "compare the counts of objects with what was sealed; nodes are Ready, operators run"
            details = {**wanted.manifests.details, "namespaces": dict(wanted.namespaces), **wanted.rehearsal}
            self._add(OBJECTS, title, (released,), details=details)
        answers, behind = (released,), ""
        if wanted.balancer:
            answers = (self._add(BALANCER, "every target of the load balancer is healthy", answers),)
            behind = " through the new load balancer"
        if wanted.health:
            self._add(HEALTH, f"every health endpoint answers{behind}", answers)
        if wanted.dns:
            needed = {need for step in self._steps for need in step.needs}
            last = [step.id for step in self._steps if step.id not in needed]
            title = "change the records; the old ones are kept in the report"
            self._add(DNS, title, last, details={"names": list(wanted.dns)})


_DATASTORES = {
    Kind.EMBEDDED_ETCD: "stream the snapshot there, check it, reset etcd to it",
    Kind.SQLITE: "stream the SQLite database there, check it, put it in place",
    Kind.POSTGRESQL: "load the dump into the external PostgreSQL",
    Kind.EXTERNAL_ETCD: "stream the snapshot to the external etcd, check it, restore it there",
}
