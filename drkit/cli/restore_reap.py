"""``drkit restore --reap``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.cli.common import reporter, show_json
from drkit.clock import SystemClock
from drkit.errors import ConfigurationError
from drkit.restore.reap import reap

if TYPE_CHECKING:
    from drkit.cli.common import Setup
    from drkit.config.model import Target


def remove_outlived(setup: Setup, to: str, *, as_json: bool) -> None:
    """What rehearsals made and whose time is over, of one target, or of all of them."""
    targets = [to] if to else list(setup.config.clusters)
    for each in targets:
        named(setup, each)
    now = SystemClock().now()
    with reporter() as telling:
        done = {each: reap(setup.config, each, now, telling) for each in targets}
    if as_json:
        shown = {
            target: [{"kind": each.kind, "name": each.name, "became": each.became} for each in things]
            for target, things in done.items()
        }
        show_json({"reaped": shown})
        return
    for target, things in done.items():
        for thing in things:
            print(f"{target}: {thing.kind} {thing.name}: {thing.became}")
    if not any(done.values()):
        print("nothing has outlived its time")


def named(setup: Setup, to: str) -> Target:
    """A target of the configuration.

    Raises:
        ConfigurationError: there is none of that name.
    """
    target = setup.config.clusters.get(to)
    if target is None:
        there = ", ".join(setup.config.clusters) or "none"
        raise ConfigurationError(
            f"clusters: there is no target {to} (there is: {there})",
            f"add it: clusters: {{{to}: {{databases: […]}}}}",
        )
    return target
