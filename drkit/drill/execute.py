"""A scenario on a cluster, from its choice to its verdict: the shell around ``drkit.drill.run``."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from drkit import __version__
from drkit.cluster.cnpg import PostgresCluster
from drkit.cluster.server import InPod
from drkit.drill import database, history, lease, look, rejudge
from drkit.drill.asking import Known
from drkit.drill.choose import choose
from drkit.drill.faults.find import make
from drkit.drill.faults.means import Means
from drkit.drill.measuring import CONTROL_PROBE, Measuring
from drkit.drill.probes.ledger import Instance, read_everywhere
from drkit.drill.record import Begin
from drkit.drill.report import files
from drkit.drill.run import Parts, run
from drkit.drill.stand_ins import stand_ins
from drkit.drill.values import SQL_READ, SQL_WRITE
from drkit.errors import DrkitError, PreflightFailed
from drkit.restore.engine.journal import to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from drkit.clock import Clock
    from drkit.config.model import Config
    from drkit.drill.faults.port import Fault, Prepared
    from drkit.drill.look import Objects
    from drkit.drill.record import Entry, Recorder
    from drkit.drill.report.files import Files
    from drkit.drill.scenario.model import Scenario
    from drkit.drill.site import Site
    from drkit.drill.snapshot import Snapshot
    from drkit.drill.values import Drill
    from drkit.drill.verdict import Verdict
    from drkit.observe.progress import Reporter
    from drkit.providers.port import TargetHealth

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
    """

    run: str
    drill: Drill
    found: Objects
    snapshot: Snapshot
    faults: tuple[Fault, ...]
    prepared: tuple[Prepared, ...]


class Executor:
    """Drills of one cluster.

    Args:
        config: its configuration.
        site: how it is reached.
        clock: the time.
        reporter: told how it goes.
        unwatched: whether machines may lose their power without a watchdog.
    """

    def __init__(
        self, config: Config, site: Site, clock: Clock, reporter: Reporter, *, unwatched: bool = False
    ) -> None:
        self._config, self._site, self._clock, self._reporter = config, site, clock, reporter
        self._unwatched = unwatched

    def plan(self, name: str, scenario: Scenario) -> Planned:
        """What the scenario is on the cluster as it is now. Changes nothing.

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
            self._unwatched,
        )
        faults = tuple(make(each, means, number) for number, each in enumerate(drill.injections))
        return Planned(called, drill, found, snapshot, faults, tuple(each.prepare() for each in faults))

    def execute(self, planned: Planned) -> tuple[Verdict, Files]:
        """Carry it out, judge it, and write its reports.

        Raises:
            PreflightFailed: a fault cannot be done; nothing was touched.
            ClusterBusy: somebody else works on the cluster.
            Interrupted: a signal came; the faults are undone.
            DrkitError: it could not be done; likewise.
        """
        impossible = [each.impossible for each in planned.prepared if each.impossible]
        if impossible:
            raise PreflightFailed("\n".join(impossible), "nothing was touched; drkit drill list shows other scenarios")
        path = history.record_path(planned.run)
        with ExitStack() as stack:
            stack.enter_context(lease.hold(self._site.prompt, f"drill {planned.drill.scenario}", clock=self._clock))
            passwords = stack.enter_context(self._databases(planned.drill))
            stack.callback(self._judge, path)
            begin = partial(self._begin, planned)
            run(path, begin, planned.drill, self._parts(planned, passwords), self._reporter)
        return self._judge(path)

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
        )

    def _parts(self, planned: Planned, passwords: Mapping[tuple[str, str], str]) -> Parts:
        known = Known(
            planned.run,
            self._site.access,
            self._config.drills.address or "",
            passwords,
            [self._site.nodes[name] for name in spared(self._site, planned)],
        )
        targets = self._targets if self._site.power is not None else None
        wholeness = look.Wholeness(self._site.prompt, self._clock, targets)
        wholeness.begin(planned.found)
        return Parts(
            planned.faults,
            Measuring(planned.drill.probes, known, [self._site.prompt], targets),
            wholeness.problems,
            lambda recorder: self._rows(recorder, planned),
            lambda _: _nothing(),
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


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _cluster(name: str) -> PostgresCluster:
    namespace, _, called = name.partition("/")
    return PostgresCluster(namespace, called)


def spared(site: Site, planned: Planned) -> Sequence[str]:
    """The nodes that probes may go through, the best first: no fault hits them; SSH, at least, reaches them. Pure."""
    hit = {name for each in planned.prepared for name in each.hits}
    cut = {name for each in planned.prepared if each.disturbs_hosts or each.dies for name in each.hits}
    by_preference = sorted(site.nodes, key=lambda name: (name in hit, name not in site.servers))
    return [name for name in by_preference if name not in cut]
