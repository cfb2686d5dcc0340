"""Sets of rows as ranges: what instances say they have is compared without writing it out. Pure."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class RowSet:
    """Numbers of rows, from closed ranges in any order, which may overlap; a range that ends before it begins is empty.

    Raises:
        ValueError: what is given are no ranges.
    """

    def __init__(self, ranges: Iterable[tuple[Any, Any]]) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(ranges):
            if not (isinstance(first, int) and isinstance(last, int)):
                raise ValueError(f"rows from {first!r} to {last!r}")  # noqa: TRY004 - a damaged record, no wrong call
            if last < first:
                continue
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(self._lasts[-1], last)
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __contains__(self, row: int) -> bool:
        place = bisect_right(self._firsts, row) - 1
        return place >= 0 and row <= self._lasts[place]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in zip(self._firsts, self._lasts, strict=True))
