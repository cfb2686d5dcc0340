"""A scenario on a cluster, from its choice to its verdict: the shell around ``drkit.drill.run``."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from drkit import __version__
from drkit.cluster.cnpg import PostgresCluster
from drkit.cluster.server import InPod
from drkit.config.load import load
from drkit.drill import database, history, look, rejudge
from drkit.drill.asking import Known
from drkit.drill.beside import beside
from drkit.drill.choose import choose
from drkit.drill.facts import gather
from drkit.drill.faults.find import make
from drkit.drill.faults.means import Means
from drkit.drill.measuring import Measuring
from drkit.drill.patched import Patched
from drkit.drill.probes.ledger import Instance, read_everywhere
from drkit.drill.record import Begin
from drkit.drill.report import files
from drkit.drill.run import Parts, run
from drkit.drill.safety.refusals import FORCEABLE, NO_WATCHDOG, overridden, refusals, standing
from drkit.drill.stand_ins import stand_ins
from drkit.drill.values import CONTROL_PROBE, SQL_READ, SQL_WRITE
from drkit.errors import DrkitError, PreflightFailed
from drkit.points import catalogue as catalogues
from drkit.points.signing import verifier
from drkit.posture.expect import expected
from drkit.restore.engine.journal import to_text
from drkit.vault.configured import vaults

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from drkit.clock import Clock
    from drkit.drill.faults.port import Fault, Prepared
    from drkit.drill.lease import Holding
    from drkit.drill.look import Objects
    from drkit.drill.record import Entry, Recorder
    from drkit.drill.report.files import Files
    from drkit.drill.safety.refusals import Refusal
    from drkit.drill.scenario.model import Scenario
    from drkit.drill.site import Site
    from drkit.drill.snapshot import Snapshot
    from drkit.drill.values import Drill
    from drkit.drill.verdict import Verdict
    from drkit.observe.progress import Reporter
    from drkit.points.catalogue import Catalogue
    from drkit.providers.port import TargetHealth

ALL = "all"
"""In place of a refusal's name: every one that may be forced."""
_LAB_SECONDS, _ASK_SECONDS = 2.0, 10.0
"""From one question to the load balancer to the next: in a lab, and elsewhere: Hetzner answers 3600 in an hour."""
_LEDGER_SECONDS = 60.0
"""How long replicas may take to have all that the primary wrote, once the cluster is whole."""


@dataclass(frozen=True)
class Planned:
    """A scenario as it would be carried out on the cluster now.

    Attributes:
        run: the drill's id.
        found: the cluster's objects.
        snapshot: what was chosen from.
        faults: in the order of the drill's injections.
        prepared: what each of them says of itself.
        wholeness: whether the cluster is as whole as it was when this was planned.
        refusals: what speaks against it.
        predicted: what the settings make one expect, by the probe's name.
        patched: the patches that are in the cluster, where they have to be kept.
    """

    run: str
    drill: Drill
    found: Objects
    snapshot: Snapshot
    faults: tuple[Fault, ...]
    prepared: tuple[Prepared, ...]
    wholeness: look.Wholeness
    refusals: tuple[Refusal, ...]
    predicted: Mapping[str, Any]
    patched: Mapping[int, str]


class Executor:
    """Drills of one cluster.

    Args:
        config_file: its configuration.
        site: how it is reached.
        clock: the time.
        reporter: told how it goes.
        forced: names of the refusals that somebody answers for.
    """

    def __init__(
        self, config_file: Path, site: Site, clock: Clock, reporter: Reporter, forced: Collection[str] = ()
    ) -> None:
        self._config_file, self._config, self._site = config_file, load(config_file), site
        self._clock, self._reporter = clock, reporter
        self._forced = frozenset(FORCEABLE if ALL in forced else forced)

    def plan(self, name: str, scenario: Scenario, holding: Holding | None = None) -> Planned:
        """What the scenario is on the cluster as it is now, and what speaks against it. Changes nothing.

        Args:
            name: the scenario's.
            scenario: as its file has it.
            holding: the cluster's Lease, if this drkit holds it.

        Raises:
            PreflightFailed: the cluster lacks something that it needs.
            SourceFailed: the cluster, or one of its machines, does not answer.
        """
        found = look.objects(self._site.kube)
        snapshot = look.taken(
            found,
            targets=self._targets() if self._site.power is not None else None,
            health=[each.url for each in self._config.health],
            servers=[self._site.access.server],
        )
        named = self._config.drills.database
        if named is not None:
            snapshot = replace(snapshot, postgres=tuple(each for each in snapshot.postgres if str(each) == named))
        chosen = choose(name, scenario, snapshot)
        drill = replace(chosen, probes=(*chosen.probes, CONTROL_PROBE))
        called = history.run_name(name, self._clock.now())
        means = Means(
            called,
            self._site.name,
            self._site.nodes,
            self._site.servers,
            self._site.kube,
            self._site.power,
            self._site.watchdog,
            NO_WATCHDOG in self._forced,
            self._config.drills.k3s_binary,
        )
        faults = tuple(make(each, means, number) for number, each in enumerate(drill.injections))
        prepared = tuple(each.prepare() for each in faults)
        wholeness = look.Wholeness(
            self._site.prompt, self._clock, self._targets if self._site.power is not None else None
        )
        facts = gather(
            now=self._clock.now(),
            drills=self._config.drills,
            lab=self._site.in_lab,
            prepared=prepared,
            found=found,
            problems=wholeness.begin(found),
            api=self._site.prompt,
            catalogue=self._catalogue,
            holder=holding.identity if holding else "",
        )
        against = refusals(drill, facts)
        predicted, patched = self._predicted(drill), self._patched(drill).before()
        return Planned(called, drill, found, snapshot, faults, prepared, wholeness, against, predicted, patched)

    def _patched(self, drill: Drill) -> Patched:
        return Patched(self._site.kube, self._config.patches, drill)

    def _predicted(self, drill: Drill) -> Mapping[str, Any]:
        """A drill is no worse for a prediction that cannot be made."""
        try:
            servers = [self._site.nodes[name] for name in self._site.servers]
            return expected(self._site.kube, servers, self._config, drill)
        except DrkitError as error:
            self._reporter.warn(f"nothing is predicted: {error.message}")
            return {}

    def _catalogue(self) -> Catalogue:
        config = self._config
        return catalogues.read(config.cluster.name, vaults(config), verifier(config))

    def execute(self, planned: Planned, holding: Holding) -> tuple[Verdict, Files]:
        """Carry it out, judge it, and write its reports.

        Args:
            planned: what ``plan`` said.
            holding: the cluster's Lease; a drill ends where somebody else takes it.

        Raises:
            PreflightFailed: a fault cannot be done; nothing was touched.
            Interrupted: a signal came; the faults are undone.
            DrkitError: it could not be done; likewise.
        """
        self._see(planned)
        path = history.record_path(planned.run)
        with ExitStack() as stack:
            passwords = stack.enter_context(self._databases(planned.drill))
            stack.callback(self._judge, path)
            begin = partial(self._begin, planned)
            run(path, begin, planned.drill, self._parts(planned, passwords, holding), self._reporter)
        return self._judge(path)

    def _see(self, planned: Planned) -> None:
        """Refuse what nobody answers for, and say what somebody does."""
        for each in planned.refusals:
            if each.warns:
                self._reporter.warn(each.sentence)
        for each in overridden(planned.refusals, self._forced):
            self._reporter.warn(f"forced, {each.name}: {each.sentence}")
        against = standing(planned.refusals, self._forced)
        if against:
            names = [each.name for each in against if each.may_be_forced]
            force = (
                f"; or answer for it: {' '.join(f'--force {name}' for name in dict.fromkeys(names))}" if names else ""
            )
            raise PreflightFailed(
                "\n".join(f"{each.name}: {each.sentence}" for each in against), f"nothing was touched{force}"
            )

    def _judge(self, path: Path) -> tuple[Verdict, Files]:
        """The verdict and the reports of what the record says by now, however the drill ended."""
        made = rejudge.read(path)
        return made, files.write(path, made)

    def _begin(self, planned: Planned, at: float) -> Begin:
        return Begin(
            at,
            planned.run,
            to_text(self._clock.now()),
            planned.drill.as_json(),
            __version__,
            self._site.name,
            lab=self._site.in_lab,
            stand_ins=stand_ins(planned.found),
            predicted=planned.predicted,
        )

    def _parts(self, planned: Planned, passwords: Mapping[tuple[str, str], str], holding: Holding) -> Parts:
        known = Known(
            planned.run,
            self._site.access,
            self._config.drills.address or "",
            passwords,
            [self._site.nodes[name] for name in spared(self._site, planned)],
            [self._site.nodes[name] for each in planned.prepared for name in each.hits],
        )
        targets = self._targets if self._site.power is not None else None
        every = _LAB_SECONDS if self._site.in_lab else _ASK_SECONDS
        return Parts(
            planned.faults,
            Measuring(planned.drill.probes, known, self._site.apis, targets, every, lambda: holding.lost),
            planned.wholeness.problems,
            lambda recorder: chain(
                self._rows(recorder, planned), self._patched(planned.drill).after(recorder, planned.patched)
            ),
            partial(beside, planned.drill.during, self._config_file),
        )

    def _targets(self) -> list[TargetHealth]:
        assert self._site.power is not None  # noqa: S101 - asked for only where there is one
        return [health for name in self._site.nodes for health in self._site.power.health(name)]

    @contextmanager
    def _databases(self, drill: Drill) -> Iterator[dict[tuple[str, str], str]]:
        """The databases that probes ask, for the time of the body; by cluster and name, the password of their role."""
        wanted = dict.fromkeys(
            (probe.options["cluster"], probe.options["database"])
            for probe in drill.probes
            if probe.kind in {SQL_READ, SQL_WRITE}
        )
        passwords = {}
        try:
            for cluster, name in wanted:
                passwords[cluster, name] = database.make(self._site.kube, _cluster(cluster), name)
            yield passwords
        finally:
            for cluster, name in passwords:
                try:
                    database.drop(self._site.kube, _cluster(cluster), name)
                except DrkitError as error:
                    self._reporter.warn(f"{cluster}: the drill's database {name} is left: {error.message}")

    def _rows(self, recorder: Recorder, planned: Planned) -> Iterable[Entry]:
        """The rows of every write probe, from every instance of its cluster."""
        for probe in planned.drill.probes:
            if probe.kind == SQL_WRITE:
                cluster = _cluster(probe.options["cluster"])
                there = next(each for each in planned.snapshot.postgres if str(each) == str(cluster))
                yield from read_everywhere(
                    recorder,
                    planned.run,
                    [probe.name],
                    [
                        Instance(name, InPod(self._site.kube, cluster.namespace, name, probe.options["database"]))
                        for name in there.instances
                    ],
                    patience=_LEDGER_SECONDS,
                )


def _cluster(name: str) -> PostgresCluster:
    namespace, _, called = name.partition("/")
    return PostgresCluster(namespace, called)


def spared(site: Site, planned: Planned) -> Sequence[str]:
    """The nodes that probes may go through, the best first: no fault hits them; SSH, at least, reaches them. Pure."""
    hit = {name for each in planned.prepared for name in each.hits}
    cut = {name for each in planned.prepared if each.disturbs_hosts or each.dies for name in each.hits}
    by_preference = sorted(site.nodes, key=lambda name: (name in hit, name not in site.servers))
    return [name for name in by_preference if name not in cut]
