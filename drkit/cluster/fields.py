"""Looking into objects of the API without trust in their shape. Pure.

What the API gives fits its schema; what a vault gives may be anything. A value of another kind than is looked for
counts as absent.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.cluster.kube import Object

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def at(thing: Any, *path: str) -> Any:
    """What is at a path of keys; None where there is nothing."""
    for key in path:
        thing = thing.get(key) if isinstance(thing, dict) else None
    return thing


def text(thing: Any, *path: str) -> str:
    """Likewise, a text; empty where there is none."""
    found = at(thing, *path)
    return found if isinstance(found, str) else ""


def mapping(thing: Any, *path: str) -> dict[str, Any]:
    """Likewise, a mapping."""
    found = at(thing, *path)
    return found if isinstance(found, dict) else {}


def items(thing: Any, *path: str) -> list[Any]:
    """Likewise, a list."""
    found = at(thing, *path)
    return found if isinstance(found, list) else []


def number(thing: Any, *path: str) -> float | None:
    """Likewise, a finite number."""
    found = at(thing, *path)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return float(found)


def whole(thing: Any, *path: str) -> int:
    """Likewise, a whole number; 0 where there is none."""
    found = at(thing, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def strings(thing: Any, *path: str) -> dict[str, str]:
    """Likewise, the texts of a mapping."""
    return {key: value for key, value in mapping(thing, *path).items() if isinstance(value, str)}


def condition(obj: Any, kind: str) -> bool:
    """Whether a condition of an object is ``True``."""
    listed = items(obj, "status", "conditions")
    return any(text(each, "type") == kind and text(each, "status") == "True" for each in listed)


def name(obj: Object) -> str:
    """An object's name."""
    return text(obj, "metadata", "name")


def namespace(obj: Object) -> str:
    """An object's namespace; empty where it is in none."""
    return text(obj, "metadata", "namespace")


def labels(obj: Object) -> dict[str, str]:
    """An object's labels."""
    return strings(obj, "metadata", "labels")


def selects(selector: Mapping[str, Any], chosen: Mapping[str, str]) -> bool:
    """Whether a LabelSelector of the API (``matchLabels``, ``matchExpressions``) means something with these labels."""
    if any(chosen.get(key) != value for key, value in mapping(selector, "matchLabels").items()):
        return False
    return all(_holds(each, chosen) for each in items(selector, "matchExpressions"))


def _holds(expression: Any, chosen: Mapping[str, str]) -> bool:
    key, values = text(expression, "key"), items(expression, "values")
    match text(expression, "operator"):
        case "In":
            return chosen.get(key) in values
        case "NotIn":
            return chosen.get(key) not in values
        case "Exists":
            return key in chosen
        case "DoesNotExist":
            return key not in chosen
        case _:
            return False


def version(written: str) -> tuple[int, int, int] | None:
    """Major, minor and patch of a version such as ``v1.34.4+k3s1``; None where it is none."""
    found = _VERSION.match(written)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3] or 0))


def options(words: Iterable[str], flag: str) -> Iterator[str]:
    """What a command line says for a flag, each time it does: ``--flag value`` and ``--flag=value``."""
    rest = iter(words)
    for word in rest:
        key, equals, value = word.partition("=")
        if key == f"--{flag}":
            yield value if equals else next(rest, "")
