"""Gives vaults another passphrase, such that at every moment one of two files opens each of them.

The new one is written beside the old before anything changes, and takes its place only after it was seen to open every
vault that the old one opened. What was cut short is gone on with by the next call, with the same new passphrase.
"""

from __future__ import annotations

import secrets as random
from contextlib import ExitStack
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
    what = f"vaults.{name}.passphrase"
    with ExitStack() as stack:
        for each in sharing:
            held = _opened(config, each, "")
            stack.enter_context(lock.hold(held, "changing its passphrase", held.repository.lock_wait, reporter))
        old = secrets.fetch(Secret(file=file), what)
        new = secrets.fetch(Secret(file=beside), what) if beside.exists() else ""
        changed = {each: is_changed for each in sharing if (is_changed := _seen(config, each, old, new)) is not None}
        if new:
            reporter.note(f"going on with the rotation that left {beside}")
        else:
            reporter.note(f"writing the new passphrase into {beside}")
            new = _written(file, beside, what)
        for each in (each for each, is_changed in changed.items() if not is_changed):
            reporter.note(f"vault {each}: changing the passphrase")
            _opened(config, each, old).change_passphrase(new)
        for each in changed:
            reporter.note(f"vault {each}: opening it with the new one")
            _opened(config, each, new).opened()
        reporter.note(f"{beside} takes the place of {file}")
        beside.replace(file)
        state.sync_directory(file.parent)
    return list(changed)


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


def _written(file: Path, beside: Path, what: str) -> str:
    """Make a new passphrase, and see it on disk before anything is changed to it."""
    try:
        state.write_durably(beside, random.token_urlsafe(_BYTES) + "\n", like=file)
    except OSError as error:
        raise ConfigurationError(f"{beside}: cannot be written: {error.strerror}; nothing was changed") from None
    return secrets.fetch(Secret(file=beside), what)


def _opened(config: Config, name: str, passphrase: str) -> BorgVault:
    vault = next(vault for each, vault in config.vaults.items() if each == name)
    return BorgVault(name, repository(vault), passphrase)


def _seen(config: Config, name: str, old: str, new: str) -> bool | None:
    """Whether a vault has the new passphrase already, before any is changed; nothing where it has no repository yet.

    Args:
        config: names the vault.
        name: of it.
        old: the passphrase in the file.
        new: the one that a rotation left that was cut short; empty where none did.

    Raises:
        WrongKey: it has neither.
    """
    try:
        _opened(config, name, old).opened()
    except NoRepository:
        return None
    except WrongKey as error:
        if not new:
            raise
        try:
            _opened(config, name, new).opened()
        except WrongKey:
            raise error from None
        return True
    return False
