"""A program in a pod that ends when drkit does, and whose output proves that it is whole.

Nobody ends a program in a container whose client has gone: the container runtime lets it run on, unread. All that
reaches the container is the end of its standard input, so a shell watches that. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# The input goes through `cat`, whose end is that of the program. The container runtime makes what it starts the leader
# of a session (runc, setsid), so that signal 0's group is the shells, the program and `cat`, and nobody else.
# Nothing but the program holds the output open, or the runtime would wait for that and never report the program's end.
_SCRIPT = """marker=$1; shift
exec 3<&0 4>&2 </dev/null 2>/dev/null
trap : TERM
{ cat <&3; kill -s TERM 0; } 4>&- | {
  "$@" 2>&4 4>&-; status=$?
  trap '' TERM
  [ "$status" -ne 0 ] || printf %s "$marker"
  kill -s TERM 0
  exit "$status"
} 3<&-
exit "$?"
"""


def watched(argv: Sequence[str], marker: str = "") -> list[str]:
    """How to call ``argv``, with its input passed on, so that the end of the input ends it.

    Args:
        argv: the program and its arguments; the container needs ``sh`` and ``cat``.
        marker: printed after the program's output where it ended with status 0.
    """
    return ["sh", "-c", _SCRIPT, "watched", marker, *argv]
