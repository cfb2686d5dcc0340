"""A bundle that is opened: in memory, so that its keys are used from there alone, or into a directory."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import state
from drkit.config import load
from drkit.errors import ConfigurationError, TargetNotEmpty, VerificationFailed
from drkit.keys import age, bundle, paper
from drkit.keys.bundle import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.config.model import Config, Secret
    from drkit.keys.bundle import Bundle

_LARGEST_BYTES = 32 * 1024 * 1024


def read(file: Path) -> bytes:
    """An encrypted bundle, from its file or from the lines of a page.

    Raises:
        ConfigurationError: the file cannot be read.
        VerificationFailed: it is no bundle, or lines are misread.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"--bundle {file}: cannot be read: {error.strerror}") from None
    if len(text) > _LARGEST_BYTES:
        raise VerificationFailed(f"{file} is larger than {_LARGEST_BYTES} bytes; no bundle is")
    if age.is_encrypted(text):
        return text
    plain = text.decode(errors="replace")
    if not paper.is_paper(plain):
        raise VerificationFailed(
            f"{file} is no escrow bundle", "expected what drkit keys export wrote, or the lines of its page"
        )
    return paper.read(plain).encode()


def decrypted(file: Path, identity: Path) -> Bundle:
    """A bundle, opened by an identity of age or a private key of SSH.

    Raises:
        WrongKey: it does not open it.
        VerificationFailed: the bundle is damaged, or none.
    """
    return bundle.unpack(age.decrypt(read(file), identity))


@contextmanager
def in_memory(opened: Bundle) -> Iterator[Config]:
    """The bundle's configuration for the time of a ``with`` body; what it names is in the bundle, and in memory alone.

    The files have names below ``/proc`` by which drkit, Borg and ssh open them, and are gone with this process.

    Raises:
        VerificationFailed: a secret that opens a vault is not in the bundle.
    """
    with ExitStack() as stack:
        places = {name: _in_memory(stack, content) for name, content in opened.files.items()}
        config = load.parse(Path(CONFIG), opened.config, lambda path: places.get(str(path), path))
        # Who made a bundle is not known. One that names commands must not have them run here.
        inside = set(places.values())
        for name, vault in config.vaults.items():
            _see_inside(f"vaults.{name}.passphrase", vault.passphrase, inside)
        yield config


def _in_memory(stack: ExitStack, content: bytes) -> Path:
    handle = os.memfd_create("drkit-escrow", os.MFD_CLOEXEC)
    stack.callback(os.close, handle)
    os.fchmod(handle, 0o600)  # ssh wants keys that nobody else could read
    written = 0
    while written < len(content):
        written += os.write(handle, content[written:])
    return Path(f"/proc/{os.getpid()}/fd/{handle}")


def _see_inside(name: str, secret: Secret, inside: set[Path]) -> None:
    if secret.file not in inside:
        raise VerificationFailed(f"{name} is not in the bundle: it opens no vault", "make another: drkit keys export")


def write_out(opened: Bundle, directory: Path) -> None:
    """Write a bundle's files, in clear, into a directory that only its owner can enter: wholly, or not at all.

    Raises:
        TargetNotEmpty: something is there already.
        ConfigurationError: it cannot be written.
    """
    directory = directory.absolute()
    if directory.exists() and any(directory.iterdir()):
        raise TargetNotEmpty(f"{directory} is not empty; nothing was written", "choose a directory that is not there")
    partial = directory.with_name(f".{directory.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # what a run left that was killed
        partial.mkdir(mode=0o700, parents=True)
        for name, content in opened.files.items():
            place = partial / name
            place.parent.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        partial.replace(directory)
        state.sync_directory(directory.parent)
    except OSError as error:
        raise ConfigurationError(f"--into {directory}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
