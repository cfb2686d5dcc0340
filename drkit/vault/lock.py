"""One writer for each vault on this machine: drkit's own lock, which says who holds it and dies with its holder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit import state
from drkit.errors import VaultLocked

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from drkit.observe.progress import Reporter
    from drkit.vault.port import Vault


def hold(vault: Vault, doing: str, wait: float, reporter: Reporter) -> AbstractContextManager[None]:
    """Hold ``vault`` for a ``with`` body, after waiting up to ``wait`` seconds for another holder.

    Raises:
        VaultLocked: it is still held then.
    """
    return state.exclusive(
        f"vault-{vault.identity}",
        doing,
        wait,
        lambda holder: VaultLocked(
            f"vault {vault.name} is in use by {holder}", "wait for it to end, or raise lock_wait"
        ),
        lambda holder: reporter.note(f"waiting for vault {vault.name}, which is in use by {holder}"),
    )
