"""Where a cluster stands, as lines for a terminal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.observe.standing import rows
from drkit.observe.standing.judge import NOTE
from drkit.observe.text import columns, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.observe.standing.judge import Standing

_MOST_FINDINGS = 20


def of_standing(standing: Standing) -> Iterator[str]:
    """The screen; its first line is the answer."""
    yield printable(rows.headline(standing))
    for each in standing.findings[:_MOST_FINDINGS]:
        mark = "-" if each.weight == NOTE else "!"
        yield printable(f"  {mark} {each.text}")
        yield printable(f"      {each.hint}")
    if len(standing.findings) > _MOST_FINDINGS:
        yield f"    and {len(standing.findings) - _MOST_FINDINGS} more: --json has them all"
    yield ""
    width = max(len(what) for what, _ in rows.proofs(standing))
    for what, when in rows.proofs(standing):
        yield printable(f"{what.ljust(width)}  {when}")
    for part in rows.parts(standing):
        yield ""
        headings = [name.upper() for name, _ in part.columns]
        yield from columns(headings, [[printable(cell) for cell in row] for row in part.rows])
