"""The vaults that a configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.config import secrets
from drkit.vault.borg import BorgVault
from drkit.vault.borg_command import Repository

if TYPE_CHECKING:
    from drkit.config.model import Config, VaultConfig


def repository(vault: VaultConfig, *, pruning: bool = False) -> Repository:
    """Where the vault's repository is and how Borg reaches it.

    Args:
        vault: it.
        pruning: whether with the key that prunes, where there is one.
    """
    ssh = vault.ssh
    if pruning and ssh.prune_key is not None:
        ssh = ssh.model_copy(update={"key": ssh.prune_key})
    return Repository(vault.url, ssh, vault.remote_path, vault.compression, vault.lock_wait, vault.key_file)


def vaults(config: Config, *, pruning: bool = False) -> dict[str, BorgVault]:
    """All of them by name, with their passphrases fetched; they are being connected to, and asked nothing yet.

    Args:
        config: names them.
        pruning: see ``repository``.

    Raises:
        ConfigurationError: a passphrase is not where the configuration says.
    """
    opened = {
        str(name): BorgVault(
            str(name),
            repository(vault, pruning=pruning),
            secrets.fetch(vault.passphrase, f"vaults.{name}.passphrase"),
        )
        for name, vault in config.vaults.items()
    }
    for vault in opened.values():
        vault.connect_ahead()
    return opened
