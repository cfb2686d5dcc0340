"""``drkit restore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drkit.cli.common import (
    ConfigOption,
    JsonOption,
    Setup,
    exits,
    handled,
    printable,
    reporter,
    set_up,
    show_json,
    table,
)

if TYPE_CHECKING:
    from datetime import datetime

    from drkit.points.catalogue import Catalogue
    from drkit.points.descriptor import SourceEntry
    from drkit.points.select import Chosen, RecoverySet
    from drkit.restore.journal import History, Journal
    from drkit.restore.plan import Plan
    from drkit.restore.run import Report


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("restore", epilog=exits(10, 11, 12, 13, 14, 15, 16))(restore)


@handled
def restore(
    to: Annotated[str, typer.Option("--to", help="The target, as drkit.yaml names it under clusters.")] = "",
    into: Annotated[Path | None, typer.Option("--into", help="Write the archives into this directory instead.")] = None,
    point: Annotated[
        str, typer.Option("--point", help="One point's id; or latest: the newest of each source.")
    ] = "latest",
    at: Annotated[
        str, typer.Option("--at", help="The newest of each source at or before this time (ISO 8601, UTC).")
    ] = "",
    only: Annotated[list[str] | None, typer.Option("--only", help="KIND or KIND/NAME; may be repeated.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show the steps, and do nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last restore to this target.")] = False,
    accept_incomplete: Annotated[
        bool, typer.Option("--accept-incomplete", help="Restore what an incomplete point has.")
    ] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring back what was backed up, and prove that it is the same."""
    from drkit.errors import UsageError

    if bool(to) == bool(into):
        raise UsageError("say where to: either --to TARGET or --into DIR")
    if point != "latest" and at:
        raise UsageError("--point and --at exclude each other")
    if resume and (at or only or point != "latest" or into):
        raise UsageError("--resume takes up the plan of the restore that was interrupted; give no other choice with it")
    choice = _Choice(point, _moment(at), tuple(only or ()), accept_incomplete)
    setup = set_up(config_file)
    if into is not None:
        _write_out(setup, choice, into, as_json=as_json)
    else:
        _restore(setup, choice, to, show_plan=plan, resume=resume, as_json=as_json)


def _moment(text: str) -> datetime | None:
    from drkit.clock import from_text
    from drkit.errors import UsageError

    try:
        return from_text(text) if text else None
    except ValueError:
        raise UsageError(f"--at {text}: expected a time such as 2026-03-01T04:00:00Z") from None


class _Choice:
    """What the user asked to restore."""

    def __init__(self, point: str, at: datetime | None, only: tuple[str, ...], accept_incomplete: bool) -> None:
        self.point, self.at, self.only, self.accept_incomplete = point, at, only, accept_incomplete

    def chosen(self, catalogue: Catalogue, only: tuple[str, ...]) -> RecoverySet:
        from drkit.points.select import exactly, recovery_set

        if self.point == "latest":
            if not catalogue.points:
                catalogue.find("latest")  # raises what is wrong
            return recovery_set(catalogue.points, at=self.at, only=only)
        return exactly(catalogue.find(self.point), only=only, accept_incomplete=self.accept_incomplete)


def _full(setup: Setup, chosen: RecoverySet) -> dict[str, SourceEntry]:
    """The sources with what only the full descriptors say."""
    from drkit.points.catalogue import open_descriptor

    descriptors = {each.point.id: open_descriptor(each.point, setup.vaults, setup.verifier) for each in chosen.chosen}
    return {
        source.name: source
        for each in chosen.chosen
        for source in descriptors[each.point.id].sources
        if source.name == each.source.name
    }


def _write_out(setup: Setup, choice: _Choice, into: Path, *, as_json: bool) -> None:
    from drkit.points.catalogue import read
    from drkit.restore.files import write_out

    catalogue = read(setup.config.cluster.name, setup.vaults, setup.verifier)
    chosen = choice.chosen(catalogue, choice.only)
    with reporter() as telling:
        for warning in chosen.warnings:
            telling.warn(warning)
        paths = write_out(into, list(_full(setup, chosen).values()), setup.vaults, telling)
    if as_json:
        show_json({"files": [str(path) for path in paths], "warnings": list(chosen.warnings)})
    else:
        print("\n".join(map(str, paths)))


def _restore(setup: Setup, choice: _Choice, to: str, *, show_plan: bool, resume: bool, as_json: bool) -> None:
    from drkit.clock import SystemClock
    from drkit.errors import ConfigurationError
    from drkit.points.catalogue import read
    from drkit.restore.run import Restore
    from drkit.sources.find import dsn_of

    target = setup.config.clusters.get(to)
    if target is None:
        there = ", ".join(setup.config.clusters) or "none"
        raise ConfigurationError(
            f"clusters: there is no target {to} (there is: {there})", f"add it: clusters: {{{to}: {{databases: […]}}}}"
        )
    journal, history = _interrupted(to) if resume else (None, None)
    catalogue = read(setup.config.cluster.name, setup.vaults, setup.verifier)
    made, chosen = _planned(choice, catalogue, to, [each.name for each in target.databases], history)
    if show_plan:
        _show_plan(made, as_json=as_json)
        return
    dsns = {each.name: dsn_of(each, f"clusters.{to}.databases") for each in target.databases}
    with reporter() as telling:
        for warning in made.warnings:
            telling.warn(warning)
        work = Restore(setup.config, setup.vaults, made, _full(setup, chosen), dsns, SystemClock(), telling)
        report = work.execute(journal, history)
    _show_report(report, as_json=as_json)


def _interrupted(to: str) -> tuple[Journal, History]:
    from drkit.errors import PreflightFailed
    from drkit.points.names import slug
    from drkit.restore import journal

    newest = journal.newest(slug(to))
    history = journal.read(newest) if newest else None
    if newest is None or history is None or history.finished:
        raise PreflightFailed(f"no restore to {to} was interrupted on this machine", "start one without --resume")
    return newest, history


def _planned(
    choice: _Choice, catalogue: Catalogue, to: str, databases: list[str], history: History | None
) -> tuple[Plan, RecoverySet]:
    """The plan, and the sources that it needs, roles included."""
    from drkit.clock import SystemClock
    from drkit.points.select import RecoverySet
    from drkit.restore import plan

    if history is not None:
        everything = _as_planned(catalogue, history)
        names = {step["source"] for step in history.plan["steps"] if step["action"] != plan.ROLES}
        wanted = tuple(each for each in everything if each.source.name in names)
        if history.plan["all_roles"]:
            wanted = everything
        chosen = RecoverySet(wanted)
        roles = [each for each in everything if each.source.kind == "globals"]
    else:
        chosen = choice.chosen(catalogue, choice.only)
        points = {each.point.id for each in chosen.chosen}
        roles = [
            each
            for each in choice.chosen(catalogue, ()).chosen
            if each.source.kind == "globals" and each.point.id in points
        ]
    made = plan.make(to, databases, chosen, roles, SystemClock().now())
    needed = {each.source.name: each for each in (*chosen.chosen, *roles)}
    return made, RecoverySet(tuple(needed.values()), chosen.warnings)


def _as_planned(catalogue: Catalogue, history: History) -> tuple[Chosen, ...]:
    from drkit.errors import NoSuchPoint
    from drkit.points.select import Chosen

    found = []
    for drawn in history.plan["draws_on"]:
        point = catalogue.find(drawn["point"])
        source = next((source for source in point.whole_sources if source.name == drawn["source"]), None)
        if source is None:
            raise NoSuchPoint(f"{drawn['source']} is no longer in {point.id}", "start anew without --resume")
        found.append(Chosen(source, point))
    return tuple(found)


def _show_plan(made: Plan, *, as_json: bool) -> None:
    if as_json:
        show_json({"plan": made.as_json()})
        return
    print(f"restore to {made.target} draws on:")
    table(["SOURCE", "POINT", "AGE"], [[printable(each.source), each.point, _age(each.age)] for each in made.draws_on])
    for warning in made.warnings:
        print(f"warning: {printable(warning)}")
    print("\nsteps:")
    rows = [
        [str(number), printable(step.id), step.title, printable(", ".join(step.needs))]
        for number, step in enumerate(made.steps, 1)
    ]
    table(["", "STEP", "WHAT IT DOES", "AFTER"], rows)


def _age(seconds: int) -> str:
    days, rest = divmod(max(seconds, 0), 86400)
    hours, rest = divmod(rest, 3600)
    return f"{days} d {hours} h" if days else f"{hours} h {rest // 60} min"


def _show_report(report: Report, *, as_json: bool) -> None:
    document: dict[str, Any] = report.as_json()
    if as_json:
        show_json(document)
        return
    table(
        ["STEP", "BEGAN", "TOOK", "WHAT IT DID"],
        [[printable(step.id), f"{step.began:.1f} s", f"{step.seconds:.1f} s", step.title] for step in report.steps],
    )
    if report.roles_made:
        print(f"roles made: {', '.join(map(printable, report.roles_made))}")
    for note in report.notes:
        print(f"warning: {printable(note)}")
    print(f"restored to {report.target} in {report.seconds:.1f} s; every proof is equal")
