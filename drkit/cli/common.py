"""What every command shares: options, error handling, output."""

from __future__ import annotations

import functools
import json
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from drkit.errors import EXIT_CODES, DrkitError
from drkit.masking import mask
from drkit.observe.text import columns, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drkit.config.model import Config
    from drkit.observe.log import JsonReporter
    from drkit.observe.progress import PlainReporter, TerminalReporter
    from drkit.observe.standing.judge import Standing
    from drkit.points.signing import Verifier
    from drkit.vault.borg import BorgVault

P = ParamSpec("P")
R = TypeVar("R")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file. Default: ./drkit.yaml, the user's, then /etc/drkit/drkit.yaml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress stays on stderr.")]


def exits(*codes: int) -> str:
    """The last lines of a command's help: the exit codes that it can end with."""
    always = (0, *codes, 1, 2, 4, 130)
    listed = " · ".join(f"{code} {EXIT_CODES[code]}" for code in sorted(set(always)))
    return f"Exit codes: {listed}"


@dataclass(frozen=True)
class Setup:
    """What most commands begin with."""

    config: Config
    vaults: Mapping[str, BorgVault]
    verifier: Verifier
    file: Path


def set_up(config_file: Path | None, *, pruning: bool = False) -> Setup:
    """Read the configuration, open its vaults (asking them nothing yet) and pin the public keys.

    Args:
        config_file: where it is; looked for where left out.
        pruning: whether the vaults are opened with the keys that prune.
    """
    from drkit.config.load import find, load
    from drkit.points.signing import verifier
    from drkit.vault.configured import vaults

    file = find(config_file)
    config = load(file)
    return Setup(config, vaults(config, pruning=pruning), verifier(config), file)


def standing_of(setup: Setup) -> tuple[Standing, DrkitError | None]:
    """Where the cluster stands; and why nothing is known of its backups, where no vault answers."""
    from drkit.clock import SystemClock
    from drkit.config.load import read_text
    from drkit.observe.standing import escrow, jobs
    from drkit.observe.standing.gather import gather
    from drkit.observe.standing.judge import judge
    from drkit.points import catalogue
    from drkit.points.names import slug

    asked = catalogue.ask(slug(setup.config.cluster.name), setup.vaults)
    now = SystemClock().now()
    scheduled = jobs.seen(setup.config, setup.file, now)
    kept = escrow.seen(setup.config, read_text(setup.file))
    return judge(gather(setup.config, setup.vaults, setup.verifier, asked, now, scheduled, kept)), asked.refused


def reporter() -> PlainReporter | TerminalReporter | JsonReporter:
    """Whom the work tells how it goes."""
    from drkit.observe.progress import make_reporter

    return make_reporter()


def handled(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors into one clear message, a hint, and the exit code that belongs to them."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                signal.signal(number, _interrupt)
        as_json = bool(kwargs.get("as_json"))
        try:
            return command(*args, **kwargs)
        except typer.Exit:
            raise
        except DrkitError as error:
            _fail(error.exit_code, error.message, error.hint, as_json=as_json)
        except KeyboardInterrupt:
            from drkit import process

            process.stop_all()
            _fail(130, "interrupted", "", as_json=as_json)
        except BrokenPipeError:
            sys.stderr.close()  # whoever read our output has gone; nobody is left to be told
            raise typer.Exit(1) from None
        except Exception:  # noqa: BLE001 - the last resort: an honest report and the documented exit code
            _say(traceback.format_exc().rstrip())
            _fail(1, "unexpected error", "please report it with the lines above", as_json=as_json)

    return run


def _interrupt(number: int, _: object) -> None:
    # A second signal must not interrupt the undoing that the first one began.
    signal.signal(number, signal.SIG_IGN)
    if "drkit.process" in sys.modules:  # else nothing runs yet that could lose the exception
        sys.modules["drkit.process"].note_interrupt()
    raise KeyboardInterrupt


def _fail(code: int, message: str, hint: str, *, as_json: bool) -> NoReturn:
    if as_json:
        show_json({"error": {"code": code, "message": message, "hint": hint}})
    _say(message, hint, prefix="error: ", code=code)
    raise typer.Exit(code)


def _say(message: str, hint: str = "", *, prefix: str = "", code: int | None = None) -> None:
    """An error on stderr, in the form that the rest of the program's words have there."""
    from drkit.observe import log

    if log.asked_for_json():
        log.JsonLog().say(log.Level.ERROR, message, code=code, hint=hint or None)
        return
    print(mask(f"{prefix}{message}"), file=sys.stderr)
    if hint:
        print(mask(f"hint: {hint}"), file=sys.stderr)


def show_json(document: dict[str, Any]) -> None:
    """The one document on stdout."""
    print(mask(json.dumps(document, indent=2, ensure_ascii=False)))


def table(headings: list[str], rows: list[list[str]]) -> None:
    """A plain table on stdout."""
    for line in columns(headings, rows):
        print(mask(line))


def indented(text: str, indent: int) -> str:
    """A text of several lines, each printable and set in by so many spaces."""
    return "\n".join(" " * indent + printable(line) for line in text.splitlines())
