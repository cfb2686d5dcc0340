"""``drkit points``: list, show, diff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, reporter, set_up, show_json, table
from drkit.observe.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.points.catalogue import Catalogue
    from drkit.points.descriptor import Descriptor
    from drkit.points.diff import Change
    from drkit.points.point import Point

_TOLD = (10, 11, 12, 15)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(rich_markup_mode=None, epilog=exits(*_TOLD))
    group.callback(invoke_without_command=True)(points)
    group.command("list", epilog=exits(*_TOLD))(list_points)
    group.command("show", epilog=exits(*_TOLD, 13))(show)
    group.command("diff", epilog=exits(*_TOLD, 13))(diff)
    app.add_typer(group, name="points")


@handled
def points(context: typer.Context, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Recovery points: list them (the default), show one, or show what changed between two."""
    if context.invoked_subcommand is None:
        _list(config_file, as_json=as_json)


@handled
def list_points(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the recovery points, newest first."""
    _list(config_file, as_json=as_json)


def _list(config_file: Path | None, *, as_json: bool) -> None:
    from drkit.errors import WrongKey
    from drkit.points.catalogue import read

    setup = set_up(config_file)
    catalogue = read(setup.config.cluster.name, setup.vaults, setup.verifier)
    for problem in catalogue.problems:
        reporter().warn(f"{problem.message}" + (f" ({problem.hint})" if problem.hint else ""))
    if as_json:
        problems = [problem.message for problem in catalogue.problems]
        show_json({"points": [summary(point) for point in catalogue.points], "problems": problems})
    elif catalogue.points:
        _print_list(catalogue)
    elif catalogue.problems:
        print(f"no recovery point that can be trusted; {len(catalogue.problems)} that cannot")
    else:
        print("no recovery point yet; make one: drkit backup")
    if not catalogue.points and any(isinstance(problem, WrongKey) for problem in catalogue.problems):
        raise typer.Exit(WrongKey.exit_code)


def summary(point: Point) -> dict[str, Any]:
    """A point as ``points --json`` shows it."""
    from dataclasses import asdict

    return {
        "id": point.id,
        "cluster": point.summary.cluster,
        "created": point.summary.created,
        "complete": point.complete,
        "verified": asdict(point.verified) if point.verified else None,
        "vaults": list(point.vaults),
        "missing": list(point.missing),
        "incomplete_in": list(point.incomplete_in),
        "sources": [
            {key: value for key, value in asdict(source).items() if key != "details"}
            for source in point.summary.sources
        ],
    }


def _print_list(catalogue: Catalogue) -> None:
    from drkit.observe.progress import size

    rows = []
    for point in catalogue.points:
        verified = f"{point.verified.level} {point.verified.at}" if point.verified else "no"
        whole = point.whole_sources
        count = f"{len(whole)} of {len(point.sources)}"
        moved = size(sum(each.size for each in whole))
        rows.append([point.id, point.summary.created, state(point), count, moved, verified])
    table(["POINT", "CREATED", "STATE", "SOURCES", "SIZE", "VERIFIED"], rows)


def state(point: Point | Descriptor) -> str:
    """Whether it is whole, for people; of one that is whole, where it is not."""
    if not point.complete:
        return "INCOMPLETE"
    lacks = [f"incomplete in vault {name}" for name in point.incomplete_in]
    return ", ".join(["complete", *lacks])


@handled
def show(
    point: Annotated[str, typer.Argument(help="Its id, or the beginning of it; or latest.")] = "latest",
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one recovery point's descriptor."""
    from drkit.points.catalogue import open_descriptor, read

    setup = set_up(config_file)
    found = read(setup.config.cluster.name, setup.vaults, setup.verifier).find(point)
    descriptor = open_descriptor(found, setup.vaults, setup.verifier)
    if as_json:
        show_json(
            {
                **descriptor.as_json(),
                "complete": found.complete,
                "missing": list(found.missing),
                "incomplete_in": list(found.incomplete_in),
                "verified": summary(found)["verified"],
            }
        )
    else:
        _print_descriptor(found, descriptor)


def _print_descriptor(point: Point, descriptor: Descriptor) -> None:
    from drkit.observe.progress import size

    print(f"{descriptor.id} of {printable(descriptor.cluster)}, {descriptor.created} to {descriptor.finished}")
    print(state(point))
    for warning in descriptor.warnings:
        print(f"warning: {printable(warning)}")
    for source in descriptor.sources:
        gone = " (its archive is GONE or changed)" if (source.name, source.vault) in point.gone else ""
        print(f"\n{printable(descriptor.called(source))}: {source.status}{gone}")
        if not source.ok:
            print(f"  {printable(source.error)}")
        if not source.stored:
            continue
        print(f"  {size(source.size)}, SHA-256 {source.sha256}")
        print(f"  vault {source.vault}, archive {source.archive}")
        version = source.details.get("versions", {}).get("postgresql")
        if version:
            print(f"  PostgreSQL {version}")
        for name, counted in source.details.get("proof", {}).get("tables", {}).items():
            print(f"  {counted['rows']:>12}  {printable(name)}")


@handled
def diff(
    old: Annotated[str, typer.Argument(help="The earlier point; left out, the one before the last.")] = "",
    new: Annotated[str, typer.Argument(help="The later point; left out, the last.")] = "latest",
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what changed between two recovery points: objects and their fields, tables and rows, versions, servers."""
    from drkit.errors import NoSuchPoint
    from drkit.points.catalogue import open_descriptor, read
    from drkit.points.diff import between
    from drkit.points.history import inside

    setup = set_up(config_file)
    catalogue = read(setup.config.cluster.name, setup.vaults, setup.verifier)
    later = catalogue.find(new)
    if old:
        earlier = catalogue.find(old)
    else:
        before = catalogue.points[catalogue.points.index(later) + 1 :]
        if not before:
            raise NoSuchPoint(f"there is no recovery point before {later.id}", "make another: drkit backup")
        earlier = before[0]
    pair = [point.drawn_on(open_descriptor(point, setup.vaults, setup.verifier)) for point in (earlier, later)]
    changes = (*between(pair[0], pair[1]), *inside(pair[0], pair[1], setup.vaults))
    if as_json:
        show_json({"old": earlier.id, "new": later.id, "changes": [change.as_json() for change in changes]})
        return
    print(f"{earlier.id} → {later.id}")
    if not changes:
        print("no difference")
        return
    rows = [[printable(each.source), printable(each.what), each.change, printable(_values(each))] for each in changes]
    table(["SOURCE", "WHAT", "CHANGE", ""], rows)


def _values(change: Change) -> str:
    """What a change was from and to; nothing where it is only known that something changed."""
    if change.before is None and change.after is None:
        return ""
    return {"added": f"{change.after}", "removed": f"{change.before}"}.get(
        change.change, f"{change.before} → {change.after}"
    )
