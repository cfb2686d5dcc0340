"""Source ``database``: one PostgreSQL database as one consistent dump."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit.postgres import dump
from drkit.postgres.access import ByDsn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from drkit.postgres.access import Access
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
    vaults: Sequence[str] = ("databases",)

    @property
    def file_name(self) -> str:
        """By its ending, what restores it by hand: ``pg_restore`` reads ``.dump``, and ``.tar`` once unpacked."""
        return "database.dump" if self.staging is None else "database.tar"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Dump it; see ``drkit.postgres.dump``."""
        with dumping(ByDsn(self.dsn, self.staging, self.bin_dirs), content=self.content_proofs) as stream:
            yield stream


@contextmanager
def dumping(access: Access, *, content: bool) -> Iterator[DumpStream]:
    """A running dump; ``drkit.postgres.dump`` says what it raises."""
    running = dump.start(access, content=content)
    try:
        yield DumpStream(running)
    finally:
        running.close()


@dataclass(frozen=True)
class DumpStream:
    """A running dump as a source's stream."""

    running: dump.DatabaseDump

    def fileno(self) -> int:
        """The dump's bytes."""
        return self.running.fileno()

    def finish(self) -> None:
        """See that it is whole, and counted."""
        self.running.finish()

    def cut(self) -> None:
        """Let it fail now."""
        self.running.cut()

    def details(self) -> dict[str, Any]:
        """Its facts."""
        facts = asdict(self.running.facts())
        # Canonical JSON knows whole numbers alone, so that signatures never depend on how a fraction is written.
        facts["clock_offset_seconds"] = round(facts["clock_offset_seconds"])
        return {**facts, "dump_format": self.running.access.dump_format}
