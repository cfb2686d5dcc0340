"""``fill-disk``: a disk of a node is full, by a file of drkit's own.

The file stays where the node reboots meanwhile: it is noted below ``armed.STAYS``, and the next ``clean`` removes it.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed
from drkit.drill.faults.on_node import NodeFault

if TYPE_CHECKING:
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection

SUFFIX = ".fill"
_SLACK_BYTES = 4 * 1024 * 1024
"""What may lack to the wanted fill: file systems keep books, and hand out whole blocks."""
_FILL_SECONDS = 300.0
_LOOK = """
path=$1 leave=$2
[ -d "$path" ] || { echo "there is no directory $path"; exit 0; }
kind=$(stat --file-system --format=%T "$path")
free=$(df -B1 --output=avail "$path" | tail -n 1)
[ "$free" -gt "$leave" ] || echo "its disk has $free bytes left already"
case $kind in
    tmpfs)
        # Such a disk is memory.
        available=$(awk '$1 == "MemAvailable:" {print $2 * 1024}' /proc/meminfo)
        [ $((free - leave)) -lt $((available / 2)) ] || echo "$path is in memory, and would take more than half of it"
        ;;
    *)
        source=$(df --output=source "$path" | tail -n 1)
        if systemd-detect-virt --quiet --container && [ "${source#/dev/loop}" = "$source" ]; then
            echo "it is a container, and the disk of $path is the whole machine's: give it one of its own there" \
                "(drkit lab up --disk)"
        fi
        ;;
esac
"""
_FILL = """
path=$1 leave=$2 file=$3 stays=$4
umask 077
mkdir -p "${stays%/*}" && printf '%s\\n' "$file" >"$stays" || exit 1
size=$(($(df -B1 --output=avail "$path" | tail -n 1) - leave))
[ "$size" -gt 0 ] || { echo "nothing was left to take" >&2; exit 1; }
# A file system without fallocate gets zeros; one that has no more room for them is as full as it gets.
fallocate --length "$size" "$file" 2>/dev/null || head -c "$size" /dev/zero >"$file" 2>/dev/null
[ -s "$file" ] || { echo "$file could not be written" >&2; exit 1; }
echo "$(stat --format=%s "$file")"
"""
_UNDO = "rm -f {file} && rm -f {stays} && {{ rmdir {directory} 2>/dev/null || :; }}"
_SEEN = """
[ -s "$2" ] || exit 0
df -B1 --output=avail "$1" | tail -n 1
"""


class FillDisk(NodeFault):
    """Options: ``path``, a directory on the disk; ``leave_bytes``, what is left to users without special rights."""

    needs: ClassVar[tuple[str, ...]] = ("df", "stat", "head", "systemd-detect-virt")
    undone: ClassVar[str] = "the file that filled the disk is gone"

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        super().__init__(injection, means, number)
        self._path = str(self.options["path"])
        self._leave = int(self.options.get("leave_bytes", 0))
        self._file = f"{self._path.rstrip('/')}/{self.armed.unit}{SUFFIX}"
        self._stays = f"{armed.STAYS}/{self.armed.name}"

    def impossible(self) -> str:
        """See ``NodeFault``."""
        return "; ".join(armed.ask(self.node, _LOOK, self._path, str(self._leave)).splitlines())

    def undoing(self) -> str:
        """See ``NodeFault``."""
        file, stays, directory = map(shlex.quote, (self._file, self._stays, armed.STAYS))
        return _UNDO.format(file=file, stays=stays, directory=directory)

    def inject(self) -> str:
        """See ``Fault.inject``."""
        size = self.armed.act(_FILL, self._path, str(self._leave), self._file, self._stays, deadline=_FILL_SECONDS)
        return f"{self._file} has {size} bytes"

    def confirm(self) -> str:
        """See ``Fault.confirm``: what others can still write."""
        left = armed.ask(self.node, _SEEN, self._path, self._file)
        if not left or int(left) > self._leave + _SLACK_BYTES:
            return ""
        return f"{left} bytes are left on the disk of {self._path}"
