"""One check: what is tried, how long it may take, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "failed", "skipped"
SECONDS = 60.0


@dataclass(frozen=True)
class Seen:
    """What a check found that did not fail.

    Attributes:
        said: how it is.
        warning: whether it should be looked at, although backups and restores work.
        skipped: whether nothing was tried, for the reason that is said.
        hint: what the user does about it.
    """

    said: str
    warning: bool = False
    skipped: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Look:
    """Something to try: ``action`` says how it is, or raises what is wrong.

    Attributes:
        what: its name.
        seconds: after which it is given up.
        late_code: the exit code where it is given up.
        warns: whether what fails here is only a warning.
    """

    what: str
    action: Callable[[], str | Seen]
    seconds: float = SECONDS
    late_code: int = 3
    warns: bool = False


@dataclass(frozen=True)
class Result:
    """One check: what was looked at, whether it is well, what it said."""

    what: str
    ok: bool
    said: str
    hint: str = ""
    exit_code: int = 0
    warning: bool = False
    """Whether it should be looked at, although backups and restores work."""
    skipped: bool = False

    @property
    def status(self) -> str:
        """In one word."""
        if not self.ok:
            return FAILED
        if self.skipped:
            return SKIPPED
        return WARNING if self.warning else OK

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"name": self.what, "status": self.status, **asdict(self)}
