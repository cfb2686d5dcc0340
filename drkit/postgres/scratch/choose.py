"""Which scratch server: by this machine's own programs where they are here, else in a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.postgres import programs
from drkit.postgres.scratch import container, local

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drkit.config.model import Postgresql
    from drkit.observe.progress import Reporter
    from drkit.postgres.scratch.server import Scratch


def server(major: int, config: Postgresql, parent: Path | None, reporter: Reporter) -> AbstractContextManager[Scratch]:
    """A fresh server of this major version; gone, with its data, after the body.

    Args:
        major: the version, exactly: other versions would not prove that this one can restore.
        config: where else PostgreSQL's programs may be, and which image has them.
        parent: where there is room, if the user named a place.
        reporter: told where it runs, if that is not here.

    Raises:
        PreflightFailed: on entering: neither programs nor a container of this version can be had.
    """
    bin_dirs = tuple(config.bin_dirs)
    bin_dir = programs.server(major, bin_dirs)
    if bin_dir is not None:
        return local.server(major, bin_dir, bin_dirs, parent)
    image = config.scratch_image.replace("{major}", str(major))
    return container.server(major, image, bin_dirs, parent, reporter)
