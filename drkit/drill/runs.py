"""The drills of one command: what an earlier one left is undone first, then one comes after the other."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.clock import SystemClock
from drkit.config.load import load
from drkit.drill import lease
from drkit.drill.execute import ALL, Executor
from drkit.drill.faults.clean import Cleaned, clean
from drkit.drill.report.suite import Total, Unrun
from drkit.drill.safety.refusals import FORCEABLE
from drkit.drill.site import site
from drkit.errors import DrkitError, FaultFailed, Interrupted, KubeUnreachable, UsageError
from drkit.observe.text import columns, duration

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from drkit.drill.execute import Planned
    from drkit.drill.report.files import Files
    from drkit.drill.scenario.listing import Listed
    from drkit.drill.scenario.model import Scenario
    from drkit.drill.verdict import Verdict
    from drkit.observe.progress import Reporter

_ASKED = "/api/v1/namespaces/kube-system"
_API_SECONDS = 240.0
"""For a server that has its power again: it boots, and its etcd begins."""


@dataclass(frozen=True)
class Plan:
    """A drill that is only shown."""

    planned: Planned

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "drill": self.planned.drill.as_json(),
            "predicted": dict(self.planned.predicted),
            "refusals": [asdict(each) for each in self.planned.refusals],
        }

    def text(self) -> list[str]:
        """For people."""
        drill = self.planned.drill
        faults = [
            [each.fault, each.target, f"+{duration(each.after)}", duration(each.lasts), prepared.impossible or "ready"]
            for each, prepared in zip(drill.injections, self.planned.prepared, strict=True)
        ]
        probes = [
            [
                each.name,
                each.where,
                duration(each.every),
                "watched" if each.window is None else duration(each.window),
                _likely(self.planned.predicted.get(each.name)),
            ]
            for each in drill.probes
        ]
        steady, settle = duration(drill.steady_seconds), duration(drill.settle_seconds)
        return [
            f"{drill.scenario}: {drill.title}",
            f"steady state for {steady} first; up to {settle} to be whole again",
            "",
            *columns(["FAULT", "TARGET", "AFTER", "LASTS", "HERE"], faults),
            "",
            *columns(["PROBE", "ASKS", "EVERY", "WINDOW", "PREDICTED"], probes),
            "",
            f"has to happen: {', '.join(drill.expect) or 'nothing'}; has to hold: {', '.join(drill.hold) or 'nothing'}",
            *(f"{'note' if each.warns else 'refused'}, {each.name}: {each.sentence}" for each in self.planned.refusals),
            "",
        ]


def _likely(predicted: Mapping[str, Any] | None) -> str:
    return "" if predicted is None else f"{predicted['seconds']:.0f} ± {predicted['error']:.0f} s"


@dataclass(frozen=True)
class Done:
    """What a command's drills came to."""

    total: Total
    verdicts: tuple[tuple[Verdict, Files], ...]


class Runs:
    """Drills of the cluster that a configuration names.

    Args:
        config_file: the configuration.
        reporter: told how it goes.
        forced: the names of refusals that somebody answers for.

    Raises:
        UsageError: there is no such refusal, or it cannot be forced.
        ConfigurationError: it leads to no cluster.
        SourceFailed: one of its servers does not answer, and is needed to reach it.
    """

    def __init__(self, config_file: Path, reporter: Reporter, forced: Collection[str] = ()) -> None:
        unknown = sorted(set(forced) - {ALL, *FORCEABLE})
        if unknown:
            raise UsageError(f"--force {unknown[0]}: expected {ALL} or one of {', '.join(FORCEABLE)}")
        self._file, self._config, self._reporter, self._forced = config_file, load(config_file), reporter, forced
        self._site = site(self._config, reporter)

    @property
    def _executor(self) -> Executor:
        return Executor(self._file, self._site, SystemClock(), self._reporter, self._forced)

    def plan(self, wanted: Sequence[tuple[Listed, Scenario]]) -> list[Plan]:
        """What the scenarios would do now. Raises what ``Executor.plan`` does."""
        return [Plan(self._executor.plan(each.name, scenario)) for each, scenario in wanted]

    def run(self, name: str, wanted: Sequence[tuple[Listed, Scenario]]) -> Done:
        """Run them, one after the other, with time to cool down between.

        One alone that cannot be run is an error; among several it is told, and the others are run.

        Raises:
            ClusterBusy: somebody else works on the cluster.
            Interrupted: a signal came; the faults are undone.
            FaultFailed: what an earlier drill left cannot be undone; nothing was begun.
            DrkitError: the only one could not be run.
        """
        self._revive()
        verdicts: list[tuple[Verdict, Files]] = []
        unrun: list[Unrun] = []
        with lease.hold(self._site.prompt, f"drill {name}", say=self._reporter.note) as holding:
            self._clean()
            for number, (each, scenario) in enumerate(wanted):
                if number:
                    self._cool_down()
                try:
                    planned = self._executor.plan(each.name, scenario, holding.identity)
                    verdicts.append(self._executor.execute(planned))
                except Interrupted:
                    raise
                except DrkitError as error:
                    if len(wanted) == 1:
                        raise
                    self._reporter.warn(f"{each.name}: {error.message}")
                    unrun.append(Unrun(each.name, error.message))
        return Done(Total(name, tuple(made for made, _ in verdicts), tuple(unrun)), tuple(verdicts))

    def undo(self) -> Cleaned:
        """Undo what drills have left. Where the API was down, machines that it alone knows are looked at afterwards."""
        was_up = self._api_answers()
        found = self._undo(with_api=was_up)
        if was_up or not self._api_comes():
            return found
        self._site = site(self._config, self._reporter)
        more = self._undo(with_api=True)
        return Cleaned([*found.done, *more.done], more.failed)

    def _undo(self, *, with_api: bool) -> Cleaned:
        kube = self._site.kube if with_api else None
        return clean(self._site.name, self._site.nodes.values(), self._site.power, kube, self._site.watchdog)

    def _revive(self) -> None:
        """An earlier drill may have left the cluster without its API, and with it without the Lease."""
        if not self._api_answers():
            self._reporter.warn("the cluster's API does not answer: undoing what an earlier drill may have left")
            for line in self.undo().done:
                self._reporter.note(line)

    def _api_answers(self) -> bool:
        try:
            self._site.prompt.get(_ASKED)
        except KubeUnreachable:
            return False
        return True

    def _api_comes(self) -> bool:
        with self._reporter.task("waiting for the cluster's API"):
            until = time.monotonic() + _API_SECONDS
            while not self._api_answers():
                if time.monotonic() > until:
                    return False
                process.pause(1.0)
        return True

    def _clean(self) -> None:
        with self._reporter.task("looking for what earlier drills left"):
            found = self.undo()
        for line in found.done:
            self._reporter.note(line)
        if found.failed:
            raise FaultFailed("\n".join(["an earlier drill left what cannot be undone:", *found.failed]))

    def _cool_down(self) -> None:
        seconds = self._config.drills.cooldown
        with self._reporter.task(f"cooling down for {duration(seconds)}"):
            process.pause(seconds)
