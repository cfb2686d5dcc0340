"""Whether a scratch PostgreSQL can be had, without which ``verify --deep`` opens no dump."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from drkit.checks.result import Look, Seen
from drkit.errors import PreflightFailed
from drkit.postgres import programs
from drkit.postgres.scratch import container

if TYPE_CHECKING:
    from drkit.config.model import Config

_HINT = "for verify --deep: install postgresql-VERSION (no service is needed), or a Docker engine for this user"


def looks(config: Config) -> list[Look]:
    """One."""
    return [Look("scratch PostgreSQL", lambda: _see(config))]


def _see(config: Config) -> Seen:
    majors = programs.servers(tuple(config.postgresql.bin_dirs))
    here = f"server programs of {', '.join(map(str, majors))}" if majors else "no server programs"
    engine = _engine()
    if engine:
        return Seen(f"{here}; other versions in containers ({engine})")
    if majors:
        return Seen(f"{here}; no container engine for other versions")
    return Seen(f"{here}, and no container engine", warning=True, hint=_HINT)


def _engine() -> str:
    """The engine that answers; empty where none does."""
    try:
        done = container.engine(os.environ).run("version", "--format", "{{.Server.Version}}")
    except (FileNotFoundError, PreflightFailed):
        return ""
    return f"Docker {done.stdout.decode(errors='replace').strip()}" if done.status == 0 else ""
