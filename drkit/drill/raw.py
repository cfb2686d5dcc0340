"""Fields of objects that somebody else made: what has another shape than it should counts as not there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def condition(given: Any, kind: str) -> bool:
    """Whether a condition of a Kubernetes object is ``True``."""
    return any(
        text(each, "type") == kind and text(each, "status") == "True" for each in listed(given, "status", "conditions")
    )


def text(given: Any, *path: str) -> str:
    """The text at a path; empty where there is none."""
    found = _at(given, path)
    return found if isinstance(found, str) else ""


def whole(given: Any, *path: str) -> int:
    """The whole number at a path; 0 where there is none."""
    found = _at(given, path)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def listed(given: Any, *path: str) -> list[Any]:
    """The list at a path; an empty one where there is none."""
    found = _at(given, path)
    return found if isinstance(found, list) else []


def mapping(given: Any, *path: str) -> dict[str, Any]:
    """The mapping at a path; an empty one where there is none."""
    found = _at(given, path)
    return found if isinstance(found, dict) else {}


def strings(given: Any, *path: str) -> dict[str, str]:
    """The texts of the mapping at a path."""
    return {key: value for key, value in mapping(given, *path).items() if isinstance(value, str)}


def _at(given: Any, path: Sequence[str]) -> Any:
    for key in path:
        given = given.get(key) if isinstance(given, dict) else None
    return given
