"""Reads a scenario's file; every complaint names file, line, column, key and what was expected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drkit import positioned
from drkit.drill.scenario.model import TAGS, Scenario
from drkit.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".yaml"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SORT = positioned.Sort(
    "scenario",
    "title, probes and faults",
    hint="`drkit drill list --schema` prints the schema of the file; the scenarios that ship are good to copy from",
    missing="`drkit drill list` shows the scenarios that there are",
    tags=TAGS,
)


def load(path: Path) -> Scenario:
    """Read and check the file. Everything that is wrong in it is told at once.

    Raises:
        ConfigurationError: it cannot be read, is no YAML, or is not of the expected shape.
    """
    if not _NAME.fullmatch(path.name.removesuffix(SUFFIX)):
        raise ConfigurationError(
            f"{path}: expected a name of small letters, digits and hyphens",
            f"rename it: a scenario is called as its file is, such as worker-down{SUFFIX}",
        )
    return positioned.load(path, _SORT, Scenario)
