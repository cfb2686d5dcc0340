"""Lists as the API gives them: what a query selects, page by page. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.lab.hcloud.refused import invalid
from drkit.topology import select

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Raw = dict[str, Any]


def listed(things: Iterable[Raw], query: Mapping[str, list[str]]) -> tuple[list[Raw], Raw]:
    """One page of things, and the answer's ``meta``.

    Args:
        things: all of them.
        query: ``name``, ``status``, ``label_selector``, ``page``, ``per_page``; others select nothing.

    Raises:
        Refused: a page that there cannot be.
    """
    found = [each for each in things if _chosen(each, query)]
    try:
        page, size = (int(query.get(name, [default])[0]) for name, default in (("page", "1"), ("per_page", "25")))
    except ValueError:
        raise invalid("page", "is no number") from None
    if page < 1 or not 1 <= size <= 50:  # noqa: PLR2004 - the API's maximum
        raise invalid("per_page", "must be between 1 and 50")
    last = max(1, -(-len(found) // size))
    meta = {
        "page": page,
        "per_page": size,
        "previous_page": page - 1 if page > 1 else None,
        "next_page": page + 1 if page < last else None,
        "last_page": last,
        "total_entries": len(found),
    }
    return found[(page - 1) * size : page * size], {"pagination": meta}


def _chosen(thing: Raw, query: Mapping[str, list[str]]) -> bool:
    for name in ("name", "status", "type", "architecture"):
        if name in query and thing.get(name) not in query[name]:
            return False
    selector = query.get("label_selector", [""])[0]
    return select.matches(selector, thing.get("labels") or {})
