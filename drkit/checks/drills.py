"""What drills need: scenarios of the names that are allowed, and a watchdog that can undo what befell a machine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from drkit.checks.result import Look, Seen
from drkit.cluster.reach import reach
from drkit.cluster.ssh import SshNode
from drkit.drill.faults import armed
from drkit.drill.scenario.listing import listed
from drkit.drill.site import LOCAL
from drkit.errors import ConfigurationError, PreflightFailed
from drkit.sources.cluster import machines_of

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.config.model import Config

_PROGRAMS = ("curl", "grep")
"""With which another host calls the provider; see ``drkit.drill.faults.watchdog``."""


def looks(config: Config, file: Path | None) -> list[Look]:
    """What to try where drills are allowed.

    Args:
        config: what ``drkit.yaml`` says.
        file: where it is; scenarios of the user's own are beside it.
    """
    if not config.drills.allow:
        return [Look("drills", lambda: Seen("no scenario is allowed (drills: allow)", skipped=True))]
    code = PreflightFailed.exit_code
    return [
        Look("drills that are allowed", partial(_allowed, config, file)),
        Look("watchdog of drills", partial(_watchdog, config), late_code=code),
    ]


def _allowed(config: Config, file: Path | None) -> str:
    there = {each.name for each in listed(file)}
    unknown = [name for name in config.drills.allow if name not in there]
    if unknown:
        raise ConfigurationError(
            f"drills.allow: there is no scenario {', '.join(unknown)}", f"there are {', '.join(sorted(there))}"
        )
    return ", ".join(config.drills.allow)


def _watchdog(config: Config) -> Seen:
    named = config.drills.watchdog
    if named is None:
        if config.drills.provider != "hetzner":
            return Seen("none is named, and no provider that it would call", skipped=True)
        said = "none is named: drills that take a machine's power are refused"
        return Seen(said, warning=True, hint="drills: {watchdog: HOST}, a host with curl and systemd; `local` for this")
    if named == LOCAL:
        return Seen("this machine")
    # Who is a machine of the cluster is reached as such.
    known = {each.name: each.address for each in machines_of(config.cluster, None)}
    node = reach(named, known.get(named, named), config.cluster.ssh)
    try:
        lacking = armed.missing(node, _PROGRAMS)
    finally:
        if isinstance(node, SshNode):
            node.close()
    if lacking:
        raise PreflightFailed(f"the watchdog {named}: {lacking}", "install it there, or name another host")
    return Seen(f"{named}: reached, with all that an undo needs there")
