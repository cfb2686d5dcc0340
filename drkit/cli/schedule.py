"""``drkit schedule``: run, show, unit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, show_json, table
from drkit.observe.text import printable

if TYPE_CHECKING:
    from drkit.config.model import Config
    from drkit.schedule.daemon import Daemon
    from drkit.schedule.jobs import Job
    from drkit.schedule.runner import Runner, Shared


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(rich_markup_mode=None, epilog=exits(11), no_args_is_help=True)
    group.callback()(schedule)
    group.command("run", epilog=exits(11))(run)
    group.command("once", epilog=exits(3, 10, 11, 12, 13, 16, 20, 21, 22))(once)
    group.command("show", epilog=exits())(show)
    group.command("unit", epilog=exits())(unit)
    app.add_typer(group, name="schedule")


def schedule() -> None:
    """Backups, verification, retention, drills and rehearsals at their times, on a host outside the cluster."""


@handled
def once(
    name: Annotated[
        str,
        typer.Argument(metavar="JOB", help="As `schedule show` names it; `backup` is everything as one point."),
    ],
    config_file: ConfigOption = None,
) -> None:
    """Run one job now, where something else keeps the times, such as Kubernetes; ends with the job's own exit code.

    Its records, dead man's switch and messages are those of `schedule run`.
    """
    from drkit.errors import UsageError
    from drkit.schedule.jobs import one
    from drkit.schedule.runner import Runner

    config, file = _read(config_file)
    job = one(config, file, name)
    if job is None:
        raise UsageError(f"{file}: no job {name} is scheduled", "see their names: drkit schedule show")
    raise typer.Exit(_to_its_end(Runner(job, _shared(config))))


def _shared(config: Config) -> Shared:
    """What the jobs share: records on this machine, and those who are told."""
    import threading

    from drkit.clock import SystemClock
    from drkit.observe.log import JsonReporter, make_log
    from drkit.observe.notify.notifier import Notifier
    from drkit.schedule.lanes import Lanes
    from drkit.schedule.runner import Shared
    from drkit.schedule.store import Store

    log, cluster = make_log(), config.cluster.name
    told = Notifier(config, SystemClock(), JsonReporter(log))
    store = Store(cluster, log)
    return Shared(cluster, store, Lanes(), SystemClock(), log, threading.Event(), (told,), starters=(told.started,))


def _to_its_end(runner: Runner) -> int:
    """Run it in a thread, for a signal comes to this one; the exit code."""
    from concurrent.futures import ThreadPoolExecutor

    from drkit import process
    from drkit.schedule.events import Outcome

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(runner.run_now)
        try:
            ending = running.result()
        except KeyboardInterrupt:
            process.forget_interrupt()
            runner.end()
            ending = running.result()
    if ending.outcome is Outcome.INTERRUPTED:
        return 130
    status = ending.exit_code
    return 1 if status is None or status < 0 or ending.outcome is Outcome.TIMED_OUT else status


@handled
def run(config_file: ConfigOption = None) -> None:
    """Run the jobs at their times until told to end; SIGTERM and Ctrl-C undo what runs, and end with 0.

    Runs that were missed, such as while the machine was off, are made up for by one. A configuration that was changed
    is seen within half a minute and counts as soon as no job runs; a wrong one is told of, and changes nothing. Says
    what it does on stderr: in lines of JSON where that is no terminal, or as DRKIT_LOG=json|text has it.
    """
    from drkit import process
    from drkit.observe.log import Level
    from drkit.schedule.daemon import Daemon

    found = _prepared(config_file)
    try:
        while True:
            log, daemon = found.shared.log, Daemon(found.jobs, found.shared)
            for name in found.untimed:
                log.say(Level.WARNING, f"vault {name} has no schedule: nothing is backed up into it by itself")
            with daemon.running():
                log.say(Level.INFO, f"runs {len(found.jobs)} jobs: {', '.join(job.name for job in found.jobs)}")
                found = _changed(config_file, found, daemon)
            log.say(Level.INFO, "the configuration has changed: begins anew with it")
    except KeyboardInterrupt:
        process.forget_interrupt()
        found.shared.log.say(Level.INFO, "ended")


@dataclass(frozen=True)
class _Prepared:
    """What a scheduler runs, and how the configuration said it."""

    text: str
    jobs: tuple[Job, ...]
    shared: Shared
    untimed: tuple[str, ...]


def _prepared(config_file: Path | None) -> _Prepared:
    from drkit.config.load import find, read_text
    from drkit.config.model import GROUPS

    text = read_text(find(config_file))
    config, wanted = _wanted(config_file)
    untimed = tuple(name for name, vault in config.vaults.items() if vault.schedule is None and name in GROUPS)
    return _Prepared(text, wanted, _shared(config), untimed)


def _changed(config_file: Path | None, known: _Prepared, daemon: Daemon) -> _Prepared:
    """Wait until the configuration says something else, is right, and no job runs."""
    import time

    from drkit.config.load import find, read_text
    from drkit.errors import DrkitError
    from drkit.observe.log import Level
    from drkit.schedule.daemon import LOOK_SECONDS

    told = ""
    while True:
        time.sleep(LOOK_SECONDS)  # or until a signal
        try:
            text = read_text(find(config_file))
            if text != known.text and not daemon.busy:
                return _prepared(config_file)
            told = "" if text == known.text else told
        except DrkitError as error:
            if error.message != told:
                told = error.message
                said = f"the configuration has changed and cannot be used, so the one before goes on: {told}"
                known.shared.log.say(Level.ERROR, said)


@handled
def show(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What comes next, and how each job went. Without a scheduler that runs, what would come."""
    from drkit import state
    from drkit.clock import SystemClock
    from drkit.observe.log import TextLog
    from drkit.schedule.show import HEADINGS, View
    from drkit.schedule.store import Store, lock_name

    config, wanted = _wanted(config_file)
    cluster = config.cluster.name
    records = Store(cluster, TextLog()).all(job.name for job in wanted)
    view = View(cluster, state.holder(lock_name(cluster)), wanted, records, SystemClock().now())
    if as_json:
        show_json(view.as_json())
        return
    runs = "NO SCHEDULER RUNS" if view.scheduler is None else f"scheduler: {view.scheduler}"
    print(f"cluster {printable(cluster)}: {runs}")
    table(list(HEADINGS), view.rows())


@handled
def unit(config_file: ConfigOption = None) -> None:
    """Print a systemd unit that runs the scheduler as the user who asks for it."""
    import getpass

    from drkit import state
    from drkit.config.load import find
    from drkit.schedule import unit as units
    from drkit.schedule.runner import PROGRAM

    config, _ = _wanted(config_file)
    command = (*PROGRAM, "schedule", "run", "--config", str(find(config_file).resolve()))
    place = units.Place(getpass.getuser(), command, state.state_dir(), state.cache_dir(), units.writable(config))
    on_servers = config.cluster.kubeconfig is not None or bool(config.cluster.servers)
    print(units.text(config.cluster.name, place, on_servers=on_servers), end="")


def _wanted(config_file: Path | None) -> tuple[Config, tuple[Job, ...]]:
    """The configuration, and the jobs that it asks for."""
    from drkit.errors import ConfigurationError
    from drkit.schedule.jobs import jobs

    config, file = _read(config_file)
    wanted = jobs(config, file)
    if not wanted:
        raise ConfigurationError(
            f"{file}: nothing is scheduled", 'give a vault its times, such as schedule: "0 3 * * *"'
        )
    return config, wanted


def _read(config_file: Path | None) -> tuple[Config, Path]:
    from drkit.config.load import find, load

    file = find(config_file).resolve()
    return load(file), file
