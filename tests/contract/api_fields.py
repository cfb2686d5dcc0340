"""Server-side apply in memory: who owns which fields of an object, as far as drkit's patches go.

Maps are merged, lists whose elements all have names by these, and other lists are one value, as the API's own schemas
have it for what is patched here.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object

Key = tuple[str, str, str]
Leaf = tuple[str, ...]
_IDENTITY = ({"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"})


class Fields:
    """The managers of all objects, each with the leaves that it set."""

    def __init__(self) -> None:
        self.owned: dict[Key, dict[str, set[Leaf]]] = {}

    def set(self, key: Key, manager: str, obj: Object) -> None:
        """Say that a manager set all that is in an object."""
        self.owned.setdefault(key, {})[manager] = {leaf for leaf, _ in _leaves(obj)}

    def apply(
        self, key: Key, live: Object | None, applied: Object, manager: str, force: bool, *, kept: bool
    ) -> Object | list[dict[str, str]]:
        """The object as it is then, or the causes of a conflict.

        Args:
            key: of the object: the path of its list, its namespace, its name.
            live: as it is.
            applied: what is wished of it.
            manager: who wishes it.
            force: whether others lose what they own.
            kept: whether it is no dry run.
        """
        owned = {name: set(leaves) for name, leaves in self.owned.get(key, {}).items()}
        wished = dict(_leaves(applied))
        is_now = dict(_leaves(live)) if live else {}
        changed = {leaf for leaf, value in wished.items() if leaf not in is_now or is_now[leaf] != value}
        others = {name: changed & leaves for name, leaves in owned.items() if name != manager and changed & leaves}
        if others and not force:
            return [
                {"reason": "FieldManagerConflict", "message": f'conflict with "{name}"', "field": "." + ".".join(leaf)}
                for name, leaves in others.items()
                for leaf in sorted(leaves)
            ]
        result = deepcopy(live) if live else {}
        for leaf in owned.get(manager, set()) - set(wished):
            if not any(leaf in leaves for name, leaves in owned.items() if name != manager):
                _remove(result, leaf)
        _merge(result, deepcopy(applied))
        if kept:
            for name, leaves in others.items():
                owned[name] -= leaves
            self.owned[key] = {**owned, manager: set(wished)}
        return result


def _leaves(value: Any, path: Leaf = ()) -> Iterator[tuple[Leaf, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif _is_named(value):
        for item in value:
            yield from _leaves(item, (*path, f"[{item['name']}]"))
    elif set(path) not in _IDENTITY and path[-1:] != ("name",):
        yield path, value


def _is_named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) and "name" in each for each in value)


def _merge(into: dict[str, Any], applied: dict[str, Any]) -> None:
    for name, value in applied.items():
        there = into.get(name)
        if isinstance(value, dict) and isinstance(there, dict):
            _merge(there, value)
        elif _is_named(value) and _is_named(there):
            known = {each["name"]: each for each in there or []}
            for each in value:
                if each["name"] in known:
                    _merge(known[each["name"]], each)
                else:
                    (there or []).append(each)
        else:
            into[name] = value


def _remove(obj: Any, leaf: Leaf) -> None:
    *above, last = leaf
    for part in above:
        if isinstance(obj, list):
            obj = next((each for each in obj if f"[{each['name']}]" == part), {})
        else:
            obj = obj.get(part, {})
    if isinstance(obj, dict):
        obj.pop(last, None)
