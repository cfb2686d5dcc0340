"""``drkit restore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, Setup, exits, handled, reporter, set_up, show_json
from drkit.masking import mask

if TYPE_CHECKING:
    from drkit.config.model import Target
    from drkit.observe.progress import Reporter
    from drkit.points.select import Chosen
    from drkit.restore.engine.action import Work
    from drkit.restore.engine.journal import History, Journal
    from drkit.restore.engine.plan import Plan
    from drkit.restore.engine.report import Report
    from drkit.restore.planning import Asked, Planning


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
    mode: Annotated[
        str,
        typer.Option("--mode", help="Of a cluster: etcd (the same identity) or manifests (a fresh one)."),
    ] = "",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="KIND or KIND/NAME, or manifests/NAMESPACE/KIND/NAME; may be repeated."),
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", help="Give a namespace another name: OLD=NEW; may be repeated."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show the steps, and do nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last restore to this target.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="New servers take over the names of the old ones, which are powered off.")
    ] = False,
    old_is_dead: Annotated[
        bool, typer.Option("--old-is-dead", help="Vouch for the old cluster being dead: nothing looks, or fences it.")
    ] = False,
    accept_incomplete: Annotated[
        bool, typer.Option("--accept-incomplete", help="Do without what an incomplete point or a registry lacks.")
    ] = False,
    accept_data_loss: Annotated[
        bool, typer.Option("--accept-data-loss", help="Start workloads whose volumes no source has, empty.")
    ] = False,
    destroy: Annotated[
        bool, typer.Option("--destroy", help="Remove what the last restore to this target made, and nothing else.")
    ] = False,
    rehearsal: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Rehearse beside the living cluster: quarantined, and over after so long, as in 24h."
        ),
    ] = "",
    reap: Annotated[
        bool, typer.Option("--reap", help="Remove what rehearsals made and whose time is over, and nothing else.")
    ] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring back what was backed up, and prove that it is the same."""
    from drkit.cli.restore_options import contradictions, lifetime, moment, renamed
    from drkit.cli.restore_reap import remove_outlived
    from drkit.errors import UsageError
    from drkit.restore.planning import Asked

    chosen = bool(at or only or point != "latest" or mode or namespace or replace or rehearsal)
    of_clusters = bool(mode or namespace or replace or old_is_dead or accept_data_loss or rehearsal)
    more = bool(plan or resume or old_is_dead or accept_data_loss or accept_incomplete)
    if reap:
        if chosen or into or more or destroy:
            raise UsageError("--reap removes what has outlived its time; give at most --to with it")
        remove_outlived(set_up(config_file), to, as_json=as_json)
        return
    if bool(to) == bool(into):
        raise UsageError("say where to: either --to TARGET or --into DIR")
    contradictions(
        {
            "--point and --at exclude each other": point != "latest" and bool(at),
            "--resume takes up the plan of the restore that was interrupted; give no other choice with it": resume
            and (chosen or bool(into)),
            "--into only writes archives out: what is for clusters makes no sense with it": bool(into) and of_clusters,
            "--destroy removes what the last restore to a target made; give only --to with it": destroy
            and (chosen or bool(into) or more),
            f"--mode {mode}: expected etcd or manifests": mode not in {"", "etcd", "manifests"},
        }
    )
    asked = Asked(
        point,
        moment(at),
        tuple(only or ()),
        accept_incomplete,
        mode,
        renamed(namespace or []),
        replace,
        old_is_dead,
        lifetime(rehearsal),
    )
    work = _Restoring(set_up(config_file), to, as_json=as_json)
    if into is not None:
        work.write_out(asked, into)
    elif destroy:
        work.destroy()
    elif plan:
        work.show(asked, resume=resume)
    else:
        work.execute(asked, resume=resume, accept_data_loss=accept_data_loss)


class _Restoring:
    """One call of the command."""

    def __init__(self, setup: Setup, to: str, *, as_json: bool) -> None:
        self._setup, self._to, self._as_json = setup, to, as_json

    def write_out(self, asked: Asked, into: Path) -> None:
        from drkit.restore.files import write_out

        planning = self._planning()
        chosen = asked.chosen(planning.catalogue, asked.only)
        with reporter() as telling:
            for warning in chosen.warnings:
                telling.warn(warning)
            paths = write_out(into, list(planning.full(chosen.chosen).values()), self._setup.vaults, telling)
        if self._as_json:
            show_json({"files": [str(path) for path in paths], "warnings": list(chosen.warnings)})
        else:
            print("\n".join(map(str, paths)))

    def destroy(self) -> None:
        from drkit.errors import PreflightFailed
        from drkit.restore import rebuild

        self._target()
        journal, _ = self._last()
        if journal is None:
            raise PreflightFailed(f"no restore to {self._to} was begun on this machine, so what it made is not known")
        with reporter() as telling:
            things = rebuild.destroy(self._setup.config, journal, self._to, telling)
        if self._as_json:
            shown = [{"kind": each.kind, "name": each.name, "became": each.became} for each in things]
            show_json({"restore": journal.restore, "things": shown})
            return
        for each in things:
            print(f"{each.kind} {each.name}: {each.became}")
        print(f"restore {journal.restore} to {self._to}: {'destroyed' if things else 'there was nothing to remove'}")

    def show(self, asked: Asked, *, resume: bool) -> None:
        from drkit.restore.bounds import GROUPS
        from drkit.restore.engine import estimate, text

        self._see_flags(asked)
        made = self._interrupted()[1] if resume else self._planned(asked, self._planning())[0]
        likely = estimate.of(made.steps, estimate.remembered(), GROUPS)
        if self._as_json:
            show_json({"plan": {**made.as_json(), "estimate": likely.as_json()}})
            return
        for line in text.of_plan(made, likely):
            print(mask(line))

    def execute(self, asked: Asked, *, resume: bool, accept_data_loss: bool) -> None:
        from drkit.clock import SystemClock
        from drkit.restore.engine.run import execute
        from drkit.restore.reports import keep

        self._see_flags(asked)
        journal, interrupted = self._interrupted() if resume else (None, None)
        planning = self._planning()
        if interrupted is not None:
            made, chosen = interrupted, planning.as_planned(interrupted)
        else:
            made, chosen = self._planned(asked, planning)
            if not accept_data_loss:
                _see_volumes(made)
        with reporter() as telling:
            for warning in made.warnings:
                telling.warn(warning)
            work = self._work(made, planning, chosen, asked, telling)
            report = execute(made, work, journal, SystemClock(), telling, keep)
        self._show(report)

    def _target(self) -> Target:
        from drkit.cli.restore_reap import named

        return named(self._setup, self._to)

    def _is_cluster(self) -> bool:
        target = self._target()
        return bool(target.provider or target.servers)

    def _see_flags(self, asked: Asked) -> None:
        from drkit.errors import UsageError

        of_clusters = asked.mode or asked.namespaces or asked.replace or asked.old_is_dead or asked.lifetime
        if not self._is_cluster() and of_clusters:
            raise UsageError(
                "--mode, --namespace, --replace, --old-is-dead, --rehearsal:"
                f" {self._to} is no cluster, it has databases alone"
            )
        if asked.replace and self._target().provider in {"ssh", None}:
            raise UsageError(f"--replace: the servers of target {self._to} exist and have their names")

    def _planning(self) -> Planning:
        from drkit.clock import SystemClock
        from drkit.points.catalogue import read
        from drkit.restore.planning import Planning

        setup = self._setup
        catalogue = read(setup.config.cluster.name, setup.vaults, setup.verifier)
        return Planning(setup.config, setup.vaults, setup.verifier, catalogue, SystemClock().now())

    def _planned(self, asked: Asked, planning: Planning) -> tuple[Plan, list[Chosen]]:
        return (planning.cluster if self._is_cluster() else planning.databases)(asked, self._to)

    def _last(self) -> tuple[Journal | None, History | None]:
        from drkit.points.names import slug
        from drkit.restore.engine import journal

        newest = journal.newest(slug(self._to))
        return newest, journal.read(newest) if newest else None

    def _interrupted(self) -> tuple[Journal, Plan]:
        from drkit.errors import PreflightFailed
        from drkit.restore.engine.plan import from_json

        newest, history = self._last()
        if newest is None or history is None or history.finished:
            raise PreflightFailed(
                f"no restore to {self._to} was interrupted on this machine", "start one without --resume"
            )
        return newest, from_json(history.plan)

    def _work(self, made: Plan, planning: Planning, chosen: list[Chosen], asked: Asked, telling: Reporter) -> Work:
        from drkit.clock import SystemClock
        from drkit.restore.rebuild import Means, Rebuild
        from drkit.restore.run import DatabaseRestore
        from drkit.sources.find import dsn_of

        config, vaults, sources = self._setup.config, self._setup.vaults, planning.full(chosen)
        target = self._target()
        dsns = {each.name: dsn_of(each, f"clusters.{self._to}.databases") for each in target.databases}
        if not self._is_cluster():
            return DatabaseRestore(config, vaults, made, sources, dsns)
        accepted = asked.accept_incomplete
        return Rebuild(Means(made, config, vaults, sources, dsns, asked.old_is_dead, SystemClock(), telling, accepted))

    def _show(self, report: Report) -> None:
        from drkit.restore.engine import text
        from drkit.restore.reports import place

        if self._as_json:
            show_json({**report.as_json(), "report": str(place(report))})
            return
        for line in text.of_report(report):
            print(mask(line))


def _see_volumes(made: Plan) -> None:
    """Refuse to start workloads on volumes that come back empty."""
    from drkit.errors import PreflightFailed

    empty = [volume for step in made.steps for volume in step.details.get("empty_volumes", ())]
    if empty:
        raise PreflightFailed(
            f"no source has the data of {', '.join(empty)}: what uses them would start empty; nothing was touched",
            "bring their data back by other means afterwards, or do without it: --accept-data-loss",
        )
