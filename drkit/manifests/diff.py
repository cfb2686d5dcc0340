"""What changed between two exports, object by object and field by field. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from drkit.cluster.kube import Object, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
HIDDEN: Final = "(secret)"
LONGEST: Final = 80
"""Characters of a value that are shown."""
_ABSENT: Final = object()
_NAMES_A_SECRET: Final = re.compile(r"passw|secret|token|credential|private.?key|api.?key", re.IGNORECASE)
_POINTS_TO_ONE: Final = ("Name", "Ref")
_OF_A_SECRET: Final = frozenset({".data", ".stringData"})
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+\Z")

Found = tuple[Resource, Object]


@dataclass(frozen=True)
class FieldChange:
    """One field: where, and what it was and is; nothing where it was or is not there."""

    path: str
    change: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class ObjectChange:
    """One object that was added, removed or changed; only the latter has fields."""

    kind: str
    """Such as ``apps/deployments``."""
    namespace: str
    name: str
    change: str
    fields: tuple[FieldChange, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def compare(old: Iterable[Found], new: Iterable[Found]) -> tuple[ObjectChange, ...]:
    """All differences, sorted by kind, namespace and name.

    The version in which the API served a kind is no difference: an object may come in another one after an update.

    Args:
        old: the objects that a restore of the older export applies (``read.wished``); it is kept in memory, compact.
        new: the same of the newer one.
    """
    before = {_key(kind, obj): json.dumps(obj, separators=(",", ":")) for kind, obj in old}
    changes = []
    for kind, obj in new:
        key = _key(kind, obj)
        known = before.pop(key, None)
        if known is None:
            changes.append(ObjectChange(*key, ADDED))
        else:
            fields = _fields(json.loads(known), obj, is_secret=key[0] == "secrets")
            if fields:
                changes.append(ObjectChange(*key, CHANGED, fields))
    changes += [ObjectChange(*key, REMOVED) for key in before]
    return tuple(sorted(changes, key=lambda change: (change.kind, change.namespace, change.name)))


def _key(kind: Resource, obj: Object) -> tuple[str, str, str]:
    metadata = obj.get("metadata") or {}
    named = f"{kind.group}/{kind.plural}" if kind.group else kind.plural
    return named, str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _fields(old: Object, new: Object, *, is_secret: bool) -> tuple[FieldChange, ...]:
    found: list[FieldChange] = []
    for path, before, after in _differences(old, new, ()):
        if path != (".apiVersion",):
            hidden = _is_hidden(path, is_secret=is_secret)
            change = ADDED if before is _ABSENT else REMOVED if after is _ABSENT else CHANGED
            shown = "".join(path).removeprefix(".")
            found.append(FieldChange(shown, change, _shown(before, hidden=hidden), _shown(after, hidden=hidden)))
    return tuple(found)


def _differences(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """The leaves that differ; what was added or removed as a whole is taken apart too: its leaves may be secrets."""
    parts = _parts(old, new)
    if parts is None:
        if type(old) is not type(new) or old != new:
            yield path, old, new
        return
    before, after = parts
    for key in [*before, *(key for key in after if key not in before)]:
        yield from _differences(before.get(key, _ABSENT), after.get(key, _ABSENT), (*path, key))


def _parts(old: Any, new: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The parts of two values, by how a path spells them; nothing where they are to be compared whole."""
    there = [value for value in (old, new) if value is not _ABSENT]
    if all(isinstance(value, dict) for value in there) and any(there):
        return _of_mapping(old), _of_mapping(new)
    if all(isinstance(value, list) for value in there) and any(there):
        by_name = all(_have_names(value) for value in there)
        return _of_list(old, by_name=by_name), _of_list(new, by_name=by_name)
    return None


def _of_mapping(value: Any) -> Mapping[str, Any]:
    if value is _ABSENT:
        return {}
    return {f".{key}" if _PLAIN_KEY.match(key) else f"[{json.dumps(key)}]": item for key, item in value.items()}


def _of_list(value: Any, *, by_name: bool) -> Mapping[str, Any]:
    if value is _ABSENT:
        return {}
    return {f"[name={item['name']}]" if by_name else f"[{number}]": item for number, item in enumerate(value)}


def _have_names(value: Sequence[Any]) -> bool:
    names = [item.get("name") for item in value if isinstance(item, dict)]
    return len(names) == len(value) == len(set(map(str, names))) and all(isinstance(name, str) for name in names)


def _is_hidden(path: Sequence[str], *, is_secret: bool) -> bool:
    """Whether a leaf may be a secret: all that a Secret holds, and what stands under a name that says so elsewhere."""
    if is_secret and path[0] in _OF_A_SECRET:
        return True
    # The text of it all, as it was applied.
    if is_secret and _LAST_APPLIED in path[-1]:
        return True
    return any(_NAMES_A_SECRET.search(part) and not part.endswith(_POINTS_TO_ONE) for part in path)


def _shown(value: Any, *, hidden: bool) -> str:
    if value is _ABSENT:
        return ""
    if hidden:
        return HIDDEN
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
