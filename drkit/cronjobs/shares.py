"""Many databases shared out to several pods. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def share_out(sizes: Mapping[str, int], shares: int, before: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    """Which share has which databases, by name.

    A database stays where it was, since its repository knows its data already, unless its share has become too large:
    then the smallest move, as few bytes as have to be sent again. What is new, or moves, goes to the smallest share,
    the largest first. No share is larger than its part of the whole and the largest database together.

    Args:
        sizes: bytes by name; 0 where it is not known.
        shares: how many there are, at least one.
        before: the share of each database the last time; those that are gone, and shares that are, do not matter.
    """
    # In integers: a part of the whole has no rounding of its own that could differ between machines.
    most = sum(sizes.values()) + shares * max(sizes.values(), default=0)
    by_size = sorted(sizes, key=lambda name: (-sizes[name], name))
    dealt: list[list[str]] = [[] for _ in range(shares)]
    loads = [0] * shares
    left = []
    for name in by_size:
        share = before.get(name, shares)
        if 0 <= share < shares and (loads[share] + sizes[name]) * shares <= most:
            dealt[share].append(name)
            loads[share] += sizes[name]
        else:
            left.append(name)
    for name in left:
        # Those of unknown size are spread by their number.
        share = min(range(shares), key=lambda each: (loads[each], len(dealt[each]), each))
        dealt[share].append(name)
        loads[share] += sizes[name]
    return tuple(tuple(sorted(each)) for each in dealt)
