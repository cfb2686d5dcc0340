"""Changes in the text of ``drkit.yaml`` that leave its comments and its order as they are. Pure."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.util import load_yaml_guess_indent

from drkit import bounded_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDEST = 100_000
"""No line is broken that was whole."""

TRUSTED_KEYS = "trusted_keys"

Where = tuple[str | int, ...]
"""Keys from the top, and positions in lists."""


def edited(text: str, changes: Mapping[Where, Any]) -> str:
    """The text with these values in place of what is there, if anything is.

    Args:
        text: a valid configuration.
        changes: plain values by their places; mappings on the way are made where they are missing.
    """
    document, yaml = _loaded(text)
    for where, value in changes.items():
        _set(document, where, value)
    written = StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def with_trusted_key(text: str, key: str) -> str:
    """The text with a public key more among ``trusted_keys``; every line that was there stays as it is.

    Args:
        text: a valid configuration.
        key: ``ed25519:…``.
    """
    document, _ = _loaded(text)
    listed = document.get(TRUSTED_KEYS)
    if not listed:
        if TRUSTED_KEYS in document:
            return edited(text, {(TRUSTED_KEYS,): [key]})
        return f'{text.rstrip()}\n{TRUSTED_KEYS}:\n  - "{key}"\n'
    lines = text.splitlines(keepends=True)
    line, column = listed.lc.item(0)
    before, after = lines[line][:column], lines[line][column:]
    is_flow = listed.fa.flow_style()
    lines[line] = f'{before}"{key}", {after}' if is_flow else f'{before}"{key}"\n{before}{after}'
    return "".join(lines)


def _loaded(text: str) -> tuple[Any, YAML]:
    _, indent, offset = load_yaml_guess_indent(text)
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = _WIDEST
    # Lists are set in from the key that they belong to, or stand right below it; where they are set in, the guess
    # counts their dash and space to the indentation.
    offset = offset or 0
    yaml.indent(mapping=max((indent or 2) - (2 if offset else 0), 2), sequence=offset + 2, offset=offset)
    return bounded_yaml.load(text, yaml), yaml


def _set(document: Any, where: Sequence[str | int], value: Any) -> None:
    node = document
    for key in where[:-1]:
        if isinstance(node, CommentedMap) and not isinstance(node.get(key), CommentedMap | CommentedSeq):
            node[key] = CommentedMap()
        node = node[key]
    node[where[-1]] = _flow(value)


def _flow(value: Any) -> Any:
    """A mapping on one line, as people write secrets' places."""
    if isinstance(value, dict):
        made = CommentedMap(value)
        made.fa.set_flow_style()
        return made
    return value
