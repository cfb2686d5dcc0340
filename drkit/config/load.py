"""Reads ``drkit.yaml``; every complaint names file, line, column, key and what was expected."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit import positioned
from drkit.config.model import UNION_TAGS, Config
from drkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_SORT = positioned.Sort(
    "configuration",
    "cluster, vaults and databases",
    hint="the README and `drkit check --help` show the shape of the file",
    missing="name the file with --config",
    tags=UNION_TAGS,
)


def find(explicit: Path | None) -> Path:
    """The configuration file: the one that was asked for, else ./drkit.yaml, the user's, /etc/drkit's.

    Raises:
        ConfigurationError: there is none.
    """
    if explicit is not None:
        return explicit
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = [Path("drkit.yaml"), base / "drkit/drkit.yaml", Path("/etc/drkit/drkit.yaml")]
    for place in places:
        if place.is_file():
            return place
    raise ConfigurationError(
        f"no configuration: looked for {', '.join(map(str, places))}",
        "drkit init writes a drkit.yaml; or name one with --config",
    )


def load(path: Path) -> Config:
    """Read and check the file; relative paths in it are anchored in its directory.

    Raises:
        ConfigurationError: it cannot be read, is no YAML, or is not of the expected shape.
    """
    directory = path.resolve().parent
    return parse(path, read_text(path), lambda named: directory / named.expanduser())


def parse(path: Path, text: str, anchor: Callable[[Path], Path]) -> Config:
    """Check the text of a configuration.

    Args:
        path: what complaints call it.
        text: it.
        anchor: makes a path in it one that can be opened.

    Raises:
        ConfigurationError: as for ``load``.
    """
    return _anchor(positioned.checked(path, text, _SORT, Config), anchor)


def read_text(path: Path) -> str:
    """The file as it is written.

    Raises:
        ConfigurationError: it cannot be read, or is no text of a bearable size.
    """
    return positioned.read_text(path, _SORT)


def _anchor(config: Config, anchor: Callable[[Path], Path]) -> Config:
    """``config`` with every path made one that can be opened."""

    def walk(value: Any) -> Any:
        if isinstance(value, Path):
            return anchor(value)
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if hasattr(value, "model_fields_set"):
            return value.model_copy(update={name: walk(getattr(value, name)) for name in type(value).model_fields})
        return value

    anchored: Config = walk(config)
    vaults = {
        name: vault if vault.is_remote else vault.model_copy(update={"url": str(anchor(Path(vault.url)))})
        for name, vault in anchored.vaults.items()
    }
    return _with_shares(anchored.model_copy(update={"vaults": vaults}))


def _with_shares(config: Config) -> Config:
    """``config`` with the repositories that pods share the databases out to: they are read like any other vault."""
    if config.cronjobs.shares == 1:
        return config
    from drkit.cronjobs.jobs import repositories  # noqa: PLC0415 - few configurations want it

    whole = config.vaults.get("databases")
    shares = {
        f"databases{behind}": whole.model_copy(update={"url": whole.url + behind, "schedule": None})
        for behind in repositories(config)
        if whole is not None
    }
    return config.model_copy(update={"vaults": {**config.vaults, **shares}})
