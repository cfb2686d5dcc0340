"""What the lab's images are made from. An image is named by a hash of its recipe, so that each is built once."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = "drkit-lab"
IMAGES = Path(__file__).parent / "images"
"""One directory an image: a Dockerfile and the files that it copies."""

SUITE = "trixie"
BASE = f"{REPOSITORY}/base:{SUITE}"
"""The same packages from two sources, a registry's image or debootstrap: so one name for both."""

POSTGRES = "postgresql"
"""The image with PostgreSQL of the workload's version, which the lab's scratch servers use too."""
_HASH_DIGITS = 12


@dataclass(frozen=True)
class File:
    """A file of a build context."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Recipe:
    """A build context, and the image that it stands on."""

    name: str
    base: str
    files: tuple[File, ...]

    @property
    def tag(self) -> str:
        """The image's name: the same for the same recipe, on every machine."""
        digest = hashlib.sha256(self.base.encode())
        for file in sorted(self.files, key=lambda file: file.name):
            for part in (file.name.encode(), file.content):
                digest.update(len(part).to_bytes(8, "big"))
                digest.update(part)
        return f"{REPOSITORY}/{self.name}:{digest.hexdigest()[:_HASH_DIGITS]}"

    def context(self) -> bytes:
        """The build context as a tar archive, the same bytes each time."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for file in sorted(self.files, key=lambda file: file.name):
                entry = tarfile.TarInfo(file.name)
                entry.size, entry.mode = len(file.content), 0o644
                archive.addfile(entry, io.BytesIO(file.content))
        return buffer.getvalue()


@dataclass(frozen=True)
class Layer:
    """Files laid over another image: what is too large for a recipe.

    Args:
        name: of the image.
        base: the tag of the image that it stands on.
        digest: names what ``lay_out`` lays out: the same files, the same digest.
        lay_out: writes the files below a directory, as they shall be below ``/``.
    """

    name: str
    base: str
    digest: str
    lay_out: Callable[[Path], None]

    @property
    def tag(self) -> str:
        """The image's name, as for a recipe."""
        return f"{REPOSITORY}/{self.name}:{_short(f'{self.base} {self.digest}')}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


def read(name: str, base: str = BASE) -> Recipe:
    """The recipe in the directory ``name`` of the lab's images."""
    directory = IMAGES / name
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return Recipe(name, base, tuple(File(str(path.relative_to(directory)), path.read_bytes()) for path in files))
