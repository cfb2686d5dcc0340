"""Proves that a bundle opens the vaults: by its own keys, from memory, down to one descriptor of each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit.errors import NoRepository, WrongKey
from drkit.keys.opened import in_memory
from drkit.points import catalogue, descriptor, names
from drkit.points.signing import Verifier
from drkit.vault.configured import vaults

if TYPE_CHECKING:
    from drkit.keys.bundle import Bundle
    from drkit.vault.borg import BorgVault

_NOTHING = "there is no repository yet"


@dataclass(frozen=True)
class Proof:
    """One vault: what opened it, and the recovery point whose descriptor was read and believed, if there is one."""

    vault: str
    url: str
    said: str
    point: str = ""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def prove(opened: Bundle) -> list[Proof]:
    """Open every vault of the bundle's ``drkit.yaml`` with what is in the bundle alone.

    Raises:
        WrongKey: a passphrase, a key or the public keys are not those of the vault any more.
        VerificationFailed: a descriptor is not what was signed.
        DrkitError: a vault cannot be reached, with the bundle's own SSH key and host keys.
    """
    with in_memory(opened) as config:
        cluster = names.slug(config.cluster.name)
        believed = Verifier(frozenset(config.trusted_keys) | opened.public_keys)
        return [
            _proof(vault, opened.borg_keys.get(name, ""), cluster, believed) for name, vault in vaults(config).items()
        ]


def _proof(vault: BorgVault, key: str, cluster: str, believed: Verifier) -> Proof:
    url = vault.repository.url
    try:
        found = vault.opened()
    except NoRepository:
        return Proof(vault.name, url, _NOTHING)
    if vault.export_key().split() != key.split():
        raise WrongKey(
            f"vault {vault.name} ({url}): Borg's key in the bundle is not the one that the vault has now",
            "the passphrase was changed since: drkit keys export",
        )
    point = _descriptor(vault, cluster, believed)
    read = "its newest descriptor is whole and signed" if point else "it holds no recovery point yet"
    return Proof(vault.name, url, f"opened by the bundle's passphrase and key ({found.encryption}); {read}", point)


def _descriptor(vault: BorgVault, cluster: str, believed: Verifier) -> str:
    """Read the newest descriptor out of the vault, past this machine's cache; the point's id, if there is one."""
    sealed = {
        archive.name: parts.point
        for archive in vault.archives()
        if (parts := names.parse(archive.name)) and parts.cluster == cluster and parts.part == names.DESCRIPTOR
    }
    if not sealed:
        return ""
    name = list(sealed)[-1]  # oldest first
    summary = descriptor.decode_summary(vault.comments([name]).get(name, ""), believed)
    descriptor.decode(catalogue.read_small(vault, name), believed, summary.sha256)
    return sealed[name]
