"""The steps that concern a cluster's objects: applied, CloudNativePG's clusters made anew, patched, compared."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import TargetNotEmpty, VerificationFailed
from drkit.manifests.order import Phase
from drkit.restore import holds, quarantine, rebuild_plan, rehearsal
from drkit.restore.cnpg import cluster as clusters
from drkit.restore.cnpg.remade import remake
from drkit.restore.engine.action import Action
from drkit.restore.etcd import cluster, scrub
from drkit.restore.objects import awaited
from drkit.restore.objects.apply import apply
from drkit.restore.objects.prove import prove
from drkit.restore.patches import apply_patches
from drkit.restore.sealed_objects import is_of_postgres
from drkit.restore.waking import READY_SECONDS, databases_of, hosts_of_databases, postgres_cluster, volume_claims
from drkit.restore.wanted import MANIFESTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.cluster.kube import Api, Object
    from drkit.restore.engine.action import Call
    from drkit.restore.machines import Machines
    from drkit.restore.new_cluster import NewCluster
    from drkit.restore.objects.apply import Transform
    from drkit.restore.objects.compare import Proof
    from drkit.restore.rebuild import Means
    from drkit.restore.sealed_objects import SealedObjects

_COMPLETE_SECONDS = 60.0
"""How long what operators and k3s make again may take to be there."""
_OPERATORS_SECONDS = 120.0
"""How long operators may take until they run. They had the time of the databases' restore before that."""
_LOOK_SECONDS = 2.0
_SHOWN = 20


class Applying:
    """Made once for an attempt.

    Args:
        means: what the functions are made of.
        machines: those of the cluster.
        sealed: its objects.
        new: its API.
    """

    def __init__(self, means: Means, machines: Machines, sealed: SealedObjects, new: NewCluster) -> None:
        self._means, self._machines, self._sealed, self._new = means, machines, sealed, new
        self._fresh = means.plan.mode == MANIFESTS

    def actions(self) -> dict[str, Action]:
        """The functions, by the names of the plan's actions."""
        return {
            rebuild_plan.APPLY: Action(self._apply),
            rebuild_plan.POSTGRES: Action(self._postgres),
            rebuild_plan.PATCHES: Action(self._patch),
            rebuild_plan.OBJECTS: Action(self._compare),
        }

    def _apply(self, call: Call) -> dict[str, Any]:
        api, details = self._new.api(call), call.step.details
        expires = quarantine.expiry(details)
        admit = self._admitted(details)
        transform: Transform = admit
        if self._fresh:
            _record(api, call.restore)
            held = self._sealed.held(hosts_of_databases(self._means), volume_claims(details))
            transform = Held(held, admit)
        elif expires is not None:
            labels = quarantine.labels(call.restore, expires)
            rehearsal.make_namespaces(api, self._sealed.namespaces.values(), labels)
            transform = Labelled(labels, admit)
        for sentence in self._sealed.mentions()[:_SHOWN]:
            call.warn(sentence)
        done = apply(api, self._sealed.gathered(), transform)
        for note in done.taken_over:
            call.note(f"{note.name}: fields are drkit's now: {note.why}")
        for note in done.replaced:
            call.note(f"{note.name}: made anew, for {note.why}")
        return {"applied": done.applied, "equal": done.equal, "left_out": done.left_out, "left": len(done.left)}

    def _admitted(self, details: Mapping[str, Any]) -> Transform:
        """What of an object is to be there: all of it, but in a rehearsal."""
        return (lambda obj: obj) if quarantine.expiry(details) is None else self._sealed.quarantine()

    def _postgres(self, call: Call) -> dict[str, Any]:
        api, named = self._new.api(call), postgres_cluster(call.step.details["cluster"])
        if not self._fresh:
            return {"primary": clusters.make(api, named, call.restore).pod}
        secrets = [each for each in self._sealed.of(scrub.SECRETS) if each["metadata"]["namespace"] == named.namespace]
        sealed = self._admitted(call.step.details)(self._sealed.postgres(named)) or {}
        remade = remake(sealed, secrets, databases_of(self._means, named), call.restore)
        for warning in remade.warnings:
            call.warn(f"{named}: {warning}")
        primary = clusters.make(api, named, call.restore, remade)
        for pooler in self._sealed.of(scrub.POOLERS):
            spec, metadata = pooler.get("spec") or {}, pooler["metadata"]
            if ((spec.get("cluster") or {}).get("name"), metadata["namespace"]) == (named.name, named.namespace):
                path = scrub.POOLERS.object_path(metadata["namespace"], metadata["name"])
                api.apply(path, holds.hold(pooler), dry_run=False)
        return {"primary": primary.pod}

    def _patch(self, call: Call) -> dict[str, Any]:
        return {"patched": apply_patches(self._new.api(call), self._means.config.patches)}

    def _compare(self, call: Call) -> dict[str, Any]:
        """All nodes are ready, no object is missing, and operators run; what differs or does not run is named.

        An operator that does not run ends no restore: the data is there, and pages are asked for themselves.

        Raises:
            VerificationFailed: something is missing.
        """
        api = self._new.api(call)
        names = [self._machines.machine(name, call).name for name in self._machines.steps]
        cluster.wait_ready(api, names, READY_SECONDS)
        found = self._settled(api, call.step.details)
        missing = [f"{each.kind} {name}" for each in found.kinds for name in each.missing]
        if missing:
            raise VerificationFailed(
                f"objects that were sealed are not there: {_shortened(missing)}",
                "apply them by hand (drkit restore --only manifests --into DIR), then go on with --resume",
            )
        different = [
            f"{each.kind} {change.namespace}/{change.name}" for each in found.kinds for change in each.different
        ]
        if different:
            call.warn(f"not as they were sealed: {_shortened(different)}")
        counts = {each.kind: each.found for each in found.kinds if each.sealed}
        return {"equal": found.equal, "nodes": names, "objects": counts, "operators": self._operators(api, call)}

    def _operators(self, api: Api, call: Call) -> list[str]:
        """Wait for those that were sealed; the names of those that run."""
        entries = [entry for entry in self._sealed.gathered().entries if entry.phase is Phase.OPERATORS]
        lacking = awaited.operators(api, entries, _OPERATORS_SECONDS)
        for entry, why in lacking.items():
            call.warn(f"{entry}: {why}, after {_OPERATORS_SECONDS:.0f} s of waiting")
        return sorted(str(entry) for entry in entries if entry not in lacking)

    def _settled(self, api: Api, step: Mapping[str, Any]) -> Proof:
        gathered, began = self._sealed.gathered(), time.monotonic()
        whole = not self._sealed.namespaces and quarantine.expiry(step) is None
        details, admit = self._sealed.source.details if whole else None, self._admitted(step)
        while True:
            found = prove(api, gathered, details, lambda obj: self._comparable(obj, admit))
            if found.complete or time.monotonic() - began > _COMPLETE_SECONDS:
                return found
            process.pause(_LOOK_SECONDS)

    def _comparable(self, obj: Object, admit: Transform) -> Object | None:
        """Clusters of CloudNativePG are others on purpose; a pod that nobody owns died with its machine."""
        if obj.get("kind") == scrub.CLUSTERS.kind and is_of_postgres(obj):
            return None
        return None if obj.get("kind") == "Pod" and not self._fresh else admit(obj)


class Held:
    """What is applied of an object while the data is not there."""

    def __init__(self, held: frozenset[holds.Identity], admit: Transform) -> None:
        self._held, self._admit = held, admit

    def __call__(self, obj: Object) -> Object | None:
        """The object as it is applied; nothing where it is left out, or made when its time comes."""
        admitted = None if is_of_postgres(obj) else self._admit(obj)
        if admitted is None:
            return None
        return holds.hold(admitted) if holds.identity(obj) in self._held else admitted


class Labelled:
    """What is applied of an object into a namespace that a rehearsal has made."""

    def __init__(self, labels: Mapping[str, str], admit: Transform) -> None:
        self._labels, self._admit = labels, admit

    def __call__(self, obj: Object) -> Object | None:
        """The object as it is applied; nothing where it is left out."""
        admitted = self._admit(obj)
        if admitted is None or admitted.get("kind") != "Namespace":
            return admitted
        metadata = admitted["metadata"]
        return {**admitted, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **self._labels}}}


def _record(api: Api, restore: str) -> None:
    """Let the cluster say of which restore it is.

    Raises:
        TargetNotEmpty: it is of another one.
    """
    found = cluster.restore_of(api)
    if found not in {"", restore}:
        raise TargetNotEmpty(f"the cluster is of the restore {found}, not of {restore}", "give empty machines")
    api.apply(scrub.RECORD, scrub.record(restore), dry_run=False)


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
