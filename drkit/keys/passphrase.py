"""Gives vaults another passphrase, such that at every moment one of two files opens each of them.

The new one is written beside the old before anything changes, and takes its place only after it was seen to open every
vault that the old one opened. What was cut short is gone on with by the next call, with the same new passphrase.
"""

from __future__ import annotations

import secrets as random
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit import state
from drkit.config import secrets
from drkit.config.model import Secret
from drkit.errors import ConfigurationError, NoRepository, UsageError, WrongKey
from drkit.vault import lock
from drkit.vault.borg import BorgVault
from drkit.vault.configured import repository

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.config.model import Config
    from drkit.observe.progress import Reporter

_BYTES = 32
NEXT = ".next"
"""Ends the name of the file beside the passphrase's."""


@dataclass(frozen=True)
class _Vault:
    """A vault, opened by the old and by the new passphrase, and whether it has the new one already."""

    old: BorgVault
    new: BorgVault
    is_changed: bool


def rotate(config: Config, name: str, reporter: Reporter) -> list[str]:
    """Change the passphrase of a vault, and of every other one whose passphrase is in the same file.

    Args:
        config: names the file.
        name: of the vault.
        reporter: told each step before it is done.

    Returns:
        The vaults that were changed, by their names.

    Raises:
        UsageError: there is no such vault.
        ConfigurationError: the passphrase comes from elsewhere than a file, or that cannot be written.
        WrongKey: a vault is opened by neither passphrase; nothing was changed.
        VaultLocked: another process uses one.
    """
    file = _file(config, name)
    sharing = [
        str(each)
        for each, vault in config.vaults.items()
        if vault.passphrase.file and vault.passphrase.file.resolve() == file
    ]
    beside = file.with_name(file.name + NEXT)
    old = secrets.fetch(Secret(file=file), f"vaults.{name}.passphrase")
    with ExitStack() as stack:
        for each in sharing:
            held = _opened(config, each, old)
            stack.enter_context(lock.hold(held, "changing its passphrase", held.repository.lock_wait, reporter))
        new = _next(file, beside, name, reporter)
        vaults = [vault for each in sharing if (vault := _seen(config, each, old, new)) is not None]
        for vault in vaults:
            if not vault.is_changed:
                reporter.note(f"vault {vault.new.name}: changing the passphrase")
                vault.old.change_passphrase(new)
        for vault in vaults:
            reporter.note(f"vault {vault.new.name}: opening it with the new one")
            vault.new.opened()
        reporter.note(f"{beside} takes the place of {file}")
        beside.replace(file)
        state.sync_directory(file.parent)
    return [vault.new.name for vault in vaults]


def _file(config: Config, name: str) -> Path:
    found = next((vault for each, vault in config.vaults.items() if each == name), None)
    if found is None:
        raise UsageError(f"there is no vault {name}", f"there are: {', '.join(map(str, config.vaults))}")
    if found.passphrase.file is None:
        raise ConfigurationError(
            f"vaults.{name}.passphrase comes from an environment variable or a command, which drkit cannot change",
            "name a file for the time of the rotation, then put what is in it to where it comes from",
        )
    return found.passphrase.file.resolve()


def _next(file: Path, beside: Path, name: str, reporter: Reporter) -> str:
    """The new passphrase: the one that a rotation left that was cut short, else another."""
    if beside.exists():
        reporter.note(f"going on with the rotation that left {beside}")
    else:
        reporter.note(f"writing the new passphrase into {beside}")
        try:
            state.write_durably(beside, random.token_urlsafe(_BYTES) + "\n", like=file)
        except OSError as error:
            raise ConfigurationError(f"{beside}: cannot be written: {error.strerror}; nothing was changed") from None
    return secrets.fetch(Secret(file=beside), f"vaults.{name}.passphrase")


def _opened(config: Config, name: str, passphrase: str) -> BorgVault:
    vault = next(vault for each, vault in config.vaults.items() if each == name)
    return BorgVault(name, repository(vault), passphrase)


def _seen(config: Config, name: str, old: str, new: str) -> _Vault | None:
    """See which of the two opens a vault, before any is changed; nothing where there is no repository yet."""
    before, after = _opened(config, name, old), _opened(config, name, new)
    try:
        before.opened()
    except NoRepository:
        return None
    except WrongKey as error:
        try:
            after.opened()
        except WrongKey:
            raise error from None
        return _Vault(before, after, is_changed=True)
    return _Vault(before, after, is_changed=False)
