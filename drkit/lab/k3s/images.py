"""Container images of one static program each, written as files that ``ctr images import`` and ``docker load`` take."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_EPOCH = "1970-01-01T00:00:00Z"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """An image: its name, the programs in it by their paths inside, and what it runs."""

    name: str
    programs: tuple[tuple[str, Path], ...]
    entrypoint: tuple[str, ...]


def architecture(machine: str) -> str:
    """The image format's name for what ``uname -m`` says."""
    return _ARCHITECTURES.get(machine, machine)


def write(image: Image, path: Path, machine: str) -> None:
    """Write ``image`` to ``path``; the same programs give the same bytes."""
    layer = _layer(image.programs)
    digest = hashlib.sha256(layer).hexdigest()
    configuration = json.dumps(
        {
            "architecture": architecture(machine),
            "os": "linux",
            "created": _EPOCH,
            "config": {
                "Entrypoint": list(image.entrypoint),
                "Env": ["PATH=/"],
                "Labels": {"drkit.lab": "an image of drkit's lab, built from published sources"},
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": _EPOCH, "created_by": "drkit lab"}],
        }
    ).encode()
    name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [image.name], "Layers": [f"{digest}/layer.tar"]}]).encode()
    temporary = path.with_suffix(".new")
    with tarfile.open(temporary, "w") as archive:
        _add(archive, name, configuration, 0o644)
        _add(archive, f"{digest}/layer.tar", layer, 0o644)
        _add(archive, "manifest.json", manifest, 0o644)
    temporary.replace(path)


def _layer(programs: Sequence[tuple[str, Path]]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        tmp = tarfile.TarInfo("tmp")
        tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(tmp)
        for name, path in programs:
            _add(archive, name.lstrip("/"), path.read_bytes(), 0o755)
    return content.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
