"""Whether the health endpoints answer now: what does not today says nothing after a restore."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from drkit.checks.result import Look, Seen
from drkit.setup.pages import ask

if TYPE_CHECKING:
    from drkit.config.model import Config


def looks(config: Config) -> list[Look]:
    """One for each."""
    return [Look(f"page {each.url}", partial(_see, each.url), warns=True) for each in config.health]


def _see(url: str) -> Seen:
    page = ask(url)
    hint = "" if page.answers else "see that it is up, or name another under health: that is"
    return Seen(page.said, warning=not page.answers, hint=hint)
