"""Whether there is an escrow, and whether it keeps what is in force now; told by this machine's own record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.keys import record
from drkit.keys.material import gather

if TYPE_CHECKING:
    from drkit.config.model import Config
    from drkit.keys.record import Record

_HINT = "make one, and take it away from this machine: drkit keys export"


@dataclass(frozen=True)
class Standing:
    """Where an escrow stands: what was exported last, and in what it differs from now (nothing: it is up to date)."""

    last: Record | None
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether a blank machine would get what it needs."""
        return self.last is not None and not self.differences

    @property
    def said(self) -> str:
        """In words."""
        if self.last is None:
            return "no escrow: what opens the backups is lost with this machine"
        if self.differences:
            return f"the escrow of {self.last.made} is older than the keys: {'; '.join(self.differences)}"
        return f"made {self.last.made}, and nothing has changed since"

    @property
    def hint(self) -> str:
        """What to do; empty where all is well."""
        return "" if self.ok else _HINT


def stand(config: Config, text: str) -> Standing:
    """Compare what is in force now with the last export from this machine.

    Args:
        config: what ``drkit.yaml`` says.
        text: how it says it.

    Raises:
        DrkitError: as for ``gather``.
    """
    last = record.last(config.cluster.name)
    return Standing(last, () if last is None else tuple(record.differences(last, gather(config, text))))
