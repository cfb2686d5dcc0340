"""YAML files that people write, checked by a model: a complaint names file, line, column, key and what was expected.

All that is wrong in a file is told at once. No complaint repeats a value: it may be a secret in the wrong place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from drkit import bounded_yaml
from drkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_LARGEST_BYTES = 1024 * 1024

_EXPECTED = {
    "extra_forbidden": "unknown key; expected one of the documented keys",
    "missing": "missing; this key is required",
}
Checked = TypeVar("Checked", bound=BaseModel)


@dataclass(frozen=True)
class Sort:
    """What a file is meant to be, as complaints say it.

    Attributes:
        noun: such as ``configuration``.
        keys: some that stand in it, such as ``cluster, vaults and databases``.
        hint: where its shape is shown.
        missing: what helps where there is no such file.
        tags: what pydantic puts into an error's location beside the keys that stand in the file.
    """

    noun: str
    keys: str
    hint: str
    missing: str
    tags: Collection[str] = ()


def load(path: Path, sort: Sort, model: type[Checked]) -> Checked:
    """Read a file and check it.

    Raises:
        ConfigurationError: it cannot be read, is no YAML, or is not of the expected shape.
    """
    return checked(path, read_text(path, sort), sort, model)


def checked(path: Path, text: str, sort: Sort, model: type[Checked]) -> Checked:
    """Check a text that ``path`` has, or is called by in complaints. Raises as ``load``."""
    document = _parse(path, text, sort)
    try:
        return model.model_validate(_plain(document))
    except ValidationError as error:
        raise ConfigurationError("\n".join(_complaints(path, document, error, sort)), sort.hint) from None


def read_text(path: Path, sort: Sort) -> str:
    """A file as it is written.

    Raises:
        ConfigurationError: it cannot be read, or is no text of a bearable size.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_BYTES + 1)
        if len(raw) > _LARGEST_BYTES:
            raise ConfigurationError(f"{path}:1:1: larger than {_LARGEST_BYTES} bytes; expected a {sort.noun} file")
        return raw.decode()
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file", sort.missing) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}:1:1: expected text in UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(path: Path, text: str, sort: Sort) -> CommentedMap:
    try:
        document = bounded_yaml.load(text, YAML(typ="rt", pure=True))
    except DuplicateKeyError as error:
        mark = error.problem_mark
        name = (error.problem or "").split('"')[1] if '"' in (error.problem or "") else "a key"
        raise ConfigurationError(f"{_at(path, mark)}: {name}: duplicated key; expected each key once") from None
    except bounded_yaml.OutOfBounds as error:
        raise ConfigurationError(f"{_at(path, error.problem_mark)}: {error.problem}; expected a {sort.noun}") from None
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
        raise ConfigurationError(f"{path}:1:1: expected keys such as {sort.keys}", sort.hint)
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


def _complaints(path: Path, document: CommentedMap, error: ValidationError, sort: Sort) -> list[str]:
    found = []
    details = error.errors(include_url=False, include_input=False)
    # An unknown key first: a mistyped one is also a missing one, and the typing is what the user has to look at.
    for detail in sorted(details, key=lambda detail: detail["type"] != "extra_forbidden"):
        location = [part for part in detail["loc"] if part != "[key]"]
        expected = _EXPECTED.get(detail["type"]) or _sentence(detail["msg"])
        if detail["type"].startswith("union_tag_"):
            # The key by which the form is told is missing, or has a word that no form has.
            location.append(detail["ctx"]["discriminator"].strip("'"))
            expected = _EXPECTED["missing"]
            if detail["type"] == "union_tag_invalid":
                expected = f"expected one of {detail['ctx']['expected_tags'].replace(chr(39), '')}"
        line, column, key = _position(document, location, sort.tags)
        found.append(f"{path}:{line}:{column}: {key or 'document'}: {expected}")
    return found


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message if message.startswith("expected") else f"expected: {message[0].lower()}{message[1:]}"


def _position(document: CommentedMap, location: list[Any], tags: Collection[str]) -> tuple[int, int, str]:
    """Line and column (from 1) of the deepest part of ``location`` that stands in the file, and its dotted name."""
    node: Any = document
    line, column = 0, 0
    names: list[str] = []
    for depth, part in enumerate(location, 1):
        leads_on = isinstance(node, CommentedMap) and isinstance(node.get(part), CommentedMap | CommentedSeq)
        if part in tags and depth < len(location) and not leads_on:
            continue
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
