"""The drills of one command: what an earlier one left is undone first, then one comes after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.clock import SystemClock
from drkit.config.load import load
from drkit.drill.execute import Executor
from drkit.drill.faults.clean import clean
from drkit.drill.report.suite import Total, Unrun
from drkit.drill.site import site
from drkit.errors import DrkitError, FaultFailed, Interrupted
from drkit.observe.text import columns, duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from drkit.drill.execute import Planned
    from drkit.drill.faults.clean import Cleaned
    from drkit.drill.report.files import Files
    from drkit.drill.scenario.listing import Listed
    from drkit.drill.scenario.model import Scenario
    from drkit.drill.verdict import Verdict
    from drkit.observe.progress import Reporter


@dataclass(frozen=True)
class Plan:
    """A drill that is only shown."""

    planned: Planned

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "drill": self.planned.drill.as_json(),
            "impossible": [each.impossible for each in self.planned.prepared if each.impossible],
        }

    def text(self) -> list[str]:
        """For people."""
        drill = self.planned.drill
        faults = [
            [each.fault, each.target, f"+{duration(each.after)}", duration(each.lasts), prepared.impossible or "ready"]
            for each, prepared in zip(drill.injections, self.planned.prepared, strict=True)
        ]
        probes = [
            [each.name, each.where, duration(each.every), "watched" if each.window is None else duration(each.window)]
            for each in drill.probes
        ]
        steady, settle = duration(drill.steady_seconds), duration(drill.settle_seconds)
        return [
            f"{drill.scenario}: {drill.title}",
            f"steady state for {steady} first; up to {settle} to be whole again",
            "",
            *columns(["FAULT", "TARGET", "AFTER", "LASTS", "HERE"], faults),
            "",
            *columns(["PROBE", "ASKS", "EVERY", "WINDOW"], probes),
            "",
            f"has to happen: {', '.join(drill.expect) or 'nothing'}; has to hold: {', '.join(drill.hold) or 'nothing'}",
        ]


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

    Raises:
        ConfigurationError: it leads to no cluster.
        SourceFailed: the cluster's API does not answer.
    """

    def __init__(self, config_file: Path, reporter: Reporter) -> None:
        self._config, self._reporter = load(config_file), reporter
        self._site = site(self._config, reporter)
        self._executor = Executor(self._config, self._site, SystemClock(), reporter)

    def plan(self, wanted: Sequence[tuple[Listed, Scenario]]) -> list[Plan]:
        """What the scenarios would do now. Raises what ``Executor.plan`` does."""
        return [Plan(self._executor.plan(each.name, scenario)) for each, scenario in wanted]

    def run(self, name: str, wanted: Sequence[tuple[Listed, Scenario]]) -> Done:
        """Run them, one after the other, with time to cool down between.

        One alone that cannot be run is an error; among several it is told, and the others are run.

        Raises:
            Interrupted: a signal came; the faults are undone.
            FaultFailed: what an earlier drill left cannot be undone; nothing was begun.
            DrkitError: the only one could not be run.
        """
        self._clean()
        verdicts: list[tuple[Verdict, Files]] = []
        unrun: list[Unrun] = []
        for number, (each, scenario) in enumerate(wanted):
            if number:
                self._cool_down()
            try:
                verdicts.append(self._executor.execute(self._executor.plan(each.name, scenario)))
            except Interrupted:
                raise
            except DrkitError as error:
                if len(wanted) == 1:
                    raise
                self._reporter.warn(f"{each.name}: {error.message}")
                unrun.append(Unrun(each.name, error.message))
        return Done(Total(name, tuple(made for made, _ in verdicts), tuple(unrun)), tuple(verdicts))

    def undo(self) -> Cleaned:
        """Undo what drills have left."""
        return clean(self._site.name, self._site.nodes.values(), self._site.power, self._site.kube, self._site.watchdog)

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
