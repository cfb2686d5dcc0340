"""Which scenarios there are: those that ship with drkit, and the user's own in ``chaos/`` beside drkit.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import drkit
from drkit.drill.scenario.load import SUFFIX, load
from drkit.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.drill.scenario.model import Scenario

DIRECTORY = "chaos"


@dataclass(frozen=True)
class Listed:
    """A scenario by its name.

    Attributes:
        file: where it is.
        replaces: whether one that ships has the same name; this one counts.
    """

    name: str
    file: Path
    replaces: bool = False


def shipped() -> Path:
    """The directory of the scenarios that ship: in the package where it is installed, beside it in its repository."""
    package = Path(drkit.__file__).parent
    inside = package / DIRECTORY
    return inside if inside.is_dir() else package.parent / DIRECTORY


def listed(config_file: Path | None) -> tuple[Listed, ...]:
    """All scenarios, by name.

    Args:
        config_file: drkit.yaml, where there is one.
    """
    ours = _files(shipped())
    own = {} if config_file is None else _files(config_file.resolve().parent / DIRECTORY)
    # Somebody who works in drkit's own repository has the shipped ones beside drkit.yaml.
    theirs = {name: file for name, file in own.items() if file != ours.get(name)}
    return tuple(
        Listed(name, file, replaces=name in theirs and name in ours)
        for name, file in sorted({**ours, **theirs}.items())
    )


def _files(directory: Path) -> dict[str, Path]:
    """The scenarios of a directory by their names."""
    found = (each for each in directory.glob(f"*{SUFFIX}") if not each.name.startswith("."))
    return {each.name.removesuffix(SUFFIX): each for each in found}


def named(name: str, config_file: Path | None) -> Listed:
    """The scenario of that name.

    Raises:
        UsageError: there is none.
    """
    there = listed(config_file)
    found = next((each for each in there if each.name == name), None)
    if found is None:
        raise UsageError(f"there is no scenario {name}", f"there are {', '.join(each.name for each in there)}")
    return found


def loaded(wanted: Iterable[Listed]) -> tuple[tuple[Listed, Scenario], ...]:
    """The scenarios, read and checked.

    Raises:
        ConfigurationError: with all that is wrong in any of them.
    """
    found, wrong = [], []
    for each in wanted:
        try:
            found.append((each, load(each.file)))
        except ConfigurationError as error:
            wrong.append(error)
    if wrong:
        raise ConfigurationError("\n".join(each.message for each in wrong), wrong[0].hint)
    return tuple(found)


def suite(name: str, config_file: Path | None) -> tuple[tuple[Listed, Scenario], ...]:
    """The scenarios of a suite, by name.

    Raises:
        UsageError: no scenario belongs to it.
        ConfigurationError: as ``loaded``.
    """
    every = loaded(listed(config_file))
    found = tuple((each, scenario) for each, scenario in every if name in scenario.suite)
    if not found:
        there = sorted({word for _, scenario in every for word in scenario.suite})
        raise UsageError(f"there is no suite {name}", f"there are {', '.join(there)}")
    return found
