"""What somebody does who has nothing but a bundle: the text in it, and the steps on the page. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drkit.keys.bundle import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.keys.bundle import Material, Missing, VaultFacts

OPEN = "drkit keys open --bundle {bundle} --identity IDENTITY --into /dev/shm/escrow"


def steps(bundle: str) -> list[tuple[str, str]]:
    """What is done, each with its command, which may be none.

    Args:
        bundle: the file of the bundle, as a command names it.
    """
    return [
        ("Take a machine with Linux that you trust, and install drkit on it.", ""),
        (
            "Fetch the identity: the private key of one of the recipients. It is kept apart from this bundle.",
            "",
        ),
        (
            "Open it into memory: /dev/shm is on no disk. (Without drkit: age -d -i IDENTITY BUNDLE | tar -xz)",
            OPEN.format(bundle=bundle),
        ),
        ("See that everything is reached, and what there is.", "cd /dev/shm/escrow && drkit check && drkit points"),
        ("See what a restore would do, then do it.", "drkit restore --to TARGET --plan && drkit restore --to TARGET"),
        (
            "Where no target of drkit.yaml can be used: have the databases and files as files.",
            "drkit restore --into DIRECTORY",
        ),
        (
            "At the end change what lay open: passphrase, signing key, tokens, keys of SSH; then make a new escrow.",
            "drkit keys rotate passphrase VAULT && drkit keys rotate signing-key && drkit keys export",
        ),
    ]


def readme(material: Material, made: str, bundle: str) -> str:
    """The text in the bundle.

    Args:
        material: what is kept.
        made: when, UTC.
        bundle: how its file was called.
    """
    return "\n".join(_lines(material, made, bundle)) + "\n"


def _lines(material: Material, made: str, bundle: str) -> Iterator[str]:
    yield f"Escrow of the cluster {material.cluster}, made {made}"
    yield ""
    yield "This is everything that opens the backups. Whoever has it can read and delete them."
    yield "drkit.yaml works where it lies: the files that it names are beside it, in keys/."
    yield ""
    for number, (what, command) in enumerate(steps(bundle), 1):
        yield f"{number}. {what}"
        if command:
            yield f"       {command}"
    yield ""
    yield "Vaults"
    for vault in material.vaults:
        yield from vault_lines(vault)
    yield ""
    yield "Files"
    for item in material.items:
        yield f"  {item.file}: {item.what}"
    yield from _missing(material.missing)


def vault_lines(vault: VaultFacts) -> Iterator[str]:
    """A vault, and what to do where its repository has lost its key."""
    known = (
        f" ({vault.encryption}, repository {vault.repository_id})" if vault.repository_id else " (no repository yet)"
    )
    yield f"  {vault.name}: {vault.url}{known}"
    if vault.encryption.startswith("repokey"):
        yield "    Its key is in the repository. Where that is damaged, put back the one that is here:"
        yield f"       {_ssh(vault)}borg key import {shlex.quote(vault.url)} {KEYS}/vaults.{vault.name}.borg-key"


def _ssh(vault: VaultFacts) -> str:
    if urlsplit(vault.url).scheme != "ssh":
        return ""
    own = f"{KEYS}/vaults.{vault.name}.ssh"
    return f"BORG_RSH='ssh -i {own}.key -o UserKnownHostsFile={own}.known_hosts' "


def _missing(missing: tuple[Missing, ...]) -> Iterator[str]:
    if missing:
        yield ""
        yield "Not here"
        for each in missing:
            yield f"  {each.name}: {each.why}"
