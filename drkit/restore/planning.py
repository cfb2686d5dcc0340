"""From the vaults to a plan: what is drawn on is chosen, descriptors are opened, and the pure planners are asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from drkit.clock import to_text
from drkit.errors import NoSuchPoint, PreflightFailed
from drkit.points.catalogue import open_descriptor
from drkit.points.select import Chosen, RecoverySet, aligned, exactly, recovery_set
from drkit.restore import plan as databases
from drkit.restore import rebuild_plan, rebuild_wanted
from drkit.restore.engine.plan import Plan
from drkit.restore.rebuild_choices import Choices, Sealed, mode_of
from drkit.restore.sealed import TOPOLOGY, topology
from drkit.restore.wanted import ETCD, MANIFESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from drkit.config.model import Config
    from drkit.points.catalogue import Catalogue
    from drkit.points.descriptor import Descriptor, SourceEntry
    from drkit.points.signing import Verifier
    from drkit.vault.port import Vault

LATEST = "latest"
_PARTS = "manifests/"
_ANCHORS = {ETCD: "datastore", MANIFESTS: "manifests"}
"""What a cluster comes out of, in each mode."""
_NEVER_READ = {"size": "", "storage_class": "", "used_by": ("what was to be backed up and never was",)}
"""A claim with a source that has no whole backup."""
_TOGETHER = frozenset({"manifests", "server-files", "topology"})
"""Kinds that are taken from its point, where it has them."""


@dataclass(frozen=True)
class Asked:
    """What the user asks to be restored, as the command line has it.

    Attributes:
        point: a point's id, or ``latest``.
        at: the newest of each source at or before this time.
        only: kinds and names; those that begin with ``manifests/`` mean objects of that source.
        accept_incomplete: whether an incomplete point that is named will do, and a cluster without some of its images.
        mode: ``etcd``, ``manifests``, or empty; of clusters alone, as all that follows.
        namespaces: old and new names.
        lifetime: of a rehearsal, in seconds; 0 where the cluster is to live.
    """

    point: str = LATEST
    at: datetime | None = None
    only: tuple[str, ...] = ()
    accept_incomplete: bool = False
    mode: str = ""
    namespaces: tuple[tuple[str, str], ...] = ()
    replace: bool = False
    old_is_dead: bool = False
    lifetime: float = 0.0

    @property
    def parts(self) -> tuple[str, ...]:
        """The objects that are asked for one by one."""
        return tuple(each.removeprefix(_PARTS) for each in self.only if each.startswith(_PARTS))

    @property
    def sources(self) -> tuple[str, ...]:
        """What is asked for as ``drkit.points.select`` takes it."""
        named = ("manifests" if each.startswith(_PARTS) else each for each in self.only)
        return tuple(dict.fromkeys(named))

    def chosen(self, catalogue: Catalogue, only: tuple[str, ...]) -> RecoverySet:
        """The sources to draw on.

        Raises:
            NoSuchPoint: there are none.
            PreflightFailed: the point is incomplete, and that was not accepted.
        """
        if self.point == LATEST:
            if not catalogue.points:
                catalogue.find(LATEST)  # raises what is wrong
            return recovery_set(catalogue.points, at=self.at, only=only)
        return exactly(catalogue.find(self.point), only=only, accept_incomplete=self.accept_incomplete)


@dataclass
class Planning:
    """Makes plans of what the vaults hold.

    Args:
        config: the configuration.
        vaults: by name.
        verifier: holds the pinned keys.
        catalogue: what the vaults hold.
        now: the time, for ages.
    """

    config: Config
    vaults: Mapping[str, Vault]
    verifier: Verifier
    catalogue: Catalogue
    now: datetime
    _opened: dict[str, Descriptor] = field(default_factory=dict)

    def full(self, chosen: Iterable[Chosen]) -> dict[str, SourceEntry]:
        """The sources with what only the full descriptors say, by name."""
        return {
            source.name: source
            for each in chosen
            for source in self._descriptor(each).sources
            if (source.name, source.vault) == (each.source.name, each.source.vault)
        }

    def _descriptor(self, each: Chosen) -> Descriptor:
        point = each.point
        if point.id not in self._opened:
            self._opened[point.id] = open_descriptor(point, self.vaults, self.verifier)
        return self._opened[point.id]

    def databases(self, asked: Asked, target: str) -> tuple[Plan, list[Chosen]]:
        """The plan for a target of databases alone, and the sources that it needs, roles included."""
        chosen = asked.chosen(self.catalogue, asked.only)
        points = {each.point.id for each in chosen.chosen}
        roles = [
            each
            for each in asked.chosen(self.catalogue, ()).chosen
            if each.source.kind == "globals" and each.point.id in points
        ]
        names = [each.name for each in self.config.clusters[target].databases]
        return databases.make(target, names, chosen, roles, self.now), [*chosen.chosen, *roles]

    def cluster(self, asked: Asked, target: str) -> tuple[Plan, list[Chosen]]:
        """The plan for a target of machines, and the sources that it needs.

        Raises:
            DrkitError: as ``rebuild_wanted.derive`` and ``Asked.chosen``.
            VerificationFailed: the topology is not what was sealed.
        """
        picked = asked.chosen(self.catalogue, asked.sources)
        choices = Choices(
            asked.mode,
            frozenset(each.source.name for each in picked.chosen),
            only=bool(asked.only),
            parts=asked.parts,
            namespaces=asked.namespaces,
            replace=asked.replace,
            old_is_dead=asked.old_is_dead,
            expires=to_text(self.now + timedelta(seconds=asked.lifetime)) if asked.lifetime else "",
        )
        mode = mode_of({each.source.kind for each in picked.chosen}, choices)
        everything = aligned(asked.chosen(self.catalogue, ()), _ANCHORS.get(mode, ""), _TOGETHER)
        by_name = {each.source.name: each for each in everything.chosen}
        sealed = Sealed(
            self.full(everything.chosen),
            {name: each.point.id for name, each in by_name.items()},
            topology(self.vaults, by_name[TOPOLOGY].source if TOPOLOGY in by_name else None),
            self._volumes(by_name),
        )
        derived = rebuild_wanted.derive(target, self.config, sealed, choices)
        needed = [by_name[name] for name in derived.draws_on]
        warnings = (*picked.warnings, *derived.warnings)
        try:
            made = Plan(
                target,
                rebuild_plan.steps(derived.wanted),
                databases.drawn(needed, self.now),
                warnings,
                derived.wanted.mode,
            )
        except ValueError as error:
            # A database of the target may be called as one in a pod is.
            raise PreflightFailed(
                f"clusters.{target}: names meet: {error}", "call the target's database otherwise"
            ) from None
        return made, needed

    def _volumes(self, by_name: Mapping[str, Chosen]) -> tuple[dict[str, Any], ...]:
        """Those without a source, as the point says from which the objects come."""
        objects = by_name.get("datastore") or by_name.get("manifests")
        if objects is None:
            return ()
        failed = (
            each.name.split("/", 2)[1:]
            for each in objects.point.sources
            if each.kind == "volumes" and each.name not in by_name
        )
        unread = ({**_NEVER_READ, "namespace": each[0], "claim": each[-1]} for each in failed)
        return (*self._descriptor(objects).volumes, *unread)

    def as_planned(self, made: Plan) -> list[Chosen]:
        """The sources of a plan that was made before.

        Raises:
            NoSuchPoint: one of them is gone.
        """
        found = []
        for drawn in made.draws_on:
            point = self.catalogue.find(drawn.point)
            source = next((each for each in point.stored_sources if each.name == drawn.source), None)
            if source is None:
                raise NoSuchPoint(f"{drawn.source} is no longer in {point.id}", "start anew without --resume")
            found.append(Chosen(source, point))
        return found
