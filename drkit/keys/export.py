"""Makes an escrow: what is gathered, encrypted before any of it reaches a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit import __version__, state
from drkit.clock import to_text
from drkit.config import load
from drkit.errors import ConfigurationError
from drkit.keys import age, bundle, page, paper, record
from drkit.keys.instructions import readme
from drkit.keys.material import gather
from drkit.keys.record import Record
from drkit.points import names

if TYPE_CHECKING:
    from datetime import datetime

    from drkit.config.model import Config
    from drkit.keys.bundle import Item, Material, Missing

MOST_LINES = 240
"""Of a printed bundle: some four pages. Larger ones are printed without what can be done without."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote: the files, the SHA-256 of the bundle (else of the one on the page), and what is in it."""

    bundle: Path | None
    printable: Path | None
    sha256: str
    recipients: tuple[str, ...]
    items: tuple[Item, ...]
    missing: tuple[Missing, ...]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "bundle": None if self.bundle is None else str(self.bundle),
            "printable": None if self.printable is None else str(self.printable),
            "sha256": self.sha256,
            "recipients": list(self.recipients),
            "items": [{"name": each.name, "file": each.file, "what": each.what} for each in self.items],
            "missing": [{"name": each.name, "why": each.why} for each in self.missing],
        }


@dataclass(frozen=True)
class _Sealed:
    material: Material
    armored: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.armored.encode()).hexdigest()


def export(file: Path, bundle_file: Path | None, printable: Path | None, now: datetime) -> Exported:
    """Write an escrow bundle, a page for the drawer, or both, and remember their fingerprints on this machine.

    Args:
        file: ``drkit.yaml``.
        bundle_file: where the bundle goes; replaced when the new one is whole.
        printable: where the page goes; likewise.
        now: the time.

    Raises:
        ConfigurationError: there is no recipient, a passphrase is missing, or a file cannot be written.
        DrkitError: a vault cannot be reached or opened.
    """
    text = load.read_text(file)
    config = load.load(file)
    _see_place(bundle_file, "--to")
    _see_place(printable, "--printable")
    age.encrypt(b"", config.escrow.recipients)  # complains before vaults are asked
    material, made = gather(config, text), to_text(now)
    sealed = _seal(config, material, made, bundle_file)
    if bundle_file is not None:
        _write(bundle_file, sealed.armored, "--to")
    if printable is not None:
        printed = (
            sealed if len(paper.lines(sealed.armored)) <= MOST_LINES else _seal(config, material.essentials(), made)
        )
        _write(printable, page.html(printed.material, config.escrow.recipients, made, printed.armored), "--printable")
        sealed = printed if bundle_file is None else sealed
    written = bundle_file or printable
    items = bundle.fingerprints(config.cluster.name, sealed.material.items)
    record.remember(config.cluster.name, Record(made, str(written), sealed.sha256, items))
    recipients, missing = tuple(config.escrow.recipients), sealed.material.missing
    return Exported(bundle_file, printable, sealed.sha256, recipients, sealed.material.items, missing)


def _seal(config: Config, material: Material, made: str, file: Path | None = None) -> _Sealed:
    manifest = bundle.manifest(material, made, __version__, config.escrow.recipients)
    text = readme(material, made, file.name if file else "LINES.txt")
    packed = bundle.pack(material, manifest, text)
    return _Sealed(material, age.encrypt(packed, config.escrow.recipients))


def _see_place(file: Path | None, option: str) -> None:
    """A stick that is not plugged in must not become a directory of this machine."""
    if file is not None and not file.resolve().parent.is_dir():
        raise ConfigurationError(f"{option} {file}: there is no directory {file.parent}", "is it mounted?")


def _write(file: Path, text: str, option: str) -> None:
    try:
        state.write_durably(file.resolve(), text)
    except OSError as error:
        raise ConfigurationError(f"{option} {file}: cannot be written: {error.strerror}") from None


def default_name(config: Config) -> Path:
    """Where a bundle goes that nobody named a file for: into the directory that drkit was started in."""
    return Path(f"{names.slug(config.cluster.name)}.escrow.age")
