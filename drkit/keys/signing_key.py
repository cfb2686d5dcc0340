"""Gives drkit another signing key, such that at every moment whatever was or is being signed is believed.

The old public key goes into ``trusted_keys`` first; then the new one becomes the pinned one; then the new key takes the
place of the old, from beside it. What was cut short is gone on with by the next call, with the same new key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from drkit import state
from drkit.config import load
from drkit.config.edit import with_trusted_key
from drkit.config.model import Secret
from drkit.errors import ConfigurationError, WrongKey
from drkit.keys.passphrase import NEXT
from drkit.points import signing

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.config.model import Config
    from drkit.observe.progress import Reporter


class Rotated(NamedTuple):
    """The public keys, before and now."""

    old: str
    new: str


def rotate(file: Path, reporter: Reporter) -> Rotated:
    """Change the signing key.

    Args:
        file: ``drkit.yaml``; one line comes to it, all others stay as they are.
        reporter: told each step before it is done.

    Raises:
        ConfigurationError: the key comes from elsewhere than a file, or a file cannot be written.
        WrongKey: there is no key yet.
    """
    config = load.load(file)
    if config.signing_key.file is None:
        raise ConfigurationError(
            "signing_key comes from an environment variable or a command, which drkit cannot change",
            "put another key there by hand, and the old public key into trusted_keys",
        )
    key = config.signing_key.file.resolve()
    if not key.exists():
        raise WrongKey(f"{key} is not there, so there is nothing to change", "the first backup makes it")
    beside = key.with_name(key.name + NEXT)
    old = _public(config, key)
    try:
        if beside.exists():
            reporter.note(f"going on with the rotation that left {beside}")
        else:
            reporter.note(f"writing the new key into {beside}")
            state.write_durably(beside, signing.generated(), like=key)
        new = _public(config, beside)
        _trust(file, config, (signing.verifier(config).keys | {old}) - {new}, reporter)
        pinned = signing.public_file(config.signing_key.file)
        reporter.note(f"{pinned} gets the new public key")
        state.write_durably(pinned, f"{new}\n", like=pinned if pinned.exists() else key)
        reporter.note(f"{beside} takes the place of {key}")
        beside.replace(key)
        state.sync_directory(key.parent)
    except OSError as error:
        raise ConfigurationError(
            f"signing_key: {error.filename} cannot be written: {error.strerror}", "then give the command again"
        ) from None
    return Rotated(old, new)


def _public(config: Config, key: Path) -> str:
    found = signing.existing_signer(config.model_copy(update={"signing_key": Secret(file=key)}))
    assert found is not None  # noqa: S101 - the file is there
    return found.public


def _trust(file: Path, config: Config, keys: frozenset[str], reporter: Reporter) -> None:
    """Have ``drkit.yaml`` trust these public keys too, and mean the same as before in everything else."""
    new = sorted(keys - set(config.trusted_keys))
    if not new:
        return
    reporter.note(f"{file}: the old public key goes into trusted_keys")
    place = file.resolve()
    directory = place.parent
    text = load.read_text(place)
    for key in new:
        text = with_trusted_key(text, key)
    read = load.parse(file, text, lambda named: directory / named.expanduser())
    wanted = set(config.trusted_keys) | keys
    if read != config.model_copy(update={"trusted_keys": read.trusted_keys}) or set(read.trusted_keys) != wanted:
        raise ConfigurationError(f"{file}: trusted_keys cannot be added to here", f"add by hand: {', '.join(new)}")
    state.write_durably(place, text, like=place)
