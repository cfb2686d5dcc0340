"""``upgrade-k3s``: k3s on a node becomes another one, as its installer does it: program replaced, k3s restarted.

The old program stays beside the new one, and the undo puts it back. It does so after a reboot only by ``clean``: what
lies there is noted below ``armed.STAYS``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed
from drkit.drill.faults.on_node import NodeFault
from drkit.errors import FaultFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection

OLD = ".old"
"""What the old program's name ends with."""
_BLOCK = 1024 * 1024
_WHERE = 'readlink -f "$(command -v k3s)"'
_SUM = 'sha256sum "$1" | cut -d" " -f1'
_ROOM = 'df -B1 --output=avail "${1%/*}" | tail -n 1'
_UNIT = """
for each in k3s k3s-agent; do if systemctl is-active --quiet "$each"; then echo "$each"; exit 0; fi; done
exit 0
"""
_RUN = 'systemctl show --property=InvocationID --value "$1"'
_REPLACE = """
program=$1 new=$2 old=$3 stays=$4 unit=$5
umask 077
mkdir -p "${stays%/*}" && printf '%s\\n' "$old" >"$stays" || exit 1
[ -e "$old" ] || cp --preserve "$program" "$old" || exit 1
if [ -e "$new" ]; then mv -f "$new" "$program" || exit 1; fi
systemctl restart --no-block "$unit"
"""
PUT_BACK = """
if [ -e "$old" ]; then
    mv -f "$old" "${old%.drkit-drill-*}" || return 1
    for each in k3s k3s-agent; do
        if systemctl is-enabled --quiet "$each" 2>/dev/null; then
            systemctl restart --no-block "$each" || return 1
        fi
    done
fi
rm -f "${old%.old}.new"
rm -f "$stays"
"""
"""The body of a shell function that puts the program ``$old`` back, and forgets the note ``$stays`` of it."""


class UpgradeK3s(NodeFault):
    """No options; the program is of ``Means``."""

    needs: ClassVar[tuple[str, ...]] = ("k3s", "sha256sum", "readlink", "df")
    undone: ClassVar[str] = "the k3s of before is back"

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        super().__init__(injection, means, number)
        self._stays = f"{armed.STAYS}/{self.armed.name}"
        self._program = self._unit = ""
        self._before: str | None = None

    def impossible(self) -> str:
        """See ``NodeFault``."""
        given = self.means.k3s_binary
        if given is None:
            return "nobody gave the k3s that it shall have: drills.k3s_binary"
        if not given.is_file():
            return f"there is no file {given}"
        if not self._running():
            return "no k3s runs there"
        if armed.ask(self.node, _SUM, self._where()) == _sha256(given):
            return f"it has the k3s in {given} already"
        if int(armed.ask(self.node, _ROOM, self._where())) < 2 * given.stat().st_size:
            return "there is no room for another k3s beside the one that it has"
        return ""

    def arm(self, seconds: float) -> str:
        """See ``Fault.arm``. The new program is brought there, beside the one that runs."""
        given = self.means.k3s_binary
        if given is None:
            raise FaultFailed("nobody gave the k3s that the node shall have")
        self._running()
        where = super().arm(seconds)
        new = f"{self._beside()}.new"
        self.node.send(new, _blocks(given), size=given.stat().st_size, sha256=_sha256(given), mode=0o755)
        return where

    def undoing(self) -> str:
        """See ``NodeFault``."""
        return f"old={self._beside()}{OLD} stays={self._stays}\n{PUT_BACK}"

    def inject(self) -> str:
        """See ``Fault.inject``."""
        unit = self._running()
        if self._before is None:
            self._before = armed.ask(self.node, _RUN, unit)
        beside = self._beside()
        self.armed.act(_REPLACE, self._where(), f"{beside}.new", f"{beside}{OLD}", self._stays, unit)
        return f"{self._where()} is another one, and systemd restarts {unit}"

    def confirm(self) -> str:
        """See ``Fault.confirm``: another run of k3s, with the new program."""
        if self._before is None or armed.ask(self.node, _RUN, self._unit) == self._before:
            return ""
        version = armed.ask(self.node, 'k3s --version | head -n 1; [ -e "$1" ]', f"{self._beside()}{OLD}")
        return f"{self._unit} runs anew: {version}"

    def _where(self) -> str:
        self._program = self._program or armed.ask(self.node, _WHERE)
        return self._program

    def _beside(self) -> str:
        return f"{self._where()}.{self.armed.unit}"

    def _running(self) -> str:
        # Asked once: while it is being restarted nothing is active.
        self._unit = self._unit or armed.ask(self.node, _UNIT)
        return self._unit


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
