"""Reads ``drkit.yaml``; every complaint names file, line, column, key and what was expected."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from drkit import bounded_yaml
from drkit.config.model import UNION_TAGS, Config
from drkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST_BYTES = 1024 * 1024

_EXPECTED = {
    "extra_forbidden": "unknown key; expected one of the documented keys",
    "missing": "missing; this key is required",
}


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
        "write a drkit.yaml (five lines are enough, see the README) or name one with --config",
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
    document = _parse(path, text)
    plain = _plain(document)
    try:
        config = Config.model_validate(plain)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_complaints(path, document, error)), _HINT) from None
    return _anchor(config, anchor)


_HINT = "the README and `drkit check --help` show the shape of the file"


def read_text(path: Path) -> str:
    """The file as it is written.

    Raises:
        ConfigurationError: it cannot be read, or is no text of a bearable size.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_BYTES + 1)
        if len(raw) > _LARGEST_BYTES:
            raise ConfigurationError(f"{path}:1:1: larger than {_LARGEST_BYTES} bytes; expected a configuration file")
        return raw.decode()
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file", "name the file with --config") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}:1:1: expected text in UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(path: Path, text: str) -> CommentedMap:
    try:
        document = bounded_yaml.load(text, YAML(typ="rt", pure=True))
    except DuplicateKeyError as error:
        mark = error.problem_mark
        name = (error.problem or "").split('"')[1] if '"' in (error.problem or "") else "a key"
        raise ConfigurationError(f"{_at(path, mark)}: {name}: duplicated key; expected each key once") from None
    except bounded_yaml.OutOfBounds as error:
        raise ConfigurationError(
            f"{_at(path, error.problem_mark)}: {error.problem}; expected a configuration"
        ) from None
    except MarkedYAMLError as error:
        problem = error.problem or error.context or "malformed"
        raise ConfigurationError(
            f"{_at(path, error.problem_mark or error.context_mark)}: {problem}; expected YAML"
        ) from None
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ConfigurationError(
            f"{path}:{line}:{column}: control character U+{ord(text[error.position]):04X}; expected printable text"
        ) from None
    except YAMLError as error:
        said = (str(error).splitlines() or ["malformed"])[0]
        raise ConfigurationError(f"{path}:1:1: {said}; expected YAML") from None
    if not isinstance(document, CommentedMap):
        raise ConfigurationError(f"{path}:1:1: expected keys such as cluster, vaults and databases", _HINT)
    return document


def _at(path: Path, mark: Any) -> str:
    return f"{path}:1:1" if mark is None else f"{path}:{mark.line + 1}:{mark.column + 1}"


def _plain(node: Any) -> Any:
    """Plain dicts, lists and scalars."""
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    return node


def _complaints(path: Path, document: CommentedMap, error: ValidationError) -> list[str]:
    found = []
    details = error.errors(include_url=False, include_context=False, include_input=False)
    # An unknown key first: a mistyped one is also a missing one, and the typing is what the user has to look at.
    for detail in sorted(details, key=lambda detail: detail["type"] != "extra_forbidden"):
        location = [part for part in detail["loc"] if part != "[key]" and part not in UNION_TAGS]
        line, column, key = _position(document, location)
        expected = _EXPECTED.get(detail["type"]) or _sentence(detail["msg"])
        found.append(f"{path}:{line}:{column}: {key or 'document'}: {expected}")
    return found


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message if message.startswith("expected") else f"expected: {message[0].lower()}{message[1:]}"


def _position(document: CommentedMap, location: list[Any]) -> tuple[int, int, str]:
    """Line and column (from 1) of the deepest part of ``location`` that stands in the file, and its dotted name."""
    node: Any = document
    line, column = 0, 0
    names: list[str] = []
    for part in location:
        if isinstance(node, CommentedMap) and part in node:
            line, column = node.lc.key(part)
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line, column = node.lc.item(part)
        elif isinstance(node, CommentedMap | CommentedSeq):
            names.append(str(part))  # a missing key: the position is that of the mapping which lacks it
            break
        else:
            break  # pydantic names union members here; the file has no such part
        names.append(str(part))
        node = node[part]
    return line + 1, column + 1, ".".join(names)


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
    return anchored.model_copy(update={"vaults": vaults})
