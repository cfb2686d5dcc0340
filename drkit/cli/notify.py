"""``drkit notify``."""

from __future__ import annotations

from typing import Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, reporter, set_up, show_json, standing_of


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("notify", epilog=exits(12))(notify)


@handled
def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a message that says it is a test.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell people what is new about where the cluster stands: for cron, where no scheduler of drkit runs.

    Each trouble is told once, again every day while it lasts, and once when it is over. A vault that does not answer is
    a trouble, not an error. notify: in drkit.yaml says who is told.
    """
    from drkit.clock import SystemClock
    from drkit.masking import mask
    from drkit.observe.notify.notifier import Notifier

    setup = set_up(config_file)
    with reporter() as told:
        notifier = Notifier(setup.config, SystemClock(), told)
        said = notifier.test() if test else notifier.standing(standing_of(setup)[0])
    if as_json:
        show_json({"told": None if said is None else {"kind": said.kind, "title": said.title, "body": said.body}})
        return
    print("nothing is new" if said is None else mask(f"{said.title}\n{said.body}"))
