"""What changed between two JSON documents, path by path. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMES = ("name", "key", "type", "id")
"""By which of its fields an entry of a list is found again, the first that every entry has and no two share."""


def values(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its path, such as ``nodes[k3s-w1].labels.zone``; an empty list or mapping is a value itself."""
    if isinstance(document, dict) and document:
        for key in sorted(document):
            yield from values(document[key], f"{path}.{key}" if path else str(key))
    elif isinstance(document, list) and document:
        for name, entry in _named(document):
            yield from values(entry, f"{path}[{name}]")
    else:
        yield path, document


def _named(entries: list[Any]) -> Iterator[tuple[str, Any]]:
    for field in NAMES:
        names = [str(entry.get(field, "")) if isinstance(entry, dict) else "" for entry in entries]
        if all(names) and len(set(names)) == len(names):
            yield from zip(names, entries, strict=True)
            return
    for position, entry in enumerate(entries):
        yield str(position), entry


def things(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The values of a document by the thing that they belong to, which is the first entry of a list on their path.

    ``nodes[k3s-w1].labels.zone`` is ``labels.zone`` of ``nodes[k3s-w1]``; what is in no list belongs to the document.
    """
    found: dict[str, dict[str, Any]] = {}
    for path, value in values(document):
        head, bracket, rest = path.partition("]")
        thing, field = (head + bracket, rest.lstrip(".")) if bracket else ("", path)
        found.setdefault(thing, {})[field] = value
    return found
