"""Archives out of the vault into files, for whoever wants to look or to restore by hand."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from drkit import state
from drkit.errors import TargetNotEmpty
from drkit.points import names
from drkit.restore.stream import feed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from drkit.observe.progress import Reporter
    from drkit.points.descriptor import SourceEntry
    from drkit.vault.port import Vault


def write_out(
    directory: Path, sources: Sequence[SourceEntry], vaults: Mapping[str, Vault], reporter: Reporter
) -> list[Path]:
    """Write each source's archive to a file of its own, readable by its owner alone; under its name only when whole.

    Raises:
        TargetNotEmpty: a file of that name is there; none is overwritten.
        VerificationFailed: an archive is not what was sealed.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = {source.name: directory / f"{names.slug(source.name)}-{source.file}" for source in sources}
    there = [str(path) for path in places.values() if path.exists()]
    if there:
        raise TargetNotEmpty(f"{', '.join(there)} is there already; nothing was written", "choose an empty directory")
    for source in sources:
        place = places[source.name]
        partial = place.with_name(f".{place.name}.partial")
        try:
            with reporter.task(source.name) as task:
                handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
                with os.fdopen(handle, "wb") as file:
                    feed(vaults[source.vault], source, file.write, task)
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
    state.sync_directory(directory)
    return list(places.values())
