"""``restart-service``: a service of a node is restarted, by systemd. A reboot meanwhile leaves nothing of it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed
from drkit.drill.faults.on_node import NodeFault

if TYPE_CHECKING:
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection

K3S = "k3s"
_RESOLVE = """
if [ "$1" = k3s ] && systemctl is-active --quiet k3s-agent; then echo k3s-agent; else echo "$1"; fi
"""
_RUN = 'systemctl show --property=InvocationID --value "$1"'
_IS_ACTIVE = 'systemctl is-active --quiet "$1" && echo yes; exit 0'
_UNDO = """
systemctl is-active --quiet {unit} || systemctl start --no-block {unit}
"""


class RestartService(NodeFault):
    """Options: ``unit``, without ``.service``; ``k3s`` is ``k3s-agent`` where that is what runs."""

    undone: ClassVar[str] = "the service is started"

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        super().__init__(injection, means, number)
        self._asked = str(self.options.get("unit", K3S)).removesuffix(".service")
        self._unit = ""
        self._before: str | None = None

    def impossible(self) -> str:
        """See ``NodeFault``."""
        unit = self._resolved()
        return "" if armed.ask(self.node, _IS_ACTIVE, unit) == "yes" else f"its service {unit} does not run"

    def undoing(self) -> str:
        """See ``NodeFault``."""
        return _UNDO.format(unit=shlex.quote(self._resolved()))

    def inject(self) -> str:
        """See ``Fault.inject``."""
        unit = self._resolved()
        if self._before is None:
            self._before = armed.ask(self.node, _RUN, unit)
        # It may take as long as it likes: what it does meanwhile is what the drill is about.
        self.armed.act('systemctl restart --no-block "$1"', unit)
        return f"systemd restarts {unit}"

    def confirm(self) -> str:
        """See ``Fault.confirm``: what runs is another run of it."""
        if self._before is None:
            return ""
        now = armed.ask(self.node, _RUN, self._resolved())
        return "" if now == self._before else f"{self._resolved()} is another run than before"

    def _resolved(self) -> str:
        # Asked once: while it is being restarted neither of the two is active.
        self._unit = self._unit or armed.ask(self.node, _RESOLVE, self._asked)
        return self._unit
