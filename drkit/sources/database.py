"""Source ``database``: one PostgreSQL database as one consistent dump."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit.postgres import dump

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.postgres.connection import Dsn
    from drkit.sources.port import SourceStream


@dataclass(frozen=True)
class DatabaseSource:
    """A database by its connection string."""

    name: str
    dsn: Dsn
    content_proofs: bool
    staging: Path | None
    bin_dirs: tuple[Path, ...]
    kind: str = "database"
    vault: str = "databases"

    @property
    def file_name(self) -> str:
        """By its ending, what restores it by hand: ``pg_restore`` reads ``.dump``, and ``.tar`` once unpacked."""
        return "database.dump" if self.staging is None else "database.tar"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Dump it; see ``drkit.postgres.dump``."""
        running = dump.start(self.dsn, content=self.content_proofs, staging=self.staging, bin_dirs=self.bin_dirs)
        try:
            yield _DumpStream(running)
        finally:
            running.close()


@dataclass(frozen=True)
class _DumpStream:
    running: dump.DatabaseDump

    def fileno(self) -> int:
        return self.running.fileno()

    def finish(self) -> None:
        self.running.finish()

    def details(self) -> dict[str, Any]:
        facts = asdict(self.running.facts())
        # Canonical JSON knows whole numbers alone, so that signatures never depend on how a fraction is written.
        facts["clock_offset_seconds"] = round(facts["clock_offset_seconds"])
        return {**facts, "dump_format": self.running.dump_format}
