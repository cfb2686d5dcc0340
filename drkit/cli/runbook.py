"""``drkit runbook``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, show_json, table

if TYPE_CHECKING:
    from drkit.config.model import Config
    from drkit.points.point import Point
    from drkit.runbook.fill import Filled


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("runbook", epilog=exits())(runbook)


@handled
def runbook(
    situation: Annotated[
        str, typer.Argument(metavar="SITUATION", help="A page's name, or the id of a rule of the audit.")
    ] = "",
    html_file: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one HTML page for printing as well.")
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What to do: a page with your own names and newest recovery point; without SITUATION, which pages there are.

    Where drkit.yaml or the vault is lost, it is printed all the same, and says which names on it are examples.
    """
    from drkit.runbook.pages import named, pages, shipped

    known = pages(shipped())
    if not situation:
        if as_json:
            show_json({"situations": [{"situation": each.situation, "title": each.title} for each in known]})
        else:
            table(["SITUATION", "WHAT IT IS ABOUT"], [[each.situation, each.title] for each in known])
        return
    page = named(known, situation)
    config, point, notes = _known(config_file)
    from drkit.runbook.fill import fill
    from drkit.runbook.names import own_names

    filled = fill(page, own_names(config, point), notes)
    if html_file is not None:
        _write(filled, html_file)
    if as_json:
        show_json(filled.as_json())
    else:
        _print(filled)


def _known(config_file: Path | None) -> tuple[Config | None, Point | None, list[str]]:
    """What is to be had on this machine; what is not is said, and no reason to print nothing."""
    from drkit.config.load import find, load
    from drkit.errors import DrkitError
    from drkit.points.catalogue import read
    from drkit.points.signing import verifier
    from drkit.vault.configured import vaults

    config = point = None
    notes = []
    try:
        config = load(find(config_file))
        catalogue = read(config.cluster.name, vaults(config), verifier(config))
    except DrkitError as error:
        what = "The newest recovery point is not known" if config else "Your names are not known"
        notes.append(f"{what}: {error.message.splitlines()[0]}")
    else:
        point = next(iter(catalogue.points), None)
        notes += [f"Not all of the vaults could be read: {each.message.splitlines()[0]}" for each in catalogue.problems]
        if point is None:
            notes.append("There is no recovery point.")
        else:
            whole = "" if point.complete else ", which is incomplete"
            notes.append(
                f"The newest recovery point is {point.id}, begun at {point.created:%Y-%m-%dT%H:%M:%SZ}{whole}."
            )
    return config, point, notes


def _write(filled: Filled, file: Path) -> None:
    from drkit.clock import SystemClock
    from drkit.errors import UsageError
    from drkit.masking import mask
    from drkit.runbook.sheet import html

    foot = f"drkit runbook {filled.situation}, printed on {SystemClock().now():%Y-%m-%d}"
    try:
        file.write_text(mask(html(filled, foot)), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", "name another file") from None


def _print(filled: Filled) -> None:
    from drkit.masking import mask
    from drkit.observe.text import printable

    print(mask(f"# {printable(filled.title)}\n"))
    for said in filled.head:
        print(mask(f"> {printable(said)}"))
    if filled.head:
        print()
    for line in filled.text.splitlines():
        print(mask(printable(line)))
