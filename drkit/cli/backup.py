"""``drkit backup``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, reporter, show_json, table
from drkit.observe.text import printable

if TYPE_CHECKING:
    from drkit.backup.run import Outcome
    from drkit.cluster.kube import Api
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.sources.port import Source


class Group(StrEnum):
    """What can be backed up by itself."""

    CLUSTER = "cluster"
    DATABASES = "databases"
    MANIFESTS = "manifests"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("backup", epilog=exits(3, 10, 11, 12))(backup)


@handled
def backup(
    what: Annotated[Group | None, typer.Argument(help="Only this; everything when left out.")] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up into the vaults and seal a signed recovery point."""
    config = _load(config_file)
    with reporter() as telling:
        outcome = _together(config, telling) if config.sealing == "together" else _run(what, config, telling)
    _show(outcome, as_json=as_json, sealed=config.sealing != "later")
    if outcome.incomplete_in:
        raise typer.Exit(3)


def _run(what: Group | None, config: Config, telling: Reporter) -> Outcome:
    from drkit.backup.run import Run
    from drkit.clock import SystemClock
    from drkit.cluster import indexed_job
    from drkit.sources.find import sources
    from drkit.sources.volumes import uncovered
    from drkit.vault.configured import vaults

    opened = vaults(config)
    found = sources(config)
    volumes, warnings = uncovered(found)
    if what is Group.DATABASES:
        # Who has rights in one namespace may not list volumes, every six hours; the cluster's own backup says them.
        warnings = []
    part_of = indexed_job.point(indexed_job.asked(_own_api())) if config.sealing == "later" else ""
    run = Run(config, opened, SystemClock(), telling, part_of=part_of)
    return run.execute(_choose(what, config, found), volumes=volumes, warnings=warnings)


def _together(config: Config, telling: Reporter) -> Outcome:
    """Wait for the other pods of the Job, and seal what they stored; the box is not asked for anything before."""
    from drkit.backup.together import seal
    from drkit.cluster import indexed_job
    from drkit.config.model import source_names
    from drkit.vault.configured import vaults

    api = _own_api()
    telling.note("waits for the other pods of its Job")
    job = indexed_job.wait_for_others(lambda: indexed_job.asked(api))
    expected = [name for each in config.databases for name in source_names(each)]
    shares = {name: vault for name, vault in vaults(config).items() if name != Group.DATABASES}
    return seal(config, shares, indexed_job.point(job), expected, telling)


def _own_api() -> Api:
    from drkit.cluster import api, in_cluster

    return api.connect(in_cluster.access())


def _load(config_file: ConfigOption) -> Config:
    from drkit.config.load import find, load

    return load(find(config_file))


def _choose(what: Group | None, config: Config, found: tuple[Source, ...]) -> tuple[Source, ...]:
    from drkit.errors import ConfigurationError
    from drkit.points.select import group
    from drkit.sources.find import see_vaults

    chosen = tuple(source for source in found if what in (None, group(source.kind), source.kind))
    if not chosen:
        name = config.cluster.name
        missing = {
            Group.DATABASES: ("databases", "add databases: [{name: …, dsn: {env: …}}]"),
            Group.MANIFESTS: ("API to ask", "add cluster: {kubeconfig: …}"),
            Group.CLUSTER: ("kubeconfig and no servers", "add cluster: {kubeconfig: …}"),
        }
        lacks, hint = missing[what or Group.DATABASES]
        raise ConfigurationError(f"nothing to back up: cluster {name} has no {lacks}", hint)
    see_vaults(config, chosen)
    return chosen


def _show(outcome: Outcome, *, as_json: bool, sealed: bool) -> None:
    from drkit.cluster.volumes import shown
    from drkit.observe.progress import size

    point = outcome.descriptor
    if as_json:
        unsealed = {vault: error.message for vault, error in outcome.unsealed.items()}
        show_json(
            {
                "id": point.id,
                "complete": outcome.complete,
                "incomplete_in": list(outcome.incomplete_in),
                "unsealed": unsealed,
                "point": point.as_json(),
            }
        )
        return
    rows = []
    for source in point.sources:
        tables = source.details.get("proof", {}).get("tables", {})
        counted = f"{sum(each['rows'] for each in tables.values())} rows in {len(tables)} tables" if tables else ""
        moved = [size(source.size), size(source.added)] if source.stored else ["", ""]
        said = counted or printable(source.error.partition("\n")[0])
        rows.append([printable(point.called(source)), source.status, *moved, said])
    table(["SOURCE", "STATUS", "SIZE", "NEW IN VAULT", ""], rows)
    for volume in point.volumes:
        print(f"in no source: the volume {printable(shown(volume))}")
    how = ["sealed" if sealed else "stored, to be sealed with others", *(() if outcome.complete else ("INCOMPLETE",))]
    if outcome.complete:
        how += [f"incomplete in vault {name}" for name in outcome.incomplete_in]
    print(f"recovery point {point.id}: {', '.join(how)}")
