"""The lines that a program on a node prints before the content of a copy: then the copy is there, and can be read."""

from __future__ import annotations

import os
import re
import select
import time
from typing import TYPE_CHECKING

from drkit.errors import SourceFailed

if TYPE_CHECKING:
    from drkit.cluster.node import Output

_LONGEST_LINE = 64 * 1024


def plain(label: str) -> str:
    """A label as it can stand in a file's name anywhere."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-") or "backup"


def lines(output: Output, count: int, seconds: float, name: str) -> list[str]:
    """The first ``count`` lines.

    Args:
        output: the program's; what follows the lines is left there.
        count: how many.
        seconds: how long to wait for all of them.
        name: the node's, for messages.

    Raises:
        SourceFailed: the program ended before, or takes too long.
    """
    until = time.monotonic() + seconds
    found: list[str] = []
    line = b""
    while len(found) < count:
        if not select.select([output.fileno()], [], [], max(0.0, until - time.monotonic()))[0]:
            raise SourceFailed(
                f"{name}: nothing came within {seconds:.0f} s", "see whether its datastore is overloaded"
            )
        byte = os.read(output.fileno(), 1)
        if not byte:
            output.finish()
            raise SourceFailed(f"{name}: the copy has no beginning")
        if byte == b"\n":
            found.append(line.decode(errors="replace"))
            line = b""
        elif len(line) < _LONGEST_LINE:
            line += byte
        else:
            raise SourceFailed(f"{name}: the copy begins with an endless line")
    return found
