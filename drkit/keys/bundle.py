"""What an escrow bundle holds, as a plain value, and its form: ``tar``, ``gzip``, then age. Pure.

So ``age -d -i IDENTITY BUNDLE | tar -xz`` opens it where drkit is not. Equal contents give equal bytes, before age.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from drkit.archive import Entry, Kind, Writer, entries
from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMAT = 1
CONFIG = "drkit.yaml"
MANIFEST = "manifest.json"
README = "READ-ME-FIRST.txt"
KEYS = "keys"
LARGEST_FILE_BYTES = 1024 * 1024
_LARGEST_BYTES = 16 * 1024 * 1024
"""Unpacked. Whoever has a recipient's public key can make a bundle, so what is in one is not trusted."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}
"""About 30 ms: a fingerprint must not be a quick way to try passphrases (RFC 7914)."""


@dataclass(frozen=True)
class Item:
    """One thing in a bundle.

    Args:
        name: its place in ``drkit.yaml``, such as ``vaults.cluster.passphrase``; else what it is called.
        what: what it is for, in words.
        file: its path in the bundle.
        content: its bytes.
        essential: whether nothing can be restored without it, so that it stands on paper too.
        judged: what of it decides whether an escrow is out of date; nothing for what changes without harm.
    """

    name: str
    what: str
    file: str
    content: bytes = field(repr=False)
    essential: bool = True
    judged: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Missing:
    """What should be in it and is not, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class VaultFacts:
    """A vault as the page and the text name it; ``encryption`` is Borg's word, both are empty without a repository."""

    name: str
    url: str
    repository_id: str = ""
    encryption: str = ""


@dataclass(frozen=True)
class Material:
    """All that there is to be kept."""

    cluster: str
    vaults: tuple[VaultFacts, ...]
    public_keys: tuple[str, ...]
    items: tuple[Item, ...]
    missing: tuple[Missing, ...]

    def essentials(self) -> Material:
        """Without what can be done without."""
        kept = tuple(each for each in self.items if each.essential)
        left = tuple(Missing(each.name, "not essential: left off the paper") for each in self.items if each not in kept)
        return Material(self.cluster, self.vaults, self.public_keys, kept, (*self.missing, *left))


def fingerprints(cluster: str, items: Iterable[Item]) -> dict[str, str]:
    """For each item by which an escrow is judged, what is the same as long as it is, and gives nothing away."""
    return {each.name: _fingerprint(cluster, each) for each in items if each.judged}


def _fingerprint(cluster: str, item: Item) -> str:
    salt = f"drkit escrow\0{cluster}\0{item.name}".encode()
    return hashlib.scrypt(item.judged, salt=salt, dklen=16, **_SCRYPT).hex()


def manifest(material: Material, made: str, version: str, recipients: Sequence[str]) -> dict[str, Any]:
    """What is in a bundle, for programs.

    Args:
        material: it.
        made: when, UTC.
        version: drkit's.
        recipients: who can open it.
    """
    marks = fingerprints(material.cluster, material.items)
    return {
        "format": FORMAT,
        "cluster": material.cluster,
        "made": made,
        "drkit": version,
        "recipients": list(recipients),
        "vaults": [asdict(each) for each in material.vaults],
        "public_keys": list(material.public_keys),
        "items": [
            {"name": each.name, "what": each.what, "file": each.file, "fingerprint": marks.get(each.name, "")}
            for each in material.items
        ],
        "missing": [asdict(each) for each in material.missing],
    }


def pack(material: Material, manifest: Mapping[str, Any], readme: str) -> bytes:
    """A bundle before it is encrypted."""
    files = {each.file: each.content for each in material.items}
    files[MANIFEST] = (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
    files[README] = readme.encode()
    packed = io.BytesIO()
    writer = Writer(packed.write)
    for name in (README, *sorted(files.keys() - {README})):
        writer.add(Entry(name), files[name])
    writer.close()
    return gzip.compress(packed.getvalue(), 9, mtime=0)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was opened: its manifest, and its files by their paths."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def config(self) -> str:
        """The text of its ``drkit.yaml``."""
        return self.files[CONFIG].decode(errors="replace")

    @property
    def public_keys(self) -> frozenset[str]:
        """Those that stand beside its signing key."""
        return frozenset(self.files.get(f"{KEYS}/signing_key.pub", b"").decode(errors="replace").split())

    @property
    def borg_keys(self) -> dict[str, str]:
        """The exported keys, by the vaults' names."""
        begin, end = f"{KEYS}/vaults.", ".borg-key"
        return {
            name.removeprefix(begin).removesuffix(end): content.decode(errors="replace")
            for name, content in self.files.items()
            if name.startswith(begin) and name.endswith(end)
        }


def unpack(packed: bytes) -> Bundle:
    """What ``pack`` made.

    Raises:
        VerificationFailed: it did not make this.
    """
    files = {}
    for entry, content in entries(io.BytesIO(_decompressed(packed))):
        directory, _, name = entry.name.rpartition("/")
        if entry.kind is not Kind.FILE or directory not in {"", KEYS} or not _NAME.fullmatch(name):
            raise VerificationFailed(f"the bundle holds {entry.name!r}, which no bundle does")
        files[entry.name] = content.whole(LARGEST_FILE_BYTES)
    try:
        found = json.loads(files.get(MANIFEST, b""))
    except ValueError:
        found = None
    if not isinstance(found, dict) or CONFIG not in files:
        raise VerificationFailed("what was decrypted is no escrow bundle", "drkit keys export makes one")
    if found.get("format") != FORMAT:
        raise VerificationFailed(
            f"the bundle has format {found.get('format')!r:.20}; this drkit reads {FORMAT}", "install a newer drkit"
        )
    return Bundle(found, files)


def _decompressed(packed: bytes) -> bytes:
    reading = zlib.decompressobj(wbits=31)  # gzip's frame
    try:
        plain = reading.decompress(packed, _LARGEST_BYTES)
    except zlib.error as error:
        raise VerificationFailed(f"what was decrypted is no escrow bundle: {error}") from None
    if not reading.eof:
        raise VerificationFailed(f"the bundle is cut short, or larger than {_LARGEST_BYTES} bytes")
    return plain
