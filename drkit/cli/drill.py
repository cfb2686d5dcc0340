"""``drkit drill``: list, run, undo, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, reporter, show_json, table
from drkit.observe.text import printable

if TYPE_CHECKING:
    from drkit.drill.history import Past
    from drkit.drill.runs import Done, Plan
    from drkit.drill.scenario.listing import Listed
    from drkit.drill.scenario.model import Scenario

VERDICTS = (20, 21, 22)
"""The exit codes by which verdicts are told."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(rich_markup_mode=None, epilog=exits(*VERDICTS), no_args_is_help=True)
    group.callback()(drill)
    group.command("list", epilog=exits())(list_scenarios)
    group.command("run", epilog=exits(10, 12, 16, *VERDICTS))(run)
    group.command("undo", epilog=exits(3, 16))(undo)
    group.command("report", epilog=exits(*VERDICTS))(report)
    app.add_typer(group, name="drill")


def drill() -> None:
    """Chaos scenarios: hurt a cluster on purpose, measure what its users would have noticed, and judge it."""


@handled
def list_scenarios(
    config_file: ConfigOption = None,
    schema: Annotated[
        bool,
        typer.Option("--schema", help="Print the JSON schema of a scenario's file, for editors, and nothing else."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """The scenarios that there are, and the last verdict on each. Needs no configuration.

    Some ship with drkit; those in chaos/ beside drkit.yaml come on top, and in place of a shipped one of the same name.
    """
    if schema:
        from drkit.drill.scenario import schema as schemas

        print(schemas.text(), end="")
        return

    from drkit.drill import history
    from drkit.drill.scenario.listing import listed, loaded

    found = loaded(listed(_configuration(config_file)))
    last = history.newest()
    if as_json:
        show_json({"scenarios": [_as_json(each, scenario, last.get(each.name)) for each, scenario in found]})
        return
    rows = [[each.name, printable(scenario.title), *_verdict(last.get(each.name))] for each, scenario in found]
    table(["NAME", "TITLE", "LAST VERDICT", "WHEN"], rows)
    for each, _ in found:
        if each.replaces:
            print(f"{each.name} is {printable(str(each.file))}, in place of the one that ships")


def _configuration(explicit: Path | None) -> Path | None:
    """drkit.yaml, if there is one: beside it the user's own scenarios are."""
    from drkit.config.load import find
    from drkit.errors import ConfigurationError

    if explicit is not None and not explicit.is_file():
        raise ConfigurationError(f"{explicit}: there is no such file", "name the file with --config, or leave it out")
    try:
        return find(explicit)
    except ConfigurationError:
        return None


def _as_json(each: Listed, scenario: Scenario, last: Past | None) -> dict[str, Any]:
    return {
        "name": each.name,
        "title": scenario.title,
        "file": str(each.file),
        "last_verdict": None if last is None else last.outcome,
        "last_run": None if last is None else {"run": last.run, "started": last.started, "cluster": last.cluster},
        "suite": list(scenario.suite),
        "lab_only": scenario.lab_only,
        "replaces_shipped": each.replaces,
    }


def _verdict(last: Past | None) -> list[str]:
    return ["never run", ""] if last is None else [printable(last.outcome), printable(last.started)]


@handled
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Scenarios, as list shows them.")
    ] = None,
    suite: Annotated[str, typer.Option("--suite", help="All scenarios of a suite, one after the other.")] = "",
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="How often each of them is run.")] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, and do nothing.")] = False,
    force: Annotated[
        list[str] | None,
        typer.Option("--force", metavar="NAME", help="Answer for what speaks against it, by its name, or all."),
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hurt the cluster as scenarios say, measure what its users notice, and judge it. The undo comes in any case.

    What an earlier run left is undone first.
    """
    from drkit.config.load import find
    from drkit.drill.runs import Runs
    from drkit.drill.scenario.listing import loaded, named
    from drkit.drill.scenario.listing import suite as suite_of
    from drkit.errors import UsageError

    if bool(names) == bool(suite):
        raise UsageError("say which: either NAME… or --suite NAME; drkit drill list shows them")
    path = find(config_file)
    wanted = suite_of(suite, path) if suite else loaded(named(name, path) for name in names or ())
    with reporter() as told:
        runs = Runs(path, told, force or ())
        if plan:
            planned = runs.plan(wanted)
            show_json({"plans": [each.as_json() for each in planned]}) if as_json else _show_plans(planned)
            return
        done = runs.run(suite or "run", wanted * repeat)
    _show_runs(done, as_json=as_json)
    raise typer.Exit(done.total.exit_code)


@handled
def undo(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Undo what drills have left of their faults, on machines, at the provider and in the API. Safe to run again."""
    from drkit.config.load import find
    from drkit.drill.runs import Runs

    with reporter() as told:
        cleaned = Runs(find(config_file), told).undo()
    if as_json:
        show_json({"undone": cleaned.done, "failed": cleaned.failed})
    else:
        for line in cleaned.done:
            print(printable(line))
        if not cleaned.done and not cleaned.failed:
            print("nothing was left")
        for line in cleaned.failed:
            print(f"NOT undone: {printable(line)}")
    if cleaned.failed:
        raise typer.Exit(3)


@handled
def report(
    record: Annotated[
        Path | None, typer.Argument(metavar="[RECORD]", help="A drill's record; the newest one's.")
    ] = None,
    trend: Annotated[str, typer.Option("--trend", help="All past runs of this scenario instead.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Judge a record again, write its reports beside it, and show the verdict. The same record, the same verdict."""
    from drkit.drill import history, rejudge
    from drkit.drill.report import files, text
    from drkit.drill.report import trend as trends
    from drkit.errors import UsageError

    if record is not None and trend:
        raise UsageError("say either RECORD or --trend SCENARIO")
    if trend:
        verdicts, wrong = files.past(history.directory())
        seen = trends.of(trend, verdicts)
        page = files.write_trend(history.directory(), seen)
        if as_json:
            show_json({**seen.as_json(), "page": str(page), "unreadable": wrong})
            return
        for line in [*trends.text(seen), *(f"passed over: {each}" for each in wrong), f"page: {page}"]:
            print(line)
        return
    path = record or history.newest_record()
    if path is None:
        raise UsageError("no drill was run on this machine", "name a record, or run one: drkit drill run NAME")
    made = rejudge.read(path)
    written = files.write(path, made)
    if as_json:
        show_json(files.document(made, written))
    else:
        for line in [*text.of_verdict(made), f"page: {written.page}"]:
            print(line)
    raise typer.Exit(made.exit_code)


def _show_plans(planned: list[Plan]) -> None:
    for each in planned:
        for line in each.text():
            print(printable(line))


def _show_runs(done: Done, *, as_json: bool) -> None:
    from drkit.drill.report import files, suite, text

    if as_json:
        verdicts = [files.document(made, written) for made, written in done.verdicts]
        show_json({**done.total.as_json(), "verdicts": verdicts})
        return
    for made, written in done.verdicts:
        for line in [*text.of_verdict(made), f"page: {written.page}", ""]:
            print(line)
    if len(done.verdicts) != 1 or done.total.unrun:
        for line in suite.text(done.total):
            print(line)
